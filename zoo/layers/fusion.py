"""What keeps TensorFlow from fusing operations that it would fuse wrongly.

On a CPU, TensorFlow's graph remapper turns chains of operations, such as convolution, bias,
addition and leaky ReLU, into one. For some chains that one fails, or computes something else:
docs/fusion.md has the list, and tools/fusion makes it.
"""

import keras

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf


def unfused(x):
    """Return x behind an operation that TensorFlow's remapper does not look through.

    An identity would not do, because the optimizers before the remapper remove it. Checking the
    shape copies nothing, has a gradient, and is known to XLA and to the converters.
    """
    if keras.backend.backend() != "tensorflow":
        return x
    return tf.ensure_shape(x, x.shape)
