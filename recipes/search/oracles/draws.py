"""Draws from a search space, in the order in which its function asks for hyperparameters.

A position on an axis is a number from 0 to 1, uniform on the axis's own scale: of a list, or of a
range with steps, each value takes an equal part. Positions below 0 and above 1 lie outside a range.
"""

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import keras_tuner as kt

from recipes.search.spaces.space import Space

# After this many draws in a row without a new recipe, a space counts as exhausted.
DRAWS = 300
_TINY = 1e-9  # against rounding errors at the ends of a part


class _Asked(kt.HyperParameters):
    """Hyperparameters that get their values when a space asks for them."""

    def __init__(self, choose: Callable[[Any], Any]):
        super().__init__()
        self._choose = choose
        self.error: Exception | None = None  # of `choose`

    def _retrieve(self, hp: Any) -> Any:
        if hp.name not in self.values and self.is_active(hp):
            try:
                self.values[hp.name] = self._choose(hp)
            except Exception as error:
                self.error = error
                raise
        return super()._retrieve(hp)


def draw(space: Space, choose: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the values of a trial: of the active hyperparameters only.

    Args:
        space: the space.
        choose: function from a hyperparameter (of Keras Tuner) to its value.
    """
    hp = _Asked(choose)
    with contextlib.suppress(Exception):  # of the space; the trial will fail with it
        space.function(hp)
    if hp.error is not None:
        raise hp.error
    return hp.values


def active(space: Space, values: dict[str, Any]) -> list[Any]:
    """Return the hyperparameters that are active in a trial, in the order of the space."""
    found: list[Any] = []

    def choose(hp: Any) -> Any:
        found.append(hp)
        return values.get(hp.name, hp.default)

    draw(space, choose)
    return found


def axis_key(hp: Any) -> str:
    """Return a text that is the same for hyperparameters with equal name, values and conditions."""
    return json.dumps(hp.get_config(), sort_keys=True)


def is_range(hp: Any) -> bool:
    """Return whether a hyperparameter is a range of numbers rather than a list of values."""
    return hasattr(hp, "sampling")


def count(hp: Any) -> int | None:
    """Return the number of values of a hyperparameter; None for a range without steps."""
    if not is_range(hp):
        return len(hp.values)
    if hp.step is None:
        return None
    if hp.sampling == "linear":  # Keras Tuner loses the last value if it is off by rounding
        return math.floor((hp.max_value - hp.min_value) / hp.step + 1e-6) + 1
    return int(hp._get_n_values())


def position(hp: Any, value: Any) -> float:
    """Return the position of a value on the axis of a hyperparameter, which may be outside."""
    number = count(hp)
    if number is None:
        return float(hp.value_to_prob(value))
    if not is_range(hp):
        index = list(hp.values).index(value)
    elif hp.sampling == "linear":
        index = round((value - hp.min_value) / hp.step)
    elif hp.sampling == "log":
        index = round(math.log(value / hp.min_value, hp.step))
    else:
        index = round(math.log((hp.max_value - value + hp.min_value) / hp.min_value, hp.step))
    return (index + 0.5) / number


def value_at(hp: Any, place: float) -> Any:
    """Return the value at a position on the axis of a hyperparameter."""
    number = count(hp)
    whole = isinstance(hp, kt.engine.hyperparameters.Int)
    if number is not None:
        index = math.floor(place * number + _TINY)
        if not is_range(hp):
            return list(hp.values)[min(max(index, 0), number - 1)]
        value = hp._get_value_by_index(index)
        return round(value) if whole else value
    if not whole:
        return hp.prob_to_value(place)
    return math.floor(hp._sample_numerical_value(place, hp.max_value + 1))


class Proposing(kt.Oracle):
    """An oracle whose proposals are functions of its seed, their number, and ended trials.

    It stores nothing beyond Keras Tuner's trials, so that a search continues exactly after it was
    killed.

    Args:
        space: the space.
        settings: arguments of keras_tuner.Oracle.
    """

    def __init__(self, space: Space, **settings: Any):
        super().__init__(**settings)
        self.searched = space

    def propose(self, number: int, rng: Random) -> dict[str, Any]:
        """Return values for a trial.

        Args:
            number: number of the trial.
            rng: source of random numbers; another one each time that a proposal was not new.
        """
        raise NotImplementedError

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the values of the next trial, whose recipe is new; see keras_tuner.Oracle."""
        number = len(self.trials)
        tried = {self.searched.key(each.hyperparameters.values) for each in self.trials.values()}
        for rng in self.rngs(number):
            values = self.propose(number, rng)
            if self.searched.key(values) not in tried:
                return {"status": "RUNNING", "values": values}
        for rng in self.rngs(number):
            values = self.at_random(rng)
            if self.searched.key(values) not in tried:
                return {"status": "RUNNING", "values": values}
        return {"status": "STOPPED", "values": None}

    def at_random(self, rng: Random) -> dict[str, Any]:
        """Return uniformly random values for a trial."""
        return draw(self.searched, lambda hp: value_at(hp, rng.random()))

    def rngs(self, number: int) -> Iterator[Random]:
        """Yield DRAWS different sources of random numbers for a trial."""
        for attempt in range(DRAWS):
            yield Random(f"{self.seed}/{number}/{attempt}")

    def ended(self) -> list[tuple[dict[str, Any], float | None]]:
        """Return values and score of each trial in the order in which they ended.

        Higher scores are better, whatever the objective. The score of a failed trial is None.
        """
        return [
            (trial.hyperparameters.values, self.merit(trial))
            for trial in map(self.trials.__getitem__, self.end_order)
        ]

    def merit(self, trial: Any) -> float | None:
        """Return the score of a trial, negated if lower is better; None if it has none."""
        if trial.status != "COMPLETED" or trial.score is None or not math.isfinite(trial.score):
            return None
        return trial.score if self.objective.direction == "max" else -trial.score
