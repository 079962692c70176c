"""The preprocessed images of a data set, kept in memory, and the order of an epoch."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from recipes.data.batches import evaluation_batches, open_for
from recipes.data.types import Data, Split
from recipes.evaluation.tta import is_random
from recipes.recipe import Recipe
from recipes.training import requirements
from zoo.options import unknown
from zoo.terminal import plural

MOST_BYTES = 1 << 31  # limit of one set of images in float32
_BATCH = 1024
_ORDERS = 64  # orders that are kept for other trainings with the same seed


class Images(NamedTuple):
    """One set of images as a network reads them.

    Attributes:
        images: preprocessed images, float32 [N, H, W, C].
        labels: one-hot labels, float32 [N, classes].
    """

    images: tf.Tensor
    labels: tf.Tensor


class Opened:
    """An open data set, whose test set is opened at its first use.

    Args:
        recipe: the recipe of the data.

    Attributes:
        data: the data set.
        order: function from (seed, epoch) to the positions of an epoch's images; see `order_of`.
            None if steps read other images than those in memory.

    Raises:
        ValueError: the data does not exist, or the recipe does not fit it.
    """

    def __init__(self, recipe: Recipe):
        self.data = open_for(recipe)
        requirements.check(recipe, self.data, 1, test=True)
        fixed = not any(not callable(op) or is_random(op) for op in recipe.augment)
        self.order = order_of(self.data.train) if fixed else None

    def is_like(self, other: Opened) -> bool:
        """Return whether both have the same training and validation images."""
        return _fingerprints(self.data) == _fingerprints(other.data)

    @functools.cached_property
    def test(self) -> Split:
        return self.data.open_test().checked()

    def split(self, name: str) -> Split:
        """Return the set "train", "validation" or "test".

        Raises:
            ValueError: there is no such set.
        """
        if name == "train":
            return self.data.train
        if name == "test":
            return self.test
        if name != "validation":
            raise unknown("split", name, ("train", "validation", "test"))
        if self.data.validation is None:
            raise ValueError(
                f"split={name!r}: data={self.data.name!r} has no validation set; set a fraction"
                " such as validation=0.1"
            )
        return self.data.validation.checked()


def _fingerprints(data: Data) -> list[str]:
    return [part.fingerprint for part in (data.train, data.validation) if part is not None]


def load(split: Split, ops: tuple, classes: int, before: Callable | None) -> Images:
    """Read all images of a split, in its fixed order.

    Args:
        split: the set of images.
        ops: operations on its images, whose results must not depend on the epoch.
        classes: number of classes.
        before: preprocessing layer, or None.

    Raises:
        ValueError: the images need more than 2 GiB.
    """
    batches = evaluation_batches(split, classes=classes, batch=_BATCH, ops=ops)
    shape = tuple(batches.element_spec[0].shape[1:])
    size = 4 * split.count * math.prod(shape)
    if size > MOST_BYTES:
        raise ValueError(
            f"data: the {plural(split.count, 'image')} of the {split.name} set need"
            f" {size / 1e9:.1f} GB of memory, more than {MOST_BYTES / 1e9:.1f} GB; use fewer or"
            " smaller images"
        )
    images = np.empty((split.count, *shape), np.float32)
    labels = np.empty((split.count, classes), np.float32)
    end = 0
    for some, own in batches:
        start, end = end, end + len(some)
        images[start:end] = some if before is None else before(some)
        labels[start:end] = own
    with tf.device("CPU"):
        return Images(tf.constant(images[:end]), tf.constant(labels[:end]))


def order_of(split: Split) -> Callable[[int, int], np.ndarray] | None:
    """Return a function from (seed, epoch) to the positions of an epoch's images, int32 [N].

    The positions are those of `load`, and their order is that of `recipes.train`. The result is
    None if an epoch is more than an order of the images, as with sampling="balanced".
    """
    fixed = split.order(None)
    if fixed.element_spec != tf.TensorSpec([], tf.int64):
        return None
    indices = _values(fixed, split.count)
    places = np.empty(int(indices.max()) + 1, np.int32)
    places[indices] = np.arange(split.count)

    @functools.lru_cache(maxsize=_ORDERS)
    def order(seed: int, epoch: int) -> np.ndarray:
        return places[_values(split.order(tf.constant([seed, epoch])), split.count)]

    return order


def _values(items: tf.data.Dataset, count: int) -> np.ndarray:
    return next(items.batch(count).as_numpy_iterator())
