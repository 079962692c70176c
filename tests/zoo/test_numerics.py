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


def preact_twin(name):
    """Our name of a layer of keras.applications' ResNet v2."""
    if name == "conv1_conv":
        return "stem_conv"
    if name in ("post_bn", "predictions"):
        return {"post_bn": "head_norm", "predictions": "head_dense"}[name]
    stage, block, place, kind = name.split("_")
    prefix = f"stage{int(stage.removeprefix('conv')) - 1}_{block}"
    if place == "preact":
        return f"{prefix}_1_norm"
    if place == "0":
        return f"{prefix}_shortcut_conv"
    # Its norm 1 follows convolution 1; ours precedes convolution 2.
    return f"{prefix}_{int(place) + 1}_norm" if kind == "bn" else f"{prefix}_{place}_conv"


def test_resnet50_v2():
    """There a stage strides in its last block, and what enters the stream has biases."""
    shape = (64, 64, 3)
    theirs = keras.applications.ResNet50V2(
        weights=None, input_shape=shape, classifier_activation=None, classes=10
    )
    randomize(theirs)
    ours = zoo.build(
        "preact_resnet50", variant="keras", norm_epsilon=1.001e-5, input_shape=shape, num_classes=10
    )
    assert ours.count_params() == theirs.count_params()
    for layer in theirs.layers:
        if layer.weights:
            ours.get_layer(preact_twin(layer.name)).set_weights(layer.get_weights())
    assert_same_logits(ours, theirs, images(64))


def densenet_twin(name):
    """Our name of a layer of keras.applications' DenseNet: there a norm precedes as well."""
    if name.startswith(("conv1", "bn", "fc", "predictions")):
        names = {"conv1_conv": "stem_conv", "conv1_bn": "stem_norm", "bn": "head_norm"}
        return names.get(name, "head_dense")
    stage = int(name.removeprefix("conv").removeprefix("pool")[0]) - 1
    if name.startswith("pool"):
        return f"stage{stage}_transition_{'norm' if name.endswith('bn') else 'conv'}"
    _, block, place, kind = name.split("_")
    if kind == "bn":
        return f"stage{stage}_{block}_{int(place) + 1}_norm"
    return f"stage{stage}_{block}_{place}_conv"


def test_densenet121():
    shape = (64, 64, 3)
    theirs = keras.applications.DenseNet121(
        weights=None, input_shape=shape, classifier_activation=None, classes=10
    )
    randomize(theirs)
    ours = zoo.build("densenet121", norm_epsilon=1.001e-5, input_shape=shape, num_classes=10)
    assert ours.count_params() == theirs.count_params()
    for layer in theirs.layers:
        if layer.weights:
            ours.get_layer(densenet_twin(layer.name)).set_weights(layer.get_weights())
    assert_same_logits(ours, theirs, images(64))
