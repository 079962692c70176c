"""Ops that erase a random rectangle: Cutout, RandomErasing."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recipes.augment.pixels import between, paste, sometimes, uniforms
from recipes.augment.registry import check_types, op, require, require_probability
from zoo.lazy import tensorflow as tf

_TRIES = 10


@op
@dataclass(frozen=True)
class Cutout:
    """Fill a random square with a constant (DeVries & Taylor 2017, section 3).

    The center is a random pixel, so that part of the square may lie outside the image.

    Args:
        size: the side of the square in pixels: 16 on CIFAR-10 and 8 on CIFAR-100 in the paper.
        value: the constant, 0 to 255. The paper fills with zero after centering the pixels;
            here they are not centered yet, and 128 is close to their mean.
    """

    size: int = 16
    value: float = 128.0

    def __post_init__(self):
        check_types(self)
        require(self, "size", self.size >= 1, "1 or more pixels")
        require(self, "value", 0 <= self.value <= 255, "from 0 to 255")

    def __call__(self, image, seed):
        image = tf.convert_to_tensor(image)
        sides = tf.shape(image)[:2]
        draws = tf.random.stateless_uniform([2], seed)
        center = tf.minimum(tf.cast(draws * tf.cast(sides, tf.float32), tf.int32), sides - 1)
        first = tf.maximum(center - self.size // 2, 0)
        last = tf.minimum(center - self.size // 2 + self.size, sides)
        shape = tf.concat([last - first, tf.shape(image)[2:]], 0)
        patch = tf.fill(shape, tf.cast(self.value, image.dtype))
        return paste(image, patch, tf.unstack(tf.concat([first, last - first], 0)))


@op
@dataclass(frozen=True)
class RandomErasing:
    """Fill a random rectangle with noise or a constant (Zhong et al. 2017, section 3.2, RE-R).

    The image is unchanged if none of ten random rectangles fits in it.

    Args:
        probability: the probability that an image is changed.
        area: the range of the rectangle's area as a fraction of the image's, drawn uniformly.
        aspect: the range of the rectangle's height / width, drawn log-uniformly as in
            torchvision and timm. The paper draws it uniformly.
        value: the constant, 0 to 255; None for uniform noise from 0 to 255 in each pixel.
    """

    probability: float = 0.5
    area: tuple[float, float] = (0.02, 0.4)
    aspect: tuple[float, float] = (0.3, 1 / 0.3)
    value: float | None = None

    def __post_init__(self):
        check_types(self)
        require_probability(self)
        low, high = self.area
        require(self, "area", 0 < low <= high <= 1, "a range within 0..1")
        low, high = self.aspect
        require(self, "aspect", 0 < low <= high < math.inf, "a range of positive numbers")
        if self.value is not None:
            require(self, "value", 0 <= self.value <= 255, "from 0 to 255, or None")

    def __call__(self, image, seed):
        seeds = tf.random.split(seed, 2)
        (draw,) = uniforms(seeds[0], 1)
        return sometimes(
            draw,
            self.probability,
            lambda x: self._erased(x, seeds[1]),
            tf.convert_to_tensor(image),
        )

    def _erased(self, image, seed):
        seeds = tf.random.split(seed, 2)
        box, found = self._box(tf.shape(image), seeds[0])
        shape = tf.stack([box[2], box[3], tf.shape(image)[2]])

        def erased():
            if self.value is None:
                noise = tf.random.stateless_uniform(shape, seeds[1], 0, 256, tf.int32)
                patch = tf.cast(noise, image.dtype)
            else:
                patch = tf.fill(shape, tf.cast(self.value, image.dtype))
            return paste(image, patch, box)

        return tf.cond(found, erased, lambda: image)

    def _box(self, shape, seed):
        """Return top, left, height and width, int32, and whether any random rectangle fits."""
        height, width = tf.cast(shape[0], tf.float32), tf.cast(shape[1], tf.float32)
        draws = tf.random.stateless_uniform([4, _TRIES], seed)
        area = between(draws[0], *self.area) * height * width
        low, high = self.aspect
        root = tf.exp(between(draws[1], math.log(low), math.log(high)) / 2)
        heights, widths = tf.round(tf.sqrt(area) * root), tf.round(tf.sqrt(area) / root)
        fits = (heights >= 1) & (widths >= 1) & (heights <= height) & (widths <= width)
        first = tf.argmax(tf.cast(fits, tf.int32))
        h, w = heights[first], widths[first]
        top = tf.minimum(tf.floor(draws[2, first] * (height - h + 1)), height - h)
        left = tf.minimum(tf.floor(draws[3, first] * (width - w + 1)), width - w)
        return tf.unstack(tf.cast([top, left, h, w], tf.int32)), fits[first]
