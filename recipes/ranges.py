"""The valid values of a recipe's fields: a test for each, and its description."""

import ast
import contextlib
import math
from collections.abc import Callable
from typing import Any

_FRACTION = (lambda v: 0 <= v < 1, "at least 0 and below 1")
_POSITIVE = (lambda v: v > 0, "greater than 0")
_COUNT = (lambda v: v >= 1, "at least 1")
_AT_LEAST_0 = (lambda v: v >= 0, "at least 0")
RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "dropout": _FRACTION,
    "drop_path": _FRACTION,
    "validation": (lambda v: bool(v) if isinstance(v, str) else 0 <= v < 1, _FRACTION[1]),
    "bad_images": _AT_LEAST_0,
    "channels": (lambda v: v in (1, 3, 4), "1 (gray), 3 (RGB) or 4 (RGB and alpha)"),
    "batch_size": _COUNT,
    "accumulate": _COUNT,
    "epochs": _COUNT,
    "lr": _POSITIVE,
    "lr_multipliers": (
        lambda v: all(is_finite(x) and x >= 0 for x in v.values()),
        "a dict of stages and multipliers of lr, which must be at least 0",
    ),
    "momentum": _FRACTION,
    "min_momentum": _FRACTION,
    "rho": _FRACTION,
    "epsilon": _POSITIVE,
    "weight_decay": _AT_LEAST_0,
    "milestones": (
        lambda v: all(is_finite(x) and x > 0 for x in v) and list(v) == sorted(set(v)),
        "increasing numbers greater than 0",
    ),
    "step_size": _POSITIVE,
    "gamma": (lambda v: 0 < v <= 1, "greater than 0 and at most 1"),
    "power": _POSITIVE,
    "patience": _COUNT,
    "warmup": _AT_LEAST_0,
    "label_threshold": _FRACTION,
    "label_smoothing": _FRACTION,
    "aux_weight": _AT_LEAST_0,
    "clip_norm": _POSITIVE,
    "stats_every": _AT_LEAST_0,
    "stop_at_loss": (lambda v: v > 1, "greater than 1"),
    "early_stopping": _COUNT,
    "min_delta": _AT_LEAST_0,
    "seed": (lambda v: 0 <= v < 2**31, "from 0 to 2147483647"),
}


def reject_half(dtype: Any) -> None:
    """Reject dtype policies that store weights in half precision.

    Raises:
        ValueError: if `dtype` is such a policy; the message names the mixed policy to use.
    """
    half = {"fp16": "float16", "half": "float16", "bf16": "bfloat16"}.get(dtype, dtype)
    if half in ("bfloat16", "float16"):
        raise ValueError(
            f"dtype={dtype!r}: weights stored in half precision lose small updates; use "
            f"'mixed_{half}', which computes in {half} and stores float32 weights"
        )


def average_of(name: str) -> tuple[str, float]:
    """Parse `average`: ("ema", 0.999) for "ema:0.999", ("swa", 5) for "swa:5", ("polyak", 0).

    Raises:
        ValueError: if the text is not one of these forms.
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
        f"average={name!r}: must be 'polyak', 'ema:D' with a decay D between 0 and 1, or 'swa:N'"
        " for the last N epochs"
    )


def weights_of(value: Any) -> str | dict[str, float] | tuple[float, ...] | None:
    """Parse `class_weight` into "balanced", {class: weight}, or one weight for each class.

    Text comes from the command line: '{"cat": 2}', '1,2.5', '(1, 2.5)' or 'balanced'.

    Raises:
        ValueError: if the value is not one of these forms.
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
    """Return whether the value is a finite float, or not a float at all."""
    return not isinstance(value, float) or math.isfinite(value)
