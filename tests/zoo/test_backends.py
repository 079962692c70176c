"""With the same weights, JAX gives the outputs of TensorFlow, without importing TensorFlow."""

import numpy as np
import pytest

import zoo
from zoo import registry

FEW = ["toy_resnet", "toy_alexnet", "toy_preact_resnet", "toy_basic"]
ALL = [toy for family in registry.families() for toy in registry.family(family).toys]
OPTIONS = [
    {"norm": "sync_batch"},
    {"act": "leaky_relu:0.2", "norm": "group"},
    {"act": "prelu", "norm": "batch", "padding": "tf"},
    {"act": "swish_beta", "norm": "layer", "recompute": True},
]

ON_JAX = """
import sys
import jax, keras, numpy as np
import zoo
from zoo import layers
cases = {cases!r}
for i, (toy, options) in enumerate(cases):
    # JAX compiles random numbers for each shape, a second each, so one network has them.
    model = zoo.build(toy, **options, **({{"init": "zeros"}} if i else {{}}))
    model.load_weights(f"{folder}/{{i}}.weights.h5")
    x = np.load("{folder}/x.npy")
    np.save(f"{folder}/{{i}}.jax.npy", model.predict(x, verbose=0))
    if i % 3 == 0:
        model.compile("sgd", "mse")
        print(float(model.train_on_batch(x, np.zeros((2, 10)))))
# A padding of its own makes the gradients of strided convolutions slow on a GPU.
strided = layers.Conv2D(4, 3, strides=2)
strided.build(x.shape)
operations = str(jax.make_jaxpr(strided.call)(x))
assert "conv_general_dilated" in operations and " pad[" not in operations, operations
print(keras.backend.backend(), "tensorflow" in sys.modules)
"""


@pytest.mark.parametrize(
    "cases",
    [
        pytest.param([(toy, OPTIONS[i]) for i, toy in enumerate(FEW[:2])], id="few"),
        pytest.param(
            [(toy, OPTIONS[i]) for i, toy in enumerate(FEW)], id="options", marks=pytest.mark.full
        ),
        *(pytest.param([(toy, {})], id=toy, marks=pytest.mark.full) for toy in ALL),
    ],
)
def test_jax_gives_the_outputs_of_tensorflow(tmp_path, python, cases):
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


TOOLS_ON_JAX = """
import sys
import keras, numpy as np
import zoo
x = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
model = zoo.build("toy_resnet", depths=(2, 2), init="zeros", seed=0)
for variable in model.variables:
    variable.assign(np.random.default_rng(1).uniform(0.1, 0.3, variable.shape).astype("float32"))
y = np.asarray(model(x))

def same(other):
    assert np.abs(np.asarray(other(x)) - y).max() < 1e-4 * np.abs(y).max()

same(zoo.fold_batchnorm(model))
same(zoo.fold_batchnorm(keras.Sequential([keras.Input((32, 32, 3)), model])))
same(zoo.deepen(model, stage2=1))
maps = zoo.features(model, ["stage1"])(x)["stage1"]
assert zoo.gradcam(model, x, stage="stage1").shape == tuple(maps.shape[:3])
zoo.freeze(zoo.new_head(model, 3), "stage1")
assert len(zoo.profile(model)) == 6
assert zoo.lsuv(zoo.build("toy_plain"), x)
same(keras.models.load_model(zoo.export(model, "{folder}/it.keras").path))
try:
    zoo.export(model, "{folder}/it.onnx")
except ValueError as error:
    assert "KERAS_BACKEND=tensorflow" in str(error)
else:
    raise AssertionError("onnx")
print(keras.backend.backend())
"""


@pytest.mark.full
def test_changing_analyzing_and_exporting_networks_works_on_jax(tmp_path, python):
    pytest.importorskip("jax")
    program = TOOLS_ON_JAX.replace("{folder}", str(tmp_path))
    assert python(program, KERAS_BACKEND="jax").stdout.split()[-1] == "jax"
