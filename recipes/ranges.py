"""What the fields of a recipe may be: a test of each and how it is said."""

import ast
import contextlib
import math
from collections.abc import Callable
from typing import Any

_FRACTION = (lambda v: 0 <= v < 1, "from 0 to below 1")
_POSITIVE = (lambda v: v > 0, "above 0")
_COUNT = (lambda v: v >= 1, "at least 1")
_AT_LEAST_0 = (lambda v: v >= 0, "at least 0")
RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "dropout": _FRACTION,
    "drop_path": _FRACTION,
    "validation": (lambda v: bool(v) if isinstance(v, str) else 0 <= v < 1, "from 0 to below 1"),
    "bad_images": _AT_LEAST_0,
    "channels": (lambda v: v in (1, 3, 4), "1 (gray), 3 (RGB) or 4 (RGB and alpha)"),
    "batch": _COUNT,
    "accumulate": _COUNT,
    "epochs": _COUNT,
    "lr": _POSITIVE,
    "rates": (
        lambda v: all(is_finite(x) and x >= 0 for x in v.values()),
        "stages and what multiplies lr in them, at least 0",
    ),
    "momentum": _FRACTION,
    "lowest_momentum": _FRACTION,
    "rho": _FRACTION,
    "epsilon": _POSITIVE,
    "weight_decay": _AT_LEAST_0,
    "steps": (
        lambda v: all(is_finite(x) and x > 0 for x in v) and list(v) == sorted(set(v)),
        "numbers above 0, rising",
    ),
    "every": _POSITIVE,
    "gamma": (lambda v: 0 < v <= 1, "above 0 and at most 1"),
    "power": _POSITIVE,
    "patience": _COUNT,
    "warmup": _AT_LEAST_0,
    "label_threshold": _FRACTION,
    "label_smoothing": _FRACTION,
    "aux_weight": _AT_LEAST_0,
    "clip_norm": _POSITIVE,
    "monitor": _AT_LEAST_0,
    "stop_at_loss": (lambda v: v > 1, "above 1"),
    "early_stopping": _COUNT,
    "min_delta": _AT_LEAST_0,
    "seed": (lambda v: 0 <= v < 2**31, "from 0 to 2147483647"),
}


def reject_half(dtype: Any) -> None:
    """Reject the policies that store weights in half precision.

    Raises:
        ValueError: it is one of them; names the mixed policy.
    """
    half = {"fp16": "float16", "half": "float16", "bf16": "bfloat16"}.get(dtype, dtype)
    if half in ("bfloat16", "float16"):
        raise ValueError(
            f"dtype={dtype!r}: weights stored in half precision lose small updates; use "
            f"'mixed_{half}', which computes in {half} and stores float32 weights"
        )


def average_of(name: str) -> tuple[str, float]:
    """("ema", 0.999) of "ema:0.999", ("swa", 5) of "swa:5", ("polyak", 0) of "polyak".

    Raises:
        ValueError: it is none of them.
    """
    kind, _, text = name.partition(":")
    if name == "polyak":
        return kind, 0
    with contextlib.suppress(ValueError):
        number = float(text)
        if kind == "ema" and 0 < number < 1:
            return kind, number
        if kind == "swa" and number >= 1 and number.is_integer():
            return kind, int(number)
    raise ValueError(
        f"average={name!r} is neither 'polyak', nor 'ema:D', D above 0 and below 1, nor 'swa:N',"
        " N the last epochs"
    )


def weights_of(value: Any) -> str | dict[str, float] | tuple[float, ...] | None:
    """The value of class_weight as "balanced", {class: weight}, or a weight for each class.

    Text is what the command line gives: '{"cat": 2}', '1,2.5', '(1, 2.5)' or 'balanced'.

    Raises:
        ValueError: it is none of them.
    """
    given = value
    if isinstance(value, str) and value != "balanced":
        with contextlib.suppress(ValueError, SyntaxError):
            value = None if value in ("none", "null") else ast.literal_eval(value)
    if value is None or value == "balanced":
        return value
    if isinstance(value, dict) and value and any(not isinstance(key, str) for key in value):
        raise ValueError(
            f"class_weight={given!r}: the keys must be class names (text); to give weights by "
            "position, pass a list with one number for each class"
        )
    numbers = list(value.values()) if isinstance(value, dict) else value
    if (
        not isinstance(numbers, (list, tuple))
        or not numbers
        or any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in numbers)
        or not all(math.isfinite(v) and v >= 0 for v in numbers)
        or not any(numbers)
    ):
        raise ValueError(
            f"class_weight={given!r}: valid are 'balanced', a dict such as {{'cat': 2.0}} or a list"
            " with one number for each class; the numbers must be at least 0, and one above 0"
        )
    if isinstance(value, dict):
        return {name: float(weight) for name, weight in value.items()}
    return tuple(map(float, numbers))


def is_finite(value: Any) -> bool:
    """Whether it is no float, or one that is neither infinite nor no number."""
    return not isinstance(value, float) or math.isfinite(value)
