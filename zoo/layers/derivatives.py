"""Gradients outside of training, with TensorFlow and JAX."""

from collections.abc import Callable

import keras
from keras import ops

BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "jax":
    import jax


def gradients(f: Callable, x):
    """Return f(x) and the gradient of its sum with respect to the tensor x.

    Raises:
        ValueError: the backend is neither TensorFlow nor JAX.
    """
    if BACKEND == "tensorflow":
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        return y, tape.gradient(y, x, unconnected_gradients="zero")
    if BACKEND == "jax":
        y, back = jax.vjp(f, x)
        return y, back(ops.ones_like(y))[0]
    raise ValueError(
        f"KERAS_BACKEND={BACKEND}: gradients need another backend; set it to tensorflow or jax"
    )
