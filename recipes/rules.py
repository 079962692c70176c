"""The rules for the fields of a recipe: how a field is described, its range, when it applies.

`setting` attaches them to a field where it is defined (fields.py); the functions below it read
them, and check the values of fields that exclude each other. A field without effect is an error
if it was given, and is reset if it is left over.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from recipes.training import selection
from recipes.values import average_of, interval_of, is_finite

NETWORK = "network"
START = "initial weights"
IMAGES = "images"
OPTIMIZATION = "optimization"
SCHEDULE = "learning rate schedule"
LOSS = "loss"
MONITORING = "monitoring"
CHECKPOINTS = "checkpoints"
MACHINE = "precision and seed"
TOPICS = (NETWORK, START, IMAGES, OPTIMIZATION, SCHEDULE, LOSS, MONITORING, CHECKPOINTS, MACHINE)

# Arguments of zoo.build that are not options of a family, and the recipe's name for them
STYLE = ("act", "norm", "init", "dropout", "drop_path")
NOT_OPTIONS = dict.fromkeys((*STYLE, "preprocess", "seed", "weights"), "a field of the recipe") | {
    "name": "the field model",
    "num_classes": "determined by the data",
}

# The values of a recipe's fields by name
Values = Mapping[str, Any]
# Returns what a field needs and does not have, "" if it applies
Condition = Callable[[Values], str]


class Range(NamedTuple):
    """A test of a value, and the description of the values that pass it."""

    test: Callable[[Any], bool]
    text: str

    def check(self, name: str, value: Any) -> None:
        """Check that a value is None or in the range. Infinite and NaN floats never are.

        Raises:
            ValueError: if it is not.
        """
        if value is not None and not (is_finite(value) and self.test(value)):
            raise ValueError(f"{name}={value!r}: must be {self.text}")


FRACTION = Range(lambda v: 0 <= v < 1, "at least 0 and below 1")
FRACTION_OR_SPLIT = Range(
    lambda v: bool(v) if isinstance(v, str) else 0 <= v < 1, "at least 0 and below 1"
)
POSITIVE = Range(lambda v: v > 0, "greater than 0")
COUNT = Range(lambda v: v >= 1, "at least 1")
AT_LEAST_0 = Range(lambda v: v >= 0, "at least 0")
MULTIPLIERS = Range(
    lambda v: all(is_finite(x) and x >= 0 for x in v.values()),
    "a dict of stages and multipliers of lr, which must be at least 0",
)
INCREASING = Range(
    lambda v: all(is_finite(x) and x > 0 for x in v) and list(v) == sorted(set(v)),
    "increasing numbers greater than 0",
)
SIZES = Range(
    lambda v: (
        all(epoch >= 0 and side >= 1 for epoch, side in v)
        and [epoch for epoch, _ in v] == sorted({epoch for epoch, _ in v})
    ),
    "pairs of an epoch and a side in pixels, with increasing epochs from 0",
)
SEED = Range(lambda v: 0 <= v < 2**31, "from 0 to 2147483647")


class With:
    """The condition that another field has one of some values, given as shell patterns."""

    def __init__(self, name: str, *values: str):
        self.name, self.values = name, values

    def __call__(self, values: Values) -> str:
        value = values[self.name]
        if any(fnmatchcase(str(value), pattern) for pattern in self.values):
            return ""
        return f"{self.name}={' or '.join(map(repr, self.values))}, but {self.name}={value!r}"


def stops_early(values: Values) -> str:
    """The condition that a run may stop early."""
    return "early_stopping=N, but early_stopping=None" if values["early_stopping"] is None else ""


def compares_epochs(values: Values) -> str:
    """The condition that the epochs of a run are compared."""
    if values["early_stopping"] is not None or values["select"] == "best":
        return ""
    return "select='best' or early_stopping=N, but neither is set"


def freezes(values: Values) -> str:
    """The condition that a part of the network is frozen."""
    return "freeze=STAGE, but freeze=None" if values["freeze"] is None else ""


def rolls_back(values: Values) -> str:
    """The condition that a training that diverged may return to a checkpoint."""
    return "" if values["rollbacks"] else "rollbacks=N, but rollbacks=0"


def setting(
    topic: str,
    default: Any = dataclasses.MISSING,
    help: str = "",
    valid: str | tuple[str, ...] = "",
    *,
    within: Range | None = None,
    applies: tuple[Condition, ...] = (),
) -> Any:
    """Return a dataclass field with its rules as metadata.

    Args:
        topic: the group of flags that `--help` shows the field in, one of TOPICS.
        default: the default value, or `dict` for an empty dict.
        help: one plain sentence.
        valid: the valid values for `--help`, where neither the field's type nor its range says
            them: names, or a phrase.
        within: the range of the value.
        applies: conditions under which the field has an effect; all must hold.
    """
    metadata = {"topic": topic, "help": help, "valid": valid, "within": within, "applies": applies}
    if default is dict:
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


DataclassFields = Collection[dataclasses.Field]


def default_of(field: dataclasses.Field) -> Any:
    """Return the default value of a field, MISSING for a required one."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def unread(fields: DataclassFields, values: Values) -> Iterator[tuple[str, str]]:
    """Yield each field without effect and what it needs: ("milestones", "schedule='step'")."""
    for field in fields:
        for condition in field.metadata["applies"]:
            if missing := condition(values):
                yield field.name, missing


