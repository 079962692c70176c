"""Recipe: everything that defines an experiment, in one flat frozen dataclass."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from recipes import augment as ops_of
from recipes import rules
from recipes.fields import Fields
from recipes.old_names import accept_old_names, current_name, renamed
from recipes.values import classes_of, plain, reject_half
from zoo import registry
from zoo.options import checked, unknown
from zoo.plan import without_effect


@dataclass(frozen=True)
class Recipe(Fields):
    """An experiment: the network, its data and how it is trained.

    The arguments are the fields, which fields.py defines and docs/recipes.md describes.

    Raises:
        ValueError: if a value has the wrong type or is out of range, or two exclude each other.
    """

    def __post_init__(self) -> None:
        reject_half(self.dtype)
        for name in FIELDS:
            value = checked(Recipe, name, getattr(self, name))
            object.__setattr__(self, name, plain(name, value))
        for name in ("augment", "eval_ops"):
            for op in getattr(self, name):
                if type(op) not in ops_of.OPS.values():
                    raise ValueError(
                        f"{name}: {op!r} is not an operation such as Flip(); `recipes names ops`"
                        " lists them"
                    )
        rules.check(dataclasses.fields(self), vars(self))

    def __getattr__(self, name: str) -> Any:
        """Return the value of a field by its old name."""
        if (new := current_name(name, FIELDS)) == name:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        renamed({name: None}, FIELDS)  # warns
        return getattr(self, new)


Recipe.__init__ = accept_old_names(Recipe.__init__)  # type: ignore[method-assign]

FIELDS = tuple(f.name for f in dataclasses.fields(Recipe))
# Fields that only decide when a run is saved, and what happens when it diverges
CHECKPOINTING = tuple(
    f.name for f in dataclasses.fields(Recipe) if f.metadata["topic"] == rules.CHECKPOINTS
)
DEFAULTS = {f.name: rules.default_of(f) for f in dataclasses.fields(Recipe)}


def replace(recipe: Recipe, **overrides: Any) -> Recipe:
    """Return a copy of a recipe with other values for some fields.

    A field of `recipe` that no longer applies, such as milestones with schedule="cosine", is reset
    to its default, and an option such as norm_momentum that has no effect with another norm is left
    out.

    Args:
        recipe: the recipe to copy.
        overrides: new values. `{"options.stem": "cifar"}` changes one option of the network, and
            `{"options.widths.0": 32}` the first element of an option that is a tuple. Operations
            and classes may be text: augment="(Resize(32), Flip())", classes="cat,dog".

    Raises:
        ValueError: if a field is unknown, or a value is invalid or has no effect.
    """
    overrides = renamed(overrides, FIELDS)
    values = {name: getattr(recipe, name) for name in FIELDS}
    if isinstance(norm := overrides.get("norm"), str):
        idle = ("norm_scale", *without_effect(norm)) if norm == "none" else without_effect(norm)
        values["options"] = {n: v for n, v in recipe.options.items() if n not in idle}
    # Whole options come before their elements.
    for name, value in sorted(overrides.items(), key=lambda each: each[0].count(".") > 1):
        outer, dot, inner = name.partition(".")
        if outer not in FIELDS or (dot and outer != "options"):
            raise unknown("field", name, FIELDS, "`recipes names fields`")
        if "." in inner:
            option, *path = inner.split(".")
            whole = values["options"].get(option, _option(values["model"], option))
            values["options"] = {**values["options"], option: _with(whole, path, value, name)}
        elif dot:
            values["options"] = {**values["options"], inner: value}
        elif name in ("augment", "eval_ops") and isinstance(value, str):
            values[name] = ops_of.parse_all(value)
        elif name == "classes" and isinstance(value, str):
            values[name] = classes_of(value)
        else:
            values[name] = value
    return Recipe(**rules.reset(dataclasses.fields(Recipe), values, overrides))


def _option(model: str, option: str) -> Any:
    """Return the value that an option of a network has by default."""
    spec, style = registry.defaults(model, registry.find(model))
    valid = vars(spec) | vars(style)
    if option not in valid:
        raise unknown(f"option of {model}", option, valid, f"`zoo show {model}`")
    return valid[option]


def _with(whole: Any, path: list[str], value: Any, name: str) -> Any:
    """Return `whole`, a tuple, with another value for the element that `path` leads to."""
    if not path:
        return value
    index, *rest = path
    if not isinstance(whole, (tuple, list)):
        raise ValueError(f"{name}={value!r}: {whole!r} is not a tuple and has no element {index}")
    if not index.isdecimal() or int(index) >= len(whole):
        raise ValueError(
            f"{name}={value!r}: {whole!r} has no element {index}, only 0 to {len(whole) - 1}"
        )
    at = int(index)
    return (*whole[:at], _with(whole[at], rest, value, name), *whole[at + 1 :])


def style_of(recipe: Recipe) -> dict[str, Any]:
    """Return the arguments of zoo.build that the recipe sets."""
    return {name: getattr(recipe, name) for name in rules.STYLE} | recipe.options


def difference(old: Recipe, new: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return the fields that differ and their two values; each network option is a field.

    Fields that have no effect in `new` are left out, because another difference explains them.
    """
    idle = {name for name, _ in rules.unread(dataclasses.fields(Recipe), vars(new))}
    before, after = ({n: v for n, v in _flat(r).items() if n not in idle} for r in (old, new))
    missing = "not given"
    return {
        name: (before.get(name, missing), after.get(name, missing))
        for name in [*before, *(n for n in after if n not in before)]
        if name not in before or name not in after or before[name] != after[name]
    }


def _flat(recipe: Recipe) -> dict[str, Any]:
    flat = {name: getattr(recipe, name) for name in FIELDS if name != "options"}
    return flat | {f"options.{key}": value for key, value in recipe.options.items()}


def to_json(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as JSON-serializable values, with operations as their repr."""
    values = {name: getattr(recipe, name) for name in FIELDS}
    for name in ("augment", "eval_ops"):
        values[name] = [repr(op) for op in values[name]]
    return json.loads(json.dumps(values))


def from_json(values: dict[str, Any]) -> Recipe:
    """Return the recipe from the values of `to_json`; reset fields without effect.

    Values that an earlier version wrote under old names are read as well.

    Raises:
        ValueError: if a field is unknown or missing, or a value is invalid.
    """
    values = renamed(values, FIELDS, quiet=True)
    for name in values:
        if name not in FIELDS:
            raise unknown("field", name, FIELDS, "`recipes names fields`")
    for name in ("model", "data"):
        if name not in values:
            raise ValueError(f"the field {name!r} is missing")
    values = {**DEFAULTS, **values}
    for name in ("augment", "eval_ops"):
        values[name] = tuple(ops_of.parse(text) for text in values[name])
    return Recipe(**_valid_now(values))


def _valid_now(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of an earlier version's recipe.json such that Recipe accepts them."""
    values = rules.reset(dataclasses.fields(Recipe), values)
    values["eval_ops"] = tuple(op for op in values["eval_ops"] if callable(op))
    options = values["options"] or {}
    values |= {name: value for name, value in options.items() if name in rules.STYLE}
    values["options"] = {n: value for n, value in options.items() if n not in rules.NOT_OPTIONS}
    if str(values["average"]).startswith("swa"):
        values["select"] = DEFAULTS["select"]
    return rules.reset(dataclasses.fields(Recipe), values)
