"""Activations that TensorFlow does not fuse into the layer before them where it does so wrongly.

On a CPU, TensorFlow's graph remapper turns chains such as convolution, bias, addition and leaky
ReLU into one operation. For some activations that operation fails, or computes something else:
docs/fusion.md has the list. The layers here begin with an operation that the remapper does not
look through and that costs nothing. They are used only where a chain could be rewritten wrongly.
"""

import keras

from zoo.layers.elementwise import Maxout, SwishBeta
from zoo.layers.normalization import BatchNorm

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf


def unfused(x):
    """Return x behind an operation that keeps TensorFlow's remapper from fusing over it.

    An identity would not do, because the optimizers before the remapper remove it. Checking the
    shape copies nothing, has a gradient, and is known to XLA and to the converters.
    """
    if keras.backend.backend() != "tensorflow":
        return x
    return tf.ensure_shape(x, x.shape)


@keras.saving.register_keras_serializable(package="zoo")
class Activation(keras.layers.Activation):
    """keras.layers.Activation that is not fused into the layer before it."""

    def call(self, inputs):
        return super().call(unfused(inputs))


@keras.saving.register_keras_serializable(package="zoo")
class LeakyReLU(keras.layers.LeakyReLU):
    """keras.layers.LeakyReLU that is not fused into the layer before it."""

    def call(self, inputs):
        return super().call(unfused(inputs))


@keras.saving.register_keras_serializable(package="zoo")
class Unfused(keras.layers.Layer):
    """The identity, placed before an activation layer of the user's that is not fused."""

    def call(self, inputs):
        return unfused(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


# Behind every layer, these are computed correctly: fused, or not fused at all. What is not
# listed, such as a user's own function, counts as unknown.
_RIGHT_LAYERS = (
    keras.layers.ELU,
    keras.layers.PReLU,
    keras.layers.Softmax,
    Maxout,
    SwishBeta,
)
_RIGHT_FUNCTIONS = tuple(
    getattr(keras.activations, name)
    for name in (
        *("celu", "elu", "gelu", "hard_sigmoid", "hard_silu", "linear", "relu", "relu6"),
        *("selu", "sigmoid", "silu", "softmax", "softplus"),
    )
)


def is_right_everywhere(layer) -> bool:
    """Whether TensorFlow computes an activation layer correctly behind every other layer."""
    if type(layer) is keras.layers.ReLU:
        return not layer.negative_slope
    if type(layer) in (Activation, keras.layers.Activation):
        return layer.activation in _RIGHT_FUNCTIONS
    return type(layer) in _RIGHT_LAYERS


def _is_right_behind(layer, maker) -> bool:
    """Whether TensorFlow computes a keras.layers.* activation correctly right behind `maker`."""
    if is_right_everywhere(layer):
        return True
    kernel = isinstance(maker, (keras.layers.Conv2D, keras.layers.Dense))
    function = getattr(layer, "activation", None)
    if type(layer) is keras.layers.LeakyReLU or function is keras.activations.leaky_relu:
        return kernel or isinstance(maker, BatchNorm)
    return kernel and function in (keras.activations.tanh, keras.activations.mish)


def activate(layer, x):
    """Return layer(x) for an activation layer, by an unfused layer where fusing could be wrong."""
    maker = getattr(getattr(x, "_keras_history", None), "operation", None)
    if _is_right_behind(layer, maker):
        return layer(x)
    same = {"name": layer.name, "dtype": layer.dtype_policy}
    if type(layer) is keras.layers.Activation:
        return Activation(layer.activation, **same)(x)
    if type(layer) is keras.layers.LeakyReLU:
        return LeakyReLU(layer.negative_slope, **same)(x)
    return layer(Unfused(name=f"{layer.name}_unfused")(x))
