"""The search space: its recipes, which of them are equal, and how many there are."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import keras_tuner as kt

from recipes.old_names import renamed
from recipes.recipe import FIELDS, Recipe, replace, to_json
from recipes.values import average_of

# A function of Keras Tuner's HyperParameters that returns overrides of a recipe
SpaceFunction = Callable[[Any], dict[str, Any]]
# A space is not counted beyond this many different recipes.
COUNTED = 2_000


class Space:
    """A recipe and the function that returns overrides for it.

    The function may use hyperparameters conditionally, with `if`, in a loop or in a conditional
    scope. Calling it shows which ones are active.
    """

    def __init__(self, base: Recipe, function: SpaceFunction):
        self.base, self.function = base, function
        self._keys: dict[str, str] = {}

    def recipe(self, values: kt.HyperParameters) -> Recipe:
        """Return the recipe for these values, with the epochs of hyperband or of the stage.

        Raises:
            ValueError: if the function fails, or its overrides are not valid.
        """
        try:
            changes = self.function(values)
        except ValueError:
            raise
        except Exception as error:  # raised by the user's function; other trials may work
            raise ValueError(f"space(hp) raised {type(error).__name__}: {error}") from error
        return trial_recipe(self.base, changes, values.values.get("tuner/epochs"))

    def active(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values of the hyperparameters that are active."""
        hp = _given(values)
        try:
            self.function(hp)
        except Exception:
            return hp.values
        names = {each.name for each in hp.space if hp.is_active(each)}
        return {name: value for name, value in hp.values.items() if name in names}

    def key(self, values: dict[str, Any]) -> str:
        """Return a text that is the same for the same recipe, before hyperband shortens it."""
        hp = _given(values)
        name = json.dumps(hp.values, sort_keys=True, default=str)
        if name not in self._keys:
            try:
                self._keys[name] = json.dumps(to_json(self.recipe(hp)), sort_keys=True)
            except ValueError:  # no recipe: the trial fails
                self._keys[name] = f"values {name}"
        return self._keys[name]

    def count(self, grid: bool = False) -> int | None:
        """Return the number of different recipes; None if it is infinite or above COUNTED.

        Args:
            grid: whether a range without steps has only the values that a grid search uses.
        """
        found: set[str] = set()
        for values in self._points(grid):
            if values is None:
                return None
            found.add(self.key(values))
            if len(found) > COUNTED:
                return None
        return len(found)

    def _points(self, grid: bool) -> Iterator[dict[str, Any] | None]:
        """Yield all combinations of values, or None if they cannot be listed."""
        waiting: list[dict[str, Any]] = [{}]
        while waiting:
            values = waiting.pop()
            hp = _given(values)
            with contextlib.suppress(Exception):  # the trial fails
                self.function(hp)
            new = [each for each in hp.space if hp.is_active(each) and each.name not in values]
            if not new:
                yield values
                continue
            options = None if len(waiting) > 10 * COUNTED else _options(new[0], grid)
            if options is None:
                yield None
                return
            waiting += [{**values, new[0].name: option} for option in options]


def _given(values: dict[str, Any]) -> kt.HyperParameters:
    hp = kt.HyperParameters()
    hp.values = {name: v for name, v in values.items() if not name.startswith("tuner/")}
    return hp


def _options(hp: Any, grid: bool) -> list[Any] | None:
    """Return the values of a hyperparameter; None for a continuous range."""
    if hasattr(hp, "step") and hp.step is None and not grid:
        return None
    return list(hp.values)


def with_current_names(function: SpaceFunction) -> SpaceFunction:
    """Return the function of a space, with current names of fields instead of old ones."""
    code = getattr(function, "__code__", None)

    def space(hp: kt.HyperParameters) -> dict[str, Any]:
        found = function(hp)
        if not isinstance(found, dict):
            return found
        return renamed(found, FIELDS, file=code and code.co_filename)

    return space


def trial_recipe(base: Recipe, changes: dict[str, Any], epochs: int | None = None) -> Recipe:
    """Return the recipe with a trial's values, with its schedule shortened to `epochs`.

    Raises:
        ValueError: if the values are not valid.
    """
    if not isinstance(changes, dict):
        raise ValueError(f"space(hp) returned {changes!r}: must be a dict of fields of the recipe")
    if epochs is not None and "epochs" in changes:
        raise ValueError(
            "space(hp) sets epochs: hyperband or stages choose them; remove epochs from the space"
        )
    recipe = replace(base, **changes)
    if recipe.select_by != base.select_by:
        raise ValueError(
            f"space(hp) sets select_by={recipe.select_by!r}: all trials of a search are compared"
            f" by the recipe's select_by={base.select_by!r}; set it in the recipe, with"
            " select='best' or early_stopping"
        )
    if epochs is None or epochs == recipe.epochs:
        return recipe
    share = epochs / recipe.epochs
    shortened: dict[str, Any] = {
        "epochs": int(epochs),
        "warmup": recipe.warmup * share,
        "milestones": tuple(at * share for at in recipe.milestones),
        "step_size": recipe.step_size and recipe.step_size * share,
        # Of several sizes in the same epoch, the last one remains.
        "sizes": tuple({round(epoch * share): side for epoch, side in recipe.sizes}.items()),
    }
    if recipe.schedule == "plateau":
        shortened["patience"] = max(1, round(recipe.patience * share))
    if recipe.early_stopping is not None:
        shortened["early_stopping"] = max(1, round(recipe.early_stopping * share))
    if recipe.average is not None:
        kind, number, _ = average_of(recipe.average)
        if kind == "swa":
            shortened["average"] = f"swa:{max(1, round(number * share))}"
    return replace(recipe, **shortened)
