"""Recompute the statistics of batch normalization for averaged weights and soups."""

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from zoo.graph import layers_of


def update_batch_norm(model: keras.Model, batches: Iterable) -> int:
    """Set batch norms to the mean statistics of image batches; return the number of norms."""
    norms = [
        layer
        for layer in layers_of(model)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    ]
    if not norms:
        return 0
    momenta = [layer.momentum for layer in norms]
    for layer in norms:
        layer.momentum = 0.0  # the moving statistics then equal the batch's
    step = tf.function(lambda images: model(images, training=True))
    held = [v for layer in norms for v in (layer.moving_mean, layer.moving_variance)]
    totals, count = [np.zeros(v.shape) for v in held], 0
    for images in batches:
        step(images)
        count += 1
        for total, v in zip(totals, held, strict=True):
            total += np.asarray(v, np.float64)
    for v, total in zip(held, totals, strict=True):
        v.assign(total / count)
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    return len(norms)
