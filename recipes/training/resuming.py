"""Continue a training from a checkpoint: after an interruption, or after it has diverged."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from recipes import optimize
from recipes.data.types import Data
from recipes.distribution.team import Team
from recipes.recipe import Recipe
from recipes.run import Run
from recipes.training import checkpoint, fitting, identity
from recipes.training.progress import Progress
from recipes.training.stopping import DivergedError
from zoo.terminal import plural


def found(
    path: Path,
    recipe: Recipe,
    data: Data,
    wrong: Sequence[str],
    say: Callable[[str], Any],
    extended: bool = False,
) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Return the newest intact checkpoint of a run directory; None if it has none.

    Args:
        path: run directory.
        recipe, data: what is to be trained.
        wrong: what is wrong with the files of a finished run.
        say: function that prints a message.
        extended: whether the recipe may have more epochs than the run.

    Raises:
        ValueError: if it belongs to another experiment, all checkpoints are damaged, or a finished
            run cannot be continued or written again without it.
    """
    newest = checkpoint.newest(path, say, finite=recipe.stop_on_nan)
    if newest:
        identity.check(path, newest[1], recipe, data, extended)
    if wrong and not (newest and checkpoint.has_selected(path, recipe)):
        raise ValueError(
            f"run={str(path)!r}: {wrong[0]}, and there is no checkpoint to write it again from;"
            " start over with --fresh, or train with another --run"
        )
    if wrong:
        say(f"run={str(path)!r}: {wrong[0]}; it is written again from the checkpoint")
    elif Run(path).finished and not newest:
        raise ValueError(
            f"run={str(path)!r}: has no checkpoint from which it could be extended; continue"
            f" from its weights with --weights={path} and another --run"
        )
    return newest


class Resuming:
    """Everything that a checkpoint restores.

    Args:
        path: run directory.
        recipe: recipe of the run.
        progress: progress of the training.
        model: compiled network.
        averages: optimize.Averages of the network, or None.
        rate: learning rate schedule.
        plateau: Plateau of the schedule, or None.
        team: the processes that train.
    """

    def __init__(
        self,
        path: Path,
        recipe: Recipe,
        progress: Progress,
        model: keras.Model,
        averages: optimize.Averages | None,
        rate: optimize.Schedule,
        plateau: optimize.Plateau | None,
        team: Team,
    ):
        self.team = team
        self.path, self.recipe, self.progress, self.model = path, recipe, progress, model
        self.averages, self.rate, self.plateau = averages, rate, plateau
        self.metrics: dict[str, np.ndarray] = {}
        if plateau:
            progress.plateau = plateau.state

    def restore(self, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        """Assign the variables and the progress of a checkpoint.

        Raises:
            ValueError: if the checkpoint belongs to another network.
        """
        own, metrics = checkpoint.split(arrays)
        self.metrics = self.team.own(metrics)
        targets = checkpoint.variables(self.model, self.averages)
        checkpoint.assign(targets, own, of=f"the checkpoint in {self.path}")
        self.progress.restore(state)
        if self.plateau:
            self.plateau.set_state(state["plateau"])
        self._lower_rate()

    def fit(self, trained: keras.Model, *data: Any, say: Callable[[str], Any], **settings) -> None:
        """Train to the end, as `fitting.fit`; return to a checkpoint when the training diverges.

        Args:
            trained: model to fit, the network or a part of it.
            data: its training and validation data.
            say: function that prints a message.
            settings: further arguments of `fitting.fit`.

        Raises:
            DivergedError: if the training diverges once more than the recipe allows.
        """
        while True:
            try:
                return fitting.fit(
                    trained, *data, epochs=self.recipe.epochs, progress=self.progress,
                    metrics=self.metrics, **settings,
                )  # fmt: skip
            except DivergedError as error:
                before = list(self.progress.rollbacks)
                if len(before) >= self.recipe.rollbacks:
                    raise
                diverged = {"epoch": self.progress.epoch + 1, "step": self.progress.step}
                found = checkpoint.newest(self.path, say)
                if found is None:
                    raise
                self.restore(*found)
                to = {"to_epoch": self.progress.epoch + 1, "to_step": self.progress.step}
                self.progress.rollbacks = [
                    *before, {**diverged, **to, "reason": str(error.facts["reason"])}
                ]  # fmt: skip
                self._lower_rate()
                left = self.recipe.rollbacks - len(self.progress.rollbacks)
                say(
                    f"{error.args[0].split('; ')[0]}: back to the checkpoint"
                    f" {self.progress.where(settings['steps'])}, with"
                    f" {self._factor():.3g} times the learning rate"
                    f" ({plural(left, 'rollback')} left)"
                )

    def _factor(self) -> float:
        return self.recipe.rollback_factor ** len(self.progress.rollbacks)

    def _lower_rate(self) -> None:
        self.rate.scale.assign(self._factor())
