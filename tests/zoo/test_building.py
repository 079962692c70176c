"""Arguments of zoo.build, their errors, input sizes, seeds, and saved models."""

import re
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import complexity, registry
from zoo.plan import sketch
from zoo.style import TooSmallError


@pytest.mark.quick
@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("resnet5", {}, "did you mean 'resnet5"),
        (5, {}, "unknown model 5"),
        ("resnet50", {"act": "rely"}, "did you mean 'relu'"),
        ("resnet50", {"act": "relu:2"}, "takes no number"),
        ("resnet50", {"act": "elu:x"}, "'x' is not a number; use one as in 'elu:1'"),
        ("resnet50", {"act": "maxout:1.5"}, "whole number"),
        ("resnet50", {"act": 7}, "must be a name"),
        ("resnet50", {"act": keras.initializers.HeNormal()}, "a Keras layer"),
        ("resnet50", {"norm": keras.initializers.HeNormal()}, "a Keras layer"),
        ("resnet50", {"init": keras.layers.ReLU()}, "a Keras initializer"),
        ("resnet50", {"head_init": 5}, "head_init=5"),
        ("resnet50", {"bias_init": 5}, "bias_init=5"),
        ("resnet50", {"act": "elu:nan"}, "elu takes a number of at least 0"),
        ("resnet50", {"act": "prelu:inf"}, "prelu takes a finite number"),
        ("resnet50", {"act": "maxout:1e9"}, "from 1 to 64"),
        ("resnet50", {"init": "normal:-1"}, "normal takes a number of at least 0"),
        ("resnet50", {"init": "fixup:2", "norm": "none"}, "fixup takes no number; use 'fixup'"),
        ("resnet50", {"norm": keras.layers.LayerNormalization(), "zero_gamma": True}, "zero_gamma"),
        ("resnet50", {"norm": keras.layers.LayerNormalization(), "norm_epsilon": 0.1}, "by name"),
        ("resnet50", {"norm_epsilon": float("nan")}, "norm_epsilon=nan"),
        ("resnet50", {"groups": 0}, "groups=0: must be at least 1"),
        ("resnet50", {"width": -8}, "width=-8"),
        ("resnet18", {"stride_first": True}, "needs bottleneck=True"),
        ("resnet20", {"ceil_pool": True}, "has no pooling"),
        ("plain20", {"drop_path": 0.5}, "no residual blocks"),
        ("vgg16", {"depths": (1, -1, 1, 1, 1)}, "depths"),
        ("vgg16", {"grid": 0}, "grid=0"),
        ("alexnet", {"lrn": (9,)}, "lrn=(9,): must be numbers of convolutions, 1 to 5"),
        ("lenet5", {"widths": ()}, "widths=(): there is no convolution"),
        ("mlp", {"hidden": (0,)}, "hidden"),
        ("resnet50", {"norm": "bach"}, "did you mean 'batch'"),
        ("resnet50", {"norm": "lrn"}, "no local response normalization"),
        ("resnet50", {"init": "xavir"}, "did you mean 'xavier'"),
        ("resnet50", {"init": "fixup"}, "replaces normalization"),
        ("resnet50", {"head_init": "nrmal"}, "did you mean 'normal'"),
        ("resnet50", {"stm": "cifar"}, "did you mean 'stem'"),
        ("resnet50", {"stem": "cifr"}, "did you mean 'cifar'"),
        ("resnet50", {"depths": "3"}, "depths='3': must be a tuple"),
        ("resnet50", {"groups": 2.5}, "groups=2.5: must be an integer"),
        ("resnet50", {"groups": 3}, "groups=3: must divide width=64"),
        ("resnet50", {"zero_gamma": 1}, "True or False"),
        ("resnet50", {"zero_gamma": True, "norm": "none"}, "needs a norm"),
        ("resnet50", {"padding": "sme"}, "'symmetric', 'tf'"),
        ("resnet50", {"dropout": 1.0}, "dropout=1.0"),
        ("resnet50", {"dropout": "half"}, "dropout='half': must be a number"),
        ("vgg16", {"drop_path": 0.1}, "no residual blocks"),
        ("resnet50", {"num_classes": -1}, "num_classes=-1"),
        ("resnet50", {"num_classes": True}, "num_classes=True"),
        ("resnet50", {"input_shape": (32, 32)}, "input_shape=(32, 32)"),
        ("resnet50", {"input_shape": (32, 32, 0)}, "channels at least 1"),
        ("resnet50", {"input_shape": 32}, "input_shape=32"),
        ("vgg16", {"widths": (64,)}, "the length differs from widths=(64,)"),
    ],
)
def test_a_wrong_argument_is_a_one_line_error(name, options, words):
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        zoo.resolve(name, **options)
    assert "\n" not in str(error.value)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        (
            "vgg16",
            {"input_shape": (31, 64, 3)},
            "input_shape=(31, 64, 3): too small for vgg16, which needs at least 32x32",
        ),
        ("alexnet", {"input_shape": (64, 64, 3)}, "at least 67x67"),
        ("lenet5", {"input_shape": (15, 15, 1)}, "at least 16x16"),
        ("lenet5", {"input_shape": (None, None, 1)}, "fixed input size"),
        ("mlp", {"norm": "instance"}, "would be normalized on its own"),
        ("resnet20", {"norm": "instance", "input_shape": (4, 4, 3)}, "at least 5x5"),
        ("vgg16", {"norm": "instance", "input_shape": (16, 16, 3)}, "at least 32x32"),
        ("resnet50", {"preprocess": 3}, "not a Keras layer"),
        ("resnet50", {"weights": "imagenets"}, "did you mean 'imagenet'"),
    ],
)
def test_a_network_that_cannot_be_built_is_a_one_line_error(name, options, words):
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        zoo.build(name, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "least"), [("vgg11", 32), ("alexnet", 67), ("zfnet", 47), ("lenet5", 16)]
)
def test_the_smallest_size_in_errors_is_exact(name, least):
    channels = registry.catalog()[name].input_shape[2]
    sketch(zoo.resolve(name, input_shape=(least, least, channels)))
    with pytest.raises(ValueError, match="too small"):
        sketch(zoo.resolve(name, input_shape=(least - 1, least - 1, channels)))


