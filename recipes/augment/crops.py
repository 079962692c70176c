"""Random crops: PadCrop, RandomResizedCrop, ScaleJitter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from recipes.augment.decoding import decode_image, decode_part, jpeg_shape
from recipes.augment.pixels import like
from recipes.augment.registry import check_types, op, require
from recipes.augment.sizes import check_size, pair, resize
from zoo.lazy import tensorflow as tf


@op
@dataclass(frozen=True)
class PadCrop:
    """Pad with zeros and take a random crop of the original size (He et al. 2015).

    Zero is black here. fb.resnet.torch pads after normalization, where zero is the mean color.

    Args:
        pad: the number of pixels added on each side.
    """

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
class RandomResizedCrop:
    """Crop a random part of the image and resize it (Szegedy et al. 2014, section 6).

    If ten random crops do not fit in the image, the largest central crop whose aspect ratio is
    in the range is used.

    Args:
        size: the size of the result in pixels: one number, or (height, width).
        area: the range of the crop's area as a fraction of the image's, drawn uniformly.
        aspect: the range of the crop's width / height, drawn log-uniformly.
        antialias: whether "bilinear" averages over a triangle two new pixels wide when it
            shrinks a crop, as Pillow and torchvision do, which takes longer than decoding a
            photo. Otherwise it interpolates between the four nearest old pixels.
        method: how crops are shrunk: "bilinear", or "area" for the mean of the old pixels under
            each new one (OpenCV's INTER_AREA). Crops are always enlarged bilinearly.
    """

    size: int | tuple[int, int]
    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    antialias: bool = True
    method: Literal["bilinear", "area"] = "bilinear"

    def __post_init__(self):
        check_types(self)
        check_size(self)
        require(self, "area", 0 < self.area[0] <= self.area[1] <= 1, "a range within 0..1")
        low, high = self.aspect
        require(self, "aspect", 0 < low <= high < math.inf, "a range of positive numbers")

    def __call__(self, image, seed):
        top, left, height, width = self._box(tf.shape(image), seed)
        image = tf.convert_to_tensor(image)
        return self._resized(image[top : top + height, left : left + width])

    def decode(self, data, seed, channels=3):
        def crop_jpeg():
            shape = jpeg_shape(data)
            part = decode_part(data, shape, self._box(shape, seed), channels)
            return self._resized(part)

        return tf.cond(
            tf.io.is_jpeg(data), crop_jpeg, lambda: self(decode_image(data, channels), seed)
        )

    def _resized(self, part):
        size = pair(self.size)
        if self.method == "bilinear" and not self.antialias:
            return resize(part, size, antialias=False)
        grows = tf.reduce_all(tf.shape(part)[:2] <= size)
        resized = tf.cond(
            grows,
            # Antialiasing changes nothing when an image is enlarged, and this kernel is faster.
            lambda: resize(part, size, antialias=False),
            lambda: resize(part, size, self.method, antialias=True),
        )
        return tf.ensure_shape(resized, [*size, part.shape[-1]])

    def _box(self, shape, seed):
        """Return top, left, height and width of the crop, int32."""
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
        # A random number close to 1 may round up past the last position.
        top, left = tf.minimum(top, height - h), tf.minimum(left, width - w)
        return tf.unstack(tf.cast([top, left, h, w], tf.int32))


@op
@dataclass(frozen=True)
class ScaleJitter:
    """Resize to a random scale and take a random crop (Simonyan & Zisserman 2014).

    Only the pixels of the crop are computed.

    Args:
        short: the range of the shorter side in pixels: (256, 512) in VGG (section 3.1 of the
            paper), (256, 480) in ResNet (He et al. 2015, section 3.4), (256, 256) in AlexNet.
        size: the size of the crop in pixels: one number, or (height, width).
    """

    short: tuple[int, int] = (256, 480)
    size: int | tuple[int, int] = 224

    def __post_init__(self):
        check_types(self)
        check_size(self)
        low, high = self.short
        require(self, "short", low <= high, "a range of sides, the smaller first")
        require(self, "short", low >= max(pair(self.size)), f"sides of at least size={self.size}")

    def __call__(self, image, seed):
        image = tf.convert_to_tensor(image)
        return self._crop(image, [0, 0], *self._draw(tf.shape(image), seed))

    def decode(self, data, seed, channels=3):
        def crop_jpeg():
            shape = jpeg_shape(data)
            scale, corner = self._draw(shape, seed)
            size = tf.cast(pair(self.size), tf.float32)
            # The kernel extends one pixel (of the larger kind, old or new) beyond the crop.
            reach = tf.maximum(1.0, 1 / scale) + 1
            first = tf.maximum(tf.cast(tf.floor(corner / scale - reach), tf.int32), 0)
            last = tf.cast(tf.math.ceil((corner + size) / scale + reach), tf.int32)
            last = tf.minimum(last, shape[:2])
            part = decode_part(
                data, shape, tf.unstack(tf.concat([first, last - first], 0)), channels
            )
            return self._crop(part, first, scale, corner)

        return tf.cond(
            tf.io.is_jpeg(data), crop_jpeg, lambda: self(decode_image(data, channels), seed)
        )

    def _draw(self, shape, seed):
        """Return new pixels per old one, and the crop's corner in new pixels, each float32 [2]."""
        low, high = self.short
        draws = tf.random.stateless_uniform([3], seed)
        sides = tf.cast(shape[:2], tf.float32)
        short = tf.minimum(low + tf.floor(draws[0] * (high - low + 1)), float(high))
        resized = tf.floor(sides * short / tf.reduce_min(sides))
        room = resized - tf.cast(pair(self.size), tf.float32)
        return resized / sides, tf.minimum(tf.floor(draws[1:] * (room + 1)), room)

    def _crop(self, part, first, scale, corner):
        resized = tf.raw_ops.ScaleAndTranslate(
            images=part[None],
            size=pair(self.size),
            scale=scale,
            translation=tf.cast(first, tf.float32) * scale - corner,
            kernel_type="triangle",
            antialias=True,
        )
        shape = [*pair(self.size), part.shape[-1]]
        return like(tf.ensure_shape(resized[0], shape), part.dtype)
