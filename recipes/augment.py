"""Augmentation: pure, seeded operations on images.

An op is a frozen dataclass with one or more of three methods:

    op(image, seed)                  [H, W, C], uint8 or float32, 0..255 -> the same kind
    op.decode(data, seed, channels)  JPEG or PNG bytes -> what op makes of the decoded image
    op.batch(images, labels, seed)   [B, H, W, C] and soft labels [B, classes] -> the same

A seed is an int32 tensor [2], the only source of randomness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from recipes.ops import OPS, check_types, op, parse, parse_all, require
from zoo.lazy import tensorflow as tf

__all__ = [
    "OPS",
    "CenterCrop",
    "Flip",
    "Mixup",
    "PadCrop",
    "RandomResizedCrop",
    "Resize",
    "ResizeShort",
    "apply",
    "apply_batch",
    "decode_image",
    "op",
    "parse",
    "parse_all",
]


@op
@dataclass(frozen=True)
class Resize:
    """Resize to `size` pixels, (height, width) or both; the aspect ratio may change."""

    size: int | tuple[int, int]
    method: Literal["bilinear", "bicubic", "nearest", "area", "lanczos3"] = "bilinear"
    antialias: bool = True

    def __post_init__(self):
        check_types(self)
        _check_size(self)

    def __call__(self, image, seed):
        return _resize(image, _pair(self.size), self.method, self.antialias)


@op
@dataclass(frozen=True)
class ResizeShort:
    """Resize so that the shorter side has `size` pixels; the aspect ratio stays."""

    size: int

    def __post_init__(self):
        check_types(self)
        _check_size(self)

    def __call__(self, image, seed):
        height, width = _height_width(image)
        short = min(height, width) if isinstance(height, int) else tf.minimum(height, width)
        return _resize(image, (height * self.size // short, width * self.size // short))


@op
@dataclass(frozen=True)
class CenterCrop:
    """The central `size` pixels, (height, width) or both; zeros where the image is smaller."""

    size: int | tuple[int, int]

    def __post_init__(self):
        check_types(self)
        _check_size(self)

    def __call__(self, image, seed):
        return tf.image.resize_with_crop_or_pad(image, *_pair(self.size))


@op
@dataclass(frozen=True)
class PadCrop:
    """A random crop of the image's own size, after `pad` zeros on each side (He et al. 2015)."""

    pad: int = 4

    def __post_init__(self):
        check_types(self)
        require(self, "pad", self.pad >= 0, "0 or more pixels")

    def __call__(self, image, seed):
        size = tf.shape(image)
        padded = tf.pad(image, [[self.pad, self.pad], [self.pad, self.pad], [0, 0]])
        corner = tf.random.stateless_uniform([2], seed, 0, 2 * self.pad + 1, tf.int32)
        crop = tf.slice(padded, tf.concat([corner, [0]], 0), size)
        return tf.ensure_shape(crop, image.shape)


@op
@dataclass(frozen=True)
class Flip:
    """Mirror left and right with `probability`."""

    probability: float = 0.5

    def __post_init__(self):
        check_types(self)
        require(self, "probability", 0 <= self.probability <= 1, "from 0 to 1")

    def __call__(self, image, seed):
        flip = tf.random.stateless_uniform([], seed) < self.probability
        return tf.where(flip, image[:, ::-1], image)


