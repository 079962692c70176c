"""Geometric ops: Flip, AlternatingFlip, Rotate, Translate, Shear, Affine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from recipes.augment.pixels import between, floats, like, sides, sometimes, uniforms
from recipes.augment.registry import check_types, op, require, require_probability
from zoo.lazy import tensorflow as tf

Interpolation = Literal["nearest", "bilinear"]


@op
@dataclass(frozen=True)
class Flip:
    """Flip horizontally with a probability (Krizhevsky et al. 2012, section 4.1)."""

    probability: float = 0.5

    def __post_init__(self):
        check_types(self)
        require_probability(self)

    def __call__(self, image, seed):
        flip = tf.random.stateless_uniform([], seed)
        return sometimes(
            flip, self.probability, lambda x: tf.reverse(x, [1]), tf.convert_to_tensor(image)
        )


@op
@dataclass(frozen=True)
class AlternatingFlip:
    """Flip horizontally in every second epoch (Jordan 2024, section 3.6).

    Half of the images, chosen at random, start with the first epoch, the others with the second.
    Two consecutive epochs then show each image once in both directions, while Flip shows a quarter
    of the images twice as they are, and a quarter twice as their mirror images. Outside of
    training, the op is the same as Flip.
    """

    def __call__(self, image, seed):
        return self.in_turn(image, seed, 0)

    def in_turn(self, image, seed, turn):
        first = tf.cast(tf.random.stateless_uniform([], seed) < 0.5, tf.int64)
        image = tf.convert_to_tensor(image)
        odd = (first + tf.cast(turn, tf.int64)) % 2
        return tf.cond(odd == 1, lambda: tf.reverse(image, [1]), lambda: image)


@op
@dataclass(frozen=True)
class Rotate:
    """Rotate about the center by a random angle.

    Args:
        degrees: the largest angle in either direction.
        fill: the value of pixels that come from outside the image, 0 to 255.
        interpolation: "bilinear" or "nearest".
    """

    degrees: float = 10.0
    fill: float = 0.0
    interpolation: Interpolation = "bilinear"

    def __post_init__(self):
        check_types(self)
        _check(self, degrees=180)

    def __call__(self, image, seed):
        (draw,) = uniforms(seed, 1)
        angle = between(draw, -self.degrees, self.degrees)
        return _about_center(self, image, rotation(angle))


@op
@dataclass(frozen=True)
class Translate:
    """Shift by a random number of whole pixels, horizontally and vertically.

    Args:
        share: the largest shift in either direction, as a fraction of the width and height.
        fill: the value of pixels that come from outside the image, 0 to 255.
    """

    share: float = 0.1
    fill: float = 0.0

    def __post_init__(self):
        check_types(self)
        require(self, "share", 0 <= self.share <= 1, "from 0 to 1")
        _check(self)

    def __call__(self, image, seed):
        image = tf.convert_to_tensor(image)
        height, width = (tf.cast(side, tf.float32) for side in sides(image))
        x, y = (between(draw, -self.share, self.share) for draw in uniforms(seed, 2))
        return translate(image, tf.round(x * width), tf.round(y * height), self.fill)


@op
@dataclass(frozen=True)
class Shear:
    """Shear horizontally and vertically about the center by two random angles.

    Args:
        degrees: the largest angle in either direction.
        fill: the value of pixels that come from outside the image, 0 to 255.
        interpolation: "bilinear" or "nearest".
    """

    degrees: float = 10.0
    fill: float = 0.0
    interpolation: Interpolation = "bilinear"

    def __post_init__(self):
        check_types(self)
        _check(self, degrees=89)

    def __call__(self, image, seed):
        x, y = (between(draw, -self.degrees, self.degrees) for draw in uniforms(seed, 2))
        return _about_center(self, image, inverse_affine(0.0, 1.0, x, y))


@op
@dataclass(frozen=True)
class Affine:
    """Rotate, shear, scale and shift at once, with the matrix of torchvision's RandomAffine.

    Args:
        degrees: the largest rotation in either direction.
        translate: the largest shifts as fractions of (height, width); whole pixels.
        scale: the range of the scale.
        shear: the largest shear angle in either direction, along x and along y.
        fill: the value of pixels that come from outside the image, 0 to 255.
        interpolation: "bilinear" or "nearest".
    """

    degrees: float = 10.0
    translate: tuple[float, float] = (0.0, 0.0)
    scale: tuple[float, float] = (1.0, 1.0)
    shear: float = 0.0
    fill: float = 0.0
    interpolation: Interpolation = "bilinear"

    def __post_init__(self):
        check_types(self)
        _check(self, degrees=180, shear=89)
        require(self, "translate", all(0 <= share <= 1 for share in self.translate), "within 0..1")
        low, high = self.scale
        require(self, "scale", 0 < low <= high < math.inf, "a range of positive numbers")

    def __call__(self, image, seed):
        image = tf.convert_to_tensor(image)
        draws = uniforms(seed, 6)
        height, width = (tf.cast(side, tf.float32) for side in sides(image))
        matrix = inverse_affine(
            between(draws[0], -self.degrees, self.degrees),
            between(draws[1], *self.scale),
            between(draws[2], -self.shear, self.shear),
            between(draws[3], -self.shear, self.shear),
        )
        down, right = self.translate
        move = (
            tf.round(between(draws[4], -right, right) * width),
            tf.round(between(draws[5], -down, down) * height),
        )
        return _about_center(self, image, matrix, move)


def rotation(degrees):
    """Return the matrix a, b, d, e of a rotation; positive is clockwise on the screen."""
    angle = tf.cast(degrees, tf.float32) * (math.pi / 180)
    sin, cos = tf.sin(angle), tf.cos(angle)
    return cos, sin, -sin, cos


def inverse_affine(degrees, scale, shear_x, shear_y):
    """Return the matrix a, b, d, e from new to old positions for a scale, shears and a rotation."""
    turn, x, y = (tf.cast(v, tf.float32) * (math.pi / 180) for v in (degrees, shear_x, shear_y))
    a = tf.cos(turn - y) / tf.cos(y)
    b = -tf.cos(turn - y) * tf.tan(x) / tf.cos(y) - tf.sin(turn)
    c = tf.sin(turn - y) / tf.cos(y)
    d = -tf.sin(turn - y) * tf.tan(x) / tf.cos(y) + tf.cos(turn)
    return d / scale, -b / scale, -c / scale, a / scale


def warp(image, matrix, fill: float, interpolation: str):
    """Set each new pixel (x, y) to the old one at (a x + b y + c, d x + e y + f), as in Pillow.

    Args:
        image: [H, W, C].
        matrix: a, b, c, d, e, f. The center of the first pixel is at (0.5, 0.5).
        fill: the value of pixels that come from outside the image.
        interpolation: "nearest" or "bilinear".
    """
    a, b, c, d, e, f = (tf.cast(v, tf.float32) for v in matrix)
    # In TensorFlow, the center of the first pixel is at (0, 0).
    c, f = c + (a + b - 1) / 2, f + (d + e - 1) / 2
    image = tf.convert_to_tensor(image)
    between_pixels = interpolation != "nearest"
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=(floats(image) if between_pixels else image)[None],
        transforms=tf.stack([a, b, c, d, e, f, 0.0, 0.0])[None],
        output_shape=tf.shape(image)[:2],
        fill_value=fill,
        interpolation=interpolation.upper(),
        fill_mode="CONSTANT",
    )
    warped = like(warped[0], image.dtype) if between_pixels else warped[0]
    return tf.ensure_shape(warped, image.shape)


def translate(image, x, y, fill: float):
    """Shift an image right by x and down by y whole pixels."""
    height, width = tf.unstack(tf.shape(image)[:2])
    x = tf.clip_by_value(tf.cast(x, tf.int32), -width, width)
    y = tf.clip_by_value(tf.cast(y, tf.int32), -height, height)
    kept = image[
        tf.maximum(-y, 0) : height - tf.maximum(y, 0), tf.maximum(-x, 0) : width - tf.maximum(x, 0)
    ]
    margins = [[tf.maximum(s, 0), tf.maximum(-s, 0)] for s in (y, x)]
    moved = tf.pad(kept, [*margins, [0, 0]], constant_values=tf.cast(fill, image.dtype))
    return tf.ensure_shape(moved, image.shape)


def _about_center(self, image, matrix, move=(0.0, 0.0)):
    image = tf.convert_to_tensor(image)
    height, width = (tf.cast(side, tf.float32) / 2 for side in sides(image))
    a, b, d, e = matrix
    x, y = width + move[0], height + move[1]
    places = (a, b, width - a * x - b * y, d, e, height - d * x - e * y)
    return warp(image, places, self.fill, self.interpolation)


def _check(self, **most: float) -> None:
    require(self, "fill", 0 <= self.fill <= 255, "from 0 to 255")
    for name, high in most.items():
        require(self, name, 0 <= getattr(self, name) <= high, f"from 0 to {high} degrees")
