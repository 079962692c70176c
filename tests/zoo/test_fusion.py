"""Compiled, folded, saved and exported networks compute what the eager network computes.

TensorFlow fuses layers of inference graphs on a CPU, and computes some activations wrongly then.
It does not fuse layers that run eagerly, so the eager network is the reference.
"""

import importlib.machinery
import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import zoo
from zoo import layers as zoo_layers

ROOT = Path(__file__).parents[2]

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
    """Assign random weights and statistics, also where the initial values are zero."""
    rng = np.random.default_rng(1)
    for w in model.weights:
        if w.name in ("gamma", "moving_variance"):
            w.assign(rng.uniform(0.5, 1.5, w.shape))
        elif w.name in ("beta", "moving_mean", "bias"):
            w.assign(rng.normal(size=w.shape) * 0.3)
    return model


def served(model, folder):
    """Return the outputs of a SavedModel of the network, which TensorFlow runs without Keras."""
    import tensorflow as tf

    model.export(folder, verbose=False)
    module = tf.saved_model.load(folder)
    return module.serve(X)


def errors(model, folder) -> dict[str, float]:
    """Return the relative errors of a network's logits by how it is run."""
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


@pytest.mark.parametrize(
    ("act", "norm"),
    [
        *[(act, "none") for act in ("leaky_relu:0.3", *OBJECTS)],
        *[(act, "batch") for act in ("tanh", "Activation", "function")],
    ],
)
def test_every_way_to_run_a_network_gives_the_eager_logits(act, norm, tmp_path):
    """tests/zoo/test_matrix.py tests every name; this test adds objects and SavedModels."""
    small = {"depths": (1,), "stem": "cifar"}
    model = zoo.build("toy_basic", act=OBJECTS.get(act, act), norm=norm, seed=0, **small)
    found = errors(with_weights(model), tmp_path)
    assert max(found.values()) < 1e-4, found


@pytest.mark.quick
def test_activations_that_are_fused_correctly_are_left_to_tensorflow():
    for act in ("relu", "elu", "silu", "leaky_relu:0.3"):
        model = zoo.build("toy_vgg", act=act, norm="batch")
        assert not [x for x in model.layers if type(x).__module__ == zoo_layers.Unfused.__module__]


@pytest.mark.quick
@pytest.mark.parametrize("size", [8, None])
def test_models_of_plain_keras_layers_are_protected(size, tmp_path):
    """zoo.load protects their sums; folding gives plain Keras layers that are not fused wrongly."""
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


@pytest.mark.quick
@pytest.mark.parametrize("family", ["toy_mobilenet_v2", "toy_preact_resnet"])
def test_activations_that_users_add_after_a_stage_are_correct(family):
    """Stages of these families end in a batch norm or a sum; the user's activation follows it."""
    for norm, act in (
        ("batch", keras.layers.Activation("tanh")),
        ("none", keras.layers.Activation("mish")),
        ("none", keras.layers.LeakyReLU(0.3)),
    ):
        body = with_weights(zoo.build(family, norm=norm, seed=0))
        stages = [name for name in zoo.stages(body) if name.startswith("stage")]
        maps = zoo.features(body, stages)
        model = keras.Model(maps.input, [act(y) for y in maps.output.values()])
        for found, expected in zip(model.predict(X, verbose=0), model(X), strict=True):
            expected = np.asarray(expected)
            np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_frozen_layers_are_correct_during_training():
    """They form an inference graph, whose layers TensorFlow fuses, within the training step."""
    model = zoo.build("toy_basic", act="leaky_relu", norm="none", seed=0, depths=(1,), stem="cifar")
    zoo.freeze(model)
    head = model.get_layer("head_dense")
    head.trainable = True
    model.compile(keras.optimizers.SGD(0.0), "mse")
    logits = np.asarray(model(X))
    assert model.train_on_batch(X, logits) < 1e-8 * np.square(logits).mean()


@pytest.mark.full  # test_layers.py trains them without oneDNN
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


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_activations_without_a_config_are_exported(tmp_path):
    act = lambda x: keras.ops.leaky_relu(x, 0.05)  # noqa: E731 - a function without a name
    model = zoo.build("toy_basic", act=act, norm="batch", seed=0, depths=(1,), stem="cifar")
    assert zoo.export(model, tmp_path / "saved", to="saved_model").difference < 1e-4


# TensorFlow's own fusion


def tool():
    """Load tools/fusion, which has no file extension, as a module."""
    loader = importlib.machinery.SourceFileLoader("fusion_tool", str(ROOT / "tools/fusion"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


@pytest.mark.quick
def test_the_page_contains_the_recorded_table():
    assert tool().main(["--check"]) == 0


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="recorded with oneDNN on x86-64"
)
@pytest.mark.parametrize(
    "kernel", [pytest.param("convolution", marks=pytest.mark.quick), "grouped convolution"]
)
@pytest.mark.not_quick
def test_tensorflow_fuses_wrongly_what_the_page_lists(kernel):
    import tensorflow as tf

    between = ("bias", "batch norm", "bias, sum", "bias, sum from the right", "batch norm, sum")
    found = tool().wrong([kernel], between, ["float32"])
    onednn = "off" if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0" else "on"
    listed = [
        row
        for row in tool().recorded()
        if (row["onednn"], row["kernel"], row["dtype"]) == (onednn, kernel, "float32")
        and row["between"] in between
    ]
    new = [row for row in found if row not in listed]
    right = [row for row in listed if row not in found]
    if new or right:
        pytest.fail(
            f"TensorFlow {tf.__version__} fuses other chains wrongly than docs/fusion.md lists "
            f"(oneDNN {onednn}). New: {new}. Correct now: {right}. Run tools/fusion; if a chain is "
            "new, zoo's layers must not form it: see zoo/layers/activations.py."
        )


@pytest.mark.full
def test_networks_are_also_correct_without_onednn():
    """Run the tests of this file that run networks, in a process without oneDNN."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    chosen = "plain_keras or wrongly or (every_way and (tanh or mish or leaky_relu))"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", __file__, "-k", chosen],
        env={**environment, "TF_ENABLE_ONEDNN_OPTS": "0"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-3000:]
