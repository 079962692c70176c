"""Coarse-to-fine search: random trials in stages, each in ranges narrowed around the best before.

Stage 1 draws from the whole space. The ranges of the next stage span the best quarter of the trials
of the stage before, widened on both sides by the mean distance between neighboring trials; lists
keep the values that occur in that quarter. If the best value lies in the outer tenth of its range
(or is the last value of a range with few values), the next range also goes beyond that end, by a
fifth of the range before, as far as values are valid.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras_tuner as kt

import zoo
from recipes.recipe import style_of
from recipes.search.oracles import draws
from recipes.search.spaces.space import Space
from recipes.values import Stage
from zoo.terminal import plural

BEST = 1 / 4  # of the trials of a stage determine the ranges of the next one
EDGE = 0.1  # of a range on each side counts as its edge
BEYOND = 0.2  # of a range is added at an edge
PARTS = 64  # into which the way beyond an edge is divided, to find the last valid value


class Part(NamedTuple):
    """The part of an axis in which a stage draws.

    Attributes:
        hp: the hyperparameter, as the space defines it.
        low, high: the ends of a range, as positions on the axis.
        kept: positions of the values of a list.
    """

    hp: Any
    low: float = 0.0
    high: float = 1.0
    kept: tuple[float, ...] = ()

    def value(self, random: float) -> Any:
        """Return the value for a random number from 0 to 1."""
        if self.kept:
            return draws.value_at(self.hp, self.kept[int(random * len(self.kept))])
        return draws.value_at(self.hp, self.low + random * (self.high - self.low))

    @property
    def edges(self) -> tuple[Any, Any]:
        """The values at the two ends of a range."""
        return draws.value_at(self.hp, self.low), draws.value_at(self.hp, self.high - 1e-9)

    def __str__(self) -> str:
        """Describe the part in the form of --space."""
        name = self.hp.name
        if not draws.is_range(self.hp):
            kept = [str(draws.value_at(self.hp, place)) for place in self.kept]
            sign = ";" if any("," in text for text in kept) else ","
            return f"{name}={sign.join(kept)}"
        low, high = map(_short, sorted(self.edges))
        if low == high:
            return f"{name}={low}"
        scale = "" if self.hp.sampling == "linear" else f"{self.hp.sampling}:"
        step = f":{_short(self.hp.step)}" if self.hp.step not in (None, 1) else ""
        return f"{name}={scale}{low}:{high}{step}"


class StagesOracle(draws.Proposing):
    """Random search in stages, in ranges that are narrowed around the best quarter.

    While trials of a stage still run, the next stage waits. A stage has fewer trials than planned
    if its part of the space has no more different recipes. If no trial of a stage finishes, the
    search ends.

    Args:
        space: the space.
        stages: number of trials and epochs of each stage.
        announce: called with the lines of `describe` when a stage begins.
        settings: arguments of keras_tuner.Oracle.
    """

    def __init__(
        self,
        space: Space,
        stages: Sequence[Stage],
        announce: Callable[[str], None] = lambda text: None,
        **settings: Any,
    ):
        super().__init__(space, max_trials=sum(stage.trials for stage in stages), **settings)
        self.stages, self.announce = stages, announce
        self._full: set[int] = set()  # stages without another new recipe
        self._parts: dict[int, tuple[dict[str, Part], list[str]]] = {0: ({}, [])}

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the values of the next trial; see keras_tuner.Oracle."""
        stage = max((_stage_of(trial) for trial in self.trials.values()), default=0)
        while stage < len(self.stages):
            of_stage = self.of_stage(stage)
            if stage not in self._full and len(of_stage) < self.stages[stage].trials:
                values = self._new_values(stage, of_stage)
                if values is not None:
                    if not of_stage:
                        self.announce("\n".join(self.describe(stage)))
                    return {"status": "RUNNING", "values": values}
                self._full.add(stage)
            if any(trial.trial_id not in self.end_order for trial in of_stage):
                return {"status": "IDLE", "values": None}
            if all(self.merit(trial) is None for trial in of_stage):
                break
            stage += 1
        return {"status": "STOPPED", "values": None}

    def of_stage(self, stage: int) -> list[Any]:
        """Return the trials of a stage, numbered from 0, in the order of their start."""
        return [
            trial
            for trial in map(self.trials.__getitem__, self.start_order)
            if _stage_of(trial) == stage
        ]

    def _new_values(self, stage: int, of_stage: list[Any]) -> dict[str, Any] | None:
        parts, _ = self.parts(stage)
        tried = {self.searched.key(trial.hyperparameters.values) for trial in of_stage}
        for rng in self.rngs(len(self.trials)):

            def choose(hp: Any, rng: Any = rng) -> Any:
                part = parts.get(draws.axis_key(hp))
                return (
                    draws.value_at(hp, rng.random()) if part is None else part.value(rng.random())
                )

            values = draws.draw(self.searched, choose)
            if self.searched.key(values) not in tried:
                own = {"tuner/epochs": self.stages[stage].epochs, "tuner/stage": stage + 1}
                return values | own
        return None

    def parts(self, stage: int) -> tuple[dict[str, Part], list[str]]:
        """Return the parts of the axes in which a stage draws, by draws.axis_key, and remarks.

        An axis that is not in the result is drawn as a whole. Each best value at the edge of its
        range has a remark, which is one sentence.
        """
        if stage not in self._parts:
            before, _ = self.parts(stage - 1)
            of_stage = self.of_stage(stage - 1)
            finished = [trial for trial in of_stage if self.merit(trial) is not None]
            finished.sort(key=self.merit, reverse=True)  # type: ignore[arg-type]
            best = finished[: math.ceil(len(of_stage) * BEST)]
            found: dict[str, list[Any]] = {}  # of each axis, the values from the best trial on
            axes: dict[str, Any] = {}
            for trial in best:
                axes_of_trial = draws.active(self.searched, trial.hyperparameters.values)
                for hp in (each for each in axes_of_trial if draws.count(each) != 1):
                    axes.setdefault(draws.axis_key(hp), hp)
                    found.setdefault(draws.axis_key(hp), []).append(trial)
            parts, remarks = dict(before), []
            for key, trials in found.items():
                hp = axes[key]
                parts[key], remark = self._narrowed(hp, before.get(key), trials, stage)
                remarks += [remark] if remark else []
            self._parts[stage] = parts, remarks
        return self._parts[stage]

    def _narrowed(
        self, hp: Any, before: Part | None, trials: list[Any], stage: int
    ) -> tuple[Part, str]:
        """Return the part of an axis for a stage, and a remark if its best value is at an edge."""
        before = before or Part(hp)
        values = [trial.hyperparameters.values[hp.name] for trial in trials]
        places = [draws.position(hp, value) for value in values]
        if not draws.is_range(hp):
            return Part(hp, kept=tuple(sorted(set(places)))), ""
        width = before.high - before.low
        margin = width / (len(self.of_stage(stage - 1)) + 1)
        unit = 1 / (draws.count(hp) or math.inf)
        if unit:  # a whole number of values
            margin = (round(margin / unit) + 0.5) * unit
        low = max(before.low, min(places) - margin)
        high = min(before.high, max(places) + margin)
        edge = max(EDGE * width, unit)
        first, last = before.edges
        up = before.high - places[0] < edge or values[0] == last
        down = places[0] - before.low < edge or values[0] == first
        if first == last or not (up or down):
            return Part(hp, low, high), ""
        beyond = BEYOND * width
        end = self._valid_end(hp, before.high if up else before.low, beyond if up else -beyond,
                              trials[0].hyperparameters.values)  # fmt: skip
        part = Part(hp, low, end) if up else Part(hp, end, high)
        old, new = before.edges[up], part.edges[up]
        which = "highest" if old == max(before.edges) else "lowest"
        text = (
            f"{hp.name}: {_short(values[0])}, the best value of stage {stage}, is among the"
            f" {which} of its range"
        )
        if _short(old) == _short(new):
            return part, f"{text}, and there are no valid values beyond {_short(old)}."
        return (
            part,
            f"{text}; stage {stage + 1} goes beyond its end {_short(old)} to {_short(new)}.",
        )

    def _valid_end(self, hp: Any, edge: float, beyond: float, values: dict[str, Any]) -> float:
        """Return the farthest position beyond an edge whose values are valid in a trial."""
        unit = 1 / (draws.count(hp) or math.inf) or abs(beyond) / PARTS
        step = math.copysign(unit, beyond)
        inside = 0.5 if draws.count(hp) else 1  # the middle of the part of a value
        for steps in range(math.ceil(abs(beyond) / unit - 1e-6), 0, -1):
            value = draws.value_at(hp, edge + (steps - 1 + inside) * step)
            if self._is_valid({**values, hp.name: value}):
                return edge + steps * step
        return edge

    def _is_valid(self, values: dict[str, Any]) -> bool:
        hp = kt.HyperParameters()
        hp.values = dict(values)
        try:
            recipe = self.searched.recipe(hp)
            zoo.resolve(recipe.model, **style_of(recipe))
        except ValueError:
            return False
        return True

    def describe(self, stage: int) -> list[str]:
        """Return the lines that describe a stage: its ranges, and remarks on values at edges."""
        parts, remarks = self.parts(stage)
        trials, epochs = self.stages[stage]
        size = f"stage {stage + 1}: {plural(trials, 'trial')} of {plural(epochs, 'epoch')}"
        where = " ".join(map(str, parts.values())) or "the whole space"
        return [f"{size}, {where}", *remarks]

    def why_it_ended(self) -> str:
        """Explain why there are fewer trials than planned, as a part of a sentence."""
        found = []
        for stage, (planned, _) in enumerate(self.stages):
            of_stage = self.of_stage(stage)
            if of_stage and all(self.merit(trial) is None for trial in of_stage):
                return f"no trial of stage {stage + 1} finished"
            if len(of_stage) < planned:
                recipes = plural(len(of_stage), "different recipe")
                found.append(f"stage {stage + 1} found only {recipes} in its ranges")
        return ", and ".join(found)

    def begun(self) -> list[dict[str, Any]]:
        """Return number, trials, epochs, ranges and remarks of each stage with trials, for JSON."""
        found = []
        for stage, (trials, epochs) in enumerate(self.stages):
            if self.of_stage(stage):
                parts, remarks = self.parts(stage)
                found.append(
                    {
                        "stage": stage + 1,
                        "trials": trials,
                        "epochs": epochs,
                        "ranges": [str(part) for part in parts.values()],
                        "remarks": remarks,
                    }
                )
        return found


def _stage_of(trial: Any) -> int:
    return int(trial.hyperparameters.values["tuner/stage"]) - 1


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
