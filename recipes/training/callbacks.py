"""Callbacks for training: metrics of each epoch, gradient statistics and early stopping."""

import math
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from recipes import optimize
from recipes.optimize.gradient_stats import GradientStats, update_ratio, values
from recipes.optimize.train_step import STEP_LOSS
from recipes.recipe import Recipe
from recipes.run import write_metrics
from recipes.training.network import layer_not_finite
from recipes.training.progress import Progress
from recipes.training.selection import METRICS, stopped_early
from recipes.training.steps import WINDOW, StepLog
from recipes.training.stopping import DivergedError


class Record(keras.callbacks.Callback):
    """Record the progress, metrics.csv and steps.csv, update the plateau, and stop the training.

    Args:
        path: run directory.
        recipe: recipe whose stop_on_nan, stop_at_loss and early_stopping are applied.
        progress: progress of the training, to which each step and epoch is added.
        steps: losses of the steps, to which each step is added.
        rate: learning rate schedule.
        plateau: Plateau to update with the validation loss, or None.

    Raises:
        DivergedError: if the loss or a weight is not finite, or the mean loss of an epoch or of 20
            steps exceeds stop_at_loss times the first loss.
    """

    def __init__(
        self,
        path: Path,
        recipe: Recipe,
        progress: Progress,
        steps: StepLog,
        rate: optimize.Schedule,
        plateau: optimize.Plateau | None,
    ):
        super().__init__()
        self.path, self.recipe, self.progress, self.steps = path, recipe, progress, steps
        self.rate, self.plateau = rate, plateau

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.monotonic() - self.progress.seconds

    def on_train_begin(self, logs=None):
        self.steps.begin(self.progress)

    def on_train_batch_end(self, batch, logs=None):
        progress = self.progress
        loss = logs.pop(STEP_LOSS)  # so that it is not shown as a metric
        progress.step += 1
        progress.logs = logs
        progress.seconds = time.monotonic() - self.started
        self.steps.add(loss, logs["accuracy"], progress.step)
        if progress.first_loss is None or not math.isfinite(loss):
            self.check("loss", loss)
        elif len(last := self.steps.last) == WINDOW:
            self.check("loss", sum(last) / WINDOW, f" (mean of the last {WINDOW} steps)")

    def on_epoch_end(self, epoch, logs=None):
        progress = self.progress
        self.write_steps()
        logs = {key: float(value) for key, value in (logs or {}).items()}
        for key in ("loss", "val_loss"):
            if key in logs:
                self.check(key, logs[key])
        if self.recipe.stop_on_nan and (layer := layer_not_finite(self.model)) is not None:
            raise self.weights_diverged(f"weights of layer {layer!r} after epoch {epoch + 1}")
        seconds = round(time.monotonic() - self.started, 3)
        names = ("loss", "accuracy", *(n for n in METRICS if n.startswith("val_")))
        row = {"epoch": epoch + 1} | {n: logs[n] for n in names if n in logs}
        progress.rows.append(row | {"lr": self._rate(), "seconds": seconds} | progress.stats)
        progress.step, progress.logs, progress.seconds = 0, {}, 0.0
        if self.plateau is not None:
            self.plateau.epoch_ended(logs["val_loss"])
            progress.plateau = self.plateau.state
        write_metrics(self.path, progress.rows)
        if self.stopped_early:
            self.model.stop_training = True

    @property
    def stopped_early(self) -> bool:
        """Whether the recipe's early stopping ends the training after the epochs so far."""
        recipe, rows = self.recipe, self.progress.rows
        return stopped_early(rows, recipe.early_stopping, recipe.select_by, recipe.min_delta)

    def write_steps(self) -> None:
        """Append the steps so far to steps.csv."""
        if self.steps.waiting:
            updates = keras.ops.convert_to_numpy(self.model.optimizer.iterations)
            self.steps.flush(self.rate, int(updates))

    def _rate(self) -> float:
        return float(self.rate(self.model.optimizer.iterations - 1))  # of the last step

    def check(self, key: str, loss: float, steps: str = "") -> None:
        """Raise DivergedError if a loss must stop the training.

        Args:
            key: "loss" or "val_loss".
            loss: its mean over the epoch so far, or over other steps.
            steps: the name of these steps.
        """
        rate, first = self._rate(), self.progress.first_loss
        epoch = self.progress.epoch + 1
        where = f"{key}={loss:.4g}{steps} in epoch {epoch} at learning rate {rate:.3g}"
        facts = {"metric": key, "value": loss, "epoch": epoch, "lr": self.recipe.lr}
        facts["first_loss"] = first
        if self.recipe.stop_on_nan and not math.isfinite(loss):
            self.write_steps()
            raise DivergedError(
                f"{where}: the loss is not a finite number; use a lower lr, warmup or clip_norm, "
                "or continue anyway with --stop_on_nan=False",
                reason="nan", **facts,
            )  # fmt: skip
        if key != "loss":
            return
        if first is None:
            self.progress.first_loss = first = loss
        most = self.recipe.stop_at_loss
        if most is not None and loss > most * first:
            self.write_steps()
            raise DivergedError(
                f"{where}: the loss is more than {most:g} times the first loss, "
                f"{first:.4g}; use a lower lr or warmup, or continue with "
                "--stop_at_loss=none (in Python, stop_at_loss=None)",
                reason="loss", **facts,
            )  # fmt: skip

    def weights_diverged(self, what: str) -> DivergedError:
        """Return the error for weights that the last steps have made NaN or infinite.

        The loss of a step is that of the weights before its update.
        """
        self.write_steps()
        return DivergedError(
            f"{what} at learning rate {self._rate():.3g}: NaN or infinite; use a lower lr, warmup"
            " or clip_norm, or continue anyway with --stop_on_nan=False",
            reason="nan", metric="weights", value=None, epoch=self.progress.epoch + 1,
            lr=self.recipe.lr, first_loss=self.progress.first_loss,
        )  # fmt: skip


