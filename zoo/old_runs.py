"""Read the geometry of old runs, which lack inference.json, from their recipe.json."""

import ast
from collections.abc import Iterable

from zoo.geometry import CenterCrop, Geometry, Grayscale, Resize, ResizeShort, Step


class BeyondGeometry(ValueError):  # noqa: N818 - it names what was found
    """An op of a run's eval_ops that a geometry cannot describe. The message is the op."""


def geometry(ops: Iterable[str]) -> Geometry:
    """Return the geometry of eval_ops, which are given by their repr.

    Raises:
        BeyondGeometry: a geometry cannot describe one of them.
    """
    return Geometry(tuple(step for op in ops for step in _steps(op)))


def _steps(op: str) -> list[Step]:
    try:
        call = ast.parse(op.strip(), mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            raise BeyondGeometry(op)
        given = {each.arg: ast.literal_eval(each.value) for each in call.keywords}
        return _described(call.func.id, given)
    except (SyntaxError, TypeError, ValueError, KeyError):
        raise BeyondGeometry(op) from None


def _described(name: str, given: dict) -> list[Step]:
    if given.get("probability") == 0:
        return []
    if name == "Grayscale" and given == {"probability": 1}:
        return [Grayscale()]
    size = given.pop("size")
    height, width = (size, size) if isinstance(size, int) else size
    if name == "Resize":
        return [Resize(height, width, **given)]
    if name == "CenterCrop" and not given:
        return [CenterCrop(height, width)]
    if name == "ResizeShort" and not given and isinstance(size, int):
        return [ResizeShort(size)]
    raise ValueError
