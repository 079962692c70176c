"""Initial weights have the variances and other properties that their initializers promise."""

import keras
import numpy as np
import pytest

import zoo
from zoo.style import Style
from zoo.vocabulary import INITS

pytestmark = pytest.mark.quick

# Kernel size, channels, filters, groups and fan-in (height * width * channels / groups).
KERNELS = {
    "conv": ((3, 3), 64, 128, 1, 9 * 64),
    "grouped": ((3, 3), 64, 128, 4, 9 * 16),
    "depthwise": ((3, 3), 512, 512, 512, 9),
    "dense": (None, 256, 300, 1, 256),
}

VARIANCES = {
    "xavier": lambda n, out: 1 / n,
    "kaiming": lambda n, out: 2 / n,
    "msra": lambda n, out: 2 / n,
    "he_normal": lambda n, out: 2 / n,
    "he_uniform": lambda n, out: 2 / n,
    "lecun_normal": lambda n, out: 1 / n,
    "glorot_normal": lambda n, out: 2 / (n + out),
    "glorot_uniform": lambda n, out: 2 / (n + out),
    "normal": lambda n, out: 1e-4,
    "normal:0.05": lambda n, out: 0.0025,
    "random_walk": lambda n, out: 2 * np.exp(2.4 / (max(n, 6) - 2.4)) / n,
    "fixup": lambda n, out: 2 / n,
}


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("init", VARIANCES)
def test_kernels_have_the_variance_of_their_initializer(init, kind):
    size, channels, filters, groups, fan_in = KERNELS[kind]
    style = Style(init=init, seed=0)
    if size:
        inputs = keras.Input((5, 5, channels))
        style.conv(inputs, filters, size[0], groups=groups, name="conv")
        kernel = style.conv(inputs, filters, size[0], groups=groups, name="conv")
        kernel = keras.Model(inputs, kernel).get_layer("conv").kernel
        fan_out = size[0] * size[1] * filters
    else:
        inputs = keras.Input((channels,))
        kernel = keras.Model(inputs, style.dense(inputs, filters, name="d")).get_layer("d").kernel
        fan_out = filters
    values = np.asarray(kernel).ravel()
    expected = VARIANCES[init](fan_in, fan_out)
    # Four standard errors of a normal sample's variance, and of its mean.
    assert values.var() == pytest.approx(expected, rel=4 * np.sqrt(2 / values.size) + 0.002)
    assert abs(values.mean()) < 4 * np.sqrt(expected / values.size)


def test_only_initializers_of_keras_are_truncated():
    x = keras.Input((4096,))
    for init, longest in (("kaiming", 3.5), ("he_normal", 2.3)):
        kernel = keras.Model(x, Style(init=init, seed=1).dense(x, 256, name="d")).layers[1].kernel
        reach = np.abs(np.asarray(kernel)).max() / np.sqrt(2 / 4096)
        assert reach > longest if init == "kaiming" else reach <= longest


def test_orthogonal_kernels_are_orthogonal():
    x = keras.Input((64,))
    k = keras.Model(x, Style(init="orthogonal", seed=0).dense(x, 64, name="d")).layers[1].kernel
    np.testing.assert_allclose(np.asarray(k).T @ np.asarray(k), np.eye(64), atol=1e-4)


