"""Activations that TensorFlow does not fuse into the layers before them.

They are only used where fusing could be wrong; fusion.py explains why.
"""

import keras

from zoo.layers.elementwise import Maxout, SwishBeta
from zoo.layers.fusion import unfused
from zoo.layers.normalization import BatchNorm


@keras.saving.register_keras_serializable(package="zoo")
class Activation(keras.layers.Activation):
    """A keras.layers.Activation that TensorFlow does not fuse into the layer before it."""

    def call(self, inputs):
        return super().call(unfused(inputs))


@keras.saving.register_keras_serializable(package="zoo")
class LeakyReLU(keras.layers.LeakyReLU):
    """A keras.layers.LeakyReLU that TensorFlow does not fuse into the layer before it."""

    def call(self, inputs):
        return super().call(unfused(inputs))


@keras.saving.register_keras_serializable(package="zoo")
class Unfused(keras.layers.Layer):
    """The identity, placed before a user's activation layer so that it is not fused."""

    def call(self, inputs):
        return unfused(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


# These are computed correctly after every layer, fused or not. Everything else, such as a user's
# own function, counts as unknown.
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
    """Return whether TensorFlow computes an activation layer correctly after any other layer."""
    if type(layer) is keras.layers.ReLU:
        return not layer.negative_slope
    if type(layer) in (Activation, keras.layers.Activation):
        return layer.activation in _RIGHT_FUNCTIONS
    return type(layer) in _RIGHT_LAYERS


def _is_right_behind(layer, maker) -> bool:
    """Return whether TensorFlow computes an activation layer of Keras correctly after `maker`."""
    if is_right_everywhere(layer):
        return True
    kernel = isinstance(maker, (keras.layers.Conv2D, keras.layers.Dense))
    function = getattr(layer, "activation", None)
    if type(layer) is keras.layers.LeakyReLU or function is keras.activations.leaky_relu:
        return kernel or isinstance(maker, BatchNorm)
    return kernel and function in (keras.activations.tanh, keras.activations.mish)


def makers(layer) -> list:
    """Return the layers and operations that compute a layer's inputs.

    Layers that only pass their input on, such as dropout, are skipped.
    """
    found = []
    for node in layer._inbound_nodes:
        maker = _maker(node.input_tensors[0])
        passes_on = (keras.layers.Dropout, keras.layers.Identity, Unfused)
        found += makers(maker) if isinstance(maker, passes_on) else [maker]
    return found


def _maker(x):
    """Return the layer or operation that computes a symbolic tensor; None for other tensors."""
    return getattr(getattr(x, "_keras_history", None), "operation", None)


def reads_a_sum(layer) -> bool:
    """Return whether a layer reads the output of keras.layers.Add, keras.ops.add or x + y."""
    return any(type(maker).__name__ == "Add" for maker in makers(layer))


_UNFUSED = {keras.layers.Activation: Activation, keras.layers.LeakyReLU: LeakyReLU}


def protect(layer) -> None:
    """Keep TensorFlow from fusing a layer of a loaded model if the result could be wrong.

    This is for models of plain Keras layers, and for models that older versions of zoo saved.
    """
    if type(layer) not in _UNFUSED or is_right_everywhere(layer):
        return
    if reads_a_sum(layer) or any(
        isinstance(maker, BatchNorm) and not _is_right_behind(layer, maker)
        for maker in makers(layer)
    ):
        # In place, because the layer is part of the model's graph. Only its call method differs.
        object.__setattr__(layer, "__class__", _UNFUSED[type(layer)])


def activate(layer, x):
    """Apply an activation layer to x, or its unfused counterpart if fusing could be wrong."""
    if _is_right_behind(layer, _maker(x)):
        return layer(x)
    same = {"name": layer.name, "dtype": layer.dtype_policy}
    if type(layer) is keras.layers.Activation:
        return Activation(layer.activation, **same)(x)
    if type(layer) is keras.layers.LeakyReLU:
        return LeakyReLU(layer.negative_slope, **same)(x)
    return layer(Unfused(name=f"{layer.name}_unfused")(x))


def open_ended(x, name: str):
    """Return a feature map to which users add their own layers.

    If a sum or our batch norm computed it, it goes through Unfused, because an activation right
    after these could be fused wrongly.
    """
    maker = _maker(x)
    if not (type(maker).__name__ == "Add" or isinstance(maker, BatchNorm)):
        return x
    return Unfused(name=name)(x)
