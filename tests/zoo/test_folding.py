"""Folding batch norms keeps the outputs of a network, and Keras alone opens the result."""

import keras
import numpy as np
import pytest

import zoo
from zoo import layers as zoo_layers

X = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")


def with_statistics(model):
    """Assign random weights and norm statistics, so that losing a norm shows."""
    rng = np.random.default_rng(1)
    for w in model.weights:
        if w.name in ("gamma", "moving_variance"):
            w.assign(rng.uniform(0.5, 1.5, w.shape))
        elif w.name in ("beta", "moving_mean", "bias"):
            w.assign(rng.normal(size=w.shape) * 0.1)
    return model


def norms(model):
    return [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]


@pytest.mark.parametrize("options", [{}, {"padding": "tf"}, {"norm_bias": True}], ids=str)
def test_folding_keeps_the_logits(toy, options):
    if set(options) & set(getattr(zoo.resolve(toy).spec, "unused", ())):
        pytest.skip("refused: it has no meaning there")
    model = with_statistics(zoo.build(toy, norm="batch", init="kaiming", seed=0, **options))
    plain = zoo.fold_batchnorm(model)
    expected = np.asarray(model(X))
    assert np.abs(plain(X) - expected).max() <= 1e-4 * np.abs(expected).max()
    for norm in norms(plain):
        maker = norm.input._keras_history.operation
        kernel = isinstance(maker, (keras.layers.Conv2D, keras.layers.Dense))
        readers = [
            x for x in plain.layers[1:] if any(norm.input is y for y in keras.tree.flatten(x.input))
        ]
        assert not kernel or len(readers) > 1, norm.name
    assert len(norms(plain)) < len(norms(model))
    assert not [x for x in plain.layers if type(x).__module__.startswith("zoo.")]


@pytest.mark.quick
def test_folding_removes_every_norm_of_post_activation_networks(caplog):
    for toy in ("toy_resnet", "toy_vgg", "toy_alexnet"):
        assert not norms(zoo.fold_batchnorm(zoo.build(toy, norm="batch")))
    assert not caplog.records


@pytest.mark.quick
def test_what_cannot_be_folded_is_said(caplog):
    plain = zoo.fold_batchnorm(zoo.build("toy_preact_resnet"))
    assert "norms could not be folded: stage" in caplog.text
    assert all(n.name in caplog.text for n in norms(plain))
    zoo.fold_batchnorm(zoo.build("toy_alexnet"))
    assert "Keras has no equivalent of stem_lrn" in caplog.text


@pytest.mark.full  # test_exporting.py opens another file with Keras alone
def test_keras_alone_opens_a_folded_network(tmp_path, python):
    model = with_statistics(zoo.build("toy_resnet", seed=0, shortcut="pad"))
    plain = zoo.fold_batchnorm(model)
    plain.save(tmp_path / "plain.keras")
    np.save(tmp_path / "x.npy", X)
    python(f"""
import sys
import keras, numpy as np
model = keras.models.load_model({str(tmp_path / "plain.keras")!r})
assert "zoo" not in sys.modules
np.save({str(tmp_path / "y.npy")!r}, model.predict(np.load({str(tmp_path / "x.npy")!r}), verbose=0))
""")
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model(X), rtol=1e-3, atol=1e-5)


def test_folding_does_not_change_the_given_model():
    model = with_statistics(zoo.build("toy_resnet", seed=0))
    before = [np.array(w) for w in model.weights]
    plain = zoo.fold_batchnorm(model)
    for w in plain.weights:
        w.assign(np.zeros(w.shape))
    for a, b in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_norms_before_kernels_fold_unless_zeros_are_padded():
    model = with_statistics(zoo.build("toy_preact_resnet", act="linear", seed=0))
    plain = zoo.fold_batchnorm(model)
    left = {norm.name for norm in norms(plain)}
    # Before a padded 3x3 a norm stays unless the 1x1 before it takes it; before 1x1s it goes.
    assert "stage1_block1_3_norm" not in left
    assert "stage2_block1_1_norm" in left  # the shortcut and the branch both read it
    expected = np.asarray(model(X))
    assert np.abs(plain(X) - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("padding", ["valid", "symmetric"])
@pytest.mark.parametrize(("groups", "filters"), [(1, 5), (2, 8), (6, 12)])
def test_a_norm_before_a_grouped_convolution_folds_without_padding(groups, filters, padding):
    norm = zoo_layers.BatchNorm(name="norm")
    kernel = zoo_layers.Conv2D(filters, 3, 1, padding, groups=groups, name="kernel")
    x = keras.Input((8, 8, 6))
    y = keras.layers.BatchNormalization(name="behind")(kernel(keras.layers.Dropout(0.5)(norm(x))))
    model = with_statistics(keras.Model(x, keras.layers.Activation("relu")(y)))
    plain = zoo.fold_batchnorm(model)
    assert [n.name for n in norms(plain)] == (["norm"] if padding == "symmetric" else [])
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 6)).astype("float32")
    np.testing.assert_allclose(plain(images), model(images), rtol=1e-4, atol=1e-5)


def test_a_norm_before_a_dense_layer_folds():
    x = keras.Input((6,))
    y = keras.layers.Dense(4, "relu", name="d")(keras.layers.BatchNormalization()(x))
    model = with_statistics(keras.Model(x, y))
    plain = zoo.fold_batchnorm(model)
    assert not norms(plain)
    values = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    np.testing.assert_allclose(plain(values), model(values), rtol=1e-4, atol=1e-6)


@pytest.mark.quick
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16"])
def test_a_folded_network_keeps_its_precision(policy):
    """Its layers get the dtype policy of the network, not that of the process that folds it."""
    keras.config.set_dtype_policy(policy)
    try:
        model = zoo.build("toy_densenet", seed=0, init="random_walk", stem="imagenet")
    finally:
        keras.config.set_dtype_policy("float32")
    plain = zoo.fold_batchnorm(with_statistics(model))
    assert norms(plain)
    for layer in plain.layers[1:]:
        expected = "float32" if layer.name == "head_dense" else model.compute_dtype
        assert layer.compute_dtype == expected, layer.name
        if isinstance(layer, keras.layers.BatchNormalization):
            assert layer.variable_dtype == "float32"
        assert "zoo" not in str(layer.get_config()), layer.name


@pytest.mark.quick
def test_plain_convolutions_without_a_bias_fold():
    """Including one that is called twice, with different norms."""
    x = keras.Input((8, 8, 3))
    kernel = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)
    one, two = (keras.layers.BatchNormalization() for _ in range(2))
    y = keras.layers.Add()([one(kernel(x)), two(kernel(keras.layers.ReLU()(x)))])
    y = keras.layers.BatchNormalization()(keras.layers.Conv2D(5, 1, use_bias=False)(y))
    model = with_statistics(keras.Model(x, y))
    plain = zoo.fold_batchnorm(model)
    assert not norms(plain)
    images = X[:, :8, :8]
    np.testing.assert_allclose(plain(images), model(images), rtol=1e-4, atol=1e-5)


@pytest.mark.quick
def test_a_norm_over_another_axis_than_channels_is_not_folded():
    x = keras.Input((8, 8, 3))
    y = keras.layers.BatchNormalization(axis=1)(keras.layers.Conv2D(8, 1)(x))
    model = with_statistics(keras.Model(x, y))
    plain = zoo.fold_batchnorm(model)
    assert len(norms(plain)) == 1
    images = X[:, :8, :8]
    np.testing.assert_allclose(plain(images), model(images), rtol=1e-4, atol=1e-5)
