"""Turn a name and options into a checked Plan, and a Plan into a network."""

import dataclasses
import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zoo.lazy import keras
from zoo.options import checked, field_types, unknown
from zoo.registry import defaults, family, find
from zoo.style import Style, TooSmallError
from zoo.vocabulary import named_norm


@dataclass(frozen=True)
class Plan:
    """Everything that `zoo.build` needs to build a network, checked."""

    name: str
    family: str
    spec: Any
    style: Style
    num_classes: int
    input_shape: tuple[int | None, int | None, int]
    recompute: bool = False


def resolve(
    name: str,
    *,
    act: Any = None,
    norm: Any = None,
    init: Any = None,
    num_classes: int | None = None,
    input_shape: tuple[int | None, int | None, int] | None = None,
    dropout: float | None = None,
    drop_path: float | None = None,
    recompute: bool = False,
    seed: int | None = None,
    **options: Any,
) -> Plan:
    """Check the arguments of `zoo.build` without importing Keras, and return them as a Plan.

    Raises:
        ValueError: a name, value or option is unknown. The message gives the nearest valid one.
    """
    model = find(name)
    spec, default = defaults(name, model)
    given = {
        "act": act,
        "norm": norm,
        "init": init,
        "dropout": dropout,
        "drop_path": drop_path,
        "seed": seed,
    }
    of_style = {key: value for key, value in given.items() if value is not None}
    of_spec = {}
    for key, value in options.items():
        if key in field_types(Style):
            if value is not None:
                of_style[key] = value
        elif key in field_types(type(spec)):
            of_spec[key] = checked(type(spec), key, value)
        else:
            valid = [*field_types(Style), *field_types(type(spec))]
            raise unknown(f"option of {name}", key, valid, f"`zoo show {name}`")
    spec = dataclasses.replace(spec, **of_spec)
    style = dataclasses.replace(default, **_style_fields(default, of_style))
    if style.norm == "lrn" and not getattr(spec, "lrn", ()):
        raise ValueError(
            f"norm='lrn': the paper of {name} has no local response normalization; choose another"
            " norm"
        )
    if style.drop_path and not getattr(spec, "residual", False):
        raise ValueError(
            f"drop_path={style.drop_path}: {name} has no residual blocks to drop; use drop_path=0"
        )
    if not (style.norm_scale or style.has_norm) and default.norm_scale:
        raise ValueError(f"norm_scale=False: has no effect with norm={style.norm!r}; leave it out")
    for key in getattr(spec, "unused", ()):
        if getattr(style, key) != getattr(default, key):
            raise ValueError(
                f"{key}={getattr(style, key)!r}: has no effect in {name}; leave it out"
            )
    return Plan(
        name,
        model.family,
        spec,
        style,
        _checked_classes(model.classes if num_classes is None else num_classes),
        _checked_shape(model.input_shape if input_shape is None else input_shape),
        checked(Plan, "recompute", recompute),
    )


def _style_fields(default: Style, given: dict[str, Any]) -> dict[str, Any]:
    """Return the given fields of a style, checked, and the values that must go with them.

    SELU without a norm gets its initializer, and Fixup a classifier of zeros, unless others are
    given.
    """
    fields = {key: checked(Style, key, value) for key, value in given.items()}
    act, norm = fields.get("act", default.act), fields.get("norm", default.norm)
    named = named_norm(norm)[0] if isinstance(norm, str) else None
    without = named is not None and named.layer is None
    if act == "selu" and without and ("act" in fields or "norm" in fields):
        fields.setdefault("init", "lecun_normal")
    if fields.get("init") == "fixup":
        fields.setdefault("head_init", "zeros")
    for key in ("norm_epsilon", "norm_momentum", "norm_scale"):
        if key in fields and named is None:
            raise ValueError(
                f"{key}={fields[key]!r}: only applies to norms given by name; set it in the object"
                f" norm={norm!r}"
            )
    for key in without_effect(norm):
        if fields.get(key, getattr(default, key)) != getattr(default, key):
            raise ValueError(
                f"{key}={fields[key]!r}: has no effect with norm={norm!r}; leave it out"
            )
    return fields


def without_effect(norm: Any) -> tuple[str, ...]:
    """Return the fields of Style that have no effect with a norm, apart from norm_scale."""
    named = named_norm(norm)[0] if isinstance(norm, str) else None
    if named is None:
        return ()
    if named.layer is None:
        return ("norm_epsilon", "norm_bias", "norm_momentum")
    return () if named.over_batch else ("norm_momentum",)


def _checked_classes(n: Any) -> int:
    if isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 0:
        raise ValueError(f"num_classes={n!r}: must be a whole number of at least 0")
    return int(n)


def _checked_shape(shape: Any) -> tuple[int | None, int | None, int]:
    try:
        height, width, channels = shape
    except (TypeError, ValueError):
        raise ValueError(
            f"input_shape={shape!r}: must be (height, width, channels), such as (224, 224, 3)"
        ) from None
    for n, free in ((height, True), (width, True), (channels, False)):
        whole = isinstance(n, numbers.Integral) and not isinstance(n, bool)
        if not (n is None and free) and not (whole and n >= 1):
            raise ValueError(
                f"input_shape={shape!r}: height and width must be at least 1, or None if they "
                "vary, and channels at least 1; all are whole numbers"
            )
    return tuple(n if n is None else int(n) for n in (height, width, channels))  # type: ignore[return-value]


def network(plan: Plan, preprocess=None):
    """Build the functional model of a plan.

    Args:
        plan: what to build.
        preprocess: layer in front of the network; its name must start with "input_".

    Raises:
        TooSmallError: the input is too small for the network or its norm.
    """
    # The input is at least float32, even if keras.config.floatx() is a half-precision type, in
    # which raw pixels would lose their fractions.
    dtype = keras.backend.result_type(keras.config.floatx(), "float32")
    inputs = keras.Input(plan.input_shape, dtype=dtype, name="input_image")
    x = inputs
    if preprocess is not None:
        if not preprocess.name.startswith("input_"):
            raise ValueError(
                f"preprocess={preprocess.name!r}: the layer's name must start with 'input_'"
            )
        x = preprocess(x)
    x = family(plan.family).network(x, plan.style.seeded(), plan.spec, plan.num_classes)
    return keras.Model(inputs, x, name=plan.name)


def sketch(plan: Plan):
    """Build the model of a plan without allocating its weights, to read shapes and counts."""
    with keras.StatelessScope(initialize_variables=False):
        return network(plan)


def checked_network(plan: Plan, make: Callable[[Plan], Any]):
    """Return make(plan).

    Raises:
        ValueError: the input is too small. The message gives the smallest size that is valid.
    """
    try:
        return make(plan)
    except TooSmallError as error:
        raise _with_least_size(plan, error) from None


def _with_least_size(plan: Plan, error) -> ValueError:
    """Return the error with the smallest valid square input, which is found by trying sizes."""

    def fits(n: int) -> bool:
        try:
            sketch(dataclasses.replace(plan, input_shape=(n, n, plan.input_shape[2])))
        except TooSmallError:
            return False
        return True

    low, high = 0, 1
    while not fits(high):
        low, high = high, high * 2
        if high > 4096:
            return ValueError(
                f"{plan.name}: {error.reason} in layer {error.layer}, whatever the input size"
            )
    while high - low > 1:
        middle = math.ceil((low + high) / 2)
        low, high = (low, middle) if fits(middle) else (middle, high)
    return ValueError(
        f"input_shape={plan.input_shape}: too small for {plan.name}, which needs at least "
        f"{high}x{high} pixels ({error.reason} in layer {error.layer})"
    )
