"""Repeated augmentation: an image several times in a batch, each time another view of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recipes.augment.registry import check_types, op, require
from zoo.lazy import tensorflow as tf


@op
@dataclass(frozen=True)
class RepeatedAugmentation:
    """Each image `times` times in a batch, augmented anew each time.

    A batch is ceil(batch / times) images, and views of them until it is full: where `times` does
    not divide it, some of them once less. Berman et al. 2019, MultiGrain, section 3.2: the batch
    keeps its size, while that of Hoffer et al. 2020 (Augment Your Batch) is `times` as large. An
    epoch has as many batches as before, so that it sees one in `times` of the data set's images.
    The copies stand a whole set of the batch's images apart, for what mixes neighbours to mix
    two images. 3 in torchvision's recipes and ResNet strikes back.
    """

    times: int = 3

    def __post_init__(self):
        check_types(self)
        require(self, "times", 1 <= self.times <= 100, "from 1 to 100")

    def repeat(self, items, batch: int):
        """A dataset of (copy, item), copy int64 from 0, of a dataset of items, batch by batch."""
        images = math.ceil(batch / self.times)
        copies = tf.data.Dataset.range(self.times)

        def copied(*items):
            once = tf.data.Dataset.from_tensor_slices(items)
            whole = copies.flat_map(lambda copy: once.map(lambda *item: (copy, item)))
            return whole.take(batch)

        return items.batch(images).flat_map(copied)
