"""The registry of ops, checks of their arguments, and a parser for their repr."""

from __future__ import annotations

import ast
import dataclasses
from typing import Any, TypeVar

from zoo.options import checked, unknown
from zoo.terminal import plural

OPS: dict[str, type] = {}
Cls = TypeVar("Cls", bound=type)


def op(cls: Cls) -> Cls:
    """Register a frozen dataclass as an op, so that `parse` finds it by its name."""
    if cls.__name__ in OPS:
        raise ValueError(f"op {cls.__name__!r}: registered already; choose another name")
    OPS[cls.__name__] = cls
    return cls


def parse(text: str) -> Any:
    """Return the op that a text such as "PadCrop(pad=4)" or "PadCrop(4)" stands for.

    Raises:
        ValueError: the text is not a call of a registered op with plain values, or an argument
            is invalid.
    """
    return _op_from(_syntax(text), text)


def parse_all(text: str) -> tuple:
    """Return the ops of a text such as "(Resize(32), Flip())", "[...]", "Flip()" or "()"."""
    node = _syntax(text)
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(_op_from(element, text) for element in node.elts)
    return (_op_from(node, text),)


def _syntax(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _not_an_op(text) from None


def _op_from(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.Name) and node.id in OPS:
        raise ValueError(f"op {node.id!r}: an op is written as a call, such as {node.id}(...)")
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise _not_an_op(text)
    name = node.func.id
    if name not in OPS:
        raise unknown("op", name, OPS, "`recipes names ops`")
    fields = [field.name for field in dataclasses.fields(OPS[name])]
    if len(node.args) > len(fields):
        raise ValueError(
            f"{text}: {plural(len(node.args), 'argument')}, but {name} takes"
            + (f" at most {len(fields)} ({', '.join(fields)})" if fields else " none")
        )
    given: list[tuple[str | None, ast.expr]] = list(zip(fields, node.args, strict=False))
    given += [(keyword.arg, keyword.value) for keyword in node.keywords]
    arguments: dict[str, Any] = {}
    for key, value in given:
        if key not in fields:
            raise unknown(f"argument of {name}", key, fields)
        if key in arguments:
            raise ValueError(f"{text}: {key} is given twice; keep one of them")
        try:
            arguments[key] = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            raise ValueError(
                f"{text}: {key} is not a plain value; use numbers, strings, tuples, True,"
                " False or None"
            ) from None
    missing = [
        field.name
        for field in dataclasses.fields(OPS[name])
        if field.default is dataclasses.MISSING and field.name not in arguments
    ]
    if missing:
        raise ValueError(f"{text}: {name} needs {', '.join(missing)}")
    return OPS[name](**arguments)


def _not_an_op(text: str) -> ValueError:
    short = text if len(text) <= 80 else text[:77] + "..."
    return ValueError(
        f"{short!r}: not an op such as PadCrop(pad=4); `recipes names ops` lists the ops"
    )


def check_types(self) -> None:
    """Check an op's arguments against the types of its fields, and convert lists and ints."""
    for field in dataclasses.fields(self):
        try:
            value = checked(type(self), field.name, getattr(self, field.name))
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: {error}") from None
        object.__setattr__(self, field.name, value)


def require(self, name: str, holds: bool, valid: str) -> None:
    """Raise a ValueError that names an argument and its valid values, unless a condition holds."""
    if not holds:
        value = getattr(self, name)
        raise ValueError(f"{type(self).__name__}: {name}={value!r}: must be {valid}")


def require_probability(self) -> None:
    """Raise a ValueError unless the op's probability is from 0 to 1."""
    require(self, "probability", 0 <= self.probability <= 1, "from 0 to 1")
