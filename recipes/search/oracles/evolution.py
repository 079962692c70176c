"""Regularized evolution (Real et al. 2019, https://arxiv.org/abs/1802.01548), over any space.

The first trials are random. Each further trial is a child of the best trial of a random sample of
the population, with one hyperparameter changed. The population is a queue: with each trial that
ends, the oldest one leaves it, however good it is (aging).

What differs from the paper: the population is smaller, because a search has tens of trials rather
than 20,000, and the sample is half of it instead of a quarter. A number of a range moves to a value
nearby rather than to any other. A hyperparameter that only applies with the changed one is random.
Failed trials take their place in the population, but have no children.
"""

import math
from random import Random
from typing import Any

from recipes.search.oracles import draws
from recipes.search.spaces.space import Space

POPULATION = 100  # at most, and a sixth of all trials
SAMPLE = 1 / 2  # of the population
STEP = 0.15  # standard deviation of a change of a number, as a part of its range


class EvolutionOracle(draws.Proposing):
    """Regularized evolution: change one value of the best of a sample of the latest trials.

    Args:
        space: the space.
        max_trials: largest number of trials, which determines the size of the population.
        settings: arguments of keras_tuner.Oracle.
    """

    def __init__(self, space: Space, max_trials: int, **settings: Any):
        super().__init__(space, max_trials=max_trials, **settings)

    @property
    def size(self) -> int:
        """The size of the population."""
        assert self.max_trials is not None
        return min(POPULATION, max(4, self.max_trials // 6))

    def propose(self, number: int, rng: Random) -> dict[str, Any]:
        """Return the values of a child, or random ones for the first trials."""
        population = self.ended()[-self.size :]
        if number < self.size or not population:
            return self.at_random(rng)
        sample = rng.sample(population, min(len(population), max(2, round(SAMPLE * self.size))))
        scored = [(score, values) for values, score in sample if score is not None]
        if not scored:
            return self.at_random(rng)
        return self.child(max(scored, key=lambda each: each[0])[1], rng)

    def child(self, parent: dict[str, Any], rng: Random) -> dict[str, Any]:
        """Return the values of a trial, with another value of one active hyperparameter."""
        axes = draws.active(self.searched, parent)
        changed = rng.choice([hp.name for hp in axes if draws.count(hp) != 1] or [""])
        known = {hp.name: draws.axis_key(hp) for hp in axes}

        def choose(hp: Any) -> Any:
            if known.get(hp.name) != draws.axis_key(hp):
                return draws.value_at(hp, rng.random())
            return _another(hp, parent[hp.name], rng) if hp.name == changed else parent[hp.name]

        return draws.draw(self.searched, choose)


def _another(hp: Any, value: Any, rng: Random) -> Any:
    """Return another value of a list, or a number of a range near to the given one."""
    if not draws.is_range(hp):
        return rng.choice([other for other in hp.values if other != value])
    place, unit = draws.position(hp, value), 1 / (draws.count(hp) or math.inf)
    for _ in range(draws.DRAWS):  # a range may have a single value
        moved = abs(place + rng.gauss(0, max(STEP, unit))) % 2
        moved = min(moved, 2 - moved, math.nextafter(1, 0))  # reflected at the ends of the range
        if (other := draws.value_at(hp, moved)) != value:
            return other
    return value
