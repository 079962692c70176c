"""The registry of ops, their checks, and the parser of what their repr prints."""

from __future__ import annotations

import ast
import dataclasses
from typing import Any, TypeVar

from zoo.options import checked, unknown

OPS: dict[str, type] = {}
Cls = TypeVar("Cls", bound=type)


def op(cls: Cls) -> Cls:
    """Register a frozen dataclass as an op, known to `parse` by its name."""
    if cls.__name__ in OPS:
        raise ValueError(f"an op named {cls.__name__!r} is registered already")
    OPS[cls.__name__] = cls
    return cls


def parse(text: str) -> Any:
    """The op that `text` spells, as its repr does: "PadCrop(pad=4)", "PadCrop(4)".

    Raises:
        ValueError: not a call of a registered op on plain values, or a bad argument.
    """
    return _op_from(_syntax(text), text)


def parse_all(text: str) -> tuple:
    """The ops that `text` spells: "(Resize(32), Flip())", "[...]", one op, or "()"."""
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
        raise ValueError(f"an op is written as a call: {node.id}(...), not {node.id}")
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise _not_an_op(text)
    name = node.func.id
    if name not in OPS:
        raise unknown("op", name, OPS, "`recipes names ops`")
    fields = [field.name for field in dataclasses.fields(OPS[name])]
    if len(node.args) > len(fields):
        raise ValueError(f"{name} takes {len(fields)} arguments ({', '.join(fields)}): {text}")
    given: list[tuple[str | None, ast.expr]] = list(zip(fields, node.args, strict=False))
    given += [(keyword.arg, keyword.value) for keyword in node.keywords]
    arguments: dict[str, Any] = {}
    for key, value in given:
        if key not in fields:
            raise unknown(f"argument of {name}", key, fields)
        if key in arguments:
            raise ValueError(f"{name} is given {key!r} twice: {text}")
        try:
            arguments[key] = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            raise ValueError(f"{key} of {name} is not a plain value: {text}") from None
    missing = [
        field.name
        for field in dataclasses.fields(OPS[name])
        if field.default is dataclasses.MISSING and field.name not in arguments
    ]
    if missing:
        raise ValueError(f"{name} needs {', '.join(missing)}: {text}")
    return OPS[name](**arguments)


def _not_an_op(text: str) -> ValueError:
    short = text if len(text) <= 80 else text[:77] + "..."
    return ValueError(
        f"not an op such as PadCrop(pad=4): {short!r}; `recipes names ops` lists the ops"
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
    """Raise a ValueError that argument `name` is not `valid`, unless the condition holds."""
    if not holds:
        value = getattr(self, name)
        raise ValueError(f"{type(self).__name__}: {name}={value!r} is not {valid}")


def require_probability(self) -> None:
    """Raise a ValueError unless the op's probability is one."""
    require(self, "probability", 0 <= self.probability <= 1, "from 0 to 1")
