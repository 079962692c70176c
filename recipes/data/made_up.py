"""Made-up data: random pixels of any size, to try a network without a data set."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from recipes.data.types import Data, Split, permutation
from zoo.lazy import tensorflow as tf

if TYPE_CHECKING:
    from recipes.data.subset import Subset

_MADE_UP = re.compile(r"made_up:(\d+)x(\d+)x(\d+):(\d+)(?::(\d+))?")


def made_up_numbers(name: str) -> list[int]:
    """Return height, width, channels, classes and count of "made_up:HxWxC:CLASSES[:COUNT]".

    Raises:
        ValueError: the name does not have this form.
    """
    match = _MADE_UP.fullmatch(name)
    if not match or min(numbers := [int(n) for n in match.groups("64")]) < 1:
        raise ValueError(
            f"data={name!r}: must be made_up:HxWxC:CLASSES[:COUNT], such as made_up:32x32x3:10"
        )
    return numbers


def open_made_up(name: str, validation: float | str, seed: int, subset: Subset) -> Data:
    """Open "made_up:HxWxC:CLASSES[:COUNT]"; `open_data` describes the arguments."""
    import numpy as np

    from recipes.data.subset import of_indices

    height, width, channels, classes, count = made_up_numbers(name)

    def split(number: int, split_name: str, size: int) -> Split:
        def lookup(index):
            own = tf.random.experimental.stateless_fold_in(tf.constant([seed, number]), index)
            shape = [height, width, channels]
            pixels = tf.random.stateless_uniform(shape, own, 0, 256, tf.int32)
            return {"image": tf.cast(pixels, tf.uint8), "label": index % classes, "index": index}

        return Split(
            name=split_name,
            count=size,
            encoded=False,
            shape=(height, width, channels),
            order=lambda key: permutation(size, key),
            lookup=lookup,
            describe=lambda index: f"{split_name} image {index}",
            fingerprint=f"{name}/{seed}/{split_name}/{size}",
            labels=np.arange(size) % classes,
        )

    fraction = 0.1 if isinstance(validation, str) else validation
    held_out = max(1, round(count * fraction)) if fraction else 0
    data = Data(
        name=name,
        classes=tuple(str(number) for number in range(classes)),
        train=split(0, "train", count),
        validation=split(1, "validation", held_out) if held_out else None,
        open_test=lambda: split(2, "test", max(1, count // 4)),
    )
    return data if subset.whole else of_indices(data, subset)