def reset(fields: DataclassFields, values: Values, given: Collection[str] = ()) -> dict[str, Any]:
    """Return `values` with fields without effect reset to defaults, except those in `given`."""
    idle = {name for name, _ in unread(fields, values)} - set(given)
    return {**values, **{field.name: default_of(field) for field in fields if field.name in idle}}


def check(fields: DataclassFields, values: Values) -> None:
    """Check the range of each field, and the fields against each other.

    Raises:
        ValueError: if a value is out of range, values exclude each other, a field without effect
            is not at its default, an op in eval_ops is for batches, or an option is not an option
            of the network.
    """
    for field in fields:
        if field.metadata["within"] is not None:
            field.metadata["within"].check(field.name, values[field.name])
    _check_training(values)
    selection.check(values)
    defaults = {field.name: default_of(field) for field in fields}
    for name, needed in unread(fields, values):
        if values[name] != defaults[name]:
            raise ValueError(f"{name}={values[name]!r}: only applies with {needed}")
    _check_images(values)
    _check_averages(values)


def _check_images(values: Values) -> None:
    """Check the operations, the options of the network and the weights of classes."""
    for op in values["eval_ops"]:
        if not callable(op):
            raise ValueError(
                f"eval_ops: {op!r} applies to batches of training images only; remove it"
            )
    for name, value in values["options"].items():
        if name in NOT_OPTIONS:
            raise ValueError(
                f"options.{name}={value!r}: {name} is {NOT_OPTIONS[name]}, not an option"
            )
    if len(values["classes"]) == 1:
        raise ValueError(
            f"classes={values['classes']!r}: a classifier needs at least 2 classes; name more, or"
            " use () for all"
        )
    if values["images"] is not None and values["per_class"] is not None:
        raise ValueError(
            f"per_class={values['per_class']}: images={values['images']} also sets the number of"
            " training images; use only one of them"
        )
    if values["class_weight"] == "balanced" and values["sampling"] == "balanced":
        raise ValueError(
            "class_weight='balanced': sampling='balanced' already corrects the class frequencies;"
            " use only one of them"
        )


def _check_averages(values: Values) -> None:
    """Check the average of the weights, and the range of the momentum."""
    if (values["average"] or "").startswith("swa"):
        if values["select"] == "best":
            raise ValueError(
                f"average={values['average']!r}: averages the last epochs, but select='best' may"
                " keep an earlier one; use select='last' or average='ema:0.999'"
            )
        if values["early_stopping"] is not None:
            raise ValueError(
                f"early_stopping={values['early_stopping']}: may stop before the last epochs, which"
                f" average={values['average']!r} needs; use average='ema:0.999'"
            )
    minimum, momentum = values["min_momentum"], values["momentum"]
    if minimum is not None and minimum > momentum:
        raise ValueError(f"min_momentum={minimum}: must be at most momentum={momentum}")


def _check_training(values: Values) -> None:
    """Check the initial weights, the batch, the optimizer and its schedule."""
    if values["data_init"] is not None and values["weights"] is not None:
        raise ValueError(
            f"data_init={values['data_init']!r}: would overwrite the pretrained"
            f" weights={values['weights']!r}; use only one of them"
        )
    if values["validation"] == 0.0 and values["schedule"] == "plateau":
        raise ValueError(
            "schedule='plateau': needs a validation set, but validation=0.0; set a fraction"
        )
    if values["schedule"] == "step" and bool(values["milestones"]) == bool(values["step_size"]):
        raise ValueError(
            "schedule='step': set either milestones, the times at which the learning rate"
            " decreases, or step_size, the time between two decreases"
        )
    interval_of(values["checkpoint_every"])
    if values["average"] is not None:
        kind, number, _ = average_of(values["average"])
        if kind == "swa" and number > values["epochs"]:
            raise ValueError(
                f"average={values['average']!r}: averages the last {number} epochs, but"
                f" epochs={values['epochs']}"
            )
    if values["batch_size"] % values["accumulate"]:
        raise ValueError(
            f"accumulate={values['accumulate']}: batch_size={values['batch_size']} is not divisible"
            f" by it; choose a divisor of {values['batch_size']}"
        )
    if values["optimizer"] == "adam" and values["weight_decay"]:
        raise ValueError(
            f"weight_decay={values['weight_decay']}: not available with optimizer='adam'; use"
            " 'adamw' or 'sgd'"
        )
    if values["nesterov"] and not values["momentum"]:
        raise ValueError("nesterov=True: needs momentum greater than 0")
