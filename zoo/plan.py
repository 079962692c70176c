"""From a name to a plan, which is checked, and from a plan to a network."""

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


@dataclass(frozen=True)
class Plan:
    """All that a build needs, checked: `zoo.build` makes the network of it."""

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
    """Checks what `build` is given, without importing Keras; the arguments are build's.

    Raises:
        ValueError: an unknown name, value or option; it names the nearest and what is valid.
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
    style = dataclasses.replace(default, **_pairings(default, of_style))
    if style.norm == "lrn" and not getattr(spec, "lrn", ()):
        raise ValueError(f"{name} has no local response normalization in its paper: norm='lrn'")
    if style.drop_path and not getattr(spec, "residual", False):
        raise ValueError(f"drop_path has no meaning in {name}: it has no residual blocks")
    if not (style.norm_scale or style.has_norm) and default.norm_scale:
        raise ValueError(f"norm_scale has no meaning with norm={style.norm!r}")
    for key in getattr(spec, "unused", ()):
        if getattr(style, key) != getattr(default, key):
            raise ValueError(f"{key} has no meaning in {name}")
    return Plan(
        name,
        model.family,
        spec,
        style,
        _checked_classes(model.classes if num_classes is None else num_classes),
        _checked_shape(model.input_shape if input_shape is None else input_shape),
        checked(Plan, "recompute", recompute),
    )


def _pairings(default: Style, given: dict[str, Any]) -> dict[str, Any]:
    """The given fields of a style, and what goes with them where nothing is said."""
    fields = {key: checked(Style, key, value) for key, value in given.items()}
    act, norm = fields.get("act", default.act), fields.get("norm", default.norm)
    if act == "selu" and norm in ("none", "lrn") and ("act" in fields or "norm" in fields):
        fields.setdefault("init", "lecun_normal")
    if fields.get("init") == "fixup":
        fields.setdefault("head_init", "zeros")
    for key in ("norm_epsilon", "norm_momentum", "norm_scale"):
        if key in fields and not isinstance(norm, str):
            raise ValueError(f"{key} is for norms that are given by name, not {norm!r}")
    without = norm in ("none", "lrn")
    for key, unused in (
        ("norm_epsilon", without),
        ("norm_bias", without),
        ("norm_momentum", norm not in ("batch", "sync_batch")),
    ):
        if unused and fields.get(key, getattr(default, key)) != getattr(default, key):
            raise ValueError(f"{key} has no meaning with norm={norm!r}")
    return fields


def _checked_classes(n: Any) -> int:
    if isinstance(n, bool) or not isinstance(n, numbers.Integral) or n < 0:
        raise ValueError(f"num_classes={n!r} is not a whole number from 0")
    return int(n)


def _checked_shape(shape: Any) -> tuple[int | None, int | None, int]:
    try:
        height, width, channels = shape
    except (TypeError, ValueError):
        raise ValueError(
            f"input_shape={shape!r} is not (height, width, channels), such as (224, 224, 3)"
        ) from None
    for n, free in ((height, True), (width, True), (channels, False)):
        whole = isinstance(n, numbers.Integral) and not isinstance(n, bool)
        if not (n is None and free) and not (whole and n >= 1):
            raise ValueError(
                f"input_shape={shape!r}: sizes are whole numbers from 1 (None if they vary), "
                "channels a whole number from 1"
            )
    return tuple(n if n is None else int(n) for n in (height, width, channels))  # type: ignore[return-value]


def network(plan: Plan, preprocess=None):
    """The functional model of a plan.

    Raises:
        TooSmallError: the input is too small for the network or its norm.
    """
    # Raw pixels lose their fractions in half precision, also where that is Keras's float type.
    dtype = keras.backend.result_type(keras.config.floatx(), "float32")
    inputs = keras.Input(plan.input_shape, dtype=dtype, name="input_image")
    x = inputs
    if preprocess is not None:
        if not preprocess.name.startswith("input_"):
            raise ValueError(f"the preprocess layer {preprocess.name!r} needs a name input_*")
        x = preprocess(x)
    x = family(plan.family).network(x, plan.style.seeded(), plan.spec, plan.num_classes)
    return keras.Model(inputs, x, name=plan.name)


def sketch(plan: Plan):
    """The model of a plan without memory for its weights: for shapes and counts alone."""
    with keras.StatelessScope(initialize_variables=False):
        return network(plan)


def checked_network(plan: Plan, make: Callable[[Plan], Any]):
    """make(plan), whose input may be too small: then the ValueError gives the least size."""
    try:
        return make(plan)
    except TooSmallError as error:
        raise _with_least_size(plan, error) from None


def _with_least_size(plan: Plan, error) -> ValueError:
    """The error with the least square input that the network takes, found by trying."""

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
            return ValueError(f"{plan.name}: {error}, at any size")
    while high - low > 1:
        middle = math.ceil((low + high) / 2)
        low, high = (low, middle) if fits(middle) else (middle, high)
    given = "x".join(map(str, plan.input_shape[:2]))
    stage = error.layer.split("_")[0]
    return ValueError(
        f"{plan.name} needs an input of at least {high}x{high}, {given} was given: "
        f"{error.reason} in {stage} ({error.layer})"
    )
