"""Read all batches of a data set, to compare them."""

import numpy as np

from recipes.data.batches import training_batches


def rows(dataset):
    return list(dataset.as_numpy_iterator())


def batches(part, *, ops=(), first_epoch=0, epochs=1, seed=0, batch=4, classes=10):
    dataset, steps = training_batches(
        part,
        classes=classes,
        batch=batch,
        ops=ops,
        seed=seed,
        first_epoch=first_epoch,
        epochs=epochs,
    )
    return rows(dataset), steps


def assert_same(one, two):
    assert len(one) == len(two)
    for (x, y), (u, v) in zip(one, two, strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)


def order(found):
    return [image.tobytes() for images, _ in found for image in images]
