"""Compiled, folded, saved and exported networks compute what the eager network computes.

TensorFlow rewrites the graphs of networks in inference on a CPU, and for some activations wrongly.
It does not rewrite what runs eagerly, so that is the reference.
"""

import keras
import numpy as np
import pytest

import zoo
from zoo import layers as zoo_layers

X = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")


@keras.saving.register_keras_serializable(package="tests")
def leaky(x):
    return keras.ops.leaky_relu(x, 0.05)


@keras.saving.register_keras_serializable(package="tests")
class LeakyLayer(keras.layers.Layer):
    def call(self, inputs):
        return keras.ops.leaky_relu(inputs, 0.05)


OBJECTS = {
    "LeakyReLU": keras.layers.LeakyReLU(0.3),
    "ReLU with a slope": keras.layers.ReLU(negative_slope=0.3),
    "Activation": keras.layers.Activation("mish"),
    "mish": keras.activations.mish,
    "function": leaky,
    "layer": LeakyLayer,
}


def with_weights(model):
    """Random weights and statistics; what is zero at the start counts, too."""
    rng = np.random.default_rng(1)
    for w in model.weights:
        if w.name in ("gamma", "moving_variance"):
            w.assign(rng.uniform(0.5, 1.5, w.shape))
        elif w.name in ("beta", "moving_mean", "bias"):
            w.assign(rng.normal(size=w.shape) * 0.3)
    return model


def served(model, folder):
    """The outputs of a SavedModel of the network, which TensorFlow runs without Keras."""
    import tensorflow as tf

    model.export(folder, verbose=False)
    module = tf.saved_model.load(folder)
    return module.serve(X)


def errors(model, folder) -> dict[str, float]:
    """The relative errors of a network's logits, by the way in which it is run."""
    expected = np.asarray(model(X, training=False), "float64")
    folded = zoo.fold_batchnorm(model)
    model.save(folder / "model.keras")
    folded.save(folder / "folded.keras")
    outputs = {
        "graph": model.predict(X, verbose=0),
        "folded, eager": folded(X, training=False),
        "reloaded": keras.models.load_model(folder / "model.keras").predict(X, verbose=0),
        "folded": keras.models.load_model(folder / "folded.keras").predict(X, verbose=0),
        "exported": served(model, folder / "exported"),
        "folded, exported": served(folded, folder / "folded"),
    }
    largest = np.abs(expected).max()
    assert largest > 0
    return {way: float(np.abs(y - expected).max() / largest) for way, y in outputs.items()}


@pytest.mark.parametrize("act", ["tanh", "mish", "leaky_relu:0.3", *OBJECTS])
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_what_is_fused_wrongly(act, norm, tmp_path):
    model = zoo.build("toy_basic", act=OBJECTS.get(act, act), norm=norm, seed=0)
    found = errors(with_weights(model), tmp_path)
    assert max(found.values()) < 1e-4, found


@pytest.mark.quick
def test_what_is_fused_correctly_stays_as_it_is():
    for act in ("relu", "elu", "silu", "leaky_relu:0.3"):
        model = zoo.build("toy_vgg", act=act, norm="batch")
        assert not [x for x in model.layers if type(x).__module__ == zoo_layers.Unfused.__module__]


@pytest.mark.quick
@pytest.mark.parametrize("size", [8, None])
def test_models_of_plain_keras_layers(size, tmp_path):
    """zoo.load protects the sums in them, and folding leaves plain Keras layers that are right."""
    x = keras.Input((size, size, 3))
    y = keras.layers.Conv2D(4, 3, padding="same", bias_initializer="ones")(x)
    y = keras.layers.Dropout(0.1)(keras.layers.Conv2D(4, 1, bias_initializer="ones")(x) + y)
    y = keras.layers.LeakyReLU(0.01)(y)
    y = keras.layers.Add()([y, keras.layers.Conv2D(4, 3, padding="same")(y)])
    model = keras.Model(x, keras.layers.Activation("mish")(y))
    expected = np.asarray(model(X[:, :8, :8]))
    model.save(tmp_path / "plain.keras")
    for safe in (zoo.load(tmp_path / "plain.keras"), zoo.fold_batchnorm(model)):
        found = safe.predict(X[:, :8, :8], verbose=0)
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert not [x for x in safe.layers if type(x).__module__.startswith("zoo.")]


def test_a_saved_model_with_groups_runs_without_onednn(tmp_path, python):
    model = with_weights(zoo.build("toy_resnet", norm="batch", seed=0))
    np.save(tmp_path / "expected.npy", served(model, tmp_path / "exported"))
    np.save(tmp_path / "x.npy", X)
    python(
        f"""
import numpy as np, tensorflow as tf
module = tf.saved_model.load({str(tmp_path / "exported")!r})
found = module.serve(np.load({str(tmp_path / "x.npy")!r}))
expected = np.load({str(tmp_path / "expected.npy")!r})
np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
""",
        TF_ENABLE_ONEDNN_OPTS="0",
    )


def test_activations_without_a_config_are_exported(tmp_path):
    model = zoo.build("toy_plain", act=lambda x: keras.ops.tanh(x), norm="batch", seed=0)
    assert zoo.export(model, tmp_path / "saved", to="saved_model").difference < 1e-4
