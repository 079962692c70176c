"""Outputs and gradients of layers, and their comparison."""

import numpy as np
import tensorflow as tf


def random(*shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def outputs_and_gradients(function, variables, x, weights):
    """Return y = function(x), and the gradients of sum(weights * y) by x and the variables."""
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
        loss = tf.reduce_sum(tf.cast(y, tf.float32) * weights[tuple(map(slice, y.shape))])
    return [y, *tape.gradient(loss, [x, *variables])]


def assert_all_close(got, expected, tolerance=1e-4):
    for a, b in zip(got, expected, strict=True):
        a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, np.abs(b).max()))
