"""Make a Split of image files, which are decoded into memory if they are small."""

from __future__ import annotations

import dataclasses

import numpy as np

from recipes.augment.decoding import decode_image, marked
from recipes.data.image_sets import ImageSet, report, summarize
from recipes.data.types import IN_MEMORY, Split, in_memory, located, permutation
from zoo.lazy import tensorflow as tf
from zoo.terminal import printable

FEW = 2_000  # images that are always checked when a folder is opened
_BATCH = 256  # images decoded together


def fits(images: ImageSet) -> bool:
    """Return whether the decoded images of a set are kept in memory."""
    size = images.size
    return size is not None and len(images) * size[0] * size[1] * images.checks.channels <= (
        IN_MEMORY
    )


def verified_first(images: ImageSet) -> bool:
    """Return whether the pixels of a set are checked when it is opened, which takes seconds."""
    return len(images) <= FEW or fits(images)


def opened(images: ImageSet) -> Split:
    """Return a set of images as a Split, decoded in memory if they are small.

    Raises:
        ValueError: none of its images can be read.
    """
    images = images.without_bad()
    if np.isin(images.numbers, [*images.checks.bad]).all():
        raise ValueError(
            f"no image of the {images.name} set in {printable(images.root)} can be read; repair or"
            " replace them"
        )
    size, count, channels = images.size, len(images), images.checks.channels
    own = images.labels
    with tf.device("CPU"):
        labels = tf.constant(own)
    upright = images.upright

    def lookup(index, source, turn):
        data = tf.io.read_file(source)
        if not upright:
            data = tf.cond(turn > 1, lambda: marked(data, turn), lambda: data)
        return {"image": data, "label": tf.cast(labels[index], tf.int64), "index": index}

    split = Split(
        name=images.name,
        count=count,
        encoded=True,
        shape=(*(size or (None, None)), channels),
        order=lambda seed: permutation(count, seed),
        lookup=lookup,
        describe=images.path,
        fingerprint=images.fingerprint,
        locate=images.located,
        labels=own,
        names=images.names,
        check=lambda: opened_whole(images),
    )
    return _in_memory(split, images) if fits(images) else split


def opened_whole(images: ImageSet) -> Split:
    """Check all images of a set now, and return those that can be read as a Split."""
    known = len(images.bad)
    images.verify_all()
    report([images])
    if len(images.bad) > known:
        summarize([images])
    return dataclasses.replace(opened(images), check=None)


def _in_memory(split: Split, images: ImageSet) -> Split:
    """Return a Split with its decoded images in memory."""
    channels = images.checks.channels
    pixels = np.empty((split.count, *(images.size or ()), channels), np.uint8)

    def decoded(*item):
        return item[0], decode_image(split.lookup(*item)["image"], channels)

    items = located(split.order(None), split)
    batches = items.map(decoded, tf.data.AUTOTUNE, deterministic=False).batch(_BATCH)
    filled = 0
    for places, some in batches.as_numpy_iterator():
        pixels[places] = some
        filled += len(some)
    if filled < split.count:  # an image was found to be bad only now
        return opened(images)
    whole = in_memory(
        pixels,
        split.labels,
        name=split.name,
        describe=split.describe,
        fingerprint=split.fingerprint,
    )
    return dataclasses.replace(whole, names=split.names)
