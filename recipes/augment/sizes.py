"""Deterministic ops that change the size of an image, for training and evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recipes.augment.pixels import sides
from recipes.augment.registry import check_types, op, require
from zoo.lazy import tensorflow as tf


@op
@dataclass(frozen=True)
class Resize:
    """Resize to a fixed size; the aspect ratio may change.

    Args:
        size: the new size in pixels: one number, or (height, width).
        method: the interpolation.
        antialias: whether a smaller image is averaged over the old pixels, as in Pillow.
    """

    size: int | tuple[int, int]
    method: Literal["bilinear", "bicubic", "nearest", "area", "lanczos3"] = "bilinear"
    antialias: bool = True

    def __post_init__(self):
        check_types(self)
        check_size(self)

    def __call__(self, image, seed):
        return resize(image, pair(self.size), self.method, self.antialias)


@op
@dataclass(frozen=True)
class ResizeShort:
    """Resize so that the shorter side has `size` pixels; the aspect ratio is kept."""

    size: int

    def __post_init__(self):
        check_types(self)
        check_size(self)

    def __call__(self, image, seed):
        height, width = sides(image)
        short = min(height, width) if isinstance(height, int) else tf.minimum(height, width)
        return resize(image, (height * self.size // short, width * self.size // short))


@op
@dataclass(frozen=True)
class CenterCrop:
    """Crop the center of the image; a smaller image is padded with zeros.

    Args:
        size: the size of the crop in pixels: one number, or (height, width).
    """

    size: int | tuple[int, int]

    def __post_init__(self):
        check_types(self)
        check_size(self)

    def __call__(self, image, seed):
        return tf.image.resize_with_crop_or_pad(image, *pair(self.size))


def check_size(self) -> None:
    """Raise a ValueError unless the op's size is at least 1 pixel."""
    require(self, "size", min(pair(self.size)) >= 1, "1 or more pixels")


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return a size as (height, width)."""
    return (size, size) if isinstance(size, int) else size


def resize(image, size, method="bilinear", antialias=True):
    """Resize an image to (height, width), keeping its data type and the range 0..255."""
    image = tf.convert_to_tensor(image)
    # The kernels for floats give the same numbers and take as little as half the time.
    floats = image if method == "nearest" else tf.cast(image, tf.float32)
    resized = tf.image.resize(floats, size, method, antialias=antialias)
    if resized.dtype == image.dtype:
        # Bicubic and Lanczos interpolation may leave the range.
        return tf.clip_by_value(resized, 0, 255) if image.dtype.is_floating else resized
    if method in ("bilinear", "area"):
        return tf.cast(tf.round(resized), image.dtype)
    return tf.saturate_cast(tf.round(resized), image.dtype)
