"""Divide a data set between workers before images are read.

A part is the number of a worker, from 0, and the number of workers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.lazy import tensorflow as tf

if TYPE_CHECKING:
    from recipes.data.types import Split


def range_of_part(count: int, part: tuple[int, int]) -> tuple[int, int]:
    """Return the start and the end of a worker's share of `count` records, or rows of a batch."""
    worker, workers = part
    return count * worker // workers, count * (worker + 1) // workers


def order_of(split: Split, seed, part: tuple[int, int]) -> tf.data.Dataset:
    """Return the items of a split in order: all, or a stream's own range of records."""
    if part[1] > 1 and split.order_of_part is not None:
        return split.order_of_part(seed, part)
    return split.order(seed)


def rows(batch: int, part: tuple[int, int]) -> int:
    """Return the number of rows of a batch that a worker gets."""
    start, end = range_of_part(batch, part)
    return end - start


def rows_of_part(items: tf.data.Dataset, batch: int, part: tuple[int, int]) -> tf.data.Dataset:
    """Keep a worker's consecutive rows of each batch of items."""

    def own_rows(*items):
        start, end = range_of_part(tf.shape(tf.nest.flatten(items)[0])[0], part)
        own = tf.nest.map_structure(lambda column: column[start:end], items)
        return tf.data.Dataset.from_tensor_slices(own)

    return items.batch(batch).flat_map(own_rows)
