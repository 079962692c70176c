"""Keep TensorFlow from fusing operations that it would fuse wrongly.

On a CPU, TensorFlow's graph remapper fuses chains of operations, such as convolution, bias,
addition and leaky ReLU, into one. For some chains, the fused operation fails or computes something
else. docs/fusion.md lists them; tools/fusion generates this list.
"""

import keras

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf


def unfused(x):
    """Return x after an operation that TensorFlow's remapper does not fuse with others.

    An identity does not help, because TensorFlow removes it before the remapper runs. A check of
    the shape copies nothing, has a gradient, and is supported by XLA and the converters.
    """
    if keras.backend.backend() != "tensorflow":
        return x
    return tf.ensure_shape(x, x.shape)
