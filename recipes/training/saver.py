"""The callback that writes checkpoints: at each epoch's end, within epochs, and when stopped."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from recipes import locking
from recipes.distribution.team import Team
from recipes.recipe import Recipe
from recipes.training import checkpoint
from recipes.training.callbacks import Record
from recipes.values import interval_of


class Saver(keras.callbacks.Callback):
    """Write checkpoints, and the best epoch's weights if the recipe keeps them.

    It is called after the callbacks that change the variables or the progress.

    Args:
        path: run directory.
        recipe: recipe whose checkpoint_every, keep_checkpoints, select and stop_on_nan are used.
        record: callback before this one, which updates the progress of the training.
        steps: number of steps of an epoch.
        validated: whether each epoch ends with a validation.
        identity: what identifies the experiment; see recipes.training.identity.
        whole: compiled network, of which only a part may be fitted.
        averages: optimize.Averages of the network, which are then kept as the best weights.
        team: the processes that train, which save at the same steps.
        check: function that raises KeyboardInterrupt if the process was asked to stop.
        again: how to continue then.
    """

    def __init__(
        self,
        path: Path,
        recipe: Recipe,
        record: Record,
        steps: int,
        validated: bool,
        identity: dict[str, Any],
        whole: keras.Model,
        averages: Any,
        team: Team,
        check: Callable[[], None],
        again: str = "the same command",
    ):
        super().__init__()
        self.path, self.recipe, self.steps, self.validated = path, recipe, steps, validated
        self.record, self.progress = record, record.progress
        self.identity, self.whole, self.averages = identity, whole, averages
        self.team, self.check, self.again = team, team.check(check), again
        self.every, self.seconds = interval_of(recipe.checkpoint_every)
        self._best: list[int] = []

    def on_train_begin(self, logs=None):
        self.saved = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        self._stop_if_asked()
        step = self.progress.step
        if step == self.steps and (self.every or not self.validated):
            return  # the end of the epoch saves, and without a validation at once
        due = (
            step % self.every == 0
            if self.every
            else self.team.any(time.monotonic() - self.saved >= self.seconds)
        )
        if due:
            self.save()

    def on_test_batch_end(self, batch, logs=None):
        self._stop_if_asked()

    def on_epoch_end(self, epoch, logs=None):
        state = self.progress.state(self.recipe.select_by)
        if self.recipe.select == "best" and state["best"] == state["epoch"]:
            model = checkpoint.arrays_of(checkpoint.weights(self.whole, self.averages))
            best = checkpoint.best_file(self.path, state["best"])
            checkpoint.save(best, model, {"epoch": state["epoch"]})
        self.save()
        # The previous checkpoints may still be needed, and so may their best weights.
        self._best = [*self._best, state["best"]][-self.recipe.keep_checkpoints :]
        if len(self._best) == self.recipe.keep_checkpoints:
            kept = {checkpoint.best_file(self.path, best) for best in self._best if best}
            for path in self.path.glob("best-*.npz"):
                if path not in kept:
                    path.unlink()
        self._stop_if_asked(saved=True)

    def save(self) -> None:
        """Write a checkpoint.

        Raises:
            DivergedError: if the loss has diverged, or a weight is NaN or infinite.
            ValueError: if the run directory was removed.
        """
        variables = checkpoint.variables(self.whole, self.averages)
        if self.progress.step:
            self.record.check("loss", self.progress.logs["loss"])
        if 0 < self.progress.step < self.steps:
            variables |= checkpoint.metrics(self.model)
        arrays = self.team.gathered(checkpoint.arrays_of(variables))
        if self.recipe.stop_on_nan:
            try:
                checkpoint.require_finite(arrays, of=self.progress.where(self.steps))
            except checkpoint.NotFiniteError as error:
                raise self.record.weights_diverged(str(error)) from error
        state = self.progress.state(self.recipe.select_by) | self.identity
        locking.require_held(self.path)
        self.record.write_steps()  # before the checkpoint, so that no step is ever missing
        checkpoint.rotate(self.path, self.recipe.keep_checkpoints)
        checkpoint.save(self.path / checkpoint.NEWEST, arrays, state)
        self.saved = time.monotonic()

    def _stop_if_asked(self, saved: bool = False) -> None:
        try:
            self.check()
        except KeyboardInterrupt as stop:
            if self.averages and self.averages.inside:  # in the middle of a validation
                self.averages.swap()
            if not saved:
                self.save()
            where = self.progress.where(self.steps)
            stop.args = (f"saved {where}; {self.again} continues there",)
            raise
