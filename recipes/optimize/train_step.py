"""A model for training with gradient accumulation or auxiliary heads."""

import keras
import tensorflow as tf

from recipes.recipe import Recipe


class TrainingModel(keras.Model):
    """A functional model that computes a batch in parts (gradient accumulation).

    Each update uses the gradient of the whole batch, but only the activations of one part are in
    memory. Batch norms compute their statistics from one part. Keras's gradient_accumulation_steps
    fails on several replicas (keras#20582).

    The first output is the network's; further outputs are auxiliary heads, whose losses are added
    in training, multiplied by `aux_weight` (Szegedy et al. 2014, section 5).
    """

    parts: int = 1
    aux_weight: float = 0.0

    def train_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        xs, ys = (tf.reshape(t, (self.parts, -1, *t.shape[1:])) for t in (x, y))
        each = [None] * self.parts
        if sample_weight is not None:
            each = tf.reshape(sample_weight, (self.parts, -1))
        weights = self.trainable_variables
        total: list = []
        for part in range(self.parts):
            # Without this order, the activations of all parts would be in memory at once.
            with tf.control_dependencies([g for g in total if g is not None]):
                with tf.GradientTape() as tape:
                    y_pred = self(tf.identity(xs[part]), training=True)
                    loss = self._compute_loss(xs[part], ys[part], y_pred, each[part], training=True)
                    scaled = self.optimizer.scale_loss(loss / self.parts)
                gradients = tape.gradient(scaled, weights)
                replicas = tf.distribute.get_strategy().num_replicas_in_sync
                self._loss_tracker.update_state(loss * replicas, tf.shape(xs)[1])
                metrics = self.compute_metrics(xs[part], ys[part], y_pred)
                total = [
                    g if t is None else t if g is None else t + g
                    for t, g in zip(total or [None] * len(gradients), gradients, strict=True)
                ]
        self.optimizer.apply_gradients(zip(total, weights, strict=True))
        return metrics

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        first, *others = _several(y_pred)
        loss = super().compute_loss(x, y, first, sample_weight, training)
        if training:
            for other in others:
                loss = loss + self.aux_weight * self.loss(y, other, sample_weight)
        return loss

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, y, _several(y_pred)[0], sample_weight)


def training_model(recipe: Recipe, model: keras.Model) -> keras.Model:
    """Return the model to train: the model itself, or a TrainingModel if the recipe needs one."""
    if recipe.accumulate == 1 and len(model.outputs) == 1:
        return model
    made = TrainingModel(inputs=model.inputs, outputs=model.outputs, name=model.name)
    made.parts, made.aux_weight = recipe.accumulate, recipe.aux_weight
    return made


def _several(outputs) -> list:
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
