"""Data-dependent initialization gives outputs of the promised mean and variance."""

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
def test_lsuv_keeps_the_variance_through_a_deep_plain_network():
    """plain56 without norm loses or blows up its signal; after lsuv it does neither."""
    model = zoo.build("plain56", norm="none", act="tanh", init="normal:0.01", seed=0)
    before = outputs(model, [model.get_layer("stage3_block9_2_conv")])[0].std()
    zoo.lsuv(model, X)
    after = outputs(model, [model.get_layer("stage3_block9_2_conv")])[0].std()
    assert before < 1e-6
    assert after == pytest.approx(1, abs=0.05)


def first_maps(model, images):
    """Return the first convolution's outputs except at borders, as float64 [N, maps], and it."""
    layer = model.get_layer("stem_conv")
    y = np.asarray(keras.Model(model.input, layer.output)(images), "float64")[:, 1:-1, 1:-1]
    return y.reshape(-1, y.shape[-1]), layer


def test_whitened_maps_are_uncorrelated_with_unit_variance():
    # Neighboring pixels are similar, as in photos.
    rough = np.random.default_rng(0).normal(size=(400, 20, 20, 2))
    images = (3 + sum(np.roll(rough, i, 1) + np.roll(rough, i, 2) for i in range(3))).astype("f")
    where = {"input_shape": (20, 20, 2), "num_classes": 4, "seed": 0}
    small = {"depths": (1,), "widths": (8,), "stem_kernel": 3, "stem_padding": "same"}
    model = zoo.build("airbench94", stem_width=40, **small, **where)
    before = np.asarray(model.get_layer("stem_conv").kernel)
    assert set(zoo.whiten(model, images, epsilon=0.0)) == {"stem_conv"}
    y, layer = first_maps(model, images)
    assert np.allclose(y[:, 18:36], -y[:, :18], atol=1e-3)
    # whiten takes patches that do not overlap, so these statistics differ slightly.
    np.testing.assert_allclose(np.cov(y[:, :18], rowvar=False), np.eye(18), atol=0.1)
    np.testing.assert_allclose(y[:, :18].mean(0), 0, atol=0.1)
    np.testing.assert_array_equal(np.asarray(layer.kernel)[..., 36:], before[..., 36:])

    few = zoo.build("airbench94", stem_width=6, **small, **where)
    zoo.whiten(few, images, epsilon=0.0)
    kept = np.asarray(few.get_layer("stem_conv").kernel)
    np.testing.assert_allclose(kept[..., :3], np.asarray(layer.kernel)[..., :3], atol=1e-5)
    np.testing.assert_array_equal(kept[..., 3:], -kept[..., :3])


def test_whitening_handles_singular_patches_and_rejects_unsuitable_layers():
    images = np.repeat(np.random.default_rng(0).normal(size=(32, 16, 16, 1)), 3, -1)  # gray
    model = zoo.build("lenet5", input_shape=(16, 16, 3), seed=0, act="relu")
    name = next(layer.name for layer in kernels(model))
    zoo.whiten(model, images)
    kernel = np.asarray(model.get_layer(name).kernel)
    assert np.isfinite(kernel).all()
    with pytest.raises(ValueError, match="stem_conv: its 3x3 kernel is larger than its 2x16"):
        zoo.whiten(zoo.build("resnet20", input_shape=(None, None, 3)), images[:, :2])
    with pytest.raises(ValueError, match="fc_1_dense: cannot whiten patches of 12,288 values"):
        zoo.whiten(zoo.build("mlp", input_shape=(64, 64, 3)), np.zeros((2, 64, 64, 3)))
    pixel = keras.Input((16, 16, 1))
    maps = keras.layers.Conv2D(2, 1, name="one_number")(pixel)
    one = keras.Model(pixel, keras.layers.ReLU()(maps))
    assert zoo.whiten(one, images[..., :1]) == {"one_number": pytest.approx(1, abs=0.01)}
    image = keras.Input((32, 32, 3))
    maps = keras.layers.Conv2D(6, 3, groups=3)(image)
    grouped = keras.Model(image, keras.layers.ReLU()(maps))
    with pytest.raises(ValueError, match="a convolution of 3 groups"):
        zoo.whiten(grouped, X)


def test_lsuv_leaves_the_kernels_of_classifiers_unchanged():
    model = zoo.build("toy_googlenet_bn", depths=(1, 3, 1), aux=True, seed=0,
                      input_shape=(32, 32, 3))  # fmt: skip
    classifiers = [model.get_layer(f"{name}_dense") for name in ("head", "stage2_aux1")]
    before = [np.array(layer.kernel) for layer in classifiers]
    zoo.lsuv(model, X)
    for layer, kernel in zip(classifiers, before, strict=True):
        np.testing.assert_array_equal(np.array(layer.kernel), kernel)
