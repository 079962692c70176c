"""Arithmetic on pixels: conversion, sums over channels, blending, and random numbers.

TensorFlow's kernels are slow at broadcasting along a last axis of length three, at choosing
element by element, and at slices with a negative step. The functions here avoid them.
"""

from __future__ import annotations

from zoo.lazy import tensorflow as tf

# The weights of ITU-R 601, as in Pillow's mode L.
LUMA = (0.299, 0.587, 0.114)


def floats(image):
    """Convert an image to float32."""
    return tf.cast(image, tf.float32)


def like(x, dtype):
    """Clip floats to 0..255 and convert them to a data type, rounding for integers."""
    x = tf.clip_by_value(x, 0.0, 255.0)
    dtype = tf.as_dtype(dtype)
    if dtype.is_integer:
        x = tf.round(x)
    return tf.cast(x, dtype)


def scale_channels(x, scale, shift):
    """Return x * scale + shift for floats [H, W, C], with scale and shift [C]."""
    shape = tf.shape(x)
    rows = tf.reshape(x, tf.stack([shape[0], shape[1] * shape[2]]))
    rows = rows * tf.tile(scale, shape[1:2]) + tf.tile(shift, shape[1:2])
    return tf.ensure_shape(tf.reshape(rows, shape), x.shape)


def mix_channels(x, matrix):
    """Multiply each pixel of floats [H, W, C] by a matrix [C, D]."""
    shape = tf.shape(x)
    mixed = tf.matmul(tf.reshape(x, tf.stack([shape[0] * shape[1], shape[2]])), matrix)
    out = tf.concat([shape[:2], tf.shape(matrix)[1:]], 0)
    return tf.ensure_shape(tf.reshape(mixed, out), [*x.shape[:2], matrix.shape[1]])


def channel_means(x):
    """Return the mean of each channel, [C], of floats [H, W, C]."""
    shape = tf.shape(x)
    count = shape[0] * shape[1]
    pixels = tf.reshape(x, tf.stack([count, shape[2]]))
    ones = tf.ones(tf.stack([1, count]))
    return tf.matmul(ones, pixels)[0] / tf.cast(count, tf.float32)


def blend(x, other, factor):
    """Return other + factor * (x - other): `other` for 0, `x` for 1, an extrapolation above."""
    return factor * x + (1 - factor) * other


def uniforms(seed, count: int):
    """Return a list of `count` uniform random numbers in [0, 1)."""
    return tf.unstack(tf.random.stateless_uniform([count], seed))


def between(draw, low: float, high: float):
    """Map a uniform random number in [0, 1) to the range from low to high."""
    return low + draw * (high - low)


def sometimes(draw, probability: float, function, image):
    """Return function(image) if the random number is below the probability, else the image."""
    if probability == 1:
        return function(image)
    if probability == 0:
        return image
    result = tf.cond(draw < probability, lambda: function(image), lambda: image)
    return tf.ensure_shape(result, image.shape)


def sides(image):
    """Return height and width: ints if both are known, else int32 tensors."""
    height, width = image.shape[:2]
    if height is None or width is None:
        return tuple(tf.unstack(tf.shape(image)[:2]))
    return height, width


def paste(image, patch, box):
    """Replace a box of an image by a patch of the same size.

    Args:
        image: [..., H, W, C].
        patch: [..., height, width, C].
        box: top, left, height and width, int32.
    """
    top, left, height, width = box
    right, bottom = left + width, top + height
    middle = image[..., top:bottom, :, :]
    middle = tf.concat([middle[..., :left, :], patch, middle[..., right:, :]], -2)
    whole = tf.concat([image[..., :top, :, :], middle, image[..., bottom:, :, :]], -3)
    return tf.ensure_shape(whole, image.shape)
