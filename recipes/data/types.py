"""The types of a data set, Data and Split, and functions to make a Split."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.files import write
from zoo.lazy import tensorflow as tf

if TYPE_CHECKING:
    import numpy as np

# A split is kept in memory if its decoded images need at most this many bytes.
IN_MEMORY = 1 << 29
BLOCK = 256  # images whose files are found together


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
        locate: for files: a function from indices, int64 [N], to the places [M] in them of images
            that can be read, and two more columns of their items, which `lookup` needs. It may
            check the files. None if items are complete.
        labels: the label of each image in the fixed order, if they are known without reading it.
        names: a function to the names of all images, also of those that cannot be read; None if
            `describe` gives all of them.
        check: a function that checks all images and returns the split without unreadable ones;
            None if they have been checked.
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
    locate: Callable[[Any], tuple] | None = None
    labels: np.ndarray | None = None
    names: Callable[[], Iterable[str]] | None = None
    check: Callable[[], Split] | None = None

    def elements(self, seed=None) -> tf.data.Dataset:
        """Return the elements in their fixed order, or in that of a seed."""
        items = located(self.order(seed), self)
        return items.map(self.lookup, tf.data.AUTOTUNE, deterministic=True)

    def checked(self) -> Split:
        """Return the split without images that cannot be read, so that `count` is exact."""
        return self if self.check is None else self.check()


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

    @cached_property
    def images(self) -> str:
        """A digest of the names of all training and validation images."""
        digest = hashlib.sha256()
        for part in filter(None, (self.train, self.validation)):
            names = part.names() if part.names else map(part.describe, range(part.count))
            for some in batched(names, 4096):
                text = "".join(f"{part.name} {name}\n" for name in some)
                digest.update(text.encode(errors="backslashreplace"))
        return digest.hexdigest()[:32]


def batched(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield lists of `size` items; the last one may be shorter."""
    rest = iter(items)
    while some := list(itertools.islice(rest, size)):
        yield some


def located(items: tf.data.Dataset, split: Split) -> tf.data.Dataset:
    """Add the columns that the lookup of a split needs to items, whose last one is the index.

    Images that cannot be read may be left out. Items are handled in blocks, because finding a file
    is a Python function.
    """
    locate = split.locate
    if locate is None:
        return items

    def add(*columns):
        kept, *more = locate(columns[-1])
        return (*(tf.gather(column, kept) for column in columns), *more)

    blocks = items.batch(BLOCK).map(tf.autograph.experimental.do_not_convert(add))
    # The files of the next block are checked while images of this one are decoded.
    return blocks.prefetch(1).unbatch()


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
    import numpy as np

    known = np.asarray(labels)
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
        labels=known,
    )


def write_cached(path: Path, content: bytes) -> None:
    """Write a file of the cache completely or not at all, and create its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, lambda file: file.write(content), "wb")
