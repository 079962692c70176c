"""Preprocess images with statistics of the training set, in a layer of the model."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

from recipes.data.batches import evaluation_batches
from recipes.data.types import Data, Split, write_cached
from zoo.files import cache_dir
from zoo.lazy import layers
from zoo.options import unknown

if TYPE_CHECKING:
    import keras

KINDS = {
    "none": "no preprocessing",
    "center_image": "subtract the mean image (AlexNet)",
    "center_channel": "subtract the mean of each channel (VGG)",
    "standardize": "subtract the mean of each channel, divide by its standard deviation (ResNet)",
    "standardize_image": "subtract the mean image, divide each pixel by its standard deviation",
    "scale": "x / 127.5 - 1",
    "unit_interval": "x / 255",
    "pca": "subtract the mean image, rotate into the eigenbasis of the covariance (CS231n)",
    "whiten": "pca, then divide each coordinate by its standard deviation (CS231n)",
}

# Kinds without statistics: what is subtracted, and by what is multiplied
FIXED = {"scale": (127.5, 1 / 127.5), "unit_interval": (0.0, 1 / 255)}
# The largest height * width * channels of an image for pca and whiten.
MOST_DIMENSIONS = 4_096
# Statistics of a larger training set are those of every k-th image, of at least SAMPLE images.
MOST_IMAGES, SAMPLE = 65_536, 16_384
# Added to the eigenvalues, as a fraction of the largest, so that directions that contain only
# rounding errors of pixels are not scaled up to unit variance.
WHITEN_EPSILON = 1e-5
_NAME = "input_preprocess"


def fit(kind: str, data: Data, split: Split, ops: tuple, batch: int = 256) -> keras.Layer | None:
    """Return a layer, named input_preprocess, from raw pixels 0..255 to a network's input.

    For "pca" and "whiten" the image is flattened and rotated, with the largest eigenvalue first,
    and the result has the shape of the image again. "whiten" divides each coordinate by
    sqrt(its variance + 1e-5 * the largest variance).

    Of more than 65,536 images, only every k-th is used, where k = count // 16,384, so that a
    training on millions of photos can start.

    Args:
        kind: one of KINDS; None is returned for "none".
        data: the data set, whose name is part of the cache key.
        split: the training set, from which the statistics are computed.
        ops: deterministic ops applied to its images first.
        batch: the number of images read at a time.

    Raises:
        ValueError: the kind is unknown, or images for pca or whiten have more than 4,096
            dimensions.
    """
    if kind not in KINDS:
        raise unknown("preprocessing", kind, KINDS, "`recipes names preprocess`")
    if kind == "none":
        return None
    if kind in FIXED:
        shift, scale = map(np.float32, FIXED[kind])
        return layers.Affine(shift, scale, name=_NAME)
    step = split.count // SAMPLE if split.count > MOST_IMAGES else 1
    every = (f"every {step}",) if step > 1 else ()
    key = repr((1, data.name, split.fingerprint, ops, kind, *every))
    path = cache_dir() / "preprocess" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"
    found = _load(path)
    if found is None:
        if step > 1:
            whole = split.order
            split = dataclasses.replace(split, order=lambda seed: whole(seed).shard(step, 0))
        found = _parameters(kind, split, ops, batch)
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **found)
        write_cached(path, content.getvalue())
    return layers.Affine(found["shift"], found["scale"], found.get("matrix"), name=_NAME)


def _load(path) -> dict[str, np.ndarray] | None:
    """Return the arrays of a cache file; None if it does not exist or is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = dict(file)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error):
        return None
    return found if {"shift", "scale"} <= set(found) else None


def _parameters(kind: str, split: Split, ops: tuple, batch: int) -> dict[str, np.ndarray]:
    """Return shift, scale and matrix of the layer."""
    # The labels are not used, so the number of classes does not matter.
    batches = evaluation_batches(split, classes=1, batch=batch, ops=ops)
    shape = tuple(batches.element_spec[0].shape[1:])
    if kind in ("pca", "whiten"):
        mean, values, vectors = _eigen(batches, kind, shape)
        if kind == "whiten":
            vectors = vectors / np.sqrt(values + WHITEN_EPSILON * values.max(initial=1e-12))
        return _as_float32(mean.reshape(shape), np.ones(()), vectors)
    axes = (0,) if kind.endswith("_image") else (0, 1, 2)
    mean, variance = _moments(batches, axes)
    if not kind.startswith("standardize"):
        return _as_float32(mean, np.ones(()))
    # A channel or pixel that is constant up to rounding is only centered.
    return _as_float32(mean, 1 / np.sqrt(np.where(variance > 1e-6, variance, 1)))


def _as_float32(shift, scale, matrix=None) -> dict[str, np.ndarray]:
    """Return the parameters that are not None in float32, by name."""
    arrays = {"shift": shift, "scale": scale, "matrix": matrix}
    return {name: np.asarray(a, np.float32) for name, a in arrays.items() if a is not None}


def _moments(batches, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and population variance over the axes, in float64 and one pass."""
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    for images, _ in batches.as_numpy_iterator():
        x = images.astype(np.float64)
        own = int(np.prod([x.shape[axis] for axis in axes]))
        own_mean = x.mean(axes)
        difference = own_mean - mean
        # Merge the moments of two samples (Chan et al. 1979).
        squares = squares + x.var(axes) * own + difference**2 * (count * own / (count + own))
        mean = mean + difference * (own / (count + own))
        count += own
    return mean, squares / count


def _eigen(batches, kind: str, shape: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean, and the covariance's eigenvalues (largest first) and eigenvectors."""
    dimensions = int(np.prod(shape))
    if dimensions > MOST_DIMENSIONS:
        raise ValueError(
            f"preprocess={kind!r}: supports at most {MOST_DIMENSIONS:,} dimensions, but an image"
            f" of {'x'.join(map(str, shape))} has {dimensions:,}; resize the images to a smaller"
            " size, or use 'standardize'"
        )
    count, mean, products = 0, np.zeros(dimensions), np.zeros((dimensions, dimensions))
    for images, _ in batches.as_numpy_iterator():
        x = images.reshape(len(images), -1).astype(np.float64)
        own_mean = x.mean(0)
        difference = own_mean - mean
        x -= own_mean
        products += x.T @ x
        products += np.outer(difference, difference) * (count * len(x) / (count + len(x)))
        mean += difference * (len(x) / (count + len(x)))
        count += len(x)
    values, vectors = np.linalg.eigh(products / count)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    # The sign of an eigenvector is arbitrary; make its largest component positive.
    largest = vectors[np.abs(vectors).argmax(0), np.arange(dimensions)]
    return mean, values, vectors * np.where(largest < 0, -1, 1)
