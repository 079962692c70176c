"""The same weights in keras.applications and here give the same logits: VGG, ResNet, DenseNet."""

import keras
import pytest

import zoo
from tests.zoo.applications import assert_same_logits, randomize, twin


@pytest.mark.parametrize("name", ["VGG16", pytest.param("VGG19", marks=pytest.mark.full)])
def test_vgg(name, tmp_path):
    theirs = getattr(keras.applications, name)(weights=None, classifier_activation=None)
    assert_same_logits(twin(theirs, name.lower(), tmp_path), theirs)


@pytest.mark.parametrize("biases", ["folded", pytest.param("kept", marks=pytest.mark.full)])
def test_resnet50_v1(biases, tmp_path):
    """Its convolutions have biases, which a norm's moving mean absorbs exactly."""
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
def test_pre_activation(name, theirs, tmp_path):
    """ResNet v2 strides in a stage's last block, and what enters the stream has biases."""
    theirs = small(theirs)
    ours = twin(theirs, name, tmp_path)
    assert ours.count_params() == theirs.count_params()
    assert_same_logits(ours, theirs)


def test_vgg_pooled_early():
    """Jordan 2024: each stage is pooled behind its first convolution, before the norm."""
    options = {"depths": (1, 2), "widths": (8, 12), "hidden": (), "grid": 1, "stem": 6,
               "pool_early": True, "input_shape": (16, 16, 3), "num_classes": 5}  # fmt: skip
    ours = zoo.build("vgg11_bn", **options)
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
    assert zoo.counts("vgg11_bn", **options) == {"macs": macs, "parameters": parameters}


@pytest.mark.full
def test_other_weights_give_other_logits(tmp_path):
    """The comparison above can fail."""
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
