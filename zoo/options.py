"""Check options against the fields of a dataclass: names, types and choices."""

import dataclasses
import difflib
import functools
import math
import numbers
import os
import types
import typing
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

LISTED = 8  # an error lists up to this many valid names in full
NEAREST = 5  # of more names, it gives this many


def unknown(kind: str, given: object, valid: Iterable[str], listing: str = "") -> ValueError:
    """Return the error for a name that is not valid, with the nearest names.

    Args:
        kind: what the name stands for, such as "model".
        given: the unknown name.
        valid: all valid names. Up to eight are listed in full.
        listing: the command or call that lists all names, such as "`zoo list`".
    """
    valid = sorted(set(valid))
    near = nearest(str(given), valid)
    hint = f"; did you mean {near[0]!r}?" if near and _likeness(str(given), near[0]) >= 0.5 else ""
    if len(valid) <= LISTED:
        names = f"valid: {', '.join(valid) or 'none'}"
    else:
        count = f"{listing} lists all {len(valid)}" if listing else f"{len(valid)} in all"
        names = f"nearest: {', '.join(near)}; {count}"
    return ValueError(f"unknown {kind} {given!r}{hint} ({names})")


def nearest(given: str, valid: Iterable[str], count: int = NEAREST) -> list[str]:
    """Return the names that are most like the given one, the most similar first."""

    def rank(name: str) -> tuple[float, int, str]:
        return -_likeness(given, name), -len(os.path.commonprefix([given, name])), name  # noqa: RUF071

    return sorted(valid, key=rank)[:count]


def _likeness(given: str, name: str) -> float:
    return difflib.SequenceMatcher(None, given.lower(), name.lower()).ratio()


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def field_types(cls: type) -> dict[str, Any]:
    """Return the fields of a dataclass as a dict from name to type, with strings resolved."""
    hints = _hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def checked(cls: type, name: str, value: Any) -> Any:
    """Return `value` as the type of the field `name`: a list becomes a tuple, an int a float.

    Raises:
        ValueError: the field does not exist, or the value does not have its type.
    """
    fields = field_types(cls)
    if name not in fields:
        raise unknown("option", name, fields)
    try:
        return _convert(fields[name], value)
    except TypeError:
        expected = _describe(fields[name])
        choices = [c for c in literals(fields[name]) if isinstance(c, str)]
        near = difflib.get_close_matches(str(value).lower(), choices, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name}={value!r}: must be {expected}{hint}") from None


def at_least(spec: Any, low: int, *names: str) -> None:
    """Check that the named fields, or all numbers in them if they are tuples, are at least `low`.

    Raises:
        ValueError: a number is smaller. A field that is None is not checked.
    """
    for name in names:
        value = getattr(spec, name)
        numbers_in = value if isinstance(value, tuple) else (value,)
        if any(n < low for n in numbers_in if n is not None):
            each = "each number must" if isinstance(value, tuple) else "must"
            raise ValueError(f"{name}={value!r}: {each} be at least {low}")


def above_zero(spec: Any, *names: str) -> None:
    """Check that the named fields are finite numbers above 0.

    Raises:
        ValueError: one of them is not.
    """
    for name in names:
        if not 0 < (value := getattr(spec, name)) < math.inf:
            raise ValueError(f"{name}={value}: must be a finite number above 0")


def check_stages(spec: Any, *names: str) -> None:
    """Check that `depths` has at least one stage, and that each named tuple has a value per stage.

    Raises:
        ValueError: there is no stage, a stage has no block, or a tuple has another length.
    """
    if not spec.depths:
        raise ValueError("depths=(): there is no stage; give the number of blocks of each stage")
    at_least(spec, 1, "depths")
    for name in names:
        value = getattr(spec, name)
        if len(value) != len(spec.depths):
            raise ValueError(
                f"{name}={value!r}: has length {len(value)}, but there are {len(spec.depths)} "
                f"stages (depths={spec.depths}); give one value per stage"
            )


def _convert(kind: Any, value: Any) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        for arg in args:
            try:
                return _convert(arg, value)
            except TypeError:
                pass
        raise TypeError
    if origin is Literal:
        if value in args and type(value) in {type(a) for a in args}:
            return value
        raise TypeError
    if origin is tuple:
        if not isinstance(value, (tuple, list)):
            raise TypeError
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_convert(args[0], v) for v in value)
        if len(args) != len(value):
            raise TypeError
        return tuple(_convert(a, v) for a, v in zip(args, value, strict=True))
    if kind is float and isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    cls = origin or kind
    if not isinstance(value, cls) or (isinstance(value, bool) and cls in (int, float)):
        raise TypeError
    return value


def literals(kind: Any) -> list[Any]:
    """Return the values that a type lists by name: those of its Literal, also in a union."""
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [c for arg in get_args(kind) for c in literals(arg)]


def _describe(kind: Any) -> str:
    origin, args = get_origin(kind), get_args(kind)
    if kind is type(None):
        return "None"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_describe(a) for a in args)
    if origin is Literal:
        return "one of " + ", ".join(repr(a) for a in args)
    if origin is tuple:
        inner = ", ".join("..." if a is Ellipsis else _describe(a) for a in args)
        return f"a tuple ({inner})"
    return {
        int: "an integer",
        float: "a number",
        str: "a string",
        bool: "True or False",
        dict: "a dict",
    }.get(origin or kind, getattr(kind, "__name__", str(kind)))
