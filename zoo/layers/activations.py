"""Activations that TensorFlow does not fuse into the layers before them.

They are used where fusing could be wrong, and only there: fusion.py says why.
"""

import keras

from zoo.layers.elementwise import Maxout, SwishBeta
from zoo.layers.fusion import unfused
from zoo.layers.normalization import BatchNorm


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


def makers(layer) -> list:
    """The layers and operations whose outputs a layer reads, past those that pass them on."""
    found = []
    for node in layer._inbound_nodes:
        maker = _maker(node.input_tensors[0])
        passes_on = (keras.layers.Dropout, keras.layers.Identity, Unfused)
        found += makers(maker) if isinstance(maker, passes_on) else [maker]
    return found


def _maker(x):
    """The layer or operation that made a symbolic tensor; None for a tensor of numbers."""
    return getattr(getattr(x, "_keras_history", None), "operation", None)


def reads_a_sum(layer) -> bool:
    """Whether a layer reads the output of keras.layers.Add, keras.ops.add or x + y."""
    return any(type(maker).__name__ == "Add" for maker in makers(layer))


_UNFUSED = {keras.layers.Activation: Activation, keras.layers.LeakyReLU: LeakyReLU}


def protect(layer) -> None:
    """Make a layer of a loaded model unfused if fusing it could be wrong.

    Models of plain Keras layers need it, and those that zoo saved before it had these layers.
    """
    if type(layer) not in _UNFUSED or is_right_everywhere(layer):
        return
    if reads_a_sum(layer) or any(
        isinstance(maker, BatchNorm) and not _is_right_behind(layer, maker)
        for maker in makers(layer)
    ):
        # In place, for the layer stands in the graph of the model; only its call differs.
        object.__setattr__(layer, "__class__", _UNFUSED[type(layer)])


def activate(layer, x):
    """Return layer(x) for an activation layer, by an unfused layer where fusing could be wrong."""
    if _is_right_behind(layer, _maker(x)):
        return layer(x)
    same = {"name": layer.name, "dtype": layer.dtype_policy}
    if type(layer) is keras.layers.Activation:
        return Activation(layer.activation, **same)(x)
    if type(layer) is keras.layers.LeakyReLU:
        return LeakyReLU(layer.negative_slope, **same)(x)
    return layer(Unfused(name=f"{layer.name}_unfused")(x))


def open_ended(x, name: str):
    """Return maps for a user's layers: behind Unfused if an activation of theirs is in danger.

    They are if a sum or a batch norm of ours made them.
    """
    maker = _maker(x)
    if not (type(maker).__name__ == "Add" or isinstance(maker, BatchNorm)):
        return x
    return Unfused(name=name)(x)
