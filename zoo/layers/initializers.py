"""Initializers that Keras lacks."""

import math

import keras


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
