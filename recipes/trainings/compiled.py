"""A compiled epoch of training steps, and a compiled evaluation, of one network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from recipes import optimize
from recipes.optimize.gradient_stats import is_kernel
from recipes.recipe import Recipe, replace

_BATCH = 512  # images that are evaluated at a time


class Compiled:
    """A network whose epochs run inside TensorFlow, and are compiled once.

    The learning rate, the momentum and the weight decay are variables, and so are the weights, the
    states of random layers and those of the optimizer.

    Args:
        network: network from preprocessed images to logits.
        recipe: recipe whose optimizer, schedule and loss are used.
        steps: number of steps per epoch, for the schedule.
        classes: number of classes.
    """

    def __init__(self, network: keras.Model, recipe: Recipe, steps: int, classes: int):
        self.network = network
        self.loss, self.aux_weight = optimize.loss(recipe), recipe.aux_weight
        self.class_weight = None if recipe.class_weight is None else tf.Variable(tf.ones(classes))
        self._make_optimizer(recipe, steps)
        self.kernels = [v for v in network.trainable_variables if is_kernel(v)]
        self.restarted = [np.array(v) for v in self.optimizer.variables]
        weights = {id(v) for v in network.weights}
        self.states = [v for v in network.variables if id(v) not in weights]
        self.epoch = tf.function(self._epoch, autograph=False)
        self.piped_epoch = tf.function(self._piped_epoch, autograph=False)
        self.evaluate = tf.function(self._evaluate, autograph=False, reduce_retracing=True)

    def _make_optimizer(self, recipe: Recipe, steps: int) -> None:
        # The schedule is one of a learning rate of 1, and its factor the learning rate.
        self.decay = keras.Variable(recipe.weight_decay, trainable=False, name="weight_decay")
        self.momentum = keras.Variable(recipe.momentum, trainable=False, name="momentum")
        # SGD has velocities only if its momentum is not 0 when it is made.
        velocities = {} if recipe.momentum else {"momentum": 0.9}
        recipe = replace(recipe, lr=1.0, stats_every=0, **velocities)
        rate = optimize.schedule(recipe, steps)
        made = optimize.optimizer(recipe, rate, self.network)
        if isinstance(made, (optimize.SGD, optimize.RMSProp)):
            made.momentum = self.momentum
        if isinstance(made, optimize.AdamW):
            made.weight_decay = self.decay
        elif not isinstance(made, optimize.Adam):
            made.decay = self.decay
        made.build(self.network.trainable_variables)
        self.rate, self.optimizer = rate.factor, made

    def set_optimizer(self, lr: float, momentum: float, weight_decay: float) -> None:
        """Set the hyperparameters, and reset the optimizer to its initial state."""
        for variable, value in zip(self.optimizer.variables, self.restarted, strict=True):
            variable.assign(value)
        self.rate.assign(lr)
        self.momentum.assign(momentum)
        self.decay.assign(weight_decay)

    def _epoch(self, images, labels, order, count, masks: dict[str, Any], ratios: bool):
        """Train `count` steps on images in memory.

        Args:
            images, labels: all training images, preprocessed, and their one-hot labels.
            order: positions of the images of each batch, [steps, batch].
            count: number of steps.
            masks: 0 or 1 for each weight, by path; where 0, a weight is not updated.
            ratios: whether to measure the ratio of update to weights.

        Returns:
            Loss, accuracy and ratios [kernels] of each step, up to the first loss that is not
            finite.
        """

        def batch(step):
            rows = order[step]
            return tf.gather(images, rows), tf.gather(labels, rows)

        return self._steps(batch, count, masks, ratios)

    def _piped_epoch(self, batches, count, masks: dict[str, Any], ratios: bool):
        """Train `count` steps on the batches of an iterator; otherwise like `_epoch`."""
        return self._steps(lambda step: next(batches), count, masks, ratios)

    def _steps(self, batch: Callable, count, masks: dict[str, Any], ratios: bool):
        width = len(self.kernels) if ratios else 0

        def one(step, finite, *tables):
            images, labels = batch(step)
            found = self._update(images, labels, masks, ratios)
            written = (table.write(step, x) for table, x in zip(tables, found, strict=True))
            return step + 1, tf.math.is_finite(found[0]), *written

        tables = [
            tf.TensorArray(tf.float32, size=count, element_shape=shape)
            for shape in ([], [], [width])
        ]
        done, _, *tables = tf.while_loop(
            lambda step, finite, *_: tf.logical_and(step < count, finite), one,
            (tf.constant(0), tf.constant(True), *tables), parallel_iterations=1,
        )  # fmt: skip
        return [table.gather(tf.range(done)) for table in tables]

    def _update(self, images, labels, masks: dict[str, Any], ratios: bool):
        network = self.network
        weight = None if self.class_weight is None else tf.linalg.matvec(labels, self.class_weight)
        with tf.GradientTape() as tape:
            first, *auxiliary = keras.tree.flatten(network(images, training=True))
            loss = self.loss(labels, first, weight)
            for other in auxiliary:
                loss = loss + self.aux_weight * self.loss(labels, other, weight)
        variables = network.trainable_variables
        gradients = [
            g * masks[v.path] if g is not None and v.path in masks else g
            for g, v in zip(tape.gradient(loss, variables), variables, strict=True)
        ]
        before = [tf.convert_to_tensor(v) for v in self.kernels] if ratios else []
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        for variable in variables:
            if variable.path in masks:  # Muon moves weights without a gradient, too
                variable.assign(variable * masks[variable.path])
        moved = [
            tf.norm(tf.convert_to_tensor(v) - old) / tf.norm(old)
            for v, old in zip(self.kernels if ratios else [], before, strict=True)
        ]
        accuracy = tf.reduce_mean(tf.cast(_right(labels, first), tf.float32))
        return loss, accuracy, tf.stack(moved) if moved else tf.zeros([0])

    def _evaluate(self, images, labels):
        """Return the mean loss, and whether each image is classified correctly, [N].

        Auxiliary heads are not used.
        """
        count = tf.shape(images)[0]
        batches = (count + _BATCH - 1) // _BATCH

        def some(number, loss, right):
            rows = slice(number * _BATCH, (number + 1) * _BATCH)
            x, y = images[rows], labels[rows]
            first, *_ = keras.tree.flatten(self.network(x, training=False))
            loss = loss + tf.cast(tf.shape(x)[0], tf.float32) * self.loss(y, first)
            return number + 1, loss, right.write(number, _right(y, first))

        table = tf.TensorArray(tf.bool, size=batches, infer_shape=False, element_shape=[None])
        _, loss, right = tf.while_loop(
            lambda number, *_: number < batches, some,
            (tf.constant(0), tf.constant(0.0), table), parallel_iterations=1,
        )  # fmt: skip
        return loss / tf.cast(count, tf.float32), right.concat()


def _right(labels, logits):
    return tf.equal(tf.argmax(labels, -1), tf.argmax(logits, -1))
