"""Handle imbalanced classes: class weights, and sampling each class equally often."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from recipes.data.parts import range_of_part
from recipes.data.types import Split
from zoo.lazy import tensorflow as tf
from zoo.options import unknown
from zoo.terminal import plural

# The size of the shuffle buffer, in images, for data sets that are read as a stream.
_SHUFFLE = 16_384


def labels_of(split: Split) -> np.ndarray:
    """Return the label of each image in the fixed order, int64 [N], without decoding images."""
    if split.labels is not None:
        return split.labels.astype(np.int64)
    with tf.init_scope():  # to run eagerly even while a data pipeline is traced
        labels = split.order(None).map(lambda *item: split.lookup(*item)["label"])
        parts = list(labels.batch(4096).as_numpy_iterator())
    return np.concatenate(parts).astype(np.int64)


def class_weights(
    given: str | dict[str, float] | tuple[float, ...], classes: Sequence[str], split: Split
) -> np.ndarray:
    """Return the weight of each class, float32 [classes].

    Args:
        given: "balanced", a dict from class name to weight (1 for missing classes), or one weight
            for each class. As in scikit-learn, "balanced" is n / (k * n_c) for n training images,
            n_c of them in class c, and k classes that have images, so that the mean over the
            training images is 1. Other weights are used unchanged.
        classes: the class names.
        split: the training set.

    Raises:
        ValueError: a class is unknown, or the number of weights is not that of the classes.
    """
    if isinstance(given, dict):
        for name in given:
            if name not in classes:
                raise unknown("class in class_weight", name, classes)
        return np.array([given.get(name, 1.0) for name in classes], np.float32)
    if given != "balanced":
        if len(given) != len(classes):
            raise ValueError(
                f"class_weight={given!r}: {plural(len(given), 'weight')} for"
                f" {plural(len(classes), 'class', 'classes')}"
                f" ({', '.join(classes[:10])}{', ...' if len(classes) > 10 else ''}); give one"
                " for each class, or a dict"
            )
        return np.array(given, np.float32)
    counts = np.bincount(labels_of(split), minlength=len(classes))
    present = counts > 0
    weights = np.ones(len(classes), np.float32)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights


def weighted(batches: tf.data.Dataset, weights: np.ndarray) -> tf.data.Dataset:
    """Add sample weights, [B], to batches: (images, labels, weights).

    An image has the weight of its class; a mixed image has the mean weight of its classes,
    weighted by their shares in the label. The loss is the sum of weight * loss over the batch
    divided by the batch size, not by the sum of the weights, so that it is the same for one
    replica or several and for accumulated gradients.
    """
    class_weight = tf.constant(weights)

    def add(images, labels):
        return images, labels, tf.linalg.matvec(labels, class_weight)

    return batches.map(add, tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def repeats(labels: np.ndarray, seed) -> tf.Tensor:
    """Return how many times each image is used in an epoch that samples classes equally often.

    Each of the k classes that have images gets N // k of the N images of an epoch, and N % k
    random classes get one more. Within a class, images are repeated equally often; those that are
    used once more than the others (or at all, in a frequent class) change from epoch to epoch.

    Args:
        labels: the label of each image, int64 [N].
        seed: the seed of the epoch, int32 [2].

    Returns:
        The number of uses of each image, int64 [N], with the sum N.
    """
    present, own = np.unique(labels, return_inverse=True)
    total, k = len(labels), len(present)
    counts = tf.constant(np.bincount(own), tf.int64)
    seeds = tf.random.split(seed, 2)
    order = tf.argsort(tf.random.stateless_uniform([k], seeds[0]), stable=True)
    place = tf.cast(tf.math.invert_permutation(order), tf.int64)
    quota = total // k + tf.cast(place < total % k, tf.int64)
    # The rank of each image in a random order of its class
    keys = tf.argsort(tf.random.stateless_uniform([total], seeds[1]), stable=True)
    classes = tf.gather(tf.constant(own.reshape(-1), tf.int64), keys)
    by_class = tf.gather(keys, tf.argsort(classes, stable=True))
    starts = tf.cumsum(counts, exclusive=True)
    ranks = tf.range(total, dtype=tf.int64) - tf.gather(starts, tf.sort(classes))
    ranks = tf.gather(ranks, tf.math.invert_permutation(by_class))
    mine = tf.constant(own.reshape(-1), tf.int64)
    quota, counts = tf.gather(quota, mine), tf.gather(counts, mine)
    return quota // counts + tf.cast(ranks < quota % counts, tf.int64)


def balanced(split: Split) -> Split:
    """Return the split with each class equally often in an epoch, whose length stays the same.

    The order is a function of the seed. "draw" in an element counts the repetitions of its image
    in the epoch from 0, so that each repetition is augmented differently. If several workers read
    ranges of records, each of them uses the classes of its own range equally often.
    """
    cache: list[np.ndarray] = []

    def labels() -> np.ndarray:
        if not cache:
            cache.append(labels_of(split))
        return cache[0]

    def of_indices(seed):
        if seed is None:
            return split.order(None).map(lambda *item: (tf.constant(0, tf.int64), *item))
        seeds = tf.random.split(seed, 2)
        counts = repeats(labels(), seeds[0])
        indices = tf.repeat(tf.range(split.count, dtype=tf.int64), counts)
        draws = tf.ragged.range(counts).flat_values
        keys = tf.random.stateless_uniform([split.count], seeds[1], None, None, tf.int64)
        chosen = tf.argsort(keys, stable=True)
        items = tf.gather(draws, chosen), tf.gather(indices, chosen)
        return tf.data.Dataset.from_tensor_slices(items)

    def of_records(seed, part=(0, 1)):
        assert split.order_of_part is not None
        records = split.order_of_part(seed, part)
        if seed is None:
            return records.map(lambda *item: (tf.constant(0, tf.int64), *item))
        seeds = tf.random.split(seed, 2)
        start, end = range_of_part(split.count, part)
        counts = repeats(labels()[start:end], seeds[0])

        def repeated(index, *item):
            once = tf.data.Dataset.from_tensors((index, *item))
            return tf.data.Dataset.range(counts[index - start]).flat_map(
                lambda draw: once.map(lambda *item: (draw, *item))
            )

        # A shuffle combines its seed with that of its graph, which would be the global seed.
        if not tf.executing_eagerly():
            tf.compat.v1.set_random_seed(1)
        own = tf.random.stateless_uniform([], seeds[1], None, None, tf.int64)
        size = min(end - start, _SHUFFLE)
        return records.flat_map(repeated).shuffle(size, own, reshuffle_each_iteration=False)

    def lookup(draw, *item) -> dict[str, Any]:
        return split.lookup(*item) | {"draw": draw}

    streamed = split.order_of_part is not None
    return dataclasses.replace(
        split,
        order=of_records if streamed else of_indices,
        lookup=lookup,
        order_of_part=of_records if streamed else None,
        check=split.check and (lambda: balanced(split.checked())),
    )
