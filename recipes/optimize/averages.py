"""Averages of a network's variables over the steps of its training."""

import keras
import tensorflow as tf
from keras import ops

from recipes.ranges import average_of


class Averages(keras.callbacks.Callback):
    """Averages every float variable of a model, norm statistics too, after each step.

        ema:D    a = d * a + (1 - d) * w,  d = min(D, (1 + n) / (10 + n)) at step n, from the
                 first weights: tf.train.ExponentialMovingAverage with num_updates, as the
                 authors of MobileNet and EfficientNet use it
        polyak   a = the mean of w over all steps. Polyak and Juditsky 1992

    What is validated is the averages: they change places with the weights meanwhile.

    Args:
        model: compiled; its optimizer counts the steps.
        kind: "ema:D" or "polyak".
    """

    def __init__(self, model: keras.Model, kind: str):
        super().__init__()
        self.decay = average_of(kind)
        self.iterations = model.optimizer.iterations
        self.sources = [v for v in model.variables if v.dtype.startswith(("float", "bfloat"))]
        self.variables = [
            keras.Variable(ops.convert_to_numpy(v), trainable=False, dtype=v.dtype, name=v.name)
            for v in self.sources
        ]
        self.inside = False
        self._step = tf.function(self._average)
        self._swap = tf.function(self._exchange)

    def _average(self):
        n = tf.cast(self.iterations.value, tf.float32)
        share = 1 / n
        if self.decay is not None:
            share = 1 - tf.minimum(self.decay, (1 + n) / (10 + n))
        for average, variable in zip(self.variables, self.sources, strict=True):
            change = variable.value - average.value
            average.value.assign_add(tf.cast(share, change.dtype) * change)

    def _exchange(self):
        for average, variable in zip(self.variables, self.sources, strict=True):
            held = tf.identity(variable.value)
            with tf.control_dependencies([held]):
                change = variable.value.assign(tf.identity(average.value))
            with tf.control_dependencies([change]):
                average.value.assign(held)

    def swap(self) -> None:
        """Put the averages in the weights' place, or back."""
        self.inside = not self.inside
        self._swap()

    def of(self, variables) -> list[keras.Variable]:
        """For each of the model's variables its average, or itself where it has none."""
        own = {id(v): a for v, a in zip(self.sources, self.variables, strict=True)}
        return [own.get(id(v), v) for v in variables]

    def on_train_batch_end(self, batch, logs=None):
        self._step()

    def on_test_begin(self, logs=None):
        self.swap()

    def on_test_end(self, logs=None):
        self.swap()