class GradientStatsWriter(keras.callbacks.Callback):
    """Note gradient statistics, for TensorBoard as well, at intervals and at each epoch's end.

    Args:
        stats: statistics that the optimizer records, or None to measure nothing.
        progress: progress of the training, whose `stats` are updated.
        every: number of steps between measurements.
        steps: number of steps per epoch.
        folder: folder of TensorBoard's files.
    """

    def __init__(
        self, stats: GradientStats | None, progress: Progress, every: int, steps: int, folder: Path
    ):
        super().__init__()
        self.stats, self.progress = stats, progress
        self.every, self.steps, self.folder = every, steps, folder
        self.before: dict[str, list[np.ndarray]] | None = None

    def on_train_begin(self, logs=None):
        if self.stats is not None:
            self.writer = tf.summary.create_file_writer(str(self.folder))

    def on_train_batch_begin(self, batch, logs=None):
        if self.stats is None:
            return
        number = self.progress.step + 1
        if number == self.steps or number % self.every == 0:
            self.before = {stage: values(own) for stage, own in self.stats.kernels.items()}

    def on_train_batch_end(self, batch, logs=None):
        if self.before is None or self.stats is None:
            return
        before, self.before = self.before, None
        row = self.progress.stats
        read = (
            v.read_value().numpy() for v in (self.stats.squares, self.stats.dead, self.stats.units)
        )
        for stage, square, dead, units in zip(self.stats.stages, *read, strict=True):
            row[f"{stage}_gradient"] = math.sqrt(square)
            if units:
                after = values(self.stats.kernels[stage])
                row[f"{stage}_update"] = update_ratio(before[stage], after)
                row[f"{stage}_dead"] = float(dead / units)
        step = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        with self.writer.as_default(step):
            for name, value in row.items():
                stage, _, kind = name.rpartition("_")
                tf.summary.scalar(f"{kind}/{stage}", value)

    def on_train_end(self, logs=None):
        if self.stats is not None:
            self.writer.close()


class BuildOnce(keras.callbacks.Callback):
    """Let Keras build a model in the first training step only, not again in each validation.

    To build it, Keras adds the replicas' parts of a batch, which fails if their sizes differ. They
    differ if the validation set is smaller than a batch and not divisible by the replicas.
    """

    def on_train_begin(self, logs=None):
        self.model._maybe_symbolic_build = lambda **batches: None
