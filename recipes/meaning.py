"""Checks across the fields of a recipe: values that exclude each other, and fields without effect.

A field without effect is an error if it was given, and is reset if it is left over.
"""

from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from recipes.ranges import average_of
from recipes.training import selection

# A field, the field that decides whether it is read, and the values (patterns) that read it
READERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("steps", "schedule", ("step",)),
    ("every", "schedule", ("step", "exponential")),
    ("gamma", "schedule", ("step", "exponential", "plateau")),
    ("power", "schedule", ("polynomial",)),
    ("patience", "schedule", ("plateau",)),
    ("momentum", "optimizer", ("sgd", "rmsprop")),
    ("lowest_momentum", "optimizer", ("sgd",)),
    ("lowest_momentum", "schedule", ("one_cycle",)),
    ("nesterov", "optimizer", ("sgd",)),
    ("rho", "optimizer", ("rmsprop",)),
    ("epsilon", "optimizer", ("adam", "adamw", "rmsprop", "lamb", "adagrad")),
    ("label_threshold", "loss", ("bce",)),
    ("bad_images", "data", ("folder:*",)),
    ("channels", "data", ("folder:*",)),
)

# What zoo.build takes beside a family's options, and where a recipe has it
STYLE = ("act", "norm", "init", "dropout", "drop_path")
NOT_OPTIONS = dict.fromkeys((*STYLE, "preprocess", "seed", "weights"), "a field of the recipe") | {
    "name": "the recipe's field model",
    "num_classes": "what the data has",
}


def unread(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields that nothing reads, and what would: ("steps", "schedule='step', not 'cosine'")."""
    for name, by, readers in READERS:
        value = values[by]
        if not any(fnmatchcase(str(value), reader) for reader in readers):
            yield name, f"{by}={' or '.join(map(repr, readers))}, not {value!r}"
    if values["early_stopping"] is None:
        yield "min_delta", "early_stopping=N, not None"
        if values["select"] != "best":
            yield "select_by", "select='best' or early_stopping=N, which are not set"


def check(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Check the fields of a recipe against each other.

    Raises:
        ValueError: values exclude each other; a field is not at its default, and nothing reads it;
            an op in eval_ops is for batches; an option is no option of a network.
    """
    _check_training(values)
    selection.check(values)
    for name, reader in unread(values):
        if values[name] != defaults[name]:
            raise ValueError(f"{name}={values[name]!r} is read by {reader}")
    for op in values["eval_ops"]:
        if not callable(op):
            raise ValueError(f"eval_ops: {op!r} is for batches of training images, not for one")
    for name, value in values["options"].items():
        if name in NOT_OPTIONS:
            raise ValueError(f"options.{name}={value!r}: {name} is {NOT_OPTIONS[name]}, no option")
    if (values["average"] or "").startswith("swa"):
        if values["select"] == "best":
            raise ValueError(
                f"average={values['average']!r} is of the last epochs, and select='best' may keep"
                " one before them"
            )
        if values["early_stopping"] is not None:
            raise ValueError(
                f"early_stopping={values['early_stopping']} may end the training before the last"
                f" epochs, which average={values['average']!r} needs; use average='ema:0.999'"
            )
    if values["class_weight"] == "balanced" and values["sampling"] == "balanced":
        raise ValueError(
            "class_weight='balanced' with sampling='balanced' corrects the class frequencies twice;"
            " choose one of them"
        )
    lowest, momentum = values["lowest_momentum"], values["momentum"]
    if lowest is not None and lowest > momentum:
        raise ValueError(f"lowest_momentum={lowest} is above momentum={momentum}")


def _check_training(values: Mapping[str, Any]) -> None:
    """Check the initial weights, the batch, the optimizer and its schedule."""
    if values["data_init"] is not None and values["weights"] is not None:
        raise ValueError(
            f"data_init={values['data_init']!r} makes initial weights, and"
            f" weights={values['weights']!r} has others"
        )
    if values["validation"] == 0.0 and values["schedule"] == "plateau":
        raise ValueError("schedule='plateau' needs a validation set, but validation=0.0")
    if values["schedule"] == "step" and bool(values["steps"]) == bool(values["every"]):
        raise ValueError("schedule='step' needs steps, where the rate falls, or every")
    if values["average"] is not None:
        kind, number = average_of(values["average"])
        if kind == "swa" and number > values["epochs"]:
            raise ValueError(
                f"average={values['average']!r}: averages the last {number} epochs, but"
                f" epochs={values['epochs']}"
            )
    if values["batch"] % values["accumulate"]:
        raise ValueError(
            f"accumulate={values['accumulate']}: batch={values['batch']} is not divisible by it;"
            f" choose a divisor of {values['batch']}"
        )
    if values["optimizer"] == "adam" and values["weight_decay"]:
        raise ValueError("optimizer='adam' has no weight_decay: use 'adamw', or sgd")
    if values["nesterov"] and not values["momentum"]:
        raise ValueError("nesterov=True needs momentum above 0")


def reset(
    values: Mapping[str, Any], defaults: Mapping[str, Any], given: Collection[str] = ()
) -> dict[str, Any]:
    """`values` with what nothing reads at its default, but for the fields that were `given`."""
    idle = {name: defaults[name] for name, _ in unread(values) if name not in given}
    return {**values, **idle}


def of_before(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe that was recorded before `check` refused what it holds, as it was meant."""
    values = reset(values, defaults)
    values["eval_ops"] = tuple(op for op in values["eval_ops"] if callable(op))
    options = values.get("options") or {}
    values |= {name: value for name, value in options.items() if name in STYLE}
    values["options"] = {n: value for n, value in options.items() if n not in NOT_OPTIONS}
    if str(values["average"]).startswith("swa"):
        values["select"] = defaults["select"]
    return reset(values, defaults)
