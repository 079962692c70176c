"""Grids that fit a number of trials: how many values each range of a space gets."""

from typing import Any

import keras_tuner as kt

from recipes.recipe import Recipe
from recipes.search.spaces.space import Space, SpaceFunction
from zoo.terminal import plural


class Grid:
    """A space whose ranges have a few values each, which lie in the middle of equal parts.

    Ranges with steps, and lists, keep all their values. The other ranges get as many values as fit
    the number of trials together, evenly. On a logarithmic scale, the parts are equal in log space.

    Args:
        base: the recipe.
        function: the function of the space.
        trials: number of trials that the grid should fit. Lists alone may make it larger.
    """

    def __init__(self, base: Recipe, function: SpaceFunction, trials: int):
        self.function = function
        self.levels: dict[str, int] = {}  # range -> number of its values
        self.values: dict[str, list[Any]] = {}
        self.points = self._count(base)
        growing = [] if self.points is None else list(self.levels)
        while growing:
            name = min(growing, key=self.levels.__getitem__)
            self.levels[name] += 1
            points = self._count(base)
            if points is None or points > trials or points == self.points:
                self.levels[name] -= 1
                growing.remove(name)
            else:
                self.points = points
        self._count(base)

    def __call__(self, hp: kt.HyperParameters) -> dict[str, Any]:
        return self.function(_Discrete(hp, self))

    def _count(self, base: Recipe) -> int | None:
        return Space(base, self).count(grid=True)

    def level_values(self, name: str, low: float, high: float, log: bool, whole: bool) -> list:
        """Return the values of a range."""
        count = self.levels.setdefault(name, 1)
        parts = [(2 * i + 1) / (2 * count) for i in range(count)]
        if log:
            found = [low * (high / low) ** part for part in parts]
        else:
            found = [low + (high - low) * part for part in parts]
        rounded = [round(each) if whole else float(f"{each:.3g}") for each in found]
        self.values[name] = list(dict.fromkeys(rounded))
        return self.values[name]

    def plan(self, trials: int) -> str:
        """Describe the grid in one line."""
        text = f"grid of {'many points' if self.points is None else plural(self.points, 'point')}"
        if self.points is None or self.points > trials:
            text += f", of which the first {trials} are tried (--trials)"
        shown = "; ".join(
            f"{name}: {', '.join(f'{v:.3g}' for v in values)}"
            for name, values in self.values.items()
        )
        return text + (f"; {shown}" if shown else "")


class _Discrete:
    """Keras Tuner's hyperparameters with lists in the place of ranges without steps."""

    def __init__(self, hp: kt.HyperParameters, grid: Grid):
        self._hp, self._grid = hp, grid

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hp, name)

    def Float(self, name, min_value, max_value, step=None, sampling="linear", **settings):  # noqa: N802
        if step is not None:
            return self._hp.Float(name, min_value, max_value, step, sampling, **settings)
        log = sampling == "log"
        if sampling == "reverse_log":  # dense near the highest value
            parts = self._grid.level_values(name, min_value, max_value, True, False)
            values = sorted(max_value + min_value - each for each in parts)
        else:
            values = self._grid.level_values(name, min_value, max_value, log, False)
        return self._hp.Choice(name, values, **_kept(settings))

    def Int(self, name, min_value, max_value, step=None, sampling="linear", **settings):  # noqa: N802
        if step is not None:
            return self._hp.Int(name, min_value, max_value, step, sampling, **settings)
        values = self._grid.level_values(name, min_value, max_value, sampling == "log", True)
        return self._hp.Choice(name, values, **_kept(settings))


def _kept(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that a list has as well. The default need not be one of its values."""
    return {name: value for name, value in settings.items() if name != "default"}
