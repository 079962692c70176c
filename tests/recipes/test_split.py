"""The order of a split's images in each epoch."""

import numpy as np
import pytest
import tensorflow as tf

from recipes.data import types

pytestmark = pytest.mark.quick


def test_the_order_of_an_epoch_is_a_random_permutation():
    def order(*seed):
        return next(types.permutation(500, seed).batch(500).as_numpy_iterator()).tolist()

    assert list(types.permutation(5, None).as_numpy_iterator()) == [0, 1, 2, 3, 4]
    assert sorted(order(0, 0)) == list(range(500))
    assert order(0, 0) == order(0, 0)
    orders = [order(seed, epoch) for seed in range(3) for epoch in range(4)]
    # No two are correlated (the standard deviation of a correlation is 0.045).
    correlations = np.corrcoef(orders) - np.eye(12)
    assert np.abs(correlations).max() < 0.2

    def first(epoch):
        return types.permutation(4, tf.stack([0, epoch])).take(1)

    epochs = tf.data.Dataset.from_tensor_slices(tf.range(400))
    assert np.bincount(list(epochs.flat_map(first).as_numpy_iterator())).min() > 70
