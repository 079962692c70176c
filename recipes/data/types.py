"""What a data set is: Data and its Splits; and where computed things are cached."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.files import write
from zoo.lazy import tensorflow as tf

# A split whose decoded images take no more bytes than this is kept in memory.
IN_MEMORY = 1 << 29


@dataclass(frozen=True)
class Split:
    """One set of labelled images.

    Attributes:
        name: such as "train".
        count: the number of images.
        encoded: an element's image is JPEG or PNG bytes, not pixels.
        shape: of an image once it is decoded: height, width, channels; None where they differ.
        order: seed -> a Dataset of `count` items, in an order that is a function of the
            seed, an int32 tensor [2]; in the fixed order for None.
        lookup: *item -> an element: a dict of image (bytes, or uint8 [H, W, C]), label and
            index (int64), the place in the fixed order.
        describe: index -> the file, or the place in the data set, to name in messages.
        fingerprint: differs where the content may: the key of what is computed from it.
    """

    name: str
    count: int
    encoded: bool
    shape: tuple[int | None, int | None, int]
    order: Callable[[Any], tf.data.Dataset]
    lookup: Callable[..., dict[str, Any]]
    describe: Callable[[int], str]
    fingerprint: str

    def elements(self) -> tf.data.Dataset:
        """The elements in their fixed order."""
        return self.order(None).map(self.lookup, tf.data.AUTOTUNE, deterministic=True)


@dataclass(frozen=True)
class Data:
    """A data set: its training and validation sets, and a test set that is not read yet.

    Attributes:
        validation: None where none was asked for.
        open_test: reads and returns the test set; a run calls it once, at its end.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split | None
    open_test: Callable[[], Split]

    @property
    def shape(self) -> tuple[int | None, int | None, int]:
        """Of the raw training images: height and width, None where they differ; channels."""
        return self.train.shape

    @property
    def images(self) -> str:
        """A digest of which images train and validate, by name: another where some came or went."""
        digest = hashlib.sha256()
        for part in filter(None, (self.train, self.validation)):
            for index in range(part.count):
                name = f"{part.name} {part.describe(index)}\n"
                digest.update(name.encode(errors="backslashreplace"))
        return digest.hexdigest()[:32]


def permutation(count: int, seed) -> tf.data.Dataset:
    """The indices 0..count-1, int64, in an order that is a function of the seed."""
    if seed is None:
        return tf.data.Dataset.range(count)
    # Ties of 64-bit keys do not occur in practice, and would be resolved by index.
    keys = tf.random.stateless_uniform([count], seed, None, None, tf.int64)
    return tf.data.Dataset.from_tensor_slices(tf.argsort(keys, stable=True)).map(
        lambda index: tf.cast(index, tf.int64)
    )


def in_memory(
    images, labels, *, name: str, describe: Callable[[int], str], fingerprint: str
) -> Split:
    """A split that holds its images, uint8 [N, H, W, C]."""
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
    """Write a file of the cache whole or not at all, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, lambda file: file.write(content), "wb")
