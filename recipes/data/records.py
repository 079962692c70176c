"""Read the records of a split of TFDS: all or chosen ones, in order or shuffled."""

from __future__ import annotations

import contextlib
import hashlib
import io
import zipfile
from typing import Any

import numpy as np

from recipes.data.parts import range_of_part
from recipes.data.types import Split, write_cached
from zoo.files import cache_dir
from zoo.lazy import tensorflow as tf

# The size of the shuffle buffer in records, and the number of files read in parallel.
_SHUFFLE, _FILES = 16_384, 16


def records_of(
    part: Any, seed, own: tuple[int, int] = (0, 1), places: np.ndarray | None = None
) -> tf.data.Dataset:
    """Return (index, serialized example) of a split, shuffled by the seed if there is one.

    Args:
        part: the split.
        seed: the seed, int32 [2], or None for the fixed order.
        own: a worker and the number of workers, to read only the worker's range of records.
        places: the positions of the records to read, increasing; the index is then that among
            them. None for all.
    """
    names = np.array([str(file.filename) for file in part.file_instructions])
    skip = np.array([file.skip for file in part.file_instructions], np.int64)
    take = np.array([file.take for file in part.file_instructions], np.int64)
    first = np.cumsum(take) - take
    start, end = range_of_part(part.num_examples if places is None else len(places), own)
    count = end - start
    if places is not None and count:
        start, end = int(places[start]), int(places[end - 1]) + 1
    cut = np.clip(start - first, 0, take)
    take = np.clip(end - first, 0, take) - cut
    if places is not None:  # omit files without any of them
        held = np.searchsorted(places, first + cut + take) - np.searchsorted(places, first + cut)
        take = np.where(held > 0, take, 0)
    shards = tuple(column[take > 0] for column in (names, skip + cut, take, first + cut))

    def read(name, skip, take, first):
        return tf.data.TFRecordDataset(name).skip(skip).take(take).enumerate(first)

    if seed is None:
        records = tf.data.Dataset.from_tensor_slices(shards).flat_map(read)
        return _only(records, part, places)
    keys = tf.random.stateless_uniform([len(shards[0])], seed)
    shards = tuple(tf.gather(column, tf.argsort(keys)) for column in shards)
    records = tf.data.Dataset.from_tensor_slices(shards).interleave(
        read, cycle_length=_FILES, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    # A shuffle combines its seed with that of its graph, which would be the global seed.
    if not tf.executing_eagerly():
        tf.compat.v1.set_random_seed(1)
    shuffle = tf.random.stateless_uniform([], seed, None, None, tf.int64)
    size = max(min(count, _SHUFFLE), 1)
    records = _only(records, part, places)
    return records.shuffle(size, shuffle, reshuffle_each_iteration=False)


def _only(records: tf.data.Dataset, part: Any, places: np.ndarray | None) -> tf.data.Dataset:
    """Return the records at some positions, numbered among these."""
    if places is None:
        return records
    found = np.full(part.num_examples, -1, np.int64)
    found[places] = np.arange(len(places))
    number = tf.constant(found)
    records = records.map(lambda index, record: (number[index], record))
    return records.filter(lambda index, record: index >= 0)


def labels_and_sizes(stream: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return the label and the bytes of each record of a stream, which the cache may know."""
    path = cache_dir() / "labels" / f"{hashlib.sha256(stream.fingerprint.encode()).hexdigest()}.npz"
    with contextlib.suppress(OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        with np.load(path, allow_pickle=False) as file:
            known = file["labels"], file["sizes"]
        if len(known[0]) == len(known[1]) == stream.count:
            return known

    def label_and_size(index, record):
        size = tf.strings.length(record)
        return tf.cast(stream.lookup(index, record)["label"], tf.int64), tf.cast(size, tf.int64)

    found = stream.order(None).map(label_and_size, tf.data.AUTOTUNE, deterministic=True)
    parts = [*found.batch(4096).as_numpy_iterator()]
    labels, sizes = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, labels=labels, sizes=sizes)
    write_cached(path, content.getvalue())
    return labels, sizes
