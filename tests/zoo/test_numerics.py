"""VGG, ResNet, DenseNet and airbench give the logits of other implementations of them."""

import keras
import pytest

import zoo
from tests.zoo.applications import assert_same_logits, randomize, twin


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.full) for name in ("VGG16", "VGG19")]
)
def test_vgg_equals_keras_applications(name, tmp_path):
    theirs = getattr(keras.applications, name)(weights=None, classifier_activation=None)
    assert_same_logits(twin(theirs, name.lower(), tmp_path), theirs)


@pytest.mark.parametrize("biases", ["folded", pytest.param("kept", marks=pytest.mark.full)])
def test_resnet50_v1_equals_keras_applications(biases, tmp_path):
    """Its convolutions have biases, which the moving means of norms can absorb exactly."""
    theirs = keras.applications.ResNet50(weights=None, classifier_activation=None)
    ours = twin(theirs, "resnet50_v1", tmp_path, norm_bias=biases == "kept")
    if biases == "kept":
        assert ours.count_params() == theirs.count_params()
    assert_same_logits(ours, theirs)


def small(name):
    return getattr(keras.applications, name)(
        weights=None, input_shape=(64, 64, 3), classifier_activation=None, classes=10
    )


@pytest.mark.parametrize(
    ("name", "theirs"), [("preact_resnet50", "ResNet50V2"), ("densenet121", "DenseNet121")]
)
def test_pre_activation_networks_equal_keras_applications(name, theirs, tmp_path):
    """ResNet v2 strides in the last block of a stage, and has biases where no norm follows."""
    theirs = small(theirs)
    ours = twin(theirs, name, tmp_path)
    assert ours.count_params() == theirs.count_params()
    assert_same_logits(ours, theirs)


def test_airbench94_equals_plain_keras_layers():
    """Jordan 2024, on 32x32 images, with the constants of the published code."""
    ours = zoo.build("airbench94", act="gelu")
    randomize(ours)
    layers = keras.layers
    theirs = keras.Sequential([keras.Input((32, 32, 3))])
    theirs.add(layers.Conv2D(24, 2, activation="gelu"))
    for width in (64, 256, 256):
        for first in (True, False):
            theirs.add(layers.Conv2D(width, 3, padding="same", use_bias=False))
            if first:
                theirs.add(layers.MaxPool2D(2))
            theirs.add(layers.BatchNormalization(momentum=0.6, epsilon=1e-12, scale=False))
            theirs.add(layers.Activation("gelu"))
    theirs.add(layers.MaxPool2D(3))
    theirs.add(layers.Flatten())
    theirs.add(layers.Dense(10, use_bias=False))
    theirs.add(layers.Rescaling(1 / 9))
    theirs.set_weights(ours.get_weights())
    assert_same_logits(ours, theirs)
    momenta = {layer.momentum for layer in ours.layers if layer.name.endswith("_norm")}
    assert momenta == {0.6}
    kernels = 12 * 24 + 9 * (24 * 64 + 64 * 64 + 64 * 256 + 3 * 256 * 256) + 256 * 10
    assert ours.count_params() == kernels + 24 + 3 * (2 * 64 + 4 * 256)


def test_airbench94_without_a_norm_needs_no_other_option():
    """Its default norm_scale=False has no effect without norms, but raises no error."""
    plan = zoo.resolve("airbench94", norm="none")
    assert plan.style.norm == "none"
    with pytest.raises(ValueError, match="norm_scale=False: has no effect"):
        zoo.resolve("vgg11_bn", norm="none", norm_scale=False)


def test_options_of_airbench_give_a_network_of_average_pools_and_biases():
    """A padded 3x3 stem, biases, ReLU and average pooling."""
    options = {
        "act": "relu", "depths": (1, 2), "widths": (8, 12), "stem_width": 6, "stem_kernel": 3,
        "stem_padding": "same", "pool": "average", "head_bias": True, "head_scale": 1.0,
        "norm_bias": True, "norm_scale": True, "norm_epsilon": 1e-5, "norm_momentum": 0.9,
        "input_shape": (16, 16, 3), "num_classes": 5,
    }  # fmt: skip
    ours = zoo.build("airbench94", **options)
    randomize(ours)
    layers = keras.layers
    theirs = keras.Sequential([keras.Input((16, 16, 3))])
    theirs.add(layers.Conv2D(6, 3, padding="same", activation="relu"))
    for width, pooled in ((8, True), (12, True), (12, False)):
        theirs.add(layers.Conv2D(width, 3, padding="same"))
        if pooled:
            theirs.add(layers.MaxPool2D(2))
        theirs.add(layers.BatchNormalization(epsilon=1e-5))
        theirs.add(layers.ReLU())
    theirs.add(layers.GlobalAveragePooling2D())
    theirs.add(layers.Dense(5))
    theirs.set_weights(ours.get_weights())
    assert_same_logits(ours, theirs)
    macs = 16 * 16 * (27 * 6 + 54 * 8) + 8 * 8 * 72 * 12 + 4 * 4 * 108 * 12 + 12 * 5
    parameters = sum(w.shape.num_elements() for w in theirs.trainable_variables)
    assert zoo.counts("airbench94", **options) == {"macs": macs, "parameters": parameters}


@pytest.mark.full
def test_other_weights_give_other_logits(tmp_path):
    """Otherwise, the comparisons above would prove nothing."""
    theirs = small("ResNet50")
    ours = twin(theirs, "resnet50_v1", tmp_path)
    other = zoo.build("resnet50_v1", input_shape=(64, 64, 3), num_classes=10, seed=0)
    randomize(other)
    with pytest.raises(AssertionError):
        assert_same_logits(other, theirs)
    ours.get_layer("stage4_block3_2_conv").set_weights(
        [1.5 * ours.get_layer("stage4_block3_2_conv").get_weights()[0]]
    )
    with pytest.raises(AssertionError):
        assert_same_logits(ours, theirs)
