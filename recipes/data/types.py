"""The types of a data set, Data and Split, and functions to make a Split."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.files import write
from zoo.lazy import tensorflow as tf

# A split is kept in memory if its decoded images need at most this many bytes.
IN_MEMORY = 1 << 29


@dataclass(frozen=True)
class Split:
    """One set of labeled images.

    Attributes:
        name: the name of the set, such as "train".
        count: the number of images.
        encoded: whether an element's image is JPEG or PNG bytes rather than pixels.
        shape: height, width and channels of a decoded image; None where they differ.
        order: a function from a seed, an int32 tensor [2], to a Dataset of `count` items, in
            an order that depends only on the seed; None gives the fixed order.
        lookup: a function from an item to its element, a dict of "image" (bytes, or uint8
            [H, W, C]), "label", and "index" (int64), the position in the fixed order.
        describe: a function from an index to the file or position in the data set, for messages.
        fingerprint: a text that changes if the content may have changed; part of cache keys.
        order_of_part: for a stream of records, whose items cannot be chosen by position: a
            function from a seed and (worker, workers) to the items of the worker's own range of
            records, in an order like that of `order`. None if an item is only an index.
    """

    name: str
    count: int
    encoded: bool
    shape: tuple[int | None, int | None, int]
    order: Callable[[Any], tf.data.Dataset]
    lookup: Callable[..., dict[str, Any]]
    describe: Callable[[int], str]
    fingerprint: str
    order_of_part: Callable[[Any, tuple[int, int]], tf.data.Dataset] | None = None

    def elements(self) -> tf.data.Dataset:
        """Return the elements in their fixed order."""
        return self.order(None).map(self.lookup, tf.data.AUTOTUNE, deterministic=True)


@dataclass(frozen=True)
class Data:
    """A data set: its training and validation sets, and a test set that is opened later.

    Attributes:
        name: the name with which it was opened.
        classes: the class names, in the order of the labels.
        train: the training set.
        validation: the validation set; None if there is none.
        open_test: a function that opens the test set. A run calls it once, at its end.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split | None
    open_test: Callable[[], Split]

    @property
    def shape(self) -> tuple[int | None, int | None, int]:
        """Height, width and channels of the raw training images; None where they differ."""
        return self.train.shape

    @property
    def images(self) -> str:
        """A digest of the names of all training and validation images."""
        digest = hashlib.sha256()
        for part in filter(None, (self.train, self.validation)):
            for index in range(part.count):
                name = f"{part.name} {part.describe(index)}\n"
                digest.update(name.encode(errors="backslashreplace"))
        return digest.hexdigest()[:32]


def permutation(count: int, seed) -> tf.data.Dataset:
    """Return the indices 0..count-1, int64, in an order that depends only on the seed."""
    if seed is None:
        return tf.data.Dataset.range(count)
    # 64-bit keys are not equal in practice; equal ones would be ordered by index.
    keys = tf.random.stateless_uniform([count], seed, None, None, tf.int64)
    indices = tf.cast(tf.argsort(keys, stable=True), tf.int64)
    return tf.data.Dataset.from_tensor_slices(indices)


def in_memory(
    images, labels, *, name: str, describe: Callable[[int], str], fingerprint: str
) -> Split:
    """Return a split that keeps its images, uint8 [N, H, W, C], in memory."""
    with tf.device("CPU"):
        images, labels = tf.constant(images), tf.constant(labels, tf.int64)
    count = len(labels)

    def lookup(index):
        return {"image": images[index], "label": labels[index], "index": index}

    return Split(
        name=name,
        count=count,
        encoded=False,
        shape=tuple(images.shape[1:]),
        order=lambda seed: permutation(count, seed),
        lookup=lookup,
        describe=describe,
        fingerprint=fingerprint,
    )


def write_cached(path: Path, content: bytes) -> None:
    """Write a file of the cache completely or not at all, and create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, lambda file: file.write(content), "wb")
