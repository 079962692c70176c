"""Which fields of a recipe something reads: what nothing reads is refused, or goes back."""

from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

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
    """Refuse what would have no effect.

    Raises:
        ValueError: a field is not at its default, and nothing reads it; an op in eval_ops
            is for batches; an option is no option of a network; "best" beside "swa".
    """
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
