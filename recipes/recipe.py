"""Recipe: all that defines an experiment, in one flat frozen dataclass."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from recipes import augment as ops_of
from recipes import meaning
from recipes.ranges import RANGES, average_of, is_finite
from zoo.options import checked, unknown


@dataclass(frozen=True)
class Recipe:
    """An experiment: the network, its data and how it is trained.

    Raises:
        ValueError: a value has the wrong type or is out of range, or two do not go together.
    """

    # the network: what zoo.build takes; None means what the paper did
    model: str
    data: str  # "digits", a TFDS name, "folder:PATH" or "made_up:HxWxC:CLASSES"
    act: str | None = None
    norm: str | None = None
    init: str | None = None
    dropout: float | None = None  # probability of dropping
    drop_path: float | None = None
    options: dict[str, Any] = field(default_factory=dict)  # more of zoo.build's

    # where it starts
    data_init: Literal["lsuv", "data_dependent", "whiten"] | None = None  # init, fitted to images
    weights: str | None = None  # a source of zoo.build, a file, or a finished run's directory
    head: str = "kept"  # where the classes are the same; "new"; or new at a stage: "stage3"
    freeze: str | None = None  # the stage up to and with which nothing is trained

    # the images
    augment: tuple[Any, ...] = ()  # ops on training images and batches, in order
    eval_ops: tuple[Any, ...] = ()  # ops on validation and test images, and for statistics
    preprocess: str = "standardize"  # fitted on the training set and saved in the model
    validation: float | str = 0.1  # a fraction of the training set, or a split's name
    bad_images: int = 0  # how many unreadable images may be skipped

    # the optimization
    batch: int = 128  # over all replicas
    epochs: int = 10
    accumulate: int = 1  # parts of a batch, one after the other, for memory: the same update
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop", "lamb", "adagrad"] = "sgd"
    lr: float = 0.1  # the highest
    rates: dict[str, float] = field(default_factory=dict)  # by stage, times lr: {"head": 1.0}
    momentum: float = 0.9  # of sgd and rmsprop
    lowest_momentum: float | None = None  # of sgd at the highest rate of "one_cycle"
    nesterov: bool = False
    rho: float = 0.9  # how much rmsprop keeps of its mean square
    epsilon: float | None = None  # None: the optimizer's own; see recipes.optimize
    weight_decay: float = 0.0  # times the weight, added to the gradient; adamw, lamb: decoupled
    decay_norms: bool = True  # whether the decay is on norms and biases, too
    schedule: Literal[
        "constant", "cosine", "polynomial", "step", "exponential", "one_cycle", "plateau"
    ] = "constant"
    unit: Literal["epochs", "steps"] = "epochs"  # what steps, every and warmup count
    steps: tuple[float, ...] = ()  # where "step" multiplies the rate by gamma
    every: float | None = None  # again and again, instead of steps; "exponential" evenly (1)
    gamma: float = 0.1
    power: float = 1.0  # of "polynomial"
    patience: int = 5  # epochs without a lower validation loss before "plateau" does so
    warmup: float = 0.0  # while the rate rises linearly from 0; in "one_cycle" its rise
    loss: Literal["softmax", "bce"] = "softmax"  # cross-entropy of the classes, or of each alone
    label_threshold: float | None = None  # of "bce": soft labels above it are 1, the others 0
    label_smoothing: float = 0.0
    aux_weight: float = 0.3  # of the losses of auxiliary heads, where the network has them
    clip_norm: float | None = None  # of the whole gradient
    average: str | None = None  # of the weights, judged and kept: "ema:0.999", "polyak", "swa:5"
    monitor: int = 100  # steps between looks at updates, gradients and dead units; 0: none
    stop_on_nan: bool = True  # whether a loss that is not finite ends the training
    stop_at_loss: float | None = 3.0  # so many times the first loss ends it, too

    # the rest
    select: Literal["last", "best"] = "last"  # the epoch kept, by validation accuracy
    dtype: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in FIELDS:
            value = checked(Recipe, name, getattr(self, name))
            object.__setattr__(self, name, _plain(name, value))
        for name, (test, valid) in RANGES.items():
            value = getattr(self, name)
            if value is not None and not (is_finite(value) and test(value)):
                raise ValueError(f"{name}={value!r} is not {valid}")
        for name in ("augment", "eval_ops"):
            for op in getattr(self, name):
                if type(op) not in ops_of.OPS.values():
                    raise ValueError(
                        f"{name}: {op!r} is not an op (valid: {', '.join(sorted(ops_of.OPS))})"
                    )
        if self.data_init is not None and self.weights is not None:
            raise ValueError(
                f"data_init={self.data_init!r} makes initial weights, and"
                f" weights={self.weights!r} has others"
            )
        if self.validation == 0.0 and self.schedule == "plateau":
            raise ValueError("schedule='plateau' needs a validation set, but validation=0.0")
        if self.validation == 0.0 and self.select == "best":
            raise ValueError("select='best' needs a validation set, but validation=0.0")
        if self.schedule == "step" and bool(self.steps) == bool(self.every):
            raise ValueError("schedule='step' needs steps, where the rate falls, or every")
        if self.average is not None:
            kind, number = average_of(self.average)
            if kind == "swa" and number > self.epochs:
                raise ValueError(f"average={self.average!r} is of more than epochs={self.epochs}")
        if self.batch % self.accumulate:
            raise ValueError(f"batch={self.batch} has no {self.accumulate} equal parts: accumulate")
        if self.optimizer == "adam" and self.weight_decay:
            raise ValueError("optimizer='adam' has no weight_decay: use 'adamw', or sgd")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=True needs momentum above 0")
        meaning.check(vars(self), DEFAULTS)
        if self.lowest_momentum is not None and self.lowest_momentum > self.momentum:
            raise ValueError(
                f"lowest_momentum={self.lowest_momentum} is above momentum={self.momentum}"
            )


FIELDS = tuple(f.name for f in dataclasses.fields(Recipe))
DEFAULTS = {f.name: f.default for f in dataclasses.fields(Recipe)}


def _plain(name: str, value: Any) -> Any:
    """The value in the form that survives JSON: tuples, never lists."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError(f"{name}={value!r}: its keys must be strings")
        if name == "rates":
            if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in value.values()):
                raise ValueError(f"rates={value!r}: each stage's must be a number")
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
    """`recipe` with other values; `{"options.stem": "cifar"}` changes one option of the network.

    Ops may be given as text: augment="(Resize(32), Flip())". A field of `recipe` that is no
    longer read, such as steps with schedule="cosine", goes back to its default.

    Raises:
        ValueError: an unknown field, a value that does not fit it, or one that nothing reads.
    """
    values = {name: getattr(recipe, name) for name in FIELDS}
    for name, value in overrides.items():
        outer, dot, inner = name.partition(".")
        if outer not in FIELDS or (dot and outer != "options"):
            raise unknown("field", name, FIELDS)
        if dot:
            values["options"] = {**values["options"], inner: value}
        elif name in ("augment", "eval_ops") and isinstance(value, str):
            values[name] = ops_of.parse_all(value)
        else:
            values[name] = value
    return Recipe(**meaning.reset(values, DEFAULTS, overrides))


