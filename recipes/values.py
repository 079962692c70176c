"""Convert and parse the values of a recipe's fields."""

import ast
import contextlib
import math
import re
from pathlib import PurePath
from typing import Any, NamedTuple


def plain(name: str, value: Any) -> Any:
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
        return {key: plain(f"{name}.{key}", v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(plain(name, v) for v in value)
    if name.startswith("options.") and not isinstance(value, (str, int, float, bool, type(None))):
        raise ValueError(
            f"{name}={value!r}: a recipe holds plain values only (numbers, strings, tuples, "
            "dicts); build with zoo.build for anything else"
        )
    return value


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


class Average(NamedTuple):
    """The parts of `average`.

    Attributes:
        kind: "polyak", "ema", "swa" or "lookahead".
        number: the decay of "ema", the epochs of "swa" or the steps of "lookahead".
        share: the share A of "lookahead:K:A"; None without one.
    """

    kind: str
    number: float = 0
    share: float | None = None


def average_of(name: str) -> Average:
    """Parse `average`, such as "ema:0.999", "swa:5", "lookahead:5:0.5" or "polyak".

    Raises:
        ValueError: if the text is not one of these forms.
    """
    kind, _, text = name.partition(":")
    if name == "polyak":
        return Average(kind)
    with contextlib.suppress(ValueError):
        first, colon, second = text.partition(":")
        number, whole = float(first), first.isdecimal() and int(first) >= 1
        if kind == "lookahead" and whole and (not colon or 0 < float(second) <= 1):
            return Average(kind, int(first), float(second) if colon else None)
        if kind == "ema" and not colon and 0 < number < 1:
            return Average(kind, number)
        if kind == "swa" and not colon and number >= 1 and number.is_integer():
            return Average(kind, int(number))
    raise ValueError(
        f"average={name!r}: must be 'polyak', 'ema:D' with a decay D between 0 and 1, 'swa:N' for"
        " the last N epochs, 'lookahead:K' for every K steps, or 'lookahead:K:A' with a share A of"
        " at most 1"
    )


def interval_of(value: int | str) -> tuple[int, float]:
    """Parse `checkpoint_every`: (500, 0.0) for 500 steps, (0, 600.0) seconds for "10min".

    Raises:
        ValueError: if the value is not one of these forms, or not greater than 0.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(s|min|h)?", str(value))
    if found and not found[2] and value and str(value).isdecimal() and int(value) > 0:
        return int(value), 0.0
    if found and found[2] and float(found[1]) > 0:
        return 0, float(found[1]) * {"s": 1, "min": 60, "h": 3600}[found[2]]
    raise ValueError(
        f"checkpoint_every={value!r}: must be a number of steps such as 500, or a time such as"
        " 10min (units: s, min, h)"
    )


def epochs_of(text: str) -> int:
    """Parse the value of --extend: 20 for "epochs=20".

    Raises:
        ValueError: if it is not of this form.
    """
    if found := re.fullmatch(r"epochs=(\d+)", text):
        return int(found[1])
    raise ValueError(
        f"extend={text!r}: only the number of epochs can be extended; write --extend epochs=20"
    )


class Stage(NamedTuple):
    """A stage of a search: its number of trials, and the epochs of each."""

    trials: int
    epochs: int


def parse_stages(text: str) -> list[Stage]:
    """Parse the stages of a search: [Stage(30, 2), Stage(10, 10)] for "30x2,10x10".

    Raises:
        ValueError: if the text is not of this form, or a number is 0.
    """
    found = [re.fullmatch(r"0*([1-9]\d*)x0*([1-9]\d*)", part.strip()) for part in text.split(",")]
    if not all(found):
        raise ValueError(
            f"stages={text!r}: must be TRIALSxEPOCHS for each stage, separated by commas, such as"
            " 30x2,10x10; both numbers must be at least 1"
        )
    return [Stage(int(each[1]), int(each[2])) for each in found if each]


def continues_stages(before: str | None, now: str | None) -> bool:
    """Return whether a search with stages can continue with other ones.

    It can continue with further stages, and with more trials in what was the last stage.
    """
    if before is None or now is None:
        return before == now
    old, new = parse_stages(before), parse_stages(now)
    same = old[:-1] == new[: len(old) - 1] and len(old) <= len(new)
    last, current = old[-1], new[min(len(old), len(new)) - 1]
    return same and last.epochs == current.epochs and last.trials <= current.trials


def classes_of(text: str) -> tuple[int | str, ...]:
    """Parse `classes`: ("cat", 3) for "cat,3", ("3", "no") for "('3', 'no')", () for "()"."""
    with contextlib.suppress(ValueError, SyntaxError):
        value = ast.literal_eval(text)
        if isinstance(value, (list, tuple)):
            return tuple(value)
    words = [word.strip() for word in text.strip("()[]").split(",")]
    return tuple(int(word) if word.isdecimal() else word for word in words if word)


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
