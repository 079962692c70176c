"""Layers that act on each pixel by itself: activations with parameters, scalars, preprocessing."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class SwishBeta(keras.layers.Layer):
    """x * sigmoid(beta * x) with a learned beta a channel. Ramachandran et al. 2017."""

    def __init__(self, beta=1.0, **kwargs):
        super().__init__(**kwargs)
        self.initial = beta

    def build(self, input_shape):
        self.beta = self.add_weight(
            (input_shape[-1],), keras.initializers.Constant(self.initial), name="beta"
        )

    def call(self, inputs):
        return inputs * ops.sigmoid(self.beta * inputs)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "beta": self.initial}


@keras.saving.register_keras_serializable(package="zoo")
class Maxout(keras.layers.Layer):
    """The maximum of `pieces` neighbouring channels. Goodfellow et al. 2013.

    (batch, ..., channels * pieces) to (batch, ..., channels).
    """

    def __init__(self, pieces: int = 2, **kwargs):
        super().__init__(**kwargs)
        self.pieces = pieces

    def call(self, inputs):
        leading = ops.shape(inputs)[:-1]
        channels = inputs.shape[-1] // self.pieces
        return ops.max(ops.reshape(inputs, (*leading, channels, self.pieces)), axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], input_shape[-1] // self.pieces)

    def get_config(self):
        return {**super().get_config(), "pieces": self.pieces}


@keras.saving.register_keras_serializable(package="zoo")
class Scalar(keras.layers.Layer):
    """One learned number, added to all (from 0) or multiplied with all (from 1).

    What Fixup puts in the place of normalization: Zhang et al. 2019, section 3.2.
    """

    def __init__(self, multiply: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.multiply = multiply

    def build(self, input_shape):
        self.scalar = self.add_weight((), "ones" if self.multiply else "zeros", name="scalar")

    def call(self, inputs):
        return inputs * self.scalar if self.multiply else inputs + self.scalar

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "multiply": self.multiply}


_IN_CONFIG = 64


@keras.saving.register_keras_serializable(package="zoo")
class Affine(keras.layers.Layer):
    """(x - shift) * scale, then, with a matrix, the flattened image times the matrix.

    Preprocessing that a model carries with it: the constants are weights that no optimizer
    sees, always float32.

    Args:
        shift, scale: arrays that broadcast to an image: (), (channels,) or (height, width,
            channels).
        matrix: None, or (D, D) with D = height * width * channels.

    Input and output: (batch, height, width, channels).
    """

    def __init__(self, shift, scale=1.0, matrix=None, **kwargs):
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        arrays = {"shift": shift, "scale": scale, "matrix": matrix}
        self._initial = {
            name: np.asarray(value, "float32")
            for name, value in arrays.items()
            if value is not None
        }

    def build(self, input_shape):
        for name, value in self._initial.items():
            weight = self.add_weight(
                value.shape,
                lambda shape, dtype, v=value: ops.convert_to_tensor(v, dtype),
                trainable=False,
                name=name,
            )
            setattr(self, name, weight)

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        if "matrix" not in self._initial:
            return self._by_row(x)
        x = (x - self.shift) * self.scale
        shape = ops.shape(x)
        return ops.reshape(ops.matmul(ops.reshape(x, (shape[0], -1)), self.matrix), shape)

    def _by_row(self, x):
        """On a CPU numbers of a row are broadcast many times faster than those of 3 channels."""
        width, channels = x.shape[-2:]
        if width is None or max(len(w.shape) for w in (self.shift, self.scale)) > 1:
            return (x - self.shift) * self.scale
        shift, scale = (
            ops.tile(w, width) if len(w.shape) and w.shape[0] == channels else w
            for w in (self.shift, self.scale)
        )
        shape = ops.shape(x)
        rows = ops.reshape(x, (*shape[:-2], width * channels))
        return ops.reshape((rows - shift) * scale, shape)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        # Values of a few numbers stand in the config, so that a clone has them, too; a mean
        # image or a matrix is left to the weights.
        arrays = {
            name: value.tolist() if value.size <= _IN_CONFIG else {"shape": list(value.shape)}
            for name, value in self._initial.items()
        }
        return {**super().get_config(), **arrays}

    @classmethod
    def from_config(cls, config):
        for name in ("shift", "scale", "matrix"):
            if isinstance(config.get(name), dict):
                config[name] = np.full(config[name]["shape"], 1.0 if name == "scale" else 0.0)
        return cls(**config)
