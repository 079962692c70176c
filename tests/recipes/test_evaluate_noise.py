"""Noise on the weights and inputs of networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from recipes.evaluation.noise import Noise, noisy_weights, parse, summary, with_input_noise
from zoo.graph import layers_of
from zoo.layers import Affine

pytestmark = pytest.mark.quick


def kernels(model):
    return {x.name: np.array(x.kernel) for x in layers_of(model) if hasattr(x, "kernel")}


def test_each_kernel_gets_noise_of_its_own_scale_and_is_restored():
    model = zoo.build(
        "mlp", input_shape=(8, 8, 1), hidden=(400, 300), init="normal:0.5", num_classes=50, seed=0
    )
    before, biases = kernels(model), [np.array(v) for v in model.weights if "bias" in v.path]
    seen = []
    for seed in (0, 0, 1):
        with noisy_weights(model, Noise(weights=0.1), seed):
            seen.append(kernels(model))
            for bias, now in zip(
                biases, [v for v in model.weights if "bias" in v.path], strict=True
            ):
                np.testing.assert_array_equal(bias, now)
    for name, kernel in before.items():
        added = seen[0][name] - kernel
        assert added.std() == pytest.approx(0.1 * kernel.std(), rel=0.03)
        assert abs(added.mean()) < 0.05 * added.std()
        assert abs(np.corrcoef(added.ravel(), kernel.ravel())[0, 1]) < 0.03
        np.testing.assert_array_equal(seen[0][name], seen[1][name])
        assert not np.array_equal(seen[0][name], seen[2][name])
    for name, kernel in kernels(model).items():
        np.testing.assert_array_equal(kernel, before[name])
    with noisy_weights(model, Noise(0.1, "fc_1_*"), 0):
        changed = [n for n, kernel in kernels(model).items() if not (kernel == before[n]).all()]
        assert changed == ["fc_1_dense"]
    np.testing.assert_array_equal(kernels(model)["fc_1_dense"], before["fc_1_dense"])
    with (
        pytest.raises(ValueError, match=r"unknown layer in weight_noise 'fc_3_dense'.*fc_1_dense"),
        noisy_weights(model, Noise(0.1, "fc_3_dense"), 0),
    ):
        pass


@pytest.mark.parametrize("preprocessed", [True, False])
def test_inputs_get_noise_behind_the_preprocessing(preprocessed):
    """Its standard deviation is a share of that of the preprocessed images; masks differ."""
    x = keras.Input((6, 6, 2))
    y = Affine([100.0, 90.0], [0.5, 0.25], name="input_preprocess")(x) if preprocessed else x
    model = keras.Model(x, keras.layers.Flatten()(y))
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (300, 6, 6, 2)).astype("f")
    batches = tf.data.Dataset.from_tensor_slices((images, np.zeros(300))).batch(100)
    clean = model.predict(images, verbose=0)
    noisy, same, other = (
        with_input_noise(model, Noise(inputs=0.3), seed, batches).predict(
            batches.map(lambda x, y: x), verbose=0
        )
        for seed in (0, 0, 1)
    )
    added = noisy - clean
    assert added.std() == pytest.approx(0.3 * clean.std(), rel=0.02)
    assert abs(added.mean()) < 0.03 * added.std()
    assert abs(np.corrcoef(added[:100].ravel(), added[100:200].ravel())[0, 1]) < 0.05
    np.testing.assert_array_equal(noisy, same)
    assert not np.array_equal(noisy, other)


def test_the_arguments_of_noise():
    assert parse(0, 0.0) is None
    assert parse(None, None) is None
    assert parse("0.2", 0) == parse(0.2, 0) == Noise(0.2, "*", 0.0)
    assert parse("stem_*:0.2", 0.1) == Noise(0.2, "stem_*", 0.1)
    for given in ("-1", "nan", "fc:", "fc:x", True, ":0.1"):
        with pytest.raises(ValueError, match=f"^weight_noise={given!r}: "):
            parse(given, 0)
    with pytest.raises(
        ValueError, match=r"^input_noise=-0\.1: must be a finite number of at least"
    ):
        parse(0, -0.1)


def test_the_mean_and_deviation_of_repeats():
    labels = np.eye(2)[[0, 0, 1, 1]]
    scores = [np.array([[2.0, 0], [2, 0], [0, 2], [2, 0]]), np.array([[2.0, 0], [0, 2]] * 2)]
    found = summary(Noise(0.1), 5, [(each, labels) for each in scores])
    assert [row["seed"] for row in found["repeats"]] == [5, 6]
    assert [row["top1"] for row in found["repeats"]] == [0.75, 0.5]
    assert found["top1_mean"] == 0.625
    assert found["top1_sd"] == pytest.approx(0.25 / np.sqrt(2))
    low, high = np.log1p(np.exp(-2)), np.log1p(np.exp(2))
    assert found["loss_mean"] == pytest.approx(np.mean([low, low, low, high, low, high, high, low]))
    assert summary(Noise(0.1), 0, [(scores[0], labels)])["top1_sd"] is None
