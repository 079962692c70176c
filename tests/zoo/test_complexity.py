"""Examples from the CS231n lectures on the cost of convolutions, and the profile by stage."""

import keras
import numpy as np
import pytest

import zoo
from zoo import blocks, complexity
from zoo.style import Style

pytestmark = pytest.mark.quick
PLAIN = Style(act="relu", norm="none", seed=0)


def chain(*kernels, channels=16, style=PLAIN):
    x = inputs = keras.Input((32, 32, channels))
    for i, k in enumerate(kernels):
        x = style.conv(x, channels, k, bias=False, name=f"stage1_{i}_conv")
    return keras.Model(inputs, x)


def test_three_3x3_have_the_receptive_field_of_a_7x7_with_fewer_weights():
    c = 16
    three, one = chain(3, 3, 3), chain(7)
    for model, weights in ((three, 27 * c * c), (one, 49 * c * c)):
        assert list(complexity.receptive_fields(model).values())[-1] == 7
        assert complexity.parameters(model) == weights


def test_six_5x5x3_filters_on_32x32_pixels_give_28x28x6():
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, PLAIN.conv(inputs, 6, 5, padding="valid", name="stem_conv"))
    assert model.output.shape == (None, 28, 28, 6)
    stage = zoo.profile(model).loc["stem"]
    assert stage["parameters"] == 6 * (5 * 5 * 3 + 1)
    assert stage["macs"] == 28 * 28 * 6 * 5 * 5 * 3
    assert stage["activations"] == 28 * 28 * 6


def test_pooling_of_the_lectures_example():
    """A map of 4x4 values, pooled by 2x2 windows with stride 2."""
    values = np.array([[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]], "float32")
    images = values[None, :, :, None]
    assert np.squeeze(zoo.layers.MaxPool2D(2)(images)).tolist() == [[6, 8], [3, 4]]
    assert np.squeeze(keras.layers.AveragePooling2D(2)(images)).tolist() == [[3.25, 5.25], [2, 2]]


def test_the_sum_of_32_paths_equals_a_grouped_block():
    """Xie et al. 2016, figure 3; each path consists of 1x1, 3x3 and 1x1 convolutions."""
    rng = np.random.default_rng(0)
    x = inputs = keras.Input((8, 8, 64))
    x = blocks.conv_norm_act(x, 128, 1, style=PLAIN, name="stage1_1")
    x = blocks.conv_norm_act(x, 128, 3, groups=32, style=PLAIN, name="stage1_2")
    block = keras.Model(inputs, blocks.conv_norm(x, 64, 1, style=PLAIN, name="stage1_3"))
    block.set_weights([rng.normal(size=w.shape) * 0.1 for w in block.get_weights()])
    (k1, b1, k2, b2, k3, b3) = block.get_weights()
    images = rng.normal(size=(2, 8, 8, 64)).astype("float32")
    total = b3
    for path in range(32):
        part = slice(4 * path, 4 * path + 4)
        y = keras.ops.relu(keras.ops.conv(images, k1[..., part], padding="same") + b1[part])
        y = keras.ops.relu(keras.ops.conv(y, k2[..., part], padding="same") + b2[part])
        total = total + keras.ops.conv(y, k3[:, :, part], padding="same")
    np.testing.assert_allclose(block(images), total, rtol=1e-5, atol=1e-5)


@pytest.mark.not_quick
def test_receptive_fields_of_known_networks():
    """212 pixels for the last pool of VGG-16; each 3x3 of ResNet's stage 1 adds 8."""
    assert zoo.profile(zoo.build("vgg16", input_shape=(64, 64, 3))).loc[
        "stage5", "receptive_field"
    ] == (212)
    fields = complexity.receptive_fields(zoo.build("resnet50", input_shape=(64, 64, 3)))
    assert fields["stem_act"] == 7
    assert fields["stem_pool"] == 11
    assert fields["stage1_block1_2_act"] - fields["stage1_block1_1_act"] == 8
    assert fields["head_pool"] is None
    gated = complexity.receptive_fields(zoo.build("se_resnet50", input_shape=(64, 64, 3)))
    assert gated["stage1_block1_act"] == fields["stage1_block1_act"]


def test_dilation_widens_the_receptive_field():
    inputs = keras.Input((32, 32, 1))
    layer = zoo.layers.Conv2D(1, 3, dilation_rate=4, name="stem_conv")
    assert complexity.receptive_fields(keras.Model(inputs, layer(inputs)))["stem_conv"] == 9


def test_depth_is_that_of_the_longest_path_without_gates():
    """A basic block with a projection counts two convolutions, and its gate none."""
    x = inputs = keras.Input((8, 8, 4))
    x = PLAIN.conv(x, 4, 3, name="stage1_a_conv")
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    for part in "squeeze", "excite":
        gate = PLAIN.conv(gate, 4, 1, name=f"stage1_{part}_conv")
    short = PLAIN.conv(inputs, 4, 1, name="stage1_shortcut_conv")
    gated = keras.layers.Multiply(name="stage1_gate")([x, gate])
    x = keras.layers.Add(name="stage1_add")([gated, short])
    x = keras.layers.Dense(3, name="head_dense")(keras.layers.Flatten(name="head_flatten")(x))
    depths = complexity.depths(keras.Model(inputs, x))
    assert depths["stage1_excite_conv"] == 3
    assert (depths["stage1_gate"], depths["stage1_add"], depths["head_dense"]) == (1, 1, 2)


def test_a_profile_sums_the_stages():
    frame = zoo.profile(zoo.build("resnet20"))
    assert frame.loc["total", "parameters"] == 269_722
    assert frame.loc["total", "macs"] == frame["macs"].iloc[:-1].sum()
    assert frame.loc["stage3", "output"] == (8, 8, 64)
    assert list(frame["depth"]) == [0, 1, 7, 13, 19, 20, 20]
    varying = zoo.profile(zoo.build("toy_resnet", input_shape=(None, None, 3)))
    assert varying["macs"].isna()["total"]
