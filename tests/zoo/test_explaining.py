"""Grad-CAM against the formula of class activation maps, and against finite differences."""

import contextlib

import keras
import numpy as np
import pytest

import zoo
from zoo.explaining import maps_of

X = np.random.default_rng(0).normal(size=(3, 32, 32, 3)).astype("float32")


@contextlib.contextmanager
def policy(name):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def scaled(heat):
    highest = heat.max((1, 2), keepdims=True)
    return heat / np.where(highest > 0, highest, 1)


@pytest.mark.quick
@pytest.mark.parametrize("recompute", [False, True])
def test_gradcam_before_an_average_pool_and_a_linear_head_is_cam(recompute):
    """CAM (Zhou et al. 2016) weights the maps by the kernel of the head; Grad-CAM is CAM divided
    by the number of positions (Selvaraju et al. 2017, section 3.1)."""
    model = zoo.build("toy_resnet", seed=0, recompute=recompute)
    kernel = np.random.default_rng(1).normal(size=model.get_layer("head_dense").kernel.shape)
    model.get_layer("head_dense").kernel.assign(kernel)
    maps = np.asarray(zoo.features(model, ["stage2"])(X)["stage2"])
    best = np.asarray(model(X)).argmax(-1)
    for classes, each in ((None, best), (4, [4, 4, 4]), ([1, 0, 9], [1, 0, 9])):
        cam = np.maximum(np.einsum("bhwk,kb->bhw", maps, kernel[:, each]), 0)
        heat = zoo.gradcam(model, X, classes)
        assert heat.shape == (3, 16, 16)
        assert heat.dtype == "float32"
        np.testing.assert_allclose(heat, scaled(cam), atol=1e-5)
    np.testing.assert_allclose(
        zoo.gradcam(model, X[1], 9), zoo.gradcam(model, X, 9)[1:2], atol=1e-6
    )


def test_gradcam_works_in_every_family(toy):
    model = zoo.build(toy, seed=0)
    if toy == "toy_mlp":
        with pytest.raises(ValueError, match="toy_mlp: no stage has feature maps"):
            zoo.gradcam(model, X)
        return
    for stage in (None, "stage1"):
        heat = zoo.gradcam(model, X[:2], 3, stage)
        assert heat.shape == (2, *maps_of(model, stage).shape[1:3])
        assert np.isfinite(heat).all()
        assert heat.min() >= 0
        assert set(heat.max((1, 2))) <= {0, 1}


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_gradients_of_gradcam_are_those_of_finite_differences(stage):
    """In float64, and in a network whose later cells also read maps from within the stage."""
    with policy("float64"):
        model = zoo.build("toy_nasnet", seed=0, act="elu", num_classes=0)  # heads are float32
        image_of = shifted(model, stage)
    image = X[:1].astype("float64")
    heat = zoo.gradcam(model, image, 1, stage)
    channels = maps_of(model, stage).shape[-1]
    steps = 1e-5 * np.eye(channels)[:, None, None]
    images = np.repeat(image, channels, 0)
    up, down = (np.asarray(image_of([images, step]))[:, 1] for step in (steps, -steps))
    maps = np.asarray(zoo.features(model, [stage])(image)[stage])
    # Shifting all positions at once gives the sum of their gradients.
    expected = np.maximum((maps * (up - down)).sum(-1), 0)
    np.testing.assert_allclose(heat, scaled(expected), atol=1e-4)


def shifted(model, stage):
    """Return the network with a second input, which is added to the last maps of the stage."""
    maps = maps_of(model, stage)
    image = keras.Input(model.input.shape[1:])
    shift = keras.Input((1, 1, maps.shape[-1]))
    values = {id(model.input): image}
    for layer in model.layers[1:]:
        y = layer(keras.tree.map_structure(lambda tensor: values[id(tensor)], layer.input))
        values[id(layer.output)] = y + shift if layer.output is maps else y
    return keras.Model([image, shift], values[id(model.output)])


def test_gradcam_in_bfloat16_is_close_to_float32():
    model = zoo.build("toy_vgg", seed=0)
    with policy("mixed_bfloat16"):
        half = zoo.build("toy_vgg", seed=0)
    half.set_weights(model.get_weights())
    got, expected = (zoo.gradcam(m, X, 2, "stage2") for m in (half, model))
    assert np.abs(got - expected).mean() < 0.05


@pytest.mark.quick
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stage": "stage7"}, "did you mean 'stage"),
        ({"stage": "head"}, "stage=.head.: its output in toy_plain is a vector, not feature maps"),
        ({"classes": 10}, "classes=10: must be in the range 0 to 9"),
        ({"classes": [1, 2]}, "a list of 3, one for each image"),
        ({"classes": 0.5}, "classes=0.5: must be the number of a class"),
        ({"images": X[0, 0]}, r"shape \(32, 3\); pass"),
    ],
)
def test_a_wrong_argument_of_gradcam_is_an_error(options, words):
    with pytest.raises(ValueError, match=words):
        zoo.gradcam(zoo.build("toy_plain"), **{"images": X, **options})


ON_JAX = """
import sys
import numpy as np
import zoo
model = zoo.build("toy_resnet")
model.load_weights("{folder}/it.weights.h5")
np.save("{folder}/heat.npy", zoo.gradcam(model, np.load("{folder}/x.npy"), 3, "stage1"))
print("tensorflow" in sys.modules)
"""


@pytest.mark.full
def test_gradcam_on_jax_equals_tensorflow(tmp_path, python):
    pytest.importorskip("jax")
    model = zoo.build("toy_resnet", seed=0)
    model.save_weights(tmp_path / "it.weights.h5")
    np.save(tmp_path / "x.npy", X)
    printed = python(ON_JAX.format(folder=tmp_path), KERAS_BACKEND="jax").stdout
    assert printed.split() == ["False"]
    expected = zoo.gradcam(model, X, 3, "stage1")
    assert expected.max() == 1
    np.testing.assert_allclose(np.load(tmp_path / "heat.npy"), expected, atol=1e-4)
