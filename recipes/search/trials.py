"""The files of a search's trials: what a worker shall train, and how a trial has ended."""

import math
from pathlib import Path
from typing import Any, NamedTuple

import keras_tuner as kt
from keras_tuner.src.engine.trial import Trial

from recipes.recipe import to_json
from recipes.run import Run
from recipes.search.report import best_row, order_of, reason_of, short
from recipes.search.spaces.space import Space
from recipes.search.stopping import PROCESS
from recipes.training.selection import label_of
from zoo.files import write, write_json
from zoo.terminal import plural


class Ready(NamedTuple):
    """A trial that is ready to be trained, or why it is not trained.

    Attributes:
        error: why its recipe is not valid, or "".
        same: an earlier trial of the same recipe that runs, has finished, or failed because of it.
    """

    error: str = ""
    same: Trial | None = None


class Trials:
    """The trials of a search.

    Args:
        path: directory of the search.
        space: the space.
    """

    def __init__(self, path: Path, space: Space):
        self.path, self.space = path, space
        self.orders: dict[str, dict[str, Any]] = {}
        (path / "trials").mkdir(exist_ok=True)

    def prepare(self, oracle: kt.Oracle, trial: Trial) -> Ready:
        """Write the recipe of a trial for its worker."""
        try:
            recipe = self.space.recipe(trial.hyperparameters)
        except ValueError as wrong:
            return Ready(error=str(wrong))
        finally:
            oracle.update_space(trial.hyperparameters)
        before = self.order(trial.trial_id)
        order = {"recipe": to_json(recipe), "run": str(self.path / "trials" / trial.trial_id)}
        if "stopped" in before:
            order["stopped"] = before["stopped"]
        self._write(trial.trial_id, order)
        return Ready(same=self.same(oracle, trial))

    def same(self, oracle: kt.Oracle, trial: Trial) -> Trial | None:
        """Return an earlier trial of the same recipe that need not be trained again."""
        recipe = self.order(trial.trial_id)["recipe"]
        for other_id in oracle.start_order:
            other = oracle.trials[other_id]
            if other_id == trial.trial_id:
                return None
            order = self.order(other_id)
            if order.get("recipe") != recipe or "same_as" in order:
                continue
            if other.status != "FAILED" or not self.reason(other).startswith(PROCESS):
                return other
        return None

    def order(self, trial_id: str) -> dict[str, Any]:
        """Return the contents of trials/ID.json."""
        if trial_id not in self.orders:
            self.orders[trial_id] = order_of(self.path, trial_id)
        return self.orders[trial_id]

    def _write(self, trial_id: str, order: dict[str, Any]) -> None:
        write_json(self.path / "trials" / f"{trial_id}.json", order)
        self.orders[trial_id] = order

    def note_same(self, trial_id: str, other: str) -> None:
        """Record that a trial has the recipe of another one."""
        self._write(trial_id, self.order(trial_id) | {"same_as": other})

    def note_stop(self, trial_id: str, reason: str) -> None:
        """Record why a trial is stopped early; the first reason remains."""
        if not self.stopped(trial_id):
            self._write(trial_id, self.order(trial_id) | {"stopped": reason})

    def stopped(self, trial_id: str) -> str:
        """Return why a trial is stopped early, or ""."""
        return self.order(trial_id).get("stopped", "")

    def note_error(self, trial_id: str, message: str = "") -> str:
        """Record the error of a trial, unless its worker has done so; return it."""
        file = self.path / "trials" / f"{trial_id}.error"
        if message or not file.is_file():
            message = message or f"{PROCESS} ended without an error message"
            write(file, lambda out: out.write(message))
        return file.read_text("utf-8")

    def reason(self, trial: Trial) -> str:
        """Return in one line why a trial failed."""
        return reason_of(self.path, trial)

    def run(self, trial_id: str) -> Run:
        """Return the run of a trial."""
        return Run(self.path / "trials" / trial_id)

    def epochs(self, trial: Trial) -> int:
        """Return the number of epochs that a trial is to have."""
        return self.order(trial.trial_id)["recipe"].get("epochs", self.space.base.epochs)

    def reported(self, trial_id: str, by: str) -> dict[int, float]:
        """Return the metric of each finished epoch."""
        metrics = self.run(trial_id).metrics
        if by not in metrics:
            return {}
        return dict(zip(map(int, metrics["epoch"]), map(float, metrics[by]), strict=True))

    def score(self, trial_id: str, by: str) -> tuple[float | None, str]:
        """Return the score of a trained trial, or None and why it has none."""
        found = float(best_row(self.run(trial_id), by)[by])
        return (found, "") if math.isfinite(found) else (None, f"{by} is not a finite number")

    def describe(self, trial: Trial) -> str:
        """Return the hyperparameters of a trial in one line."""
        active = self.space.active(trial.hyperparameters.values)
        return ", ".join(f"{n}={short(v)}" for n, v in active.items())

    def outcome(self, trial: Trial) -> str:
        """Describe in one line how a trial has ended."""
        if trial.status == "FAILED":
            return f"failed: {self.reason(trial)}"
        if other := self.order(trial.trial_id).get("same_as"):
            return f"same as trial {other}, not trained again"
        metrics = self.run(trial.trial_id).metrics
        seconds = float(metrics["seconds"].sum())
        text = f"{label_of(self.space.base.select_by)} {trial.score:.4f}"
        text += f" after {plural(len(metrics), 'epoch')}, {seconds:.0f} s"
        return text + (f"; stopped: {why}" if (why := self.stopped(trial.trial_id)) else "")