@pytest.mark.quick
def test_the_error_if_no_input_size_is_large_enough(monkeypatch):
    def too_small(plan, preprocess=None):
        raise TooSmallError("stage1_norm", "the norm is always 0")

    monkeypatch.setattr("zoo.plan.network", too_small)
    words = "lenet5: the norm is always 0 in layer stage1_norm, whatever the input size"
    with pytest.raises(ValueError, match=f"^{words}$"):
        zoo.counts("lenet5")


@pytest.mark.quick
@pytest.mark.parametrize("name", ["resnet50", "vgg16", "alexnet_owt", "resnet20", "alexnet"])
def test_parameter_counts_do_not_depend_on_the_input_size(name):
    counts = []
    for shape in ((None, None, 3), (96, 128, 3), (299, 299, 3)):
        model = sketch(zoo.resolve(name, input_shape=shape))
        counts.append(complexity.parameters(model))
        assert model.output.shape == (None, registry.catalog()[name].classes)
    assert len(set(counts)) == 1
    sketch(zoo.resolve(name, input_shape=(224, 224, 11)))


def test_a_network_of_varying_size_equals_one_of_fixed_size():
    model = zoo.build("toy_vgg", input_shape=(None, None, 3), grid=2, seed=0)
    fixed = zoo.build("toy_vgg", input_shape=(48, 40, 3), grid=2, seed=0)
    x = np.random.default_rng(0).normal(size=(2, 48, 40, 3)).astype("float32")
    np.testing.assert_allclose(model(x), fixed(x), rtol=1e-4, atol=1e-6)
    assert model(x[:, :16, :16]).shape == (2, 10)


