"""Color ops: ColorJitter, Grayscale, Lighting."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from recipes.augment.pixels import (
    LUMA,
    between,
    blend,
    channel_means,
    floats,
    like,
    mix_channels,
    scale_channels,
    sometimes,
    uniforms,
)
from recipes.augment.registry import check_types, op, require, require_probability
from zoo.lazy import tensorflow as tf

# The principal components of ImageNet's colors, one per column, and the shift along each, in
# pixel values, for noise with a standard deviation of 1. They are those of fb.resnet.torch,
# because AlexNet's paper does not print its own.
COMPONENTS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)
WEIGHTS = (0.2175 * 255, 0.0188 * 255, 0.0045 * 255)


@op
@dataclass(frozen=True)
class ColorJitter:
    """Change brightness, contrast, saturation and hue in random order (Howard 2013).

    The operations are those of Pillow and torchvision: a blend with black, with the mean gray
    level and with the grayscale image, and a rotation of the hue in HSV. Images with one
    channel keep their saturation and hue.

    Args:
        brightness, contrast, saturation: the range x of each factor, which is uniform from
            1 - x (at least 0) to 1 + x.
        hue: the largest rotation in either direction, as a fraction of the color circle.
    """

    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.0

    def __post_init__(self):
        check_types(self)
        for name in ("brightness", "contrast", "saturation"):
            require(self, name, 0 <= getattr(self, name) < 100, "0 or more, and less than 100")
        require(self, "hue", 0 <= self.hue <= 0.5, "from 0 to 0.5")

    def __call__(self, image, seed):
        image = tf.convert_to_tensor(image)
        draws = uniforms(seed, 5)
        ranges = (self.brightness, self.contrast, self.saturation)
        factors = [between(u, max(0.0, 1 - r), 1 + r) for u, r in zip(draws, ranges, strict=False)]
        factors.append(between(draws[3], -self.hue, self.hue))
        changes = [
            (function, factor)
            for function, factor, most in zip(
                (brightness, contrast, saturation, hue), factors, (*ranges, self.hue), strict=True
            )
            if most and (image.shape[-1] == 3 or function in (brightness, contrast))
        ]

        if not changes:
            return image
        orders = list(itertools.permutations(range(len(changes))))
        which = tf.minimum(tf.cast(draws[4] * len(orders), tf.int32), len(orders) - 1)
        order = tf.constant(orders)[which]
        x = floats(image)
        for position in range(len(changes)):
            branches = [lambda f=f, v=v, x=x: f(x, v) for f, v in changes]
            changed = tf.switch_case(order[position], branches)
            x = tf.clip_by_value(tf.ensure_shape(changed, image.shape), 0.0, 255.0)
        return like(x, image.dtype)


@op
@dataclass(frozen=True)
class Grayscale:
    """Convert to grayscale with a probability, 0.2 in SimCLR (Chen et al. 2020).

    The number of channels stays the same.
    """

    probability: float = 0.2

    def __post_init__(self):
        check_types(self)
        require_probability(self)

    def __call__(self, image, seed):
        image = tf.convert_to_tensor(image)
        (draw,) = uniforms(seed, 1)
        return sometimes(
            draw, self.probability, lambda x: like(saturation(floats(x), 0.0), x.dtype), image
        )


@op
@dataclass(frozen=True)
class Lighting:
    """Shift colors along ImageNet's principal components (Krizhevsky et al. 2012, section 4.1).

    All pixels get the same shift: the sum of the components, each times its weight and a random
    number from a normal distribution.

    Args:
        deviation: the standard deviation of that distribution.
    """

    deviation: float = 0.1

    def __post_init__(self):
        check_types(self)
        require(self, "deviation", 0 <= self.deviation < 100, "0 or more, and less than 100")

    def __call__(self, image, seed):
        image = tf.convert_to_tensor(image)
        if image.shape[-1] != 3:
            raise ValueError(
                f"Lighting: channels={image.shape[-1]}: needs images with 3 channels (RGB)"
            )
        alpha = tf.random.stateless_normal([3], seed, stddev=self.deviation)
        shift = tf.linalg.matvec(tf.constant(COMPONENTS), alpha * tf.constant(WEIGHTS))
        return like(scale_channels(floats(image), tf.ones([3]), shift), image.dtype)


def brightness(x, factor):
    """Multiply float pixels by a factor."""
    return x * factor


def contrast(x, factor):
    """Blend float pixels with the mean gray level; a factor above 1 raises the contrast."""
    means = channel_means(x)
    grey = tf.tensordot(means, tf.constant(LUMA), 1) if x.shape[-1] == 3 else tf.reduce_mean(means)
    return blend(x, grey, factor)


def saturation(x, factor):
    """Blend float pixels with their gray levels; images without 3 channels are unchanged."""
    if x.shape[-1] != 3:
        return x
    grey = tf.tile(tf.constant(LUMA)[:, None], [1, 3])
    return mix_channels(x, blend(tf.eye(3), grey, factor))


def hue(x, turn):
    """Rotate the hue by a fraction of the color circle."""
    return tf.raw_ops.AdjustHue(images=x, delta=turn)
