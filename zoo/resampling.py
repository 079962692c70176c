"""Resize images in NumPy with the arithmetic of TensorFlow's `tf.image.resize`.

With it, a trained network gets the same pixels in prediction as in evaluation, without importing
TensorFlow. Each method is a weighted sum along the rows and then along the columns, in float32;
pixel centers are at half pixels. TensorFlow adds in another order. Floating point pixels therefore
agree to about 1e-4, and 8-bit pixels may differ by 1 where a sum is close to a half.
"""

from collections.abc import Callable

import numpy as np

METHODS = ("bilinear", "bicubic", "nearest", "area", "lanczos3")
_TABLE = 1024  # number of steps of TensorFlow's table of the cubic kernel

# For each output position: the first and last input position, and the weights of all between.
Taps = tuple[np.ndarray, np.ndarray, np.ndarray]


def resize(
    pixels: np.ndarray, height: int, width: int, method: str = "bilinear", antialias: bool = True
) -> np.ndarray:
    """Resize an image (height, width, channels) of values from 0 to 255, keeping its data type.

    Args:
        pixels: the image.
        height, width: the new size.
        method: interpolation, one of METHODS, as in `tf.image.resize`.
        antialias: whether kernels grow with the factor by which an image shrinks. It has no effect
            on "nearest" and "area".
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    if method == "nearest":
        rows, columns = _nearest(len(pixels), height), _nearest(pixels.shape[1], width)
        return pixels[rows][:, columns]
    x = _along_rows(pixels, _taps(method, antialias, len(pixels), height))
    x = _along_rows(x.swapaxes(0, 1), _taps(method, antialias, pixels.shape[1], width))
    x = x.swapaxes(0, 1)
    if np.issubdtype(pixels.dtype, np.integer):
        x = np.rint(x)
    return np.clip(x, 0, 255).astype(pixels.dtype)  # bicubic and Lanczos overshoot


def _along_rows(x: np.ndarray, taps: Taps) -> np.ndarray:
    rows = x.reshape(len(x), -1)
    result = np.empty((len(taps[0]), rows.shape[1]), np.float32)
    for i, (first, last, weights) in enumerate(zip(*taps, strict=True)):
        part = rows[first : last + 1].astype(np.float32, copy=False)
        np.matmul(weights[: len(part)], part, out=result[i])
    return result.reshape(len(result), *x.shape[1:])


def _taps(method: str, antialias: bool, source: int, target: int) -> Taps:
    if method == "area":
        return _area(source, target)
    if method == "lanczos3" or antialias:
        return _kernel(*_KERNELS[method], source, target, antialias)
    return _NOT_ANTIALIASED[method](source, target)


def _nearest(source: int, target: int) -> np.ndarray:
    return np.minimum(np.floor(_centers(source, target)).astype(int), source - 1)


def _centers(source: int, target: int) -> np.ndarray:
    """Return the centers of the output's pixels, in input pixels."""
    return (np.arange(target, dtype=np.float32) + np.float32(0.5)) * np.float32(source / target)


def _kernel(
    kernel: Callable[[np.ndarray], np.ndarray],
    radius: int,
    source: int,
    target: int,
    antialias: bool,
) -> Taps:
    """Return the taps of TensorFlow's ScaleAndTranslate, which ignores weights beyond the image."""
    step = np.float32(1) / (np.float32(target) / np.float32(source))
    scale = max(step, np.float32(1)) if antialias else np.float32(1)
    center = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * step
    half = np.float32(0.5)
    first = np.clip(np.ceil(center - radius * scale - half), 0, source - 1).astype(int)
    last = np.clip(np.floor(center + radius * scale - half), 0, source - 1).astype(int)
    places = first[:, None] + np.arange((last - first).max() + 1)
    distance = np.abs((places.astype(np.float32) + half - center[:, None]) / scale)
    weights = np.where(places <= last[:, None], kernel(distance), np.float32(0))
    return first, last, weights / weights.sum(1, keepdims=True)


def _area(source: int, target: int) -> Taps:
    """Return the taps for the mean of the area of each new pixel."""
    step = np.float32(source / target)
    start = np.arange(target, dtype=np.float32) * step
    end = np.arange(1, target + 1, dtype=np.float32) * step
    first = np.floor(start).astype(int)
    last = np.minimum(np.ceil(end).astype(int), source) - 1
    places = first[:, None] + np.arange((last - first).max() + 1)
    places = places.astype(np.float32)
    begins, ends = places >= start[:, None], places + 1 <= end[:, None]
    partial = np.where(begins, end[:, None] - places, places + 1 - start[:, None])
    inside = np.where(begins & ends, 1, np.where(begins | ends, partial, step))
    return first, last, np.where(places <= last[:, None], inside / step, 0).astype(np.float32)


def _linear(source: int, target: int) -> Taps:
    place = _centers(source, target) - np.float32(0.5)
    below = np.floor(place)
    first = np.maximum(below, 0).astype(int)
    last = np.minimum(np.ceil(place), source - 1).astype(int)
    share = place - below
    weights = np.stack([1 - share, share], 1)
    weights[first == last] = (1, 0)
    return first, last, weights


def _cubic(source: int, target: int) -> Taps:
    place = _centers(source, target) - np.float32(0.5)
    below = np.floor(place)
    share = (np.rint((place - below) * _TABLE) / _TABLE).astype(np.float32)
    places = below[:, None].astype(int) + np.arange(-1, 3)
    distance = np.stack([share + 1, share, 1 - share, 2 - share], 1)
    weights = np.where((places >= 0) & (places < source), _cubic_kernel(distance), np.float32(0))
    weights /= weights.sum(1, keepdims=True)
    # Each row starts with its first position inside the image.
    first = np.maximum(places[:, 0], 0)
    moved = [np.roll(row, -skip) for row, skip in zip(weights, first - places[:, 0], strict=True)]
    return first, np.minimum(places[:, 3], source - 1), np.stack(moved)


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(np.float32(0), 1 - x)


def _cubic_kernel(x: np.ndarray) -> np.ndarray:
    """The cubic convolution kernel of Keys 1981 with a = -0.5."""
    near = ((1.5 * x - 2.5) * x) * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x >= 2, 0, np.where(x >= 1, far, near)).astype(np.float32)


def _lanczos3(x: np.ndarray) -> np.ndarray:
    return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0).astype(np.float32)


_KERNELS = {"bilinear": (_triangle, 1), "bicubic": (_cubic_kernel, 2), "lanczos3": (_lanczos3, 3)}
_NOT_ANTIALIASED = {"bilinear": _linear, "bicubic": _cubic}
