"""Which files of weights load into which networks, and what errors say about the others."""

import json
import logging

import h5py
import keras
import ml_dtypes
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format
from safetensors.numpy import load_file, save_file

import zoo
from zoo.checkpoints import files, loading
from zoo.checkpoints.layouts import layouts

SHAPE = (64, 64, 3)
SMALL = {"depths": (1, 1, 1, 1), "width": 8, "input_shape": SHAPE}


def small(**options):
    return zoo.build("resnet18", **{**SMALL, "num_classes": 7, **options})


def tensors(model, layout=0):
    """Return what a file of the model holds, in one of the layouts of its family."""
    return {tensor.name: tensor.outward() for tensor in layouts(model)[layout][1]}


@pytest.fixture
def file(tmp_path):
    """Return a function that writes arrays to a .safetensors file and returns its path."""

    def write(arrays):
        path = tmp_path / "weights.safetensors"
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
        return path

    return write


def same(a, b, inputs=None):
    x = np.random.default_rng(0).normal(size=(2, *a.input.shape[1:])).astype("float32")
    np.testing.assert_allclose(a(x), b(x if inputs is None else inputs(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.quick
def test_tensors_that_do_not_fit_are_listed_and_nothing_is_loaded(file):
    model = small(seed=0)
    before = model.get_weights()
    arrays = tensors(small(seed=1))
    del arrays["layer1.0.conv1.weight"]
    arrays["layer9.weight"] = np.zeros(3, "float32")
    arrays["layer2.0.bn1.bias"] = np.zeros(5, "float32")
    with pytest.raises(ValueError, match="does not fit resnet18 under the names of torch") as error:
        zoo.load_weights(model, file(arrays))
    text = str(error.value)
    assert "missing: layer1.0.conv1.weight" in text
    assert "unexpected: layer9.weight" in text
    assert (
        "wrong shape: layer2.0.bn1.bias has (5,), expected (16,) for stage2_block1_1_norm" in text
    )
    assert "nothing was loaded" in text
    assert "\n" not in text
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_long_lists_of_names_are_shortened(file):
    arrays = tensors(small())
    some = {name: array for name, array in arrays.items() if not name.startswith("layer")}
    with pytest.raises(ValueError, match=r"and \d\d more"):
        zoo.load_weights(small(), file(some))


def test_a_file_of_another_network_is_an_error(file):
    with pytest.raises(ValueError, match="has no tensors of resnet18 under the names of torchv"):
        zoo.load_weights(small(), file({"blocks.0.weight": np.zeros(3)}))
    with pytest.raises(ValueError, match="has no counterpart in torchvision"):
        zoo.load_weights(zoo.build("toy_mlp"), file({"blocks.0.weight": np.zeros(3)}))


def test_a_head_of_other_classes_is_skipped_with_a_warning(file, caplog):
    """Also for a network without a head."""
    source = small(seed=1)
    path = file(tensors(source))
    for classes in (10, 0):
        caplog.clear()
        model = small(num_classes=classes, seed=0, weights=path)
        assert "head" in caplog.text
        body = keras.Model(source.input, source.get_layer("head_pool").output)
        same(keras.Model(model.input, model.get_layer("head_pool").output), body)
        if classes:
            own = small(num_classes=classes, seed=0).get_layer("head_dense").get_weights()
            np.testing.assert_array_equal(model.get_layer("head_dense").get_weights()[0], own[0])
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        same(small(weights=path), source)
    assert not caplog.text


def test_the_first_kernel_is_adapted_to_other_channels(file):
    """A gray image counts as repeated; six channels count as the means of i and i + 3."""
    source = small(seed=1)
    path = file(tensors(source))
    gray = small(input_shape=(64, 64, 1), weights=path)
    same(gray, source, lambda x: np.repeat(x, 3, -1))
    six = small(input_shape=(64, 64, 6), weights=path)
    same(six, source, lambda x: (x[..., :3] + x[..., 3:]) / 2)
    four = loading.with_channels(np.ones((3, 3, 3, 2)), 4)
    np.testing.assert_allclose(four.sum(-2), 3)


def test_biases_before_a_norm_are_folded_into_it(file):
    """Networks with and without these biases give the same outputs."""
    kept = small(norm_bias=True, seed=1)
    rng = np.random.default_rng(0)
    for w in kept.weights:
        if w.name == "bias" or w.name == "moving_mean":
            w.assign(rng.normal(size=w.shape))
    path = file(tensors(kept))
    same(small(norm_bias=True, weights=path), kept)
    same(small(weights=path), kept)


def test_weights_load_for_any_input_size(file):
    path = file(tensors(small(seed=1)))
    model = small(input_shape=(None, None, 3), weights=path)
    assert model(np.zeros((1, 80, 96, 3), "float32")).shape == (1, 7)


def test_weights_load_into_a_network_with_recompute(file):
    source = small(seed=1)
    model = small(recompute=True, seed=0)
    zoo.load_weights(model, file(tensors(source)))
    same(model, source)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_tensors_load(file, dtype):
    source = small(seed=1)
    for w in source.weights:
        w.assign(np.asarray(w).astype(dtype).astype("float32"))
    same(small(weights=file({k: v.astype(dtype) for k, v in tensors(source).items()})), source)


# Our own files


def test_weights_saved_by_keras_load_completely_or_not_at_all(tmp_path, caplog):
    source = small(seed=1, input_shape=SHAPE)
    path = tmp_path / "own.weights.h5"
    source.save_weights(path)
    same(small(weights=path), source)
    model = small(seed=0, recompute=True)
    zoo.load_weights(model, str(path))
    same(model, source)
    small(num_classes=10, weights=path)
    assert "the head in" in caplog.text
    caplog.clear()
    small(num_classes=0, weights=path)
    assert "the head in" in caplog.text
    other = small(width=16)
    before = other.get_weights()
    with pytest.raises(
        ValueError, match=r"nothing was loaded; wrong shape: stem_conv/kernel has .*, expected"
    ):
        zoo.load_weights(other, path)
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="nothing was loaded"):
        small(depths=(2, 1, 1, 1), weights=path)


def test_weights_saved_by_keras_load_into_layers_that_contain_layers(tmp_path):
    """Keras itself loads such files."""
    norm = keras.layers.BatchNormalization()
    source = small(norm=norm, seed=1)
    path = tmp_path / "own.weights.h5"
    source.save_weights(path)
    same(small(norm=norm, weights=path), source)


# keras.applications


def test_a_whole_model_in_an_h5_file_loads(tmp_path):
    theirs = keras.applications.MobileNet((32, 32, 3), alpha=0.25, weights=None, classes=5,
                                          classifier_activation=None)  # fmt: skip
    for w in theirs.weights:
        w.assign(np.random.default_rng(len(w.path)).uniform(0.5, 1, w.shape) * 0.3)
    path = tmp_path / "model.h5"
    theirs.save(path)
    ours = zoo.build("mobilenet_v1", multiplier=0.25, num_classes=5, input_shape=(32, 32, 3),
                     weights=path)  # fmt: skip
    same(ours, theirs)


def test_layers_of_a_keras_file_may_have_other_names(tmp_path):
    """Old files have other names, so layers are paired by their order, as Keras does."""
    theirs = keras.applications.MobileNetV2((32, 32, 3), weights=None, classifier_activation=None)
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as old:
        old.attrs["layer_names"] = [f"old{i}" for i in range(len(theirs.layers))]
        for i, layer in enumerate(theirs.layers):
            group = old.create_group(f"old{i}")
            names = [f"old{i}/{w.name}:0" for w in layer.weights]
            group.attrs["weight_names"] = names
            for name, value in zip(names, layer.get_weights(), strict=True):
                group[name] = value
    ours = zoo.build("mobilenet_v2", padding="tf", norm_epsilon=1e-3, input_shape=(32, 32, 3),
                     weights=path)  # fmt: skip
    same(ours, theirs)
    with h5py.File(path, "a") as old:
        del old["old1"]
        old.create_group("old1").attrs["weight_names"] = []
    with pytest.raises(ValueError, match=r"does not fit|has no tensors"):
        zoo.load_weights(ours, path)


def test_a_keras_file_without_a_head_is_an_error_with_advice(tmp_path):
    theirs = keras.applications.VGG16(False, None, input_shape=(32, 32, 3))
    path = tmp_path / "notop.h5"
    with h5py.File(path, "w") as group:
        legacy_h5_format.save_weights_to_hdf5_group(group, theirs)
    arrays = files.read(path)
    assert list(arrays)[:2] == ["block1_conv1/kernel", "block1_conv1/bias"]
    options = {"input_shape": (32, 32, 3), "hidden": (8, 8), "grid": 1, "weights": path}
    with pytest.raises(ValueError, match=r"has no classifier for vgg16, .*num_classes=N for a"):
        zoo.build("vgg16", **options)
    with pytest.raises(ValueError, match=r"missing: fc1/kernel.*without them, pass hidden=\(\)"):
        zoo.build("vgg16", num_classes=0, **options)
    # The advice of both errors works.
    same(zoo.build("vgg16", num_classes=0, **{**options, "hidden": ()}),
         keras.Sequential([theirs, keras.layers.Flatten()]))  # fmt: skip
    ours = zoo.build("vgg16", num_classes=5, **options)
    same(keras.Model(ours.input, ours.get_layer("stage5_pool").output), theirs)


@pytest.mark.full
def test_weights_written_in_any_layout_load_again(file):
    """The two directions of the mapping of names and axes agree in every layout."""
    for name, options in {
        "vgg11_bn": {"widths": (8,) * 5, "hidden": (16, 16), "input_shape": (64, 64, 3), "grid": 2},
        "mobilenet_v3_small": {"multiplier": 0.25, "input_shape": (32, 32, 3)},
        "efficientnet_b0": {"width": 0.25, "input_shape": (32, 32, 3)},
    }.items():
        if name != "vgg11_bn":  # so that the options of the file's library do not apply
            options |= {"padding": "symmetric", "norm_epsilon": 1e-5}
        source = zoo.build(name, seed=1, num_classes=7, **options)
        found = layouts(source)
        assert len(found) > 1
        for i, (layout, _) in enumerate(found):
            arrays = tensors(source, i)
            path = file(arrays)
            assert {k: list(v.shape) for k, v in load_file(path).items()} == {
                t.name: list(t.shape) for t in found[i][1]
            }, layout.name
            same(zoo.build(name, num_classes=7, weights=path, **options), source)
    assert json.dumps([layout.name for layout, _ in found]) == '["torchvision", "timm", "keras"]'


def test_nasnet_loads_under_timms_names(file):
    """The first cell of a stage halves the size; timm has no stem without reductions."""
    options = {"stem": "imagenet", "width": 8, "input_shape": SHAPE}
    source = zoo.build("toy_nasnet", seed=1, **options)
    arrays = tensors(source)
    same(zoo.build("toy_nasnet", seed=0, weights=file(arrays), **options), source)
    assert arrays["cell_0.path_2.conv.weight"].shape == (4, 8, 1, 1)
    assert arrays["cell_1.comb_iter_4_left.separable_2.depthwise_conv2d.weight"].shape[1] == 1
    arrays["cell_1.conv_prev_1x1.bn.bias"] = arrays.pop("cell_1.final_path_bn.bias")
    with pytest.raises(ValueError, match=r"missing: cell_1\.final\S+; unexpected: cell_1\.conv_p"):
        zoo.load_weights(source, file(arrays))
    assert [layout.name for layout, _ in layouts(zoo.build("toy_nasnet"))] == ["keras"]
