"""The model that is fitted: with the loss of each step, in parts, and with auxiliary heads."""

import threading
from typing import Any

import keras
import tensorflow as tf

from recipes.recipe import Recipe

STEP_LOSS = "step_loss"


class TrainingModel(keras.Model):
    """A functional model that logs the loss of each step, and may compute a batch in parts.

    The logs of a training step contain "step_loss", the loss of its own batch before the update.
    Keras's "loss" is the mean over the steps of the epoch so far.

    With several parts (gradient accumulation), each update uses the gradient of the whole batch,
    but only the activations of one part are in memory. Batch norms compute their statistics from
    one part. Keras's gradient_accumulation_steps fails on several replicas (keras#20582).

    The first output is the network's; further outputs are auxiliary heads, whose losses are added
    in training, multiplied by `aux_weight` (Szegedy et al. 2014, section 5).
    """

    parts: int = 1
    aux_weight: float = 0.0
    batch_losses: dict[int, Any]  # of the step being traced; each replica has its own thread

    def train_step(self, data):
        if self.parts > 1:
            return self._step_in_parts(data)
        logs = super().train_step(data)  # calls compute_loss
        return {**logs, STEP_LOSS: self.batch_losses.pop(threading.get_ident()) * _replicas()}

    def _step_in_parts(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        xs, ys = (tf.reshape(t, (self.parts, -1, *t.shape[1:])) for t in (x, y))
        each = [None] * self.parts
        if sample_weight is not None:
            each = tf.reshape(sample_weight, (self.parts, -1))
        weights = self.trainable_variables
        total: list = []
        losses = []
        for part in range(self.parts):
            # Without this order, the activations of all parts would be in memory at once.
            with tf.control_dependencies([g for g in total if g is not None]):
                with tf.GradientTape() as tape:
                    y_pred = self(tf.identity(xs[part]), training=True)
                    loss = self._compute_loss(xs[part], ys[part], y_pred, each[part], training=True)
                    scaled = self.optimizer.scale_loss(loss / self.parts)
                gradients = tape.gradient(scaled, weights)
                losses.append(loss * _replicas())
                self._loss_tracker.update_state(losses[-1], tf.shape(xs)[1])
                metrics = self.compute_metrics(xs[part], ys[part], y_pred)
                total = [
                    g if t is None else t if g is None else t + g
                    for t, g in zip(total or [None] * len(gradients), gradients, strict=True)
                ]
        self.optimizer.apply_gradients(zip(total, weights, strict=True))
        return {**metrics, STEP_LOSS: tf.reduce_mean(tf.stack(losses))}  # adds in a fixed order

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        first, *others = _several(y_pred)
        loss = super().compute_loss(x, y, first, sample_weight, training)
        if training:
            for other in others:
                loss = loss + self.aux_weight * self.loss(y, other, sample_weight)
            if self.parts == 1:
                self.batch_losses[threading.get_ident()] = loss
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, _several(y_pred)[0], sample_weight)

    def _get_metrics_result_or_logs(self, logs):
        # Keras returns the logs of the last step instead of the metrics if their names differ.
        return super()._get_metrics_result_or_logs({n: logs[n] for n in logs if n != STEP_LOSS})


def training_model(recipe: Recipe, model: keras.Model) -> TrainingModel:
    """Return the model to fit, which shares the layers of the given one."""
    single = len(model.outputs) == 1
    outputs = model.outputs[0] if single else model.outputs
    made = TrainingModel(inputs=model.input, outputs=outputs, name=model.name)
    made.batch_losses = {}
    made.parts, made.aux_weight = recipe.accumulate, recipe.aux_weight
    return made


def _replicas() -> int:
    return tf.distribute.get_strategy().num_replicas_in_sync


def _several(outputs) -> list:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
