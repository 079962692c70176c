"""Images as numbers: floats and back, sums over colours, blends, and draws from a seed.

TensorFlow's kernels are slow at broadcasting along a last axis of three, at choosing by
element and at slices of negative step; what stands here goes around them.
"""

from __future__ import annotations

from zoo.lazy import tensorflow as tf

# Of ITU-R 601, as Pillow's mode L.
LUMA = (0.299, 0.587, 0.114)


def floats(image):
    """`image` as float32."""
    return tf.cast(image, tf.float32)


def like(x, dtype):
    """Floats `x` as another data type, within 0..255; rounded to integers."""
    x = tf.clip_by_value(x, 0.0, 255.0)
    dtype = tf.as_dtype(dtype)
    if dtype.is_integer:
        x = tf.round(x)
    return tf.cast(x, dtype)


def scale_channels(x, scale, shift):
    """x * scale + shift, each of one number a channel, on floats [H, W, C]."""
    shape = tf.shape(x)
    rows = tf.reshape(x, tf.stack([shape[0], shape[1] * shape[2]]))
    rows = rows * tf.tile(scale, shape[1:2]) + tf.tile(shift, shape[1:2])
    return tf.ensure_shape(tf.reshape(rows, shape), x.shape)


def mix_channels(x, matrix):
    """Each pixel of floats [H, W, C] times a matrix [C, D]."""
    shape = tf.shape(x)
    mixed = tf.matmul(tf.reshape(x, tf.stack([shape[0] * shape[1], shape[2]])), matrix)
    out = tf.concat([shape[:2], tf.shape(matrix)[1:]], 0)
    return tf.ensure_shape(tf.reshape(mixed, out), [*x.shape[:2], matrix.shape[1]])


def channel_means(x):
    """The mean of each channel of floats [H, W, C], [C]."""
    shape = tf.shape(x)
    count = shape[0] * shape[1]
    pixels = tf.reshape(x, tf.stack([count, shape[2]]))
    ones = tf.ones(tf.stack([1, count]))
    return tf.matmul(ones, pixels)[0] / tf.cast(count, tf.float32)


def blend(x, other, factor):
    """other + factor * (x - other): 0 is `other`, 1 is `x`, more goes beyond."""
    return factor * x + (1 - factor) * other


def uniforms(seed, count: int):
    """`count` draws from 0 to 1, a list of scalars."""
    return tf.unstack(tf.random.stateless_uniform([count], seed))


def between(draw, low: float, high: float):
    """A draw from 0 to 1 as one from low to high."""
    return low + draw * (high - low)


def sometimes(draw, probability: float, function, image):
    """function(image) where the draw falls below the probability, else the image."""
    if probability == 1:
        return function(image)
    if probability == 0:
        return image
    result = tf.cond(draw < probability, lambda: function(image), lambda: image)
    return tf.ensure_shape(result, image.shape)


def sides(image):
    """Height and width: ints where both are known, else int32 tensors."""
    height, width = image.shape[:2]
    if height is None or width is None:
        return tuple(tf.unstack(tf.shape(image)[:2]))
    return height, width


def paste(image, patch, box):
    """`image` [..., H, W, C] with `patch`, of the size of `box`, in its place.

    Args:
        box: top, left, height and width, int32.
    """
    top, left, height, width = box
    right, bottom = left + width, top + height
    middle = image[..., top:bottom, :, :]
    middle = tf.concat([middle[..., :left, :], patch, middle[..., right:, :]], -2)
    whole = tf.concat([image[..., :top, :, :], middle, image[..., bottom:, :, :]], -3)
    return tf.ensure_shape(whole, image.shape)
