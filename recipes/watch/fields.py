"""The fields of recipes as they are compared on the page, and the axes of a search."""

import functools
import math
from collections.abc import Iterable, Mapping
from typing import Any

from recipes.old_names import renamed
from recipes.recipe import CHECKPOINTING, DEFAULTS, FIELDS
from recipes.watch.reading import number

# Fields that differ without making another choice of hyperparameters
_NO_AXES = {"seed", *CHECKPOINTING}


def flat(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields in a recipe.json as numbers, texts, booleans or None.

    Each network option is a field, `options.NAME`. Lists are written as Python writes tuples.
    """
    values = renamed(dict(recipe), FIELDS, quiet=True)
    options = values.pop("options", None) or {}
    values |= {f"options.{name}": value for name, value in options.items()}
    return {name: _plain(name, value) for name, value in values.items()}


def _plain(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if name in ("augment", "eval_ops"):
        return ", ".join(str(op) for op in value) or "none"
    return str(_tuples(value))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


@functools.cache
def defaults() -> dict[str, Any]:
    """Return the default of each field that has one."""
    known = {name: value for name, value in DEFAULTS.items() if name != "options"}
    return {name: _plain(name, value) for name, value in known.items() if _is_value(value)}


def _is_value(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | list | tuple | dict)


def changes(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a recipe.json that differ from their defaults."""
    usual = defaults()
    return {n: v for n, v in flat(recipe).items() if n not in usual or usual[n] != v}


def choice_text(value: Any) -> str:
    """Return the text of a value of a list, the same from JSON and from a CSV table."""
    known = number(value)
    if isinstance(value, bool) or known is None or not math.isfinite(known):
        return str(value)
    return str(int(known)) if known.is_integer() and abs(known) < 1e15 else repr(known)


def axis(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return an axis of Keras Tuner's space for the page, or None if it has only one value."""
    kind, config = entry["class_name"], entry["config"]
    if config["name"].startswith("tuner/") or kind == "Fixed":
        return None
    if kind in ("Choice", "Boolean"):
        values = config.get("values", [False, True])
        return {
            "name": config["name"], "kind": "choice", "log": False,
            "values": [choice_text(value) for value in values],
        }  # fmt: skip
    return {
        "name": config["name"],
        "kind": "number",
        "log": config.get("sampling") in ("log", "reverse_log"),
        "low": config["min_value"],
        "high": config["max_value"],
    }


def declared(*spaces: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the axes of Keras Tuner's spaces by name; a later definition replaces an earlier."""
    found = {}
    for entry in (entry for space in spaces for entry in space):
        if (one := axis(entry)) is not None:
            found[one["name"]] = one
    return found


def inferred(name: str, values: Iterable[Any]) -> dict[str, Any]:
    """Return the axis of a hyperparameter of which only values are known."""
    given = [value for value in values if value not in (None, "")]
    numbers = [number(value) for value in given]
    if not given or None in numbers or any(isinstance(value, bool) for value in given):
        texts = sorted({choice_text(value) for value in given})
        return {"name": name, "kind": "choice", "log": False, "values": texts}
    low, high = min(numbers), max(numbers)
    return {
        "name": name, "kind": "number", "log": low > 0 and high >= 10 * low,
        "low": low, "high": high,
    }  # fmt: skip


def place(one: Mapping[str, Any], value: Any) -> Any:
    """Return a value as its axis shows it; None if the hyperparameter is not active."""
    if value is None or value == "":
        return None
    return number(value) if one["kind"] == "number" else choice_text(value)


def differing(recipes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the axes of the fields that differ between runs, by name.

    Args:
        recipes: run -> the result of `changes`.
    """
    usual = defaults()
    names = sorted({name for each in recipes.values() for name in each} - _NO_AXES)
    found = {}
    for name in names:
        values = [each.get(name, usual.get(name)) for each in recipes.values()]
        if len({repr(value) for value in values}) > 1:
            shown = ["none" if value is None else value for value in values]
            found[name] = inferred(name, shown)
    return found
