"""Initializers that Keras does not have."""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="zoo")
class RandomWalk(keras.initializers.Initializer):
    """Random walk initialization: N(0, g^2 / N) with a gain g that keeps gradients stable.

    Sussillo & Abbott 2014, section 3. N is the fan-in. With the gain
    g = sqrt(2) exp(1.2 / (max(N, 6) - 2.4)) for ReLU, or exp(1 / (2 N)) for linear units, the
    logarithm of the gradient's norm does not drift with depth.

    Args:
        linear: whether to use the gain for linear units.
        seed: seed of the random generator.
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
    """An initializer whose values are generated in float32 and rounded to the variable's dtype.

    In half precision, Keras would generate other values from the same seed, and it has no
    orthogonal kernels, whose QR decomposition needs float32.

    Args:
        initializer: the initializer that generates the values.
    """

    def __init__(self, initializer):
        self.initializer = keras.initializers.get(initializer)

    def __call__(self, shape, dtype=None):
        return ops.cast(self.initializer(shape, dtype="float32"), dtype or "float32")

    def get_config(self):
        return {"initializer": keras.initializers.serialize(self.initializer)}
