"""The operations that AutoAugment and its kin draw from: functions of an image and a value.

Magnitudes run over the ranges of the papers from the least change to the greatest: Cubuk et
al. 2018 (table 6), Müller & Hutter 2021 (table 1, "wide"), as in torchvision. In the authors'
code an enhancement's factor runs from 0.1 to 1.9 instead, no change being in the middle.
"""

from __future__ import annotations

from typing import NamedTuple

from recipes.augment import color, filters, geometry, tones
from recipes.augment.pixels import floats, like
from zoo.lazy import tensorflow as tf

# Where nothing was: the grey of the authors' code.
GREY = 128.0


class Range(NamedTuple):
    """What a magnitude from 0 to 1 is for an operation.

    Attributes:
        least, most: its values at 0 and 1.
        signed: half of the draws take the negative value.
        whole: values are rounded.
    """

    least: float = 0.0
    most: float = 0.0
    signed: bool = False
    whole: bool = False


# AutoAugment's, RandAugment's (without Invert) and AugMix's. Translations are shares of a side.
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

# TrivialAugment's; here translations are in pixels.
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
    """The value of operation number `which` at a magnitude.

    Args:
        which: int32, the place in `ranges`.
        magnitude: float32, 0 to 1 (it may go beyond).
        sign: a draw from 0 to 1.
    """
    table = tf.constant([[float(number) for number in row] for row in ranges.values()])
    least, most, signed, whole = tf.unstack(table[which])
    value = least + magnitude * (most - least)
    value = tf.where(whole > 0, tf.round(value), value)
    return tf.where((signed > 0) & (sign < 0.5), -value, value)


def perform(ranges: dict[str, Range], image, which, value):
    """Run operation number `which` alone."""
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
    # Towards zero, as Python's int().
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
