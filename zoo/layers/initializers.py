"""Initializers that Keras lacks."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class RandomWalk(keras.initializers.Initializer):
    """N(0, g^2 / N): the gain g keeps the logarithm of the gradient's norm from drifting.

    Sussillo & Abbott 2014, section 3: g = sqrt(2) exp(1.2 / (max(N, 6) - 2.4)) for ReLU and
    exp(1 / (2 N)) for linear units, N being what one output sees.
    """

    def __init__(self, linear: bool = False, seed=None):
        self.linear, self.seed = linear, seed

    def __call__(self, shape, dtype=None):
        n = math.prod(shape[:-1])
        gain = math.exp(0.5 / n) if self.linear else 2**0.5 * math.exp(1.2 / (max(n, 6) - 2.4))
        return keras.random.normal(shape, 0.0, gain / n**0.5, dtype=dtype, seed=self.seed)

    def get_config(self):
        return {"linear": self.linear, "seed": self.seed}


@keras.saving.register_keras_serializable(package="zoo")
class DrawnInFloat32(keras.initializers.Initializer):
    """The values that `initializer` draws in float32, rounded to the dtype of the variable.

    The generators draw other values in half precision, so that a seed would start another
    network there, and the QR decomposition of an orthogonal kernel exists in float32 only.
    """

    def __init__(self, initializer):
        self.initializer = keras.initializers.get(initializer)

    def __call__(self, shape, dtype=None):
        return ops.cast(self.initializer(shape, dtype="float32"), dtype or "float32")

    def get_config(self):
        return {"initializer": keras.initializers.serialize(self.initializer)}
