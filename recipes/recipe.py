"""Recipe: everything that defines an experiment, in one flat frozen dataclass."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from recipes import augment as ops_of
from recipes import meaning
from recipes.old_names import accept_old_names, current_name, renamed
from recipes.ranges import RANGES, is_finite, reject_half, weights_of
from recipes.setting import (
    IMAGES,
    LOSS,
    MACHINE,
    MONITORING,
    NETWORK,
    OPTIMIZATION,
    SCHEDULE,
    START,
    setting,
)
from recipes.training import selection
from zoo.options import checked, unknown
from zoo.vocabulary import ACTS, INITS, NORMS


@dataclass(frozen=True)
class Recipe:
    """An experiment: the network, its data and how it is trained.

    Raises:
        ValueError: if a value has the wrong type or is out of range, or two exclude each other.
    """

    # None means the value that the network's paper used.
    model: str = setting(NETWORK, help="Name of the network.", valid="`zoo list` prints the names")
    data: str = setting(
        IMAGES,
        help="Data set: digits, a TFDS name, a folder of images or made-up images.",
        valid="digits, folder:PATH, made_up:HxWxC:CLASSES or a TFDS name",
    )
    act: str | None = setting(
        NETWORK, None, "Activation function of the hidden layers.", tuple(ACTS)
    )
    norm: str | None = setting(
        NETWORK, None, "Normalization after each hidden convolution.", tuple(NORMS)
    )
    init: str | None = setting(NETWORK, None, "Initializer of the kernels.", tuple(INITS))
    dropout: float | None = setting(NETWORK, None, "Probability of dropping a unit.")
    drop_path: float | None = setting(
        NETWORK, None, "Probability of dropping a residual branch, in the last block."
    )
    options: dict[str, Any] = setting(
        NETWORK, dict, "Further arguments of zoo.build, as --options.NAME=VALUE."
    )

    data_init: Literal["lsuv", "data_dependent", "whiten"] | None = setting(
        START, None, "Method that fits the initial weights to training images."
    )
    weights: str | None = setting(
        START,
        None,
        "Pretrained weights to start from.",
        "imagenet or another source's name, a file, or a run directory",
    )
    head: str = setting(
        START,
        "kept",
        "Whether the pretrained head is kept, new, or new on top of an earlier stage.",
        "kept, new or a stage such as stage3",
    )
    freeze: str | None = setting(
        START, None, "Last stage of those whose weights are not trained.", "a stage such as stage2"
    )

    augment: tuple[Any, ...] = setting(
        IMAGES,
        (),
        "Operations on training images and batches, in order.",
        'a tuple such as "(Resize(32), Flip())"; `recipes names ops` prints the operations',
    )
    eval_ops: tuple[Any, ...] = setting(
        IMAGES,
        (),
        "Operations on validation and test images, and before statistics are fitted.",
        'a tuple such as "(Resize(36), CenterCrop(32))"',
    )
    preprocess: str = setting(
        IMAGES,
        "standardize",
        "Preprocessing layer, fitted to the training set and saved in the model.",
        "`recipes names preprocess` prints the names",
    )
    validation: float | str = setting(
        IMAGES,
        0.1,
        "Fraction of the training set to validate on, or the name of a split.",
        "a number from 0 to below 1, or a split",
    )
    bad_images: int = setting(IMAGES, 0, "Largest number of unreadable images to skip in a folder.")
    channels: int | None = setting(
        IMAGES,
        None,
        "Channels that a folder's images are read with: 1 (gray), 3 (RGB) or 4 (RGB and alpha).",
        "1, 3 or 4 (default: those of --options.input_shape, or 3)",
    )
    sampling: Literal["shuffled", "balanced"] = setting(
        IMAGES,
        "shuffled",
        "Training images in an epoch: each image once, or each class equally often.",
    )

    batch_size: int = setting(OPTIMIZATION, 128, "Images per update, over all replicas.")
    epochs: int = setting(OPTIMIZATION, 10, "Number of passes over the training set.")
    accumulate: int = setting(
        OPTIMIZATION, 1, "Number of parts a batch is computed in, to save memory."
    )
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop", "lamb", "adagrad"] = setting(
        OPTIMIZATION, "sgd", "Optimizer."
    )
    lr: float = setting(OPTIMIZATION, 0.1, "Highest learning rate.")
    lr_multipliers: dict[str, float] = setting(
        OPTIMIZATION,
        dict,
        "Factors of the learning rate by stage.",
        """a dict such as '{"stage1": 0.1, "head": 1}'""",
    )
    momentum: float = setting(OPTIMIZATION, 0.9, "Momentum of sgd and rmsprop.")
    min_momentum: float | None = setting(
        OPTIMIZATION, None, "Momentum of sgd while the learning rate of one_cycle is highest."
    )
    nesterov: bool = setting(OPTIMIZATION, False, "Use Nesterov momentum in sgd.")
    rho: float = setting(OPTIMIZATION, 0.9, "Decay of rmsprop's mean of squared gradients.")
    epsilon: float | None = setting(
        OPTIMIZATION, None, "Constant in the optimizer's denominator; null for its usual value."
    )
    weight_decay: float = setting(
        OPTIMIZATION, 0.0, "Weight decay: L2 in the gradient, decoupled for adamw and lamb."
    )
    decay_norms: bool = setting(
        OPTIMIZATION, True, "Apply weight decay to norms and biases as well."
    )
    clip_norm: float | None = setting(
        OPTIMIZATION, None, "Largest norm of the whole gradient; larger ones are scaled down."
    )
    average: str | None = setting(
        OPTIMIZATION,
        None,
        "Average of the weights that is validated, tested and saved in their place.",
        "ema:DECAY, polyak or swa:EPOCHS",
    )

    schedule: Literal[
        "constant", "cosine", "polynomial", "step", "exponential", "one_cycle", "plateau"
    ] = setting(SCHEDULE, "constant", "How the learning rate changes during training.")
    schedule_unit: Literal["epochs", "steps"] = setting(
        SCHEDULE, "epochs", "Unit of milestones, step_size and warmup."
    )
    milestones: tuple[float, ...] = setting(
        SCHEDULE,
        (),
        "Times at which schedule=step multiplies the learning rate by gamma.",
        "rising numbers such as 60,90",
    )
    step_size: float | None = setting(
        SCHEDULE, None, "Interval between multiplications by gamma, in place of milestones."
    )
    gamma: float = setting(
        SCHEDULE, 0.1, "Factor of the learning rate in step, exponential and plateau."
    )
    power: float = setting(SCHEDULE, 1.0, "Power of schedule=polynomial.")
    patience: int = setting(
        SCHEDULE, 5, "Epochs without a lower validation loss before schedule=plateau acts."
    )
    warmup: float = setting(SCHEDULE, 0.0, "Time in which the learning rate rises linearly from 0.")

    loss: Literal["softmax", "bce"] = setting(
        LOSS, "softmax", "Cross-entropy over all classes, or binary for each class."
    )
    label_threshold: float | None = setting(
        LOSS, None, "Value above which loss=bce takes a soft label as 1, otherwise as 0."
    )
    label_smoothing: float = setting(LOSS, 0.0, "Label smoothing.")
    class_weight: str | dict[str, float] | tuple[float, ...] | None = setting(
        LOSS,
        None,
        "Weights of the classes in the training loss.",
        """balanced, a dict such as '{"cat": 2}', or one number for each class""",
    )
    aux_weight: float = setting(
        LOSS, 0.3, "Weight of the losses of auxiliary heads, where the network has them."
    )

    stats_every: int = setting(
        MONITORING,
        100,
        "Steps between measurements of gradients, updates and dead units; 0 for none.",
    )
    stop_on_nan: bool = setting(
        MONITORING, True, "Stop when the loss is no longer a finite number."
    )
    stop_at_loss: float | None = setting(
        MONITORING, 3.0, "Stop when the loss exceeds this multiple of its first value."
    )
    select: Literal["last", "best"] = setting(
        MONITORING, "last", "Epoch whose weights are kept; best is by select_by."
    )
    select_by: str = setting(
        MONITORING,
        "val_accuracy",
        "Metric that select=best and early_stopping compare.",
        tuple(selection.METRICS),
    )
    early_stopping: int | None = setting(
        MONITORING, None, "Stop after this many epochs without an improvement of select_by."
    )
    min_delta: float = setting(
        MONITORING, 0.0, "Smallest change that early_stopping counts as an improvement."
    )

    dtype: Literal["float32", "mixed_bfloat16", "mixed_float16"] = setting(
        MACHINE, "float32", "Keras dtype policy."
    )
    seed: int = setting(MACHINE, 0, "Seed of every random number.")

    def __post_init__(self) -> None:
        reject_half(self.dtype)
        for name in FIELDS:
            value = checked(Recipe, name, getattr(self, name))
            object.__setattr__(self, name, _plain(name, value))
        for name, (test, valid) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not (is_finite(value) and test(value)):
                raise ValueError(f"{name}={value!r}: must be {valid}")
        for name in ("augment", "eval_ops"):
            for op in getattr(self, name):
                if type(op) not in ops_of.OPS.values():
                    raise ValueError(
                        f"{name}: {op!r} is not an operation such as Flip(); `recipes names ops`"
                        " lists them"
                    )
        meaning.check(vars(self), DEFAULTS)

    def __getattr__(self, name: str) -> Any:
        """Return the value of a field by its old name."""
        if (new := current_name(name, FIELDS)) == name:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        renamed({name: None}, FIELDS)  # warns
        return getattr(self, new)


Recipe.__init__ = accept_old_names(Recipe.__init__)  # type: ignore[method-assign]

FIELDS = tuple(f.name for f in dataclasses.fields(Recipe))
DEFAULTS = {f.name: f.default for f in dataclasses.fields(Recipe)}


def _plain(name: str, value: Any) -> Any:
    """Convert a value to the form that it also has after JSON: tuples instead of lists."""
    if name == "class_weight":
        return weights_of(value)
    if name == "data" and value.startswith("folder:") and value != "folder:":
        return f"folder:{PurePath(value.removeprefix('folder:'))}"  # without a slash at the end
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError(f"{name}={value!r}: all keys must be strings")
        if name == "lr_multipliers":
            if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in value.values()):
                raise ValueError(
                    f"lr_multipliers={value!r}: the multiplier of each stage must be a number"
                )
            return {key: float(v) for key, v in value.items()}
        return {key: _plain(f"{name}.{key}", v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_plain(name, v) for v in value)
    if name.startswith("options.") and not isinstance(value, (str, int, float, bool, type(None))):
        raise ValueError(
            f"{name}={value!r}: a recipe holds plain values only (numbers, strings, tuples, "
            "dicts); build with zoo.build for anything else"
        )
    return value


def replace(recipe: Recipe, **overrides: Any) -> Recipe:
    """Return a copy of a recipe with other values for some fields.

    A field of `recipe` that no longer applies, such as milestones with schedule="cosine", is reset
    to its default.

    Args:
        recipe: the recipe to copy.
        overrides: new values. `{"options.stem": "cifar"}` changes one option of the network.
            Operations may be text: augment="(Resize(32), Flip())".

    Raises:
        ValueError: if a field is unknown, or a value is invalid or has no effect.
    """
    overrides = renamed(overrides, FIELDS)
    values = {name: getattr(recipe, name) for name in FIELDS}
    for name, value in overrides.items():
        outer, dot, inner = name.partition(".")
        if outer not in FIELDS or (dot and outer != "options"):
            raise unknown("field", name, FIELDS, "`recipes names fields`")
        if dot:
            values["options"] = {**values["options"], inner: value}
        elif name in ("augment", "eval_ops") and isinstance(value, str):
            values[name] = ops_of.parse_all(value)
        else:
            values[name] = value
    return Recipe(**meaning.reset(values, DEFAULTS, overrides))


def style_of(recipe: Recipe) -> dict[str, Any]:
    """Return the arguments of zoo.build that the recipe sets."""
    return {name: getattr(recipe, name) for name in meaning.STYLE} | recipe.options


def difference(old: Recipe, new: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return the fields that differ and their two values; each network option is a field.

    Fields that have no effect in `new` are left out, because another difference explains them.
    """
    idle = {name for name, _ in meaning.unread(vars(new))}
    before, after = ({n: v for n, v in _flat(r).items() if n not in idle} for r in (old, new))
    missing = "not given"
    return {
        name: (before.get(name, missing), after.get(name, missing))
        for name in [*before, *(n for n in after if n not in before)]
        if name not in before or name not in after or before[name] != after[name]
    }


