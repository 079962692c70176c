"""What is watched while a network trains: by stage, updates, gradients and dead units.

    STAGE_gradient   the norm of the gradient, before the decay and the clip
    STAGE_update     the norm of what a step added to the kernels, over that of the kernels: the
                     lectures want about 1e-3
    STAGE_dead       the share of units (output channels of a kernel) without any gradient from
                     the whole batch: behind a ReLU, those that no image turned on

The gradients are those of the step itself, looked at where the optimizer has their sum over
replicas; kernels are compared before and after it. Nothing is computed a second time.
"""

import math
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from zoo.graph import layers_of
from zoo.surgery import stage_of


class Gauges:
    """The last step's squared gradient norms and units without gradient, by stage.

    An optimizer calls `record` in its step. Make it in the strategy's scope.

    Args:
        model: its trainable variables must be those of the optimizer.
    """

    def __init__(self, model: keras.Model):
        home = {
            variable.path: stage_of(layer)
            for layer in layers_of(model)
            for variable in layer.trainable_variables
        }
        self.variables = list(model.trainable_variables)
        self.stage_of_each = [home[v.path] for v in self.variables]
        self.stages = tuple(dict.fromkeys(self.stage_of_each))
        self.squares, self.dead, self.units = (self._numbers() for _ in range(3))

    def _numbers(self) -> tf.Variable:
        # One replica's: after the sum the gradients are equal on all.
        return tf.Variable(
            tf.zeros(len(self.stages)),
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def record(self, gradients: list, indices: list[int]) -> None:
        """Keep what is said of gradients of the variables with these indices."""
        squares: dict[str, list] = {stage: [] for stage in self.stages}
        dead: dict[str, list] = {stage: [] for stage in self.stages}
        units: dict[str, list] = {stage: [] for stage in self.stages}
        for gradient, i in zip(gradients, indices, strict=True):
            if gradient is None:
                continue
            gradient = tf.cast(gradient, tf.float32)
            stage = self.stage_of_each[i]
            if len(gradient.shape) < 2:
                squares[stage].append(tf.reduce_sum(tf.square(gradient)))
                continue
            of_units = tf.reduce_sum(tf.square(gradient), list(range(len(gradient.shape) - 1)))
            squares[stage].append(tf.reduce_sum(of_units))
            dead[stage].append(tf.reduce_sum(tf.cast(of_units == 0, tf.float32)))
            units[stage].append(float(of_units.shape[0]))
        for variable, found in ((self.squares, squares), (self.dead, dead), (self.units, units)):
            variable.assign([tf.add_n(found[s]) if found[s] else 0.0 for s in self.stages])


class Monitoring(keras.callbacks.Callback):
    """Measures the last step of each epoch and every so many, into `row` and TensorBoard.

    Args:
        gauges: what the optimizer records; None for nothing to do.
        every: steps from one measured to the next.
        steps: of an epoch.
        folder: of TensorBoard's files.
    """

    def __init__(self, gauges: Gauges | None, every: int, steps: int, folder: Path):
        super().__init__()
        self.gauges, self.every, self.steps, self.folder = gauges, every, steps, folder
        self.kernels: list[tuple[str, keras.Variable]] = []
        self.before: list[np.ndarray] | None = None
        self.row: dict[str, float] = {}  # the last measurement's

    def on_train_begin(self, logs=None):
        if self.gauges is not None:
            variables = zip(self.gauges.stage_of_each, self.gauges.variables, strict=True)
            self.kernels = [(stage, v) for stage, v in variables if len(v.shape) >= 2]
            self.writer = tf.summary.create_file_writer(str(self.folder))

    def on_train_batch_begin(self, batch, logs=None):
        if self.gauges is None:
            return
        if batch == self.steps - 1 or (batch + 1) % self.every == 0:
            self.before = [keras.ops.convert_to_numpy(v).copy() for _, v in self.kernels]

    def on_train_batch_end(self, batch, logs=None):
        if self.before is None or self.gauges is None:
            return
        moved, size = (dict.fromkeys(self.gauges.stages, 0.0) for _ in range(2))
        for (stage, variable), before in zip(self.kernels, self.before, strict=True):
            change = keras.ops.convert_to_numpy(variable) - before
            moved[stage] += float(np.vdot(change, change))
            size[stage] += float(np.vdot(before, before))
        self.before = None
        read = (
            v.read_value().numpy()
            for v in (self.gauges.squares, self.gauges.dead, self.gauges.units)
        )
        for stage, square, dead, units in zip(self.gauges.stages, *read, strict=True):
            self.row[f"{stage}_gradient"] = math.sqrt(square)
            if units:
                self.row[f"{stage}_update"] = math.sqrt(moved[stage] / size[stage])
                self.row[f"{stage}_dead"] = float(dead / units)
        step = int(keras.ops.convert_to_numpy(self.model.optimizer.iterations))
        with self.writer.as_default(step):
            for name, value in self.row.items():
                stage, _, kind = name.rpartition("_")
                tf.summary.scalar(f"{kind}/{stage}", value)

    def on_train_end(self, logs=None):
        if self.gauges is not None:
            self.writer.close()
