"""The axes of a search space: lists of values, or ranges, of one field or network option each.

As text: `act=relu,elu lr=log:1e-4:1 options.width=16,32 dropout=0:0.5:0.1`. A name such as
`options.widths.0` stands for one element of an option that is a tuple.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

import zoo
from recipes import rules
from recipes.augment import parse_all
from recipes.old_names import renamed
from recipes.recipe import FIELDS, Recipe, replace, style_of
from recipes.values import plain
from zoo.options import checked, field_types, unknown

if TYPE_CHECKING:
    import keras_tuner as kt

    from recipes.recipe_files import RecipeFile

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"(log:)?({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?")
_FORMS = "must be values such as relu,elu, or a range LOW:HIGH[:STEP] or log:LOW:HIGH"
_OF_FIELD = {field.name: field for field in dataclasses.fields(Recipe)}


@dataclass(frozen=True)
class Choices:
    """The values of a list.

    Attributes:
        name: name of the hyperparameter.
        values: the values, by the text that names them.
    """

    name: str
    values: Mapping[str, Any]

    def draw(self, hp: kt.HyperParameters) -> Any:
        """Return the value that the hyperparameter has in a trial."""
        return self.values[hp.Choice(self.name, list(self.values))]


@dataclass(frozen=True)
class Between:
    """The numbers of a range.

    Attributes:
        name: name of the hyperparameter.
        low, high: the ends of the range, both included.
        step: distance of the values; None for all numbers of the range.
        log: whether the logarithm of the number is drawn uniformly.
        whole: whether the numbers are integers.
    """

    name: str
    low: float
    high: float
    step: float | None = None
    log: bool = False
    whole: bool = False

    def draw(self, hp: kt.HyperParameters) -> int | float:
        """Return the value that the hyperparameter has in a trial."""
        sampling = "log" if self.log else "linear"
        if self.whole:
            return hp.Int(
                self.name, int(self.low), int(self.high), sampling=sampling,
                **({} if self.step is None else {"step": int(self.step)}),
            )  # fmt: skip
        return hp.Float(self.name, self.low, self.high, step=self.step, sampling=sampling)

    @property
    def ends(self) -> tuple[int | float, int | float]:
        """The lowest and the highest value."""
        return (int(self.low), int(self.high)) if self.whole else (self.low, self.high)


Axis = Choices | Between


def parse(text: str | Sequence[str]) -> dict[str, Axis]:
    """Parse a space; return the axis of each field ("lr") or network option ("options.width").

    Args:
        text: terms NAME=VALUES, in a list or separated by spaces. Values are separated by commas,
            or by semicolons where they contain commas.

    Raises:
        ValueError: if a name is unknown or given twice, or the values do not have a valid form.
    """
    words = shlex.split(text) if isinstance(text, str) else [*text]
    given: dict[str, str] = {}
    for word in words:
        name, equals, values = word.partition("=")
        if not equals or not values:
            raise ValueError(f"space={word!r}: must be NAME=VALUES, such as act=relu,elu")
        if name in given:
            raise ValueError(f"space: {name} is given twice; join its values")
        given[name] = values
    if not given:
        raise ValueError("space='': is empty; write NAME=VALUES, such as act=relu,elu")
    return {name: _axis(name, values) for name, values in renamed(given, FIELDS).items()}


def _axis(name: str, text: str) -> Axis:
    outer, dot, _ = name.partition(".")
    if outer not in FIELDS or (name != "options" and dot and outer != "options"):
        raise unknown("field in space", name, FIELDS, "`recipes names fields`")
    if name == "options":
        raise ValueError(f"space: options={text!r}: write options.NAME=VALUES")
    if found := _RANGE.fullmatch(text):
        return _between(name, text, *found.groups())
    parts = text.split(";") if ";" in text else _split(text)
    values = {part: _value(name, part) for part in map(str.strip, parts)}
    if "" in values or not parts:
        raise ValueError(f"space: {name}={text!r}: has an empty value; {_FORMS}")
    return Choices(name, values)


def _between(
    name: str, text: str, log: str | None, first: str, last: str, step: str | None
) -> Between:
    low, high = ast.literal_eval(first), ast.literal_eval(last)
    by = None if step is None else ast.literal_eval(step)
    kinds = (float, int) if "." in name else _kinds(name)
    if not {int, float} & {*kinds}:
        raise ValueError(f"space: {name}={text!r}: has no ranges, because it is not a number")
    if low >= high or (log and low <= 0) or (by is not None and (by <= 0 or log)):
        raise ValueError(
            f"space: {name}={text!r}: the first number must be lower than the second one, and above"
            " 0 with log, which has no steps"
        )
    whole = all(isinstance(each, int) for each in (low, high)) and int in kinds
    if not whole and float not in kinds:
        raise ValueError(f"space: {name}={text!r}: must be integers")
    axis = Between(name, low, high, by, bool(log), whole and (float not in kinds or "." in name))
    for end in axis.ends:
        _check(name, end)
    return axis


def _kinds(name: str) -> tuple[Any, ...]:
    kind = field_types(Recipe)[name]
    return get_args(kind) or (kind,)


def _split(text: str) -> list[str]:
    """Split at the commas outside of brackets."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _value(name: str, text: str) -> Any:
    """Convert the text of a value to the type of the field, and check it."""
    kinds = () if "." in name else _kinds(name)
    if name in ("augment", "eval_ops"):
        return parse_all(text)
    value: Any = text
    if text == "null" or (text == "none" and name not in ("act", "norm", "init")):
        value = None
    elif text.lower() in ("true", "false") and (bool in kinds or "." in name):
        value = text.lower() == "true"
    elif kinds != (str,):
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text
    return _check(name, value)


