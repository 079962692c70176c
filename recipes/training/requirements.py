"""What a recipe requires of its data set and of the devices, before anything is built."""

from recipes.data.types import Data
from recipes.recipe import Recipe
from zoo.terminal import plural


def check(recipe: Recipe, data: Data, replicas: int, test: bool) -> None:
    """Check that the recipe fits the data and the devices.

    Args:
        recipe: the recipe.
        data: its data set.
        replicas: the number of devices.
        test: whether the run is evaluated on the test set, so that it needs no validation set.

    Raises:
        ValueError: a field does not fit.
    """
    if recipe.batch_size > data.train.count:
        raise ValueError(
            f"batch_size={recipe.batch_size}: larger than the training set of"
            f" {plural(data.train.count, 'image')}; choose a smaller batch size"
        )
    if recipe.batch_size % replicas:
        raise ValueError(
            f"batch_size={recipe.batch_size}: must be divisible by the {replicas} replicas;"
            f" choose a multiple of {replicas}"
        )
    if recipe.batch_size % (replicas * recipe.accumulate):
        raise ValueError(
            f"batch_size={recipe.batch_size}: must be divisible by {replicas} replicas times"
            f" accumulate={recipe.accumulate}; choose a multiple of {replicas * recipe.accumulate}"
        )
    if recipe.dtype == "mixed_float16" and replicas > 1:
        # Keras's loss scaling looks at one replica's gradients only.
        raise ValueError(
            f"dtype='mixed_float16': supports one device only, not {replicas}; use 'mixed_bfloat16'"
        )
    by_validation = recipe.select_by.startswith("val_")
    wants = {
        "schedule='plateau'": recipe.schedule == "plateau",
        "select='best'": recipe.select == "best" and by_validation,
        f"early_stopping={recipe.early_stopping}": recipe.early_stopping and by_validation,
        "test=False": not test,
    }
    for what, wanted in wants.items():
        if wanted and data.validation is None:
            raise ValueError(
                f"{what}: needs a validation set, but data={data.name!r} has none; set a"
                " fraction such as validation=0.1"
            )
