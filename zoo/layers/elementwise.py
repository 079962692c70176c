"""Layers that process each pixel on its own: learned activations, scalars and preprocessing."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class SwishBeta(keras.layers.Layer):
    """x * sigmoid(beta * x) with a learned beta for each channel. Ramachandran et al. 2017.

    Args:
        beta: the initial value of all betas.
    """

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
    """The maximum of each `pieces` neighboring channels. Goodfellow et al. 2013.

    The input is (batch, ..., channels * pieces), the output (batch, ..., channels).
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
    """A single learned number that is added to all values, or multiplied with them.

    Fixup uses such numbers instead of normalization (Zhang et al. 2019, section 3.2).

    Args:
        multiply: whether to multiply (the initial value is 1) instead of adding (0).
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


_IN_CONFIG = 64  # arrays of up to this many numbers are stored in a layer's config


@keras.saving.register_keras_serializable(package="zoo")
class Affine(keras.layers.Layer):
    """Preprocessing as part of a model: (x - shift) * scale, then a product with a matrix.

    The constants are non-trainable float32 weights under every dtype policy.

    Args:
        shift, scale: arrays that broadcast to an image: (), (channels,) or (height, width,
            channels).
        matrix: array (D, D) with D = height * width * channels that the flattened image is
            multiplied with; None for no product.

    The input and the output are (batch, height, width, channels).
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
        """Shift and scale whole rows, which a CPU broadcasts many times faster than 3 channels."""
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
        # Small arrays are stored in the config, so that a clone has them, too. Of large ones, such
        # as a mean image or a matrix, it stores only the shape, and the weights hold the values.
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