def _check(name: str, value: Any) -> Any:
    """Check the type and the range of a value, and return it as the recipe holds it."""
    if "." in name:
        return plain(name, value)
    value = plain(name, checked(Recipe, name, value))
    if (within := _OF_FIELD[name].metadata["within"]) is not None:
        within.check(name, value)
    return value


def space_of(file: RecipeFile, base: Recipe, given: Any) -> Any:
    """Return the function of the space of a search, or None for the default space.

    Args:
        file: the recipe file, whose space is used if none is given.
        base: the recipe with all overrides.
        given: a function, the axes as text, or None.

    Raises:
        ValueError: if a name or a value is not valid; the message names the file of the space.
    """
    if given is None and isinstance(file.space, str):
        try:
            return SpaceOf(base, parse(file.space))
        except ValueError as error:
            raise ValueError(f"{file.path}: {error}") from error
    given = file.space if given is None else given
    return SpaceOf(base, parse(given)) if isinstance(given, str) else given


class SpaceOf:
    """The function of a space that consists of axes, as recipes.tune takes it.

    An axis of a field that only applies together with others, such as momentum with some
    optimizers, is drawn only where it applies.

    Args:
        base: recipe whose other fields decide what applies.
        axes: axis of each field or network option.
        lr_of: other axes of lr, for some values of the field optimizer.

    Raises:
        ValueError: if a field never applies, or the network accepts a value in no combination.
    """

    def __init__(
        self, base: Recipe, axes: Mapping[str, Axis], lr_of: Mapping[str, Axis] | None = None
    ):
        self.base, self.lr_of = base, lr_of or {}
        self.axes = dict(axes)
        self.without = {name: self._excluding(name) for name in axes}
        # The optimizer decides about other fields; what is drawn with conditions comes last.
        ordered = sorted(
            axes, key=lambda n: (bool(_conditions(n) or self.without[n]), n != "optimizer")
        )
        self.axes = {name: axes[name] for name in ordered}
        for name in self.axes:
            self._require_applicable(name)
            if name.startswith("options.") or name in rules.STYLE:
                self._require_accepted(name)

    def __call__(self, hp: kt.HyperParameters) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        for name, axis in self.axes.items():
            if name == "lr":
                axis = self.lr_of.get(changes.get("optimizer", ""), axis)
            excluded = any(o in changes and changes[o] == v for o, v in self.without[name])
            if not excluded and not self._missing(name, changes):
                changes[name] = axis.draw(hp)
        if changes.get("optimizer") == "adam":
            changes["weight_decay"] = 0.0
        return changes

    def _missing(self, name: str, changes: Mapping[str, Any]) -> str:
        """Return what a field needs to apply with these changes and does not have, or ""."""
        values = {**vars(self.base), **changes}
        if name == "weight_decay" and values["optimizer"] == "adam":
            return "another optimizer than adam"
        return next(filter(None, (condition(values) for condition in _conditions(name))), "")

    def _excluding(self, name: str) -> list[tuple[str, Any]]:
        """Return the values of act, norm and init with which no value of an option is accepted."""
        if not name.startswith("options."):
            return []
        styles = [n for n in ("act", "norm", "init") if n in self.axes]
        others = [(other, v) for other in styles for v in values_of(self.axes[other])]
        own = values_of(self.axes[name])
        return [
            (other, v)
            for other, v in others
            if not rejection(self.base, {other: v})
            and all(rejection(self.base, {other: v, name: value}) for value in own)
        ]

    def _others(self, name: str) -> list[dict[str, Any]]:
        """Return the changes of each single other axis."""
        return [
            {other: value}
            for other, axis in self.axes.items()
            if other != name
            for value in values_of(axis)
        ]

    def _require_applicable(self, name: str) -> None:
        missing = self._missing(name, {})
        if missing and all(self._missing(name, other) for other in self._others(name)):
            raise ValueError(f"space: {name}: only applies with {missing}")

    def _require_accepted(self, name: str) -> None:
        """Check each value of an axis of the network, if need be with those of other axes."""
        for value in values_of(self.axes[name]):
            error = rejection(self.base, {name: value})
            others = self._others(name)
            if error and all(rejection(self.base, {name: value, **other}) for other in others):
                raise ValueError(f"space: {error}")


def rejection(base: Recipe, changes: dict[str, Any]) -> str:
    """Return why the network does not accept changes of a recipe, or "" if it does."""
    try:
        recipe = replace(base, **changes)
        zoo.resolve(recipe.model, **style_of(recipe))
    except ValueError as error:
        return str(error)
    return ""


def values_of(axis: Axis) -> list[Any]:
    """Return the values of a list, or the ends of a range."""
    return list(axis.values.values()) if isinstance(axis, Choices) else list(axis.ends)


def _conditions(name: str) -> tuple[Any, ...]:
    return _OF_FIELD[name].metadata["applies"] if name in _OF_FIELD else ()
