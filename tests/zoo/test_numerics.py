"""The same weights in keras.applications and here give the same logits."""

import keras
import numpy as np
import pytest

import zoo


def randomize(model):
    """Random weights and norm statistics of a scale at which activations neither die nor grow."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        values = []
        for w in layer.weights:
            if w.name == "kernel":
                fan = np.prod(w.shape[:-1])
                values.append(rng.normal(size=w.shape) * np.sqrt(2 / fan))
            elif w.name in ("gamma", "moving_variance"):
                values.append(rng.uniform(0.5, 1.5, w.shape))
            else:
                values.append(rng.normal(size=w.shape) * 0.1)
        layer.set_weights(values)


def assert_same_logits(ours, theirs, images):
    a, b = ours.predict(images, verbose=0), theirs.predict(images, verbose=0)
    assert b.std() > 0
    assert np.abs(a - b).max() <= 1e-4 * np.abs(b).max()


def images(size):
    return np.random.default_rng(1).normal(size=(2, size, size, 3)).astype("float32")


@pytest.mark.parametrize("name", ["VGG16", "VGG19"])
def test_vgg(name):
    theirs = getattr(keras.applications, name)(weights=None, classifier_activation=None)
    randomize(theirs)
    ours = zoo.build(name.lower())
    pairs = [[x for x in m.layers if x.weights] for m in (ours, theirs)]
    for mine, yours in zip(*pairs, strict=True):
        mine.set_weights(yours.get_weights())
    assert_same_logits(ours, theirs, images(224))


def resnet_twin(name):
    """Our name of a layer of keras.applications' ResNet v1."""
    if name.startswith("conv1"):
        return name.replace("conv1", "stem").replace("bn", "norm")
    if name == "predictions":
        return "head_dense"
    stage, block, place, kind = name.split("_")
    place = "shortcut" if place == "0" else place
    kind = {"conv": "conv", "bn": "norm"}[kind]
    return f"stage{int(stage.removeprefix('conv')) - 1}_{block}_{place}_{kind}"


@pytest.mark.parametrize("biases", ["folded", "kept"])
def test_resnet50_v1(biases):
    """Its convolutions have biases, which a norm's moving mean absorbs exactly."""
    theirs = keras.applications.ResNet50(weights=None, classifier_activation=None)
    randomize(theirs)
    ours = zoo.build("resnet50_v1", norm_epsilon=1.001e-5, norm_bias=biases == "kept")
    if biases == "kept":
        assert ours.count_params() == theirs.count_params()
    for layer in theirs.layers:
        if not layer.weights:
            continue
        twin, weights = ours.get_layer(resnet_twin(layer.name)), layer.get_weights()
        if biases == "folded" and layer.name.endswith("_conv"):
            weights = weights[:1]
        if biases == "folded" and layer.name.endswith("_bn"):
            weights[2] -= theirs.get_layer(layer.name.replace("_bn", "_conv")).get_weights()[1]
        twin.set_weights(weights)
    assert_same_logits(ours, theirs, images(224))
