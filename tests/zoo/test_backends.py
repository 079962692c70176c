"""JAX gives what TensorFlow gives, from the same weights, with TensorFlow not imported."""

import numpy as np
import pytest

import zoo
from zoo import registry

FEW = ["toy_resnet", "toy_vgg", "toy_preact_resnet", "toy_senet", "toy_alexnet", "toy_basic"]
ALL = [toy for family in registry.families() for toy in registry.family(family).toys]
OPTIONS = [
    {"norm": "sync_batch"},
    {"act": "leaky_relu:0.2", "norm": "group"},
    {"act": "prelu", "norm": "batch", "padding": "tf"},
    {"act": "swish_beta", "norm": "layer", "recompute": True},
]

ON_JAX = """
import sys
import keras, numpy as np
import zoo
cases = {cases!r}
for i, (toy, options) in enumerate(cases):
    # JAX compiles the draws of each shape anew, a second each: once is enough.
    model = zoo.build(toy, **options, **({{"init": "zeros"}} if i else {{}}))
    model.load_weights(f"{folder}/{{i}}.weights.h5")
    x = np.load("{folder}/x.npy")
    np.save(f"{folder}/{{i}}.jax.npy", model.predict(x, verbose=0))
    if i % 3 == 0:
        model.compile("sgd", "mse")
        print(float(model.train_on_batch(x, np.zeros((2, 10)))))
print(keras.backend.backend(), "tensorflow" in sys.modules)
"""


@pytest.mark.parametrize(
    "cases",
    [
        pytest.param([(toy, OPTIONS[i % 4]) for i, toy in enumerate(FEW)], id="few"),
        *(pytest.param([(toy, {})], id=toy, marks=pytest.mark.full) for toy in ALL),
    ],
)
def test_jax_equals_tensorflow(tmp_path, python, cases):
    pytest.importorskip("jax")
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    expected = []
    for i, (toy, options) in enumerate(cases):
        model = zoo.build(toy, seed=0, **options)
        model.save_weights(tmp_path / f"{i}.weights.h5")
        expected.append(np.asarray(model(x)))
    lines = python(ON_JAX.format(cases=cases, folder=tmp_path), KERAS_BACKEND="jax").stdout.split()
    assert lines[-2:] == ["jax", "False"]
    assert np.isfinite([float(loss) for loss in lines[:-2]]).all()
    for i, y in enumerate(expected):
        got = np.load(tmp_path / f"{i}.jax.npy")
        assert np.abs(got - y).max() <= 1e-4 * np.abs(y).max(), cases[i]
