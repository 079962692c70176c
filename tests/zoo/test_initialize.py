"""What the data-dependent initializations promise, measured from outside."""

import keras
import numpy as np
import pytest

import zoo

X = np.random.default_rng(0).normal(size=(16, 32, 32, 3)).astype("float32")


def kernels(model):
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    return [x for x in model.layers if isinstance(x, kinds) and x.name != "head_dense"]


def outputs(model, layers):
    found = keras.Model(model.input, [layer.output for layer in layers])(X)
    return [np.asarray(y) for y in (found if isinstance(found, (list, tuple)) else [found])]


def test_lsuv_gives_every_kernel_unit_variance(toy):
    model = zoo.build(toy, seed=0)
    variances = zoo.lsuv(model, X)
    layers = kernels(model)
    assert set(variances) == {layer.name for layer in layers}
    for layer, y in zip(layers, outputs(model, layers), strict=True):
        assert y.var() == pytest.approx(1, abs=0.1), layer.name


def test_data_dependent_gives_every_channel_unit_variance(toy):
    model = zoo.build(toy, seed=0, norm="none", init="kaiming")
    zoo.data_dependent(model, X)
    layers = kernels(model)
    for layer, y in zip(layers, outputs(model, layers), strict=True):
        variances = y.reshape(-1, y.shape[-1]).var(axis=0)
        alive = variances > 0
        assert alive.any(), layer.name
        np.testing.assert_allclose(variances[alive], 1, atol=0.1, err_msg=layer.name)
        if layer.use_bias:
            means = y.reshape(-1, y.shape[-1]).mean(axis=0)[alive]
            np.testing.assert_allclose(means, 0, atol=0.1, err_msg=layer.name)


@pytest.mark.quick
def test_lsuv_kernels_stay_orthogonal():
    model = zoo.build("mlp", hidden=(64, 64), act="relu", seed=0)
    zoo.lsuv(model, X)
    kernel = np.asarray(model.get_layer("fc_2_dense").kernel)
    gram = kernel.T @ kernel
    np.testing.assert_allclose(gram / gram[0, 0], np.eye(64), atol=1e-4)


@pytest.mark.quick
def test_a_deep_plain_network_keeps_its_signal():
    """plain56 without norm loses or blows up its signal; after lsuv it does neither."""
    model = zoo.build("plain56", norm="none", act="tanh", init="normal:0.01", seed=0)
    before = outputs(model, [model.get_layer("stage3_block9_2_conv")])[0].std()
    zoo.lsuv(model, X)
    after = outputs(model, [model.get_layer("stage3_block9_2_conv")])[0].std()
    assert before < 1e-6
    assert after == pytest.approx(1, abs=0.05)
