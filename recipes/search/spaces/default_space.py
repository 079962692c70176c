"""The search space of a recipe that does not define one."""

from collections.abc import Iterable
from typing import Any

from recipes.augment import RandomErasing
from recipes.recipe import Recipe
from recipes.search.spaces.axes import Axis, Between, Choices, SpaceOf, rejection

ACTS = ("relu", "leaky_relu", "elu", "selu", "gelu", "swish")
NORMS = ("batch", "group", "layer", "none")
INITS = ("he_normal", "glorot_uniform", "lecun_normal", "orthogonal")
SCHEDULES = ("cosine", "one_cycle", "constant")
# Usual learning rates, to transfer a range from one optimizer to another
_USUAL = {
    "sgd": 0.1, "rmsprop": 0.01, "adam": 1e-3, "adamw": 1e-3, "lamb": 5e-3, "adagrad": 0.05,
    "muon": 0.02,
}  # fmt: skip


def default_space(base: Recipe) -> SpaceOf:
    """Return a space around a recipe, over everything that applies to it.

    It consists of the learning rate (a tenth to ten times that of the recipe, in log space), weight
    decay, optimizer, schedule, batch size and augmentation; without pretrained weights also of act,
    norm, init and dropout, as far as the network accepts them.
    """
    other = "adamw" if base.optimizer != "adamw" else "sgd"
    ratio = _USUAL[other] / _USUAL[base.optimizer]
    axes: dict[str, Axis] = {
        "optimizer": _choices("optimizer", (base.optimizer, other)),
        "lr": Between("lr", base.lr / 10, base.lr * 10, log=True),
        "weight_decay": Between("weight_decay", 1e-5, 1e-1, log=True),
        "schedule": _choices("schedule", (base.schedule, *SCHEDULES)),
        "batch_size": _batch_sizes(base),
        "augment": _strengths(base),
    }
    if base.weights is None:
        for name, values in (("act", ACTS), ("norm", NORMS), ("init", INITS)):
            accepted = [value for value in values if not rejection(base, {name: value})]
            own = getattr(base, name)
            if len({own, *accepted} - {None}) > 1:
                axes[name] = _choices(name, filter(None, (own, *accepted)))
        if not rejection(base, {"dropout": 0.5}):
            axes["dropout"] = Between("dropout", 0.0, 0.5)
    lr = Between(f"lr_{other}", base.lr * ratio / 10, base.lr * ratio * 10, log=True)
    return SpaceOf(base, axes, {other: lr})


def _choices(name: str, values: Iterable[Any]) -> Choices:
    return Choices(name, {str(value): value for value in values})


def _batch_sizes(base: Recipe) -> Choices:
    unit = base.accumulate
    sizes = (base.batch_size // 2, base.batch_size, base.batch_size * 2)
    return _choices("batch_size", (size for size in sizes if size >= unit and size % unit == 0))


def _strengths(base: Recipe) -> Choices:
    """Return the augmentations none, that of the recipe, and a stronger one."""
    found = {"none": base.eval_ops, "recipe": base.augment}
    if not any(isinstance(each, RandomErasing) for each in base.augment):
        found["recipe + RandomErasing"] = (*base.augment, RandomErasing())
    if base.augment == base.eval_ops:
        del found["none"]
    return Choices("augment", found)
