"""Averages of the weights over the steps of a training."""

import keras
import tensorflow as tf
from keras import ops

from recipes.values import average_of

DECAY = 0.95  # of the averages of "lookahead:K" in one step, at the end of the training


class Averages(keras.callbacks.Callback):
    """Average all float variables of a model, including the statistics of norms.

        ema:D    a = d * a + (1 - d) * w,  d = min(D, (1 + n) / (10 + n)) at step n, starting
                 with the initial weights: tf.train.ExponentialMovingAverage with num_updates,
                 as the authors of MobileNet and EfficientNet use it
        polyak   a = the mean of w over all steps (Polyak and Juditsky 1992)
        swa:N    a = the mean of w at the ends of the last N epochs, and w before them (Izmailov
                 et al. 2018, algorithm 1). The statistics of norms must then be recomputed
                 (section 3.2) with optimize.update_batch_norm.
        lookahead:K:A   after every K steps, a = a + A * (w - a) and w = a (Zhang et al. 2019,
                 algorithm 1); a starts with the initial weights
        lookahead:K     the same with a share that falls during the training,
                 A = 1 - 0.95^K * (step / steps)^3 (Jordan 2024, section 3.4, and his code)

    The averages replace the weights during validation and are swapped out afterwards.

    Args:
        model: compiled model, whose optimizer counts the steps.
        kind: "ema:D", "polyak", "swa:N", "lookahead:K" or "lookahead:K:A".
        steps: number of steps of the training, for "lookahead:K".
    """

    def __init__(self, model: keras.Model, kind: str, steps: int):
        super().__init__()
        self.kind, self.number, self.share = average_of(kind)
        self.epoch, self.steps = 0, steps
        self.iterations = model.optimizer.iterations
        self.sources = [v for v in model.variables if v.dtype.startswith(("float", "bfloat"))]
        self.variables = [
            keras.Variable(ops.convert_to_numpy(v), trainable=False, dtype=v.dtype, name=v.name)
            for v in self.sources
        ]
        self.inside = False
        self._step = tf.function(self._average)
        self._swap = tf.function(self._exchange)

    def _average(self, epochs):
        """Update the averages. `epochs` is how many of the last N epochs of "swa" have ended."""
        n = tf.cast(self.iterations.value, tf.float32)
        share = 1 / tf.maximum(n, 1)  # n is 0 while loss scaling skips the first steps
        if self.kind == "ema":
            share = 1 - tf.minimum(self.number, (1 + n) / (10 + n))
        elif self.kind == "swa":
            share = 1 / tf.cast(epochs, tf.float32)
        elif self.kind == "lookahead":
            share = self.share or 1 - DECAY**self.number * (n / self.steps) ** 3
        for average, variable in zip(self.variables, self.sources, strict=True):
            change = variable.value - average.value
            average.value.assign_add(tf.cast(share, change.dtype) * change)
            if self.kind == "lookahead":
                variable.value.assign(average.value)

    def _exchange(self):
        for average, variable in zip(self.variables, self.sources, strict=True):
            held = tf.identity(variable.value)
            with tf.control_dependencies([held]):
                change = variable.value.assign(tf.identity(average.value))
            with tf.control_dependencies([change]):
                average.value.assign(held)

    def swap(self) -> None:
        """Swap the averages and the weights."""
        self.inside = not self.inside
        self._swap()

    def of(self, variables) -> list[keras.Variable]:
        """Return the average of each variable, or the variable itself if it has none."""
        own = {id(v): a for v, a in zip(self.sources, self.variables, strict=True)}
        return [own.get(id(v), v) for v in variables]

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        # Here, because validation takes place before on_epoch_end.
        ended = 1
        if self.kind == "swa":
            if batch + 1 < self.params["steps"]:
                return
            ended = max(1, self.epoch + 1 - int(self.params["epochs"] - self.number))
        elif self.kind == "lookahead" and int(self.iterations) % self.number:
            return
        self._step(tf.constant(ended))

    def on_test_begin(self, logs=None):
        self.swap()

    def on_test_end(self, logs=None):
        self.swap()
