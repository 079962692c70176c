"""Callbacks for training: metrics of each epoch, gradient statistics and early stopping."""

import math
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from recipes import optimize
from recipes.optimize.gradient_stats import GradientStats, update_ratio, values
from recipes.recipe import Recipe
from recipes.run import write_metrics
from recipes.training.network import layer_not_finite
from recipes.training.selection import METRICS, best_epoch, stopped_early
from recipes.training.stopping import DivergedError

# Number of steps between checks of the loss, because each check waits for the step to finish.
_CHECK_EVERY = 20


class Record(keras.callbacks.Callback):
    """Record metrics in `rows` and metrics.csv, update the plateau, and stop the training.

    Args:
        path: run directory.
        recipe: recipe whose stop_on_nan, stop_at_loss and early_stopping are applied.
        rows: metrics of the finished epochs, one dict each.
        rate: learning rate schedule.
        plateau: Plateau to update with the validation loss, or None.
        monitored: dict whose current values are added to each epoch's row.
        first_loss: loss of the run's first step, or None before that step.

    Raises:
        DivergedError: if the loss or a weight is not finite, or the loss exceeds stop_at_loss
            times the first loss.
    """

    def __init__(
        self,
        path: Path,
        recipe: Recipe,
        rows: list[dict[str, Any]],
        rate: optimize.Schedule,
        plateau: optimize.Plateau | None,
        monitored: dict[str, float],
        first_loss: float | None = None,
    ):
        super().__init__()
        self.path, self.recipe, self.rows, self.rate = path, recipe, rows, rate
        self.plateau, self.monitored, self.first_loss = plateau, monitored, first_loss

    def on_epoch_begin(self, epoch, logs=None):
        self.started, self.epoch = time.monotonic(), epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        if self.first_loss is None or batch % _CHECK_EVERY == 0:
            self._check("loss", float(logs["loss"]))

    def on_epoch_end(self, epoch, logs=None):
        logs = {key: float(value) for key, value in (logs or {}).items()}
        for key in ("loss", "val_loss"):
            if key in logs:
                self._check(key, logs[key])
        if self.recipe.stop_on_nan:
            self._check_weights()
        seconds = round(time.monotonic() - self.started, 3)
        names = ("loss", "accuracy", *(n for n in METRICS if n.startswith("val_")))
        row = {"epoch": epoch + 1} | {n: logs[n] for n in names if n in logs}
        self.rows.append(row | {"lr": self._rate(), "seconds": seconds} | self.monitored)
        if self.plateau is not None:
            self.plateau.epoch_ended(logs["val_loss"])
        write_metrics(self.path, self.rows)
        if self.stopped_early:
            self.model.stop_training = True

    @property
    def stopped_early(self) -> bool:
        """Whether the recipe's early stopping ends the training after the epochs so far."""
        recipe = self.recipe
        return stopped_early(self.rows, recipe.early_stopping, recipe.select_by, recipe.min_delta)

    def _rate(self) -> float:
        return float(self.rate(self.model.optimizer.iterations - 1))  # of the last step

    def _check(self, key: str, loss: float) -> None:
        """Raise DivergedError if the mean loss of the epoch so far must stop the training."""
        rate = self._rate()
        where = f"{key}={loss:.4g} in epoch {self.epoch} at learning rate {rate:.3g}"
        facts = {"metric": key, "value": loss, "epoch": self.epoch, "lr": self.recipe.lr}
        facts["first_loss"] = self.first_loss
        if self.recipe.stop_on_nan and not math.isfinite(loss):
            raise DivergedError(
                f"{where}: the loss is not a finite number; use a lower lr, warmup or clip_norm, "
                "or continue anyway with --stop_on_nan=False",
                reason="nan", **facts,
            )  # fmt: skip
        if key != "loss":
            return
        if self.first_loss is None:
            self.first_loss = loss
        most = self.recipe.stop_at_loss
        if most is not None and loss > most * self.first_loss:
            raise DivergedError(
                f"{where}: the loss is more than {most:g} times the first loss, "
                f"{self.first_loss:.4g}; use a lower lr or warmup, or continue with "
                "--stop_at_loss=none (in Python, stop_at_loss=None)",
                reason="loss", **facts,
            )  # fmt: skip

    def _check_weights(self) -> None:
        """Raise DivergedError if the last steps of the epoch made a weight NaN or infinite.

        The loss of a step is that of the weights before its update.
        """
        if (layer := layer_not_finite(self.model)) is not None:
            rate = self._rate()
            raise DivergedError(
                f"weights of layer {layer!r} after epoch {self.epoch} at learning rate {rate:.3g}:"
                " NaN or infinite; use a lower lr, warmup or clip_norm, or continue anyway with"
                " --stop_on_nan=False",
                reason="nan", metric="weights", value=None, epoch=self.epoch, lr=self.recipe.lr,
                first_loss=self.first_loss,
            )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint stores in addition to the variables."""
        return {
            "epoch": len(self.rows),
            "rows": self.rows,
            "best": best_epoch(self.rows, self.recipe.select_by),
            "plateau": self.plateau.state if self.plateau else None,
            "first_loss": self.first_loss,
        }


class GradientStatsWriter(keras.callbacks.Callback):
    """Write gradient statistics to `row` and TensorBoard at intervals and at each epoch's end.

    Args:
        stats: statistics that the optimizer records, or None to measure nothing.
        every: number of steps between measurements.
        steps: number of steps per epoch.
        folder: folder of TensorBoard's files.
    """

    def __init__(self, stats: GradientStats | None, every: int, steps: int, folder: Path):
        super().__init__()
        self.stats, self.every, self.steps, self.folder = stats, every, steps, folder
        self.before: dict[str, list[np.ndarray]] | None = None
        self.row: dict[str, float] = {}  # the last measurement

    def on_train_begin(self, logs=None):
        if self.stats is not None:
            self.writer = tf.summary.create_file_writer(str(self.folder))

    def on_train_batch_begin(self, batch, logs=None):
        if self.stats is None:
            return
        if batch == self.steps - 1 or (batch + 1) % self.every == 0:
            self.before = {stage: values(own) for stage, own in self.stats.kernels.items()}

    def on_train_batch_end(self, batch, logs=None):
        if self.before is None or self.stats is None:
            return
        before, self.before = self.before, None
        read = (
            v.read_value().numpy() for v in (self.stats.squares, self.stats.dead, self.stats.units)
        )
        for stage, square, dead, units in zip(self.stats.stages, *read, strict=True):
            self.row[f"{stage}_gradient"] = math.sqrt(square)
            if units:
                after = values(self.stats.kernels[stage])
                self.row[f"{stage}_update"] = update_ratio(before[stage], after)
                self.row[f"{stage}_dead"] = float(dead / units)
        step = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        with self.writer.as_default(step):
            for name, value in self.row.items():
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