def style_of(recipe: Recipe) -> dict[str, Any]:
    """What the recipe says of the network's make, as zoo.build's arguments."""
    return {name: getattr(recipe, name) for name in meaning.STYLE} | recipe.options


def difference(old: Recipe, new: Recipe) -> dict[str, tuple[Any, Any]]:
    """The fields that differ and their two values, each option of the network by itself.

    What `new` does not read follows from what decides that, and is left out.
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
    """The recipe as JSON's types; ops as their repr."""
    values = {name: getattr(recipe, name) for name in FIELDS}
    for name in ("augment", "eval_ops"):
        values[name] = [repr(op) for op in values[name]]
    return json.loads(json.dumps(values))


def from_json(values: dict[str, Any]) -> Recipe:
    """The recipe that `to_json` gave `values` for; what nothing reads goes back to its default.

    Raises:
        ValueError: an unknown or a missing field, or a wrong value.
    """
    for name in values:
        if name not in FIELDS:
            raise unknown("field", name, FIELDS)
    for name in ("model", "data"):
        if name not in values:
            raise ValueError(f"the recipe has no {name}")
    values = {**DEFAULTS, "options": {}, "rates": {}, **values}
    for name in ("augment", "eval_ops"):
        values[name] = tuple(ops_of.parse(text) for text in values[name])
    return Recipe(**meaning.of_before(values, DEFAULTS))