@op
@dataclass(frozen=True)
class RandomResizedCrop:
    """A random part of the image, resized to `size` pixels (Szegedy et al. 2014).

    `area` is the range of the part's share of the image, `aspect` that of its width over
    its height, drawn uniformly and log-uniformly. Where ten draws do not fit in the
    image: the largest central part whose aspect ratio is in the range.
    Without antialiasing, a large part's pixels are skipped, and it is a third faster.
    """

    size: int | tuple[int, int]
    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    antialias: bool = True

    def __post_init__(self):
        check_types(self)
        _check_size(self)
        require(self, "area", 0 < self.area[0] <= self.area[1] <= 1, "a range within 0..1")
        low, high = self.aspect
        require(self, "aspect", 0 < low <= high < math.inf, "a range of positive numbers")

    def __call__(self, image, seed):
        top, left, height, width = self._box(tf.shape(image), seed)
        image = tf.convert_to_tensor(image)
        return self._resized(image[top : top + height, left : left + width])

    def decode(self, data, seed, channels=3):
        def crop_jpeg():
            shape = tf.io.extract_jpeg_shape(data)
            part = _decode_crop(data, shape, self._box(shape, seed), channels)
            return self._resized(part)

        return tf.cond(
            tf.io.is_jpeg(data), crop_jpeg, lambda: self(decode_image(data, channels), seed)
        )

    def _resized(self, part):
        return _resize(part, _pair(self.size), antialias=self.antialias)

    def _box(self, shape, seed):
        """Top, left, height and width of the part, int32."""
        height, width = tf.cast(shape[0], tf.float32), tf.cast(shape[1], tf.float32)
        low, high = self.aspect
        draws = tf.random.stateless_uniform([4, 10], seed)
        area = (self.area[0] + draws[0] * (self.area[1] - self.area[0])) * height * width
        root = tf.exp((math.log(low) + draws[1] * (math.log(high) - math.log(low))) / 2)
        heights, widths = tf.round(tf.sqrt(area) / root), tf.round(tf.sqrt(area) * root)
        fits = (heights >= 1) & (widths >= 1) & (heights <= height) & (widths <= width)
        first = tf.argmax(tf.cast(fits, tf.int32))

        central_height = tf.minimum(height, tf.maximum(1.0, tf.round(width / low)))
        central_width = tf.minimum(width, tf.maximum(1.0, tf.round(height * high)))
        any_fits = fits[first]
        h = tf.where(any_fits, heights[first], central_height)
        w = tf.where(any_fits, widths[first], central_width)
        top = tf.where(any_fits, tf.floor(draws[2, first] * (height - h + 1)), (height - h) // 2)
        left = tf.where(any_fits, tf.floor(draws[3, first] * (width - w + 1)), (width - w) // 2)
        # A draw next to 1 may round up past the last place.
        top, left = tf.minimum(top, height - h), tf.minimum(left, width - w)
        return tf.unstack(tf.cast([top, left, h, w], tf.int32))


@op
@dataclass(frozen=True)
class Mixup:
    """Mix each image and its labels with another's, by a share ~ Beta(alpha, alpha).

    One share a batch, as in the authors' code; the other is the batch's previous image,
    which is a random one where the batch is shuffled. Zhang et al. 2018.
    """

    alpha: float = 0.2

    def __post_init__(self):
        check_types(self)
        require(self, "alpha", 0 < self.alpha < math.inf, "a positive number")

    def batch(self, images, labels, seed):
        share = _beta(self.alpha, seed)
        return (
            share * images + (1 - share) * tf.roll(images, 1, axis=0),
            share * labels + (1 - share) * tf.roll(labels, 1, axis=0),
        )


def decode_image(data, channels: int = 3):
    """Encoded JPEG, PNG, BMP or GIF (first frame) -> uint8 [H, W, channels], as Pillow would."""

    def jpeg():
        # TF's default is the fast DCT, which differs from other decoders' pixels.
        return tf.io.decode_jpeg(data, channels=channels, dct_method="INTEGER_ACCURATE")

    def other():
        return tf.io.decode_image(data, channels=channels, expand_animations=False)

    image = tf.cond(tf.io.is_jpeg(data), jpeg, other)
    return tf.ensure_shape(image, [None, None, channels])


def apply(ops: tuple, image, encoded: bool, seed, shape: tuple = (None, None, 3)):
    """Run the image kinds of `ops` in order, each with its own seed.

    Args:
        ops: ops of any kind; those that have no image kind are passed over.
        image: [H, W, C], or encoded bytes if `encoded`, decoded first.
        seed: int32 [2]; the op at position i draws from fold_in(seed, i).
        shape: what is known of the decoded image's.

    Returns:
        The image, [H', W', C], of the data type it came in (uint8 if encoded).
    """

    def decoded():
        return tf.ensure_shape(decode_image(image, shape[-1]), shape) if encoded else image

    for position, each in enumerate(ops):
        if not callable(each):
            continue
        own = tf.random.experimental.stateless_fold_in(seed, position)
        if encoded and hasattr(each, "decode"):
            image = each.decode(image, own, shape[-1])
        else:
            image = each(decoded(), own)
        encoded = False
    return decoded()


def apply_batch(ops: tuple, images, labels, seed):
    """Run the batch kinds of `ops` in order on float images and soft labels."""
    for position, each in enumerate(ops):
        if hasattr(each, "batch"):
            own = tf.random.experimental.stateless_fold_in(seed, position)
            images, labels = each.batch(images, labels, own)
    return images, labels


def _check_size(self) -> None:
    require(self, "size", min(_pair(self.size)) >= 1, "1 or more pixels")


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _height_width(image):
    """Ints where both are known, else int32 tensors."""
    height, width = image.shape[:2]
    if height is None or width is None:
        return tuple(tf.unstack(tf.shape(image)[:2]))
    return height, width


def _resize(image, size, method="bilinear", antialias=True):
    """`image` at `size`, of its own data type and within 0..255."""
    image = tf.convert_to_tensor(image)
    resized = tf.image.resize(image, size, method, antialias=antialias)
    if resized.dtype == image.dtype:
        # Bicubic and Lanczos overshoot.
        return tf.clip_by_value(resized, 0, 255) if image.dtype.is_floating else resized
    return tf.saturate_cast(tf.round(resized), image.dtype)


def _decode_crop(data, shape, box, channels: int):
    """The part `box` of a JPEG of `shape`: the same pixels as decoding all of it gives.

    libjpeg interpolates subsampled colour between neighbours, which a crop's edge lacks: so
    two pixels more are decoded on each side.
    """
    top, left, height, width = box
    first = tf.maximum(tf.stack([top, left]) - 2, 0)
    last = tf.minimum(tf.stack([top + height, left + width]) + 2, shape[:2])
    part = tf.io.decode_and_crop_jpeg(
        data,
        tf.concat([first, last - first], 0),
        channels=channels,
        dct_method="INTEGER_ACCURATE",
    )
    top, left = top - first[0], left - first[1]
    return tf.ensure_shape(part, [None, None, channels])[top : top + height, left : left + width]


def _beta(alpha: float, seed):
    """One draw from Beta(alpha, alpha).

    By the logarithms of two Gamma(alpha), as Gamma(alpha + 1) * U^(1 / alpha): a small alpha
    would underflow both to zero.
    """
    seeds = tf.random.split(seed, 2)
    gamma = tf.random.stateless_gamma([2], seeds[0], alpha + 1.0)
    uniform = tf.random.stateless_uniform([2], seeds[1], minval=1e-30)
    logs = tf.math.log(gamma) + tf.math.log(uniform) / alpha
    return tf.sigmoid(logs[0] - logs[1])
