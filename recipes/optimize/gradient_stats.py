"""Gradient statistics of each stage during training: gradients, updates and dead units.

    STAGE_gradient   norm of the gradient, before weight decay and clipping
    STAGE_update     norm of a step's update of the kernels, divided by the norm of the kernels;
                     the lectures recommend about 1e-3
    STAGE_dead       fraction of units (output channels of a kernel) without any gradient from
                     the whole batch; before a ReLU, those that no image activates

The optimizer records its own gradients after their sum over replicas, and kernels are compared
before and after a step. Nothing is computed a second time.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from zoo.graph import layers_of
from zoo.surgery import stage_of


def stage_of_each(model: keras.Model) -> dict[str, str]:
    """Return path of a trainable variable -> stage of its layer."""
    return {v.path: stage_of(x) for x in layers_of(model) for v in x.trainable_variables}


def is_kernel(variable) -> bool:
    """Return whether a variable is a kernel, not a bias or a parameter of a norm or activation."""
    return variable.path.endswith("kernel")


def kernels(model: keras.Model) -> dict[str, list[keras.Variable]]:
    """Return the trainable kernels of each stage."""
    home = stage_of_each(model)
    found: dict[str, list[keras.Variable]] = {}
    for variable in filter(is_kernel, model.trainable_variables):
        found.setdefault(home[variable.path], []).append(variable)
    return found


def values(variables: list[keras.Variable]) -> list[np.ndarray]:
    """Return copies of the variables' values."""
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def update_ratio(before: list[np.ndarray], after: list[np.ndarray]) -> float:
    """Return |update| / |weights| of a stage; 0 without an update, infinite if weights are 0."""
    pairs = list(zip(before, after, strict=True))
    with np.errstate(over="ignore", invalid="ignore"):
        moved = math.sqrt(sum(float(np.sum(np.square(b - a, dtype="d"))) for a, b in pairs))
        size = math.sqrt(sum(float(np.sum(np.square(a, dtype="d"))) for a, _ in pairs))
    if not moved:
        return 0.0
    return moved / size if size else math.inf


class GradientStats:
    """Squared gradient norms and numbers of dead units of the last step, for each stage.

    An optimizer calls `record` in its step. Create the object inside the strategy's scope.

    Args:
        model: model whose trainable variables the optimizer updates.
    """

    def __init__(self, model: keras.Model):
        home = stage_of_each(model)
        self.kernels = kernels(model)
        self.places = [(home[v.path], is_kernel(v)) for v in model.trainable_variables]
        self.stages = tuple(dict.fromkeys(stage for stage, _ in self.places))
        self.squares, self.dead, self.units = (self._numbers() for _ in range(3))

    def _numbers(self) -> tf.Variable:
        # One replica is enough, because the summed gradients are equal on all replicas.
        return tf.Variable(
            tf.zeros(len(self.stages)),
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def record(self, gradients: list, indices: list[int]) -> None:
        """Record statistics of the gradients of the variables with these indices."""
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
