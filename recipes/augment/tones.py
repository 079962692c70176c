"""Tone ops, which map pixel values: Invert, Solarize, Posterize, AutoContrast, Equalize."""

from __future__ import annotations

from dataclasses import dataclass

from recipes.augment.pixels import floats, like, scale_channels, sometimes, uniforms
from recipes.augment.registry import check_types, op, require, require_probability
from zoo.lazy import tensorflow as tf


@op
@dataclass(frozen=True)
class Invert:
    """Invert all pixel values (255 - x) with a probability, as in Pillow."""

    probability: float = 0.5

    def __post_init__(self):
        check_types(self)
        require_probability(self)

    def __call__(self, image, seed):
        return _sometimes(self, invert, image, seed)


@op
@dataclass(frozen=True)
class Solarize:
    """Invert pixel values of at least `threshold` with a probability, as in Pillow."""

    threshold: float = 128.0
    probability: float = 0.5

    def __post_init__(self):
        check_types(self)
        require(self, "threshold", 0 <= self.threshold <= 256, "from 0 to 256")
        require_probability(self)

    def __call__(self, image, seed):
        return _sometimes(self, lambda x: solarize(x, self.threshold), image, seed)


@op
@dataclass(frozen=True)
class Posterize:
    """Keep only the highest `bits` of each 8-bit value with a probability, as in Pillow."""

    bits: int = 4
    probability: float = 0.5

    def __post_init__(self):
        check_types(self)
        require(self, "bits", 1 <= self.bits <= 8, "from 1 to 8")
        require_probability(self)

    def __call__(self, image, seed):
        return _sometimes(self, lambda x: posterize(x, self.bits), image, seed)


@op
@dataclass(frozen=True)
class AutoContrast:
    """Stretch each channel to the range 0..255 with a probability, as in Pillow."""

    probability: float = 0.5

    def __post_init__(self):
        check_types(self)
        require_probability(self)

    def __call__(self, image, seed):
        return _sometimes(self, autocontrast, image, seed)


@op
@dataclass(frozen=True)
class Equalize:
    """Equalize the histogram of each channel with a probability, as in Pillow."""

    probability: float = 0.5

    def __post_init__(self):
        check_types(self)
        require_probability(self)

    def __call__(self, image, seed):
        return _sometimes(self, equalize, image, seed)


def invert(image):
    return tf.cast(255, image.dtype) - image


def solarize(image, threshold):
    """Invert values of at least the threshold; a threshold of 256 changes nothing."""
    if image.dtype == tf.uint8:
        high = tf.cast(image, tf.int16) >= tf.cast(tf.math.ceil(threshold), tf.int16)
        return tf.bitwise.bitwise_xor(image, tf.cast(high, tf.uint8) * 255)
    return image + tf.cast(image >= threshold, image.dtype) * (255 - 2 * image)


def posterize(image, bits):
    """Keep the highest `bits` of 8-bit values, given as uint8 or floats."""
    low = tf.bitwise.left_shift(1, 8 - tf.cast(bits, tf.int32)) - 1
    if image.dtype == tf.uint8:
        return tf.bitwise.bitwise_and(image, tf.cast(255 - low, tf.uint8))
    step = tf.cast(low + 1, image.dtype)
    return tf.floor(image / step) * step


def autocontrast(image):
    """Map the lowest value of each channel to 0 and the highest to 255, unless they are equal."""
    low, high = (floats(f(image, (0, 1))) for f in (tf.reduce_min, tf.reduce_max))
    stretch = tf.where(high > low, 255 / tf.maximum(high - low, 1e-6), 1.0)
    shift = tf.where(high > low, -low * stretch, 0.0)
    return like(scale_channels(floats(image), stretch, shift), image.dtype)


def equalize(image):
    """Equalize each channel as Pillow's ImageOps.equalize does; floats are rounded first."""
    channels = image.shape[-1]
    shape = tf.shape(image)
    # The values of channel c become 256 c to 256 c + 255, so that one table serves all channels.
    offsets = tf.tile(tf.range(channels) * 256, shape[1:2])
    values = tf.cast(tf.round(image) if image.dtype.is_floating else image, tf.int32)
    values = tf.reshape(values, tf.stack([shape[0], shape[1] * channels])) + offsets
    counts = tf.raw_ops.Bincount(
        arr=tf.reshape(values, [-1]), size=256 * channels, weights=tf.constant([], tf.int32)
    )
    counts = tf.reshape(counts, [channels, 256])
    last = tf.reduce_max(tf.where(counts > 0, tf.range(256), -1), 1, keepdims=True)
    of_last = tf.gather(counts, last, batch_dims=1)
    step = (shape[0] * shape[1] - of_last) // 255
    before = tf.cumsum(counts, 1, exclusive=True)
    table = tf.minimum((step // 2 + before) // tf.maximum(step, 1), 255)
    table = tf.cast(tf.where(step > 0, table, tf.range(256)), image.dtype)
    return tf.ensure_shape(
        tf.reshape(tf.gather(tf.reshape(table, [-1]), values), shape), image.shape
    )


def _sometimes(self, function, image, seed):
    (draw,) = uniforms(seed, 1)
    return sometimes(draw, self.probability, function, tf.convert_to_tensor(image))
