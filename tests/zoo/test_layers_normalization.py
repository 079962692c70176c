"""Batch norm against plain Keras, and local response normalization against its formula."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.zoo.layer_comparison import assert_all_close, outputs_and_gradients, random
from zoo import layers

pytestmark = pytest.mark.quick


def keras_norm(of):
    """Return Keras's layer with the weights of ours."""
    twin = keras.layers.BatchNormalization(
        momentum=of.momentum, epsilon=of.epsilon, dtype=of.dtype_policy
    )
    twin.build((None,) * (of.input_spec.ndim - 1) + (of.gamma.shape[0],))
    twin.set_weights(of.get_weights())
    return twin


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "mixed_bfloat16", "mixed_float16", "bfloat16", "float16"]
)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(4, 5, 3, 6), (1, 1, 1, 6), (8, 6)])
def test_batch_norm_equals_keras(dtype, training, shape):
    ours = layers.BatchNorm(0.8, 1e-3, dtype=dtype)
    ours.build((None, *shape[1:]))
    ours.set_weights([random(6, seed=s) ** 2 + 0.5 for s in range(4)])
    theirs = keras_norm(ours)
    x = tf.cast(random(*shape) * 3 + 1, ours.compute_dtype)
    weights = random(*shape, seed=9)
    results = [
        outputs_and_gradients(
            lambda x, layer=layer: layer(x, training=training),
            [layer.gamma.value, layer.beta.value],
            x,
            weights,
        )
        for layer in (ours, theirs)
    ]
    half = dtype.endswith("float16")
    assert results[0][0].dtype == results[1][0].dtype
    assert_all_close(*results, tolerance=3e-2 if half else 1e-4)
    assert_all_close(ours.get_weights(), theirs.get_weights(), tolerance=5e-3 if half else 1e-5)
    assert {v.dtype for v in ours.variables} == {"float64" if dtype == "float64" else "float32"}


@pytest.mark.parametrize(("spread", "center"), [(400, 1000), (2e-3, 0)], ids=["large", "small"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_batch_norm_keeps_exact_statistics_in_pure_half_precision(dtype, spread, center):
    """float16 would overflow (a variance of 160,000) or store 1e-5 with one digit; in bfloat16,
    the steps of a moving average would be rounded away."""
    layer = layers.BatchNorm(0.999, 1e-5, dtype=dtype)
    x = tf.cast(random(8, 5, 5, 3) * spread + center, dtype)
    step = tf.function(lambda x: layer(x, training=True))
    layer.build(x.shape)
    for _ in range(50):
        y = step(x)
    exact = np.asarray(x, "float64")
    mean, variance = exact.mean(axis=(0, 1, 2)), exact.var(axis=(0, 1, 2))
    kept = 0.999**50
    np.testing.assert_allclose(layer.moving_mean, (1 - kept) * mean, rtol=1e-3, atol=1e-9)
    moving = kept + (1 - kept) * variance
    np.testing.assert_allclose(layer.moving_variance, moving, rtol=1e-3)
    assert y.dtype == dtype
    tolerance = 2e-3 if dtype == "float16" else 2e-2
    assert_all_close([y], [(exact - mean) / np.sqrt(variance + 1e-5)], tolerance)
    inference = (exact - (1 - kept) * mean) / np.sqrt(moving + 1e-5)
    assert_all_close([layer(x)], [inference], tolerance)


def test_batch_norm_tracks_the_population_variance():
    x = random(3, 2, 2, 4)
    layer = layers.BatchNorm(momentum=0.0)
    layer(x, training=True)
    np.testing.assert_allclose(layer.moving_variance, x.var(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, x.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-6)


def test_a_frozen_batch_norm_is_in_inference_mode():
    layer = layers.BatchNorm()
    x = random(4, 3, 3, 2) + 5
    layer(x)
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_allclose(layer(x, training=True), layer(x, training=False))
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("switch", [{"scale": False}, {"center": False}])
def test_batch_norm_without_scale_or_offset_equals_keras(switch):
    x = random(4, 3, 3, 2)
    ours, theirs = layers.BatchNorm(0.99, 1e-3, **switch), keras.layers.BatchNormalization(**switch)
    for training in (True, False):
        assert_all_close([ours(x, training=training)], [theirs(x, training=training)])


REPLICAS = """
import keras, numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from zoo import layers
rng = np.random.default_rng(0)
x = rng.normal(size=(32, 6, 6, 3)).astype("float32") * np.arange(1, 33)[:, None, None, None]
y = rng.normal(size=(32, 1)).astype("float32")

def fit(strategy, synchronized):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        model = keras.Sequential([
            layers.Conv2D(4, 3), layers.BatchNorm(synchronized=synchronized),
            keras.layers.Flatten(), keras.layers.Dense(8),
            layers.BatchNorm(synchronized=synchronized), keras.layers.Dense(1)])
        model.build((None, 6, 6, 3))
        model.compile(keras.optimizers.SGD(0.05), "mse")
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8).repeat()
    model.fit(data, steps_per_epoch=8, verbose=0)
    return model

two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
one = fit(tf.distribute.get_strategy(), False).get_weights()
sync = fit(two, True).get_weights()
print(max(np.abs(a - b).max() for a, b in zip(one, sync)))
batch = fit(two, False)
for layer in batch.layers:
    if isinstance(layer, layers.BatchNorm):
        for v in (layer.moving_mean, layer.moving_variance):
            values = [np.asarray(r) for r in two.experimental_local_results(v.value)]
            print(len(values), np.abs(values[0] - values[1]).max(), np.abs(values[0]).max())
"""


@pytest.mark.not_quick
def test_batch_norm_on_two_replicas_averages_or_synchronizes_statistics(python):
    lines = [line.split() for line in python(REPLICAS).stdout.splitlines()]
    assert float(lines[0][0]) < 1e-4
    assert len(lines) == 5
    for replicas, difference, size in lines[1:]:
        assert replicas == "2"
        assert float(difference) == 0
        assert float(size) > 0


def test_local_response_norm_is_the_papers_formula():
    x = random(2, 3, 3, 7) * 30
    expected = np.empty_like(x)
    for c in range(7):
        near = x[..., max(0, c - 2) : c + 3]
        expected[..., c] = x[..., c] / (2 + 1e-4 * (near**2).sum(-1)) ** 0.75
    np.testing.assert_allclose(layers.LocalResponseNorm()(x), expected, rtol=1e-5)


def test_batch_norm_can_learn_the_identity():
    """With gamma = sqrt(variance + epsilon), beta = mean; without epsilon, this is not exact."""
    layer, x = layers.BatchNorm(epsilon=1e-2), random(64, 4) * [0.1, 1, 3, 10] + [0, 5, -2, 1]
    layer.build(x.shape)
    mean, variance = x.mean(axis=0), x.var(axis=0)
    layer.set_weights([np.sqrt(variance + 1e-2), mean, mean, variance])
    np.testing.assert_allclose(layer(x, training=True), x, atol=1e-4)
    np.testing.assert_allclose(layer(x, training=False), x, atol=1e-4)
    layer.gamma.assign(np.sqrt(variance))
    assert np.abs(layer(x) - x)[:, 0].max() > 0.05