@pytest.mark.quick
def test_numpy_numbers_are_accepted():
    plan = zoo.resolve(
        "resnet20", num_classes=np.int64(3), seed=np.int64(4), dropout=np.float32(0.25),
        input_shape=tuple(np.array([40, 32, 3])),
    )  # fmt: skip
    assert (plan.num_classes, plan.input_shape, plan.style.dropout) == (3, (40, 32, 3), 0.25)


@pytest.mark.quick
def test_adaptive_pooling_works_on_maps_of_any_size():
    """Keras's adaptive pool fails for maps smaller than its windows and for varying sizes."""
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    for grid in (1, 2, 3):
        assert np.isfinite(zoo.build("toy_vgg", grid=grid).predict(x, verbose=0)).all()
    free = zoo.build("toy_vgg", input_shape=(None, None, 3), grid=2)
    spec = tf.TensorSpec((None, None, None, 3), tf.float32)
    images = tf.data.Dataset.from_generator(lambda: iter([x]), output_signature=spec)
    assert free.predict(images, verbose=0).shape == (2, 10)


@pytest.mark.quick
def test_num_classes_0_returns_features():
    def features(name):
        return sketch(zoo.resolve(name, num_classes=0)).output.shape

    assert features("vgg16") == (None, 4096)
    assert features("alexnet") == (None, 4096)
    assert features("resnet50") == (None, 2048)
    assert features("lenet5") == (None, 84)


@pytest.mark.quick
def test_a_seed_determines_all_weights_and_no_two_layers_are_equal():
    one, same, other = (zoo.build("toy_resnet", seed=s) for s in (1, 1, 2))
    for a, b, c in zip(one.weights, same.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a, b)
        if a.name == "kernel":
            assert not np.array_equal(a, c)
    kernels = [np.asarray(w).ravel() for w in one.weights if w.name == "kernel"]
    for i, a in enumerate(kernels):
        for b in kernels[:i]:
            n = min(a.size, b.size)
            assert not np.array_equal(a[:n], b[:n])


@pytest.mark.parametrize(
    "order",
    ["import keras, zoo", pytest.param("import zoo, tensorflow, keras", marks=pytest.mark.full)],
)
def test_a_saved_model_opens_with_keras_and_zoo_alone(order, tmp_path, python):
    path = str(tmp_path / "model.keras")
    layer = zoo.layers.Affine(np.float32([1, 2, 3]), 0.1, name="input_preprocess")
    model = zoo.build("toy_resnet", act="swish_beta", preprocess=layer, seed=0)
    model.save(path)
    x = np.arange(2 * 32 * 32 * 3).reshape(2, 32, 32, 3) % 255
    np.save(tmp_path / "x.npy", x)
    program = f"""
{order}
import numpy as np
m = keras.models.load_model({path!r})
np.save({str(tmp_path / "y.npy")!r}, m.predict(np.load({str(tmp_path / "x.npy")!r}), verbose=0))
"""
    python(program)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), model.predict(x, verbose=0))
    np.testing.assert_array_equal(zoo.load(path).predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.quick
def test_saved_weights_load_and_a_damaged_model_is_an_error(tmp_path):
    model = zoo.build("toy_resnet", seed=0)
    path = str(tmp_path / "a.weights.h5")
    model.save_weights(path)
    twin = zoo.build("toy_resnet", seed=1, weights=path)
    for a, b in zip(model.weights, twin.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    (tmp_path / "bad.keras").write_bytes(b"no zip")
    for bad in ("bad.keras", "none.keras"):
        with pytest.raises(ValueError, match="cannot open"):
            zoo.load(tmp_path / bad)


@pytest.mark.full
def test_deep_networks_build_save_and_load(tmp_path):
    """With 600 blocks, Keras would exceed Python's default recursion limit."""
    start = time.process_time()
    model = zoo.build("resnet1202", input_shape=(8, 8, 3))
    print(f"resnet1202 built in {time.process_time() - start:.1f} s of CPU")
    model.save(tmp_path / "deep.keras")
    assert keras.models.load_model(tmp_path / "deep.keras").count_params() == model.count_params()
