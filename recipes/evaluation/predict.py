"""Compute the scores of a network on a split, averaged over views and dropout masks."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from recipes.data.batches import evaluation_batches
from recipes.evaluation import metrics
from zoo.graph import unwrapped
from zoo.terminal import plural

DROPOUTS = (
    keras.layers.Dropout,  # and its subclasses for drop_path and SpatialDropout
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
)


def predict(model, batches, verbose=0) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores and labels, each [N, classes], of a dataset in one pass.

    The labels pass through the network alongside the images, so that both have the same order
    under every distribution strategy.
    """
    labels = keras.Input(model.output_shape[1:], name="labels")
    passed = keras.layers.Identity(dtype="float32", name="passed_labels")(labels)
    both = keras.Model([*model.inputs, labels], [*model.outputs, passed])
    scores, truth = both.predict(batches.map(lambda x, y: ((x, y),)), verbose=verbose)
    return np.asarray(scores), np.asarray(truth)


def average_views(
    model, shape: tuple[int, ...], masks: int = 1, weights: tuple[float, ...] | None = None
):
    """Return a model from views [B, V, H, W, C] to the logarithm of their mean probabilities.

    Args:
        model: a model that returns logits.
        shape: the shape of an image's views, (V, H, W, C).
        masks: how many times each view is evaluated, with a different dropout mask each time if
            `model` has dropout switched on.
        weights: the weight of each view, with the sum 1; None if all are equal.

    Returns:
        A model whose output is [B, classes] in float64, in which probabilities very close to 1
        keep their precision.
    """
    count = shape[0] * masks
    images = keras.Input(shape, name="views")
    x = ops.reshape(images, (-1, *shape[1:]))
    logits = model(ops.repeat(x, masks, axis=0) if masks > 1 else x)
    log_p = ops.log_softmax(ops.cast(logits, "float64"), axis=-1)
    log_p = ops.reshape(log_p, (-1, count, model.output_shape[-1]))
    if weights is None:
        return keras.Model(images, ops.logsumexp(log_p, axis=1) - math.log(count))
    shares = np.log(np.repeat(weights, masks)[:, None] / masks)
    return keras.Model(images, ops.logsumexp(log_p + shares, axis=1))


class AlwaysTraining(keras.layers.Layer):
    """Run a layer in training mode whatever the mode of the network."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, inputs):
        return self.inner(inputs, training=True)

    def compute_output_shape(self, input_shape):
        return input_shape


class AddNoise(keras.layers.Layer):
    """Add Gaussian noise of a standard deviation, in inference, too."""

    def __init__(self, deviation: float, seed: int, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.deviation = deviation
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, inputs):
        noise = keras.random.normal(ops.shape(inputs), dtype="float32", seed=self.generator)
        return inputs + self.deviation * noise

    def compute_output_shape(self, input_shape):
        return input_shape


def with_dropout(model, seed: int):
    """Return the network with dropout switched on (Monte Carlo dropout, Gal & Ghahramani 2016).

    All other layers are shared with `model` and work as in inference. The masks are a function
    of the seed, the sequence of batches, and the replica that processes them.

    Raises:
        ValueError: the network has no dropout.
    """
    found = []

    def switched_on(layer):
        if not isinstance(layer, DROPOUTS) or not layer.rate:
            return layer
        found.append(layer.name)
        digest = hashlib.sha256(f"{seed}/{layer.name}".encode()).digest()
        config = layer.get_config() | {"seed": int.from_bytes(digest[:4], "big") >> 1}
        inner = type(layer).from_config(config)
        return AlwaysTraining(inner, name=layer.name, dtype=layer.dtype_policy)

    dropped = keras.models.clone_model(unwrapped(model), clone_function=switched_on, recursive=True)
    if not found:
        raise ValueError(
            "the network has no dropout or drop_path, so there are no dropout masks to average;"
            " omit mc_dropout"
        )
    return dropped


def evaluate_split(model, split, classes: int, recipe, verbose: Any = 0) -> dict[str, Any]:
    """Evaluate a model on all images of a split, preprocessed by the recipe's eval_ops.

    Returns:
        The metrics of `metrics.accuracy_and_loss` and `metrics.by_class`, with lists in the order
        of the classes, and "loss_of", the name of the loss (see `metrics.loss_of`).

    Raises:
        RuntimeError: the number of evaluated images is not that of the split.
    """
    images_and_labels = evaluation_batches(
        split, classes=classes, batch=recipe.batch_size, ops=recipe.eval_ops
    )
    logits, labels = predict(model, images_and_labels, verbose)
    if len(logits) != split.count:
        raise RuntimeError(f"evaluated {len(logits)} of {plural(split.count, 'image')}")
    images = labels.sum(axis=0).astype(int)
    found = metrics.by_class(metrics.confusion(logits, labels), images)
    basic = metrics.accuracy_and_loss(logits, labels)
    return basic | found | {"loss_of": metrics.loss_of([recipe.loss])}