def _flat(recipe: Recipe) -> dict[str, Any]:
    flat = {name: getattr(recipe, name) for name in FIELDS if name != "options"}
    return flat | {f"options.{key}": value for key, value in recipe.options.items()}


def to_json(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as JSON-serializable values, with operations as their repr."""
    values = {name: getattr(recipe, name) for name in FIELDS}
    for name in ("augment", "eval_ops"):
        values[name] = [repr(op) for op in values[name]]
    return json.loads(json.dumps(values))


def from_json(values: dict[str, Any]) -> Recipe:
    """Return the recipe from the values of `to_json`; reset fields without effect.

    Values that an earlier version wrote under old names are read as well.

    Raises:
        ValueError: if a field is unknown or missing, or a value is invalid.
    """
    values = renamed(values, FIELDS, quiet=True)
    for name in values:
        if name not in FIELDS:
            raise unknown("field", name, FIELDS, "`recipes names fields`")
    for name in ("model", "data"):
        if name not in values:
            raise ValueError(f"the field {name!r} is missing")
    values = {**DEFAULTS, "options": {}, "lr_multipliers": {}, **values}
    for name in ("augment", "eval_ops"):
        values[name] = tuple(ops_of.parse(text) for text in values[name])
    return Recipe(**meaning.of_before(values, DEFAULTS))
