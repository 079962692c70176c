"""Repeated augmentation: several differently augmented copies of an image in one batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from recipes.augment.registry import check_types, op, require
from zoo.lazy import tensorflow as tf


@op
@dataclass(frozen=True)
class RepeatedAugmentation:
    """Repeat each image in a batch, augmented differently each time (Berman et al. 2019).

    A batch keeps its size, as in section 3.2 of the paper (MultiGrain), while that of Augment
    Your Batch (Hoffer et al. 2020) is `times` as large. It holds ceil(batch / times) images; if
    `times` does not divide the batch, some of them are repeated once less. An epoch has as many
    batches as without the op, and so uses only one in `times` images of the data set. All images
    of a batch come before their next copies, so that Mixup and CutMix, which combine neighbors,
    combine different images.

    Args:
        times: the number of copies; 3 in torchvision's recipes and ResNet strikes back.
    """

    times: int = 3

    def __post_init__(self):
        check_types(self)
        require(self, "times", 1 <= self.times <= 100, "from 1 to 100")

    def images(self, batch: int) -> int:
        """Return the number of different images in a batch."""
        return math.ceil(batch / self.times)

    def repeat(self, items, batch: int):
        """Return a dataset of (copy, item), where copy counts from 0 (int64), batch by batch."""
        copies = tf.data.Dataset.range(self.times)

        def copied(*items):
            once = tf.data.Dataset.from_tensor_slices(items)
            whole = copies.flat_map(lambda copy: once.map(lambda *item: (copy, item)))
            return whole.take(batch)

        return items.batch(self.images(batch)).flat_map(copied)
