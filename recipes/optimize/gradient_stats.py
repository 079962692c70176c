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

import keras
import numpy as np
import tensorflow as tf

from zoo.graph import layers_of
from zoo.surgery import stage_of


def stage_of_each(model: keras.Model) -> dict[str, str]:
    """The path of each trainable variable -> the stage of its layer."""
    return {v.path: stage_of(x) for x in layers_of(model) for v in x.trainable_variables}


def is_kernel(variable) -> bool:
    """Whether it is a kernel: no bias, and no parameter of a norm or an activation."""
    return variable.path.endswith("kernel")


def kernels(model: keras.Model) -> dict[str, list[keras.Variable]]:
    """The trainable kernels of each stage."""
    home = stage_of_each(model)
    found: dict[str, list[keras.Variable]] = {}
    for variable in filter(is_kernel, model.trainable_variables):
        found.setdefault(home[variable.path], []).append(variable)
    return found


def values(variables: list[keras.Variable]) -> list[np.ndarray]:
    """Copies of what variables hold."""
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def update_ratio(before: list[np.ndarray], after: list[np.ndarray]) -> float:
    """|update| / |weights| of a stage; 0 where nothing moves, without weights infinite."""
    pairs = list(zip(before, after, strict=True))
    with np.errstate(over="ignore", invalid="ignore"):
        moved = math.sqrt(sum(float(np.sum(np.square(b - a, dtype="d"))) for a, b in pairs))
        size = math.sqrt(sum(float(np.sum(np.square(a, dtype="d"))) for a, _ in pairs))
    if not moved:
        return 0.0
    return moved / size if size else math.inf


class Gauges:
    """The last step's squared gradient norms and units without gradient, by stage.

    An optimizer calls `record` in its step. Make it in the strategy's scope.

    Args:
        model: its trainable variables must be those of the optimizer.
    """

    def __init__(self, model: keras.Model):
        home = stage_of_each(model)
        self.kernels = kernels(model)
        self.places = [(home[v.path], is_kernel(v)) for v in model.trainable_variables]
        self.stages = tuple(dict.fromkeys(stage for stage, _ in self.places))
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
            stage, kernel = self.places[i]
            if not kernel:
                squares[stage].append(tf.reduce_sum(tf.square(gradient)))
                continue
            of_units = tf.reduce_sum(tf.square(gradient), list(range(len(gradient.shape) - 1)))
            squares[stage].append(tf.reduce_sum(of_units))
            dead[stage].append(tf.reduce_sum(tf.cast(of_units == 0, tf.float32)))
            units[stage].append(float(of_units.shape[0]))
        for variable, found in ((self.squares, squares), (self.dead, dead), (self.units, units)):
            variable.assign([tf.add_n(found[s]) if found[s] else 0.0 for s in self.stages])
