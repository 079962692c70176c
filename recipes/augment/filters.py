"""Filters, which sum neighboring pixels: GaussianBlur, Sharpness."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recipes.augment.pixels import between, blend, floats, like, sometimes, uniforms
from recipes.augment.registry import check_types, op, require, require_probability
from zoo.lazy import tensorflow as tf


@op
@dataclass(frozen=True)
class GaussianBlur:
    """Blur with a Gaussian kernel of random width (SimCLR, Chen et al. 2020, appendix A).

    The image is mirrored at its border, and the kernel is cut off at three times the largest
    standard deviation.

    Args:
        deviation: the range of the standard deviation in pixels, drawn uniformly.
        probability: the probability that an image is blurred.
    """

    deviation: tuple[float, float] = (0.1, 2.0)
    probability: float = 0.5

    def __post_init__(self):
        check_types(self)
        low, high = self.deviation
        require(self, "deviation", 0 < low <= high <= 100, "a range of numbers above 0, up to 100")
        require_probability(self)

    def __call__(self, image, seed):
        draw, place = uniforms(seed, 2)
        deviation = between(place, *self.deviation)
        radius = math.ceil(3 * self.deviation[1])
        return sometimes(
            draw,
            self.probability,
            lambda x: blur(x, deviation, radius),
            tf.convert_to_tensor(image),
        )


@op
@dataclass(frozen=True)
class Sharpness:
    """Sharpen or smooth by a random factor, as Pillow's ImageEnhance.Sharpness does.

    A factor below 1 smooths and one above 1 sharpens. The pixels at the border are unchanged.

    Args:
        change: the range x of the factor, which is uniform from 1 - x (at least 0) to 1 + x.
        probability: the probability that an image is changed.
    """

    change: float = 0.9
    probability: float = 0.5

    def __post_init__(self):
        check_types(self)
        require(self, "change", 0 <= self.change < 100, "0 or more, and less than 100")
        require_probability(self)

    def __call__(self, image, seed):
        draw, place = uniforms(seed, 2)
        factor = between(place, max(0.0, 1 - self.change), 1 + self.change)
        return sometimes(
            draw,
            self.probability,
            lambda x: like(sharpness(floats(x), factor), x.dtype),
            tf.convert_to_tensor(image),
        )


def blur(image, deviation, radius: int):
    """Blur with a Gaussian kernel of 2 * radius + 1 weights along each axis."""
    places = tf.range(-radius, radius + 1, dtype=tf.float32)
    weights = tf.nn.softmax(-tf.square(places / deviation) / 2)
    x = floats(image)
    for axis in (0, 1):
        x = _along(_mirrored(x, radius, axis), weights, axis)
    return tf.ensure_shape(like(x, image.dtype), image.shape)


def sharpness(x, factor):
    """Blend float pixels with their 3x3 weighted mean, whose center has a weight of 5."""

    def sharpened():
        weights = tf.reshape(tf.constant([1, 1, 1, 1, 5, 1, 1, 1, 1]) / 13, [3, 3, 1, 1])
        kernel = tf.tile(tf.cast(weights, tf.float32), [1, 1, x.shape[-1], 1])
        smooth = tf.nn.depthwise_conv2d(x[None], kernel, [1, 1, 1, 1], "VALID")[0]
        middle = blend(x[1:-1, 1:-1], smooth, factor)
        rows = tf.concat([x[1:-1, :1], middle, x[1:-1, -1:]], 1)
        return tf.concat([x[:1], rows, x[-1:]], 0)

    if any(side is not None and side < 3 for side in x.shape[:2]):
        return x
    short = tf.reduce_min(tf.shape(x)[:2])
    return tf.ensure_shape(tf.cond(short < 3, lambda: x, sharpened), x.shape)


def _along(x, weights, axis: int):
    """Convolve with `weights` along an axis, without padding."""
    shape = [-1, 1, 1, 1] if axis == 0 else [1, -1, 1, 1]
    kernel = tf.tile(tf.reshape(weights, shape), [1, 1, x.shape[-1], 1])
    return tf.nn.depthwise_conv2d(x[None], kernel, [1, 1, 1, 1], "VALID")[0]


def _mirrored(x, radius: int, axis: int):
    """Pad `radius` pixels on each side of an axis, mirroring as many times as necessary."""
    length = tf.shape(x)[axis]
    period = tf.maximum(2 * (length - 1), 1)
    places = tf.math.floormod(tf.range(-radius, length + radius), period)
    return tf.gather(x, tf.minimum(places, period - places), axis=axis)
