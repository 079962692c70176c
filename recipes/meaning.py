"""Checks across the fields of a recipe: values that exclude each other, and fields without effect.

A field without effect is an error if it was given, and is reset if it is left over.
"""

from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from recipes.ranges import average_of
from recipes.training import selection

# A field, the field it depends on, and the values (patterns) of that field with which it applies
READERS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("milestones", "schedule", ("step",)),
    ("step_size", "schedule", ("step", "exponential")),
    ("gamma", "schedule", ("step", "exponential", "plateau")),
    ("power", "schedule", ("polynomial",)),
    ("patience", "schedule", ("plateau",)),
    ("momentum", "optimizer", ("sgd", "rmsprop")),
    ("min_momentum", "optimizer", ("sgd",)),
    ("min_momentum", "schedule", ("one_cycle",)),
    ("nesterov", "optimizer", ("sgd",)),
    ("rho", "optimizer", ("rmsprop",)),
    ("epsilon", "optimizer", ("adam", "adamw", "rmsprop", "lamb", "adagrad")),
    ("label_threshold", "loss", ("bce",)),
    ("bad_images", "data", ("folder:*",)),
    ("channels", "data", ("folder:*",)),
)

# Arguments of zoo.build that are not options of a family, and the recipe's name for them
STYLE = ("act", "norm", "init", "dropout", "drop_path")
NOT_OPTIONS = dict.fromkeys((*STYLE, "preprocess", "seed", "weights"), "a field of the recipe") | {
    "name": "the field model",
    "num_classes": "determined by the data",
}


def unread(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each field without effect and what it needs: ("milestones", "schedule='step'")."""
    for name, by, readers in READERS:
        value = values[by]
        if not any(fnmatchcase(str(value), reader) for reader in readers):
            yield name, f"{by}={' or '.join(map(repr, readers))}, but {by}={value!r}"
    if values["early_stopping"] is None:
        yield "min_delta", "early_stopping=N, but early_stopping=None"
        if values["select"] != "best":
            yield "select_by", "select='best' or early_stopping=N, but neither is set"


def check(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Check the fields of a recipe against each other.

    Raises:
        ValueError: if values exclude each other, a field without effect is not at its default, an
            op in eval_ops is for batches, or an option is not an option of the network.
    """
    _check_training(values)
    selection.check(values)
    for name, reader in unread(values):
        if values[name] != defaults[name]:
            raise ValueError(f"{name}={values[name]!r}: only applies with {reader}")
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
    if values["class_weight"] == "balanced" and values["sampling"] == "balanced":
        raise ValueError(
            "class_weight='balanced': sampling='balanced' already corrects the class frequencies;"
            " use only one of them"
        )
    minimum, momentum = values["min_momentum"], values["momentum"]
    if minimum is not None and minimum > momentum:
        raise ValueError(f"min_momentum={minimum}: must be at most momentum={momentum}")


def _check_training(values: Mapping[str, Any]) -> None:
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
    if values["average"] is not None:
        kind, number = average_of(values["average"])
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


def reset(
    values: Mapping[str, Any], defaults: Mapping[str, Any], given: Collection[str] = ()
) -> dict[str, Any]:
    """Return `values` with fields without effect reset to defaults, except those in `given`."""
    idle = {name: defaults[name] for name, _ in unread(values) if name not in given}
    return {**values, **idle}


def of_before(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a recipe.json of an earlier version such that `check` accepts them."""
    values = reset(values, defaults)
    values["eval_ops"] = tuple(op for op in values["eval_ops"] if callable(op))
    options = values.get("options") or {}
    values |= {name: value for name, value in options.items() if name in STYLE}
    values["options"] = {n: value for n, value in options.items() if n not in NOT_OPTIONS}
    if str(values["average"]).startswith("swa"):
        values["select"] = defaults["select"]
    return reset(values, defaults)