@pytest.mark.parametrize("kind", KERNELS)
def test_dirac_passes_channels_through_and_draws_the_other_filters(kind):
    size, channels, filters, groups, fan_in = KERNELS[kind]
    x = keras.Input((5, 5, channels) if size else (channels,))
    style = Style(init="dirac", seed=0)
    if size:
        y = style.conv(x, filters, size[0], groups=groups, bias=False, name="x")
    else:
        y = style.dense(x, filters, bias=False, name="x")
    model = keras.Model(x, y)
    images = np.random.default_rng(0).normal(size=(2, *x.shape[1:])).astype("float32")
    outputs = np.asarray(model(images)).reshape(*images.shape[:-1], groups, filters // groups)
    inputs = images.reshape(*images.shape[:-1], groups, channels // groups)
    passed = min(channels, filters) // groups
    np.testing.assert_array_equal(outputs[..., :passed], inputs[..., :passed])
    kernel = np.asarray(model.layers[1].kernel)
    others = kernel.reshape(*kernel.shape[:-1], groups, -1)[..., passed:].ravel()
    if others.size:  # U(-b, b), b = 1 / sqrt(fan-in), as in PyTorch
        bound = fan_in**-0.5
        assert 0.99 * bound < np.abs(others).max() <= bound
        assert others.var() == pytest.approx(bound**2 / 3, rel=0.02)


def test_dirac_with_fewer_filters_than_channels_or_an_even_kernel():
    kernel = np.asarray(Style(init="dirac", seed=0).initializer("dirac", "x")((2, 4, 3, 2)))
    expected = np.zeros((2, 4, 3, 2))
    expected[1, 2, 0, 0] = expected[1, 2, 1, 1] = 1  # torch.nn.init.dirac_ has the same center
    np.testing.assert_array_equal(kernel, expected)
    model = zoo.build("toy_airbench", init="dirac:0.25", seed=0)
    assert model.get_layer("stage1_block1_conv").kernel_initializer.gain == 0.25


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_initial_weights_in_half_precision_are_rounded_float32_weights(dtype):
    """Keras generates other numbers in half precision, and no orthogonal kernels."""
    inits = [*INITS, keras.initializers.Orthogonal(0.5), keras.initializers.HeNormal]
    shape = (3, 3, 4, 24)
    for init in inits:
        style = Style(init=init, seed=0)
        exact = style.initializer(init, "stem_conv")(shape, dtype="float32")
        keras.config.set_dtype_policy(dtype)
        try:
            initializer = style.initializer(init, "stem_conv")
        finally:
            keras.config.set_dtype_policy("float32")
        kernel = initializer(shape, dtype=dtype)
        assert kernel.dtype == dtype
        np.testing.assert_array_equal(kernel, keras.ops.cast(exact, dtype))
        again = keras.initializers.deserialize(keras.initializers.serialize(initializer))
        np.testing.assert_array_equal(again(shape, dtype=dtype), kernel)


def test_some_biases_of_alexnet_are_initially_1():
    model = zoo.build("toy_alexnet")
    ones = {x.name for x in model.layers if getattr(x, "use_bias", False) and np.all(x.bias == 1)}
    assert ones == {
        "stage1_block1_conv",
        "stage2_block2_conv",
        "stage2_block3_conv",
        "fc_1_dense",
        "fc_2_dense",
    }
    zeros = zoo.build("toy_alexnet", bias_init="zeros")
    assert not any(np.any(x.bias) for x in zeros.layers if getattr(x, "use_bias", False))


def test_selu_without_norm_pairs_with_lecun_normal_and_alpha_dropout():
    plan = zoo.resolve("vgg16", act="selu")
    assert plan.style.init == "lecun_normal"
    assert zoo.resolve("vgg16", act="selu", init="xavier").style.init == "xavier"
    assert zoo.resolve("resnet50", act="selu").style.init == "kaiming"
    model = zoo.build("toy_vgg", act="selu")
    assert isinstance(model.get_layer("fc_1_drop"), keras.layers.AlphaDropout)
    assert not isinstance(zoo.build("toy_vgg").get_layer("fc_1_drop"), keras.layers.AlphaDropout)


def test_the_initial_loss_is_the_logarithm_of_the_number_of_classes():
    x = np.random.default_rng(0).normal(size=(64, 32, 32, 3)).astype("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    logits = zoo.build("resnet20", seed=0)(x, training=True)
    assert float(loss(np.arange(64) % 10, logits)) == pytest.approx(np.log(10), rel=0.1)


# Fixup (Zhang et al. 2019, section 3.2)


def test_fixup_zeroes_the_last_layer_of_each_branch_and_scales_the_others():
    model = zoo.build("resnet20", norm="none", init="fixup", seed=0)
    for layer in model.layers:
        if "_2_conv" in layer.name or layer.name == "head_dense":
            assert not np.any(layer.kernel), layer.name
        elif layer.name.startswith("stage3") and layer.name.endswith("_1_conv"):
            n = np.prod(layer.kernel.shape[:-1])
            # 9 branches of 2 layers: Kaiming's standard deviation times 9^(-1 / (2 * 2 - 2)).
            assert np.std(layer.kernel) == pytest.approx(np.sqrt(2 / n) * 9**-0.5, rel=0.02)
    names = {layer.name for layer in model.layers if isinstance(layer, zoo.layers.Scalar)}
    assert {"stage1_block1_1_bias_in", "stage1_block1_1_bias", "stage1_block1_2_scale"} <= names
    assert {"head_bias_in", "stem_bias"} <= names


def test_blocks_of_fixup_are_initially_the_identity():
    model = zoo.build("resnet20", norm="none", init="fixup", seed=0)
    stem = keras.Model(model.input, model.get_layer("stem_act").output)
    last = keras.Model(model.input, model.get_layer("stage1_block3_act").output)
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(stem(x), last(x), rtol=1e-6)
