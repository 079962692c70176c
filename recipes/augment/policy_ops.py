"""The operations of AutoAugment and similar policies: functions of an image and a value.

As in torchvision, magnitudes cover the ranges of the papers from the smallest change to the
largest: Cubuk et al. 2018 (table 6), Müller & Hutter 2021 (table 1, "wide"). In the authors' code
the factor of an enhancement goes from 0.1 to 1.9 instead, with no change in the middle.
"""

from __future__ import annotations

from typing import NamedTuple

from recipes.augment import color, filters, geometry, tones
from recipes.augment.pixels import floats, like
from zoo.lazy import tensorflow as tf

# The value of pixels that come from outside the image, as in the authors' code.
GREY = 128.0


class Range(NamedTuple):
    """The values of an operation for magnitudes from 0 to 1.

    Attributes:
        least, most: the values for the magnitudes 0 and 1.
        signed: whether the sign of the value is random.
        whole: whether the value is rounded to an integer.
    """

    least: float = 0.0
    most: float = 0.0
    signed: bool = False
    whole: bool = False


# AutoAugment, RandAugment (without Invert) and AugMix. Translations are fractions of a side.
RANGES = {
    "Identity": Range(),
    "ShearX": Range(0, 0.3, signed=True),
    "ShearY": Range(0, 0.3, signed=True),
    "TranslateX": Range(0, 150 / 331, signed=True),
    "TranslateY": Range(0, 150 / 331, signed=True),
    "Rotate": Range(0, 30, signed=True),
    "Brightness": Range(0, 0.9, signed=True),
    "Color": Range(0, 0.9, signed=True),
    "Contrast": Range(0, 0.9, signed=True),
    "Sharpness": Range(0, 0.9, signed=True),
    "Posterize": Range(8, 4, whole=True),
    "Solarize": Range(255, 0),
    "AutoContrast": Range(),
    "Equalize": Range(),
    "Invert": Range(),
}

# TrivialAugment. Here translations are in pixels.
WIDE = {name: r for name, r in RANGES.items() if name not in ("Invert", "TranslateX", "TranslateY")}
WIDE |= {
    "ShearX": Range(0, 0.99, signed=True),
    "ShearY": Range(0, 0.99, signed=True),
    "SlideX": Range(0, 32, signed=True),
    "SlideY": Range(0, 32, signed=True),
    "Rotate": Range(0, 135, signed=True),
    "Brightness": Range(0, 0.99, signed=True),
    "Color": Range(0, 0.99, signed=True),
    "Contrast": Range(0, 0.99, signed=True),
    "Sharpness": Range(0, 0.99, signed=True),
    "Posterize": Range(8, 2, whole=True),
}


def values(ranges: dict[str, Range], which, magnitude, sign):
    """Return the value of an operation for a magnitude.

    Args:
        ranges: the ranges of the operations by name.
        which: the position of the operation in `ranges`, int32.
        magnitude: float32, usually from 0 to 1.
        sign: a uniform random number in [0, 1); below 0.5, signed values are negated.
    """
    table = tf.constant([[float(number) for number in row] for row in ranges.values()])
    least, most, signed, whole = tf.unstack(table[which])
    value = least + magnitude * (most - least)
    value = tf.where(whole > 0, tf.round(value), value)
    return tf.where((signed > 0) & (sign < 0.5), -value, value)


def perform(ranges: dict[str, Range], image, which, value):
    """Apply the operation at position `which` of `ranges`; the others are not executed."""
    branches = [lambda function=FUNCTIONS[name]: function(image, value) for name in ranges]
    return tf.ensure_shape(tf.switch_case(which, branches), image.shape)


def _about_corner(image, a, b, d, e):
    return geometry.warp(image, (a, b, 0.0, d, e, 0.0), GREY, "nearest")


def _rotate(image, degrees):
    a, b, d, e = geometry.rotation(-degrees)
    height, width = (tf.cast(side, tf.float32) / 2 for side in tf.unstack(tf.shape(image)[:2]))
    places = (a, b, width - a * width - b * height, d, e, height - d * width - e * height)
    return geometry.warp(image, places, GREY, "nearest")


def _translate(image, x, y):
    # The cast rounds toward zero, like Python's int().
    return geometry.translate(image, tf.cast(x, tf.int32), tf.cast(y, tf.int32), GREY)


def _side(image, axis):
    return tf.cast(tf.shape(image)[axis], tf.float32)


def _enhance(function):
    return lambda image, change: like(function(floats(image), 1 + change), image.dtype)


FUNCTIONS = {
    "Identity": lambda image, value: tf.identity(image),
    "ShearX": lambda image, slope: _about_corner(image, 1.0, slope, 0.0, 1.0),
    "ShearY": lambda image, slope: _about_corner(image, 1.0, 0.0, slope, 1.0),
    "TranslateX": lambda image, share: _translate(image, share * _side(image, 1), 0),
    "TranslateY": lambda image, share: _translate(image, 0, share * _side(image, 0)),
    "SlideX": lambda image, pixels: _translate(image, pixels, 0),
    "SlideY": lambda image, pixels: _translate(image, 0, pixels),
    "Rotate": _rotate,
    "Brightness": _enhance(color.brightness),
    "Color": _enhance(color.saturation),
    "Contrast": _enhance(color.contrast),
    "Sharpness": _enhance(filters.sharpness),
    "Posterize": tones.posterize,
    "Solarize": tones.solarize,
    "AutoContrast": lambda image, value: tones.autocontrast(image),
    "Equalize": lambda image, value: tones.equalize(image),
    "Invert": lambda image, value: tones.invert(image),
}
