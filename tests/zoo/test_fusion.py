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
