"""Training from given weights: their sources, freezing, new heads and preprocessing."""

import dataclasses
import hashlib
import json
import shutil

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format
from safetensors.numpy import load_file, save_file

import recipes
import zoo
from zoo import saved_runs
from zoo.checkpoints import downloads, sources
from zoo.files import digest

NOTHING = 1e-12  # with this learning rate, no weight changes


@pytest.fixture(scope="module")
def first(tiny, tmp_path_factory):
    """A finished run of a network with norms and two stages on four classes."""
    fields = {"model": "toy_basic", "preprocess": "center_channel", "epochs": 1}
    folder = tmp_path_factory.mktemp("first") / "run"
    return recipes.train(tiny, run=folder, verbose=False, **fields)


def pixels(*shape):
    return np.random.default_rng(1).integers(0, 256, shape).astype("float32")


def names_of(model):
    return [layer.name for layer in model.layers if layer.name.startswith("input_")]


def weights_of(model, *stages):
    found = {}
    for stage in stages:
        for layer in zoo.stages(model)[stage]:
            found |= {f"{layer.name}/{w.name}": w.numpy() for w in layer.weights}
    return {name: value for name, value in found.items() if "seed" not in name}


@pytest.mark.quick
@pytest.mark.not_quick
def test_preprocessing_of_a_source_replaces_that_of_the_recipe(
    tiny, train, tmp_path, monkeypatch, capsys
):
    """The frozen stages give the feature maps of keras.applications' MobileNetV2 for raw pixels."""
    theirs = keras.applications.MobileNetV2((32, 32, 3), weights=None, classifier_activation=None)
    rng = np.random.default_rng(0)
    for w in theirs.weights:
        if w.name == "kernel":
            fan_in = 9 if w.shape[-1] == 1 else np.prod(w.shape[:-1])
            w.assign(rng.normal(size=w.shape) * np.sqrt(2 / fan_in))
        elif w.name in ("gamma", "moving_variance"):
            w.assign(rng.uniform(0.5, 1.5, w.shape))
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path / "cache"))
    source = zoo.source("mobilenet_v2", "keras")
    path = downloads.cached(source.url)
    path.parent.mkdir(parents=True)
    with h5py.File(path, "w") as group:
        legacy_h5_format.save_weights_to_hdf5_group(group, theirs)
    hashed = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    local = dataclasses.replace(source, hash=hashed)
    monkeypatch.setitem(sources.table()["mobilenet_v2"], "keras", local)

    run = train(
        tiny, model="mobilenet_v2", weights="keras", data="made_up:32x32x3:4:16", epochs=1,
        preprocess="standardize", freeze="stage7", verbose=True,
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert "weights of keras: their preprocessing" in printed
    assert "replaces 'standardize'" in printed
    assert names_of(run.model) == ["input_image", "input_rescaling"]
    x = pixels(2, 32, 32, 3)
    body = keras.Model(theirs.input, theirs.get_layer("block_16_project_BN").output)
    maps = body(keras.applications.mobilenet_v2.preprocess_input(x.copy())).numpy()
    ours = zoo.features(run.model, ["stage7"])(x)["stage7"]
    assert maps.std() > 0.01
    np.testing.assert_allclose(ours, maps, atol=1e-4 * np.abs(maps).max())


def test_weights_of_a_file_use_the_preprocessing_of_the_recipe(tiny, train, tmp_path):
    body = zoo.build("mobilenet_v1", num_classes=4, input_shape=(32, 32, 3), seed=5)
    body.save_weights(tmp_path / "body.weights.h5")
    settings = {
        "model": "mobilenet_v1", "weights": str(tmp_path / "body.weights.h5"), "epochs": 1,
        "lr": NOTHING, "data": "made_up:32x32x3:4:16", "batch_size": 16, "freeze": "stage5",
    }  # fmt: skip
    x = pixels(2, 32, 32, 3)
    run = train(tiny, "own", **settings, preprocess="scale")
    assert names_of(run.model) == ["input_image", "input_preprocess"]
    np.testing.assert_allclose(run.model(x), body(x / 127.5 - 1), atol=1e-5)
    run = train(tiny, "source", **settings, preprocess="keras")
    assert names_of(run.model) == ["input_image", "input_rescaling"]
    np.testing.assert_allclose(run.model(x), body(x / 127.5 - 1), atol=1e-5)
    with pytest.raises(ValueError, match="unknown preprocessing 'kera'; did you mean 'keras'"):
        train(tiny, "other", **settings, preprocess="kera")
    assert not (tmp_path / "other").exists()


def test_weights_and_preprocessing_of_a_run_are_used(first, tiny, train, capsys):
    """With the same classes and learning rate 0, the new run equals the old one."""
    again = train(
        tiny, model="toy_basic", weights=str(first.path), epochs=1, lr=NOTHING, freeze="stage2",
        verbose=True,
    )  # fmt: skip
    assert "('center_channel') replaces 'standardize'" in capsys.readouterr().out
    assert names_of(again.model) == ["input_image", "input_preprocess"]
    x = pixels(3, 24, 24, 1)
    np.testing.assert_allclose(again.model(x), first.model(x), atol=1e-5)
    assert again.result["loss"] == pytest.approx(first.result["loss"], abs=1e-5)


@pytest.mark.quick
@pytest.mark.not_quick
def test_frozen_weights_do_not_change(first, tiny, train, capsys):
    run = train(
        tiny, model="toy_basic", weights=str(first.path), freeze="stage1", head="new", lr=0.1,
        verbose=True,
    )  # fmt: skip
    before, after = (weights_of(m, "stem", "stage1") for m in (first.model, run.model))
    assert any("moving_mean" in name for name in before)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value, err_msg=name)
    before, after = (weights_of(m, "stage2", "head") for m in (first.model, run.model))
    assert all(np.any(after[name] != value) for name, value in before.items())
    assert run.result["parameters"] == first.result["parameters"]
    assert "trained)" in capsys.readouterr().out


@pytest.mark.full  # test_resume.py has other state
def test_a_run_with_frozen_stages_resumes_after_an_interruption(
    first, tiny, train, train_one_epoch
):
    settings = {"model": "toy_basic", "weights": str(first.path), "freeze": "stage1"}
    whole = train(tiny, "whole", **settings, epochs=3)
    train_one_epoch(tiny, "parts", **settings, epochs=3)
    parts = train(tiny, "parts", **settings, epochs=3)
    for a, b in zip(whole.model.weights, parts.model.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy(), err_msg=a.path)


def test_other_classes_get_a_new_head(first, tiny, train, capsys):
    run = train(
        tiny, model="toy_basic", weights=str(first.path), data="made_up:24x24x1:7:96", epochs=1,
        verbose=True,
    )  # fmt: skip
    assert "the head is new, because its classes (4) differ" in capsys.readouterr().out
    assert run.model.output_shape == (None, 7)


def test_a_head_on_a_frozen_stage_is_a_linear_probe(first, tiny, train):
    """It trains a linear classifier on the averaged feature maps."""
    run = train(
        tiny, model="toy_basic", weights=str(first.path), freeze="stage1", head="stage1", lr=0.1,
    )  # fmt: skip
    assert "stage2" not in zoo.stages(run.model)
    x = pixels(3, 24, 24, 1)
    maps = zoo.features(first.model, ["stage1"])(x)["stage1"].numpy()
    kernel, bias = run.model.get_layer("head_dense").get_weights()
    assert len(run.model.trainable_variables) == 2
    np.testing.assert_allclose(run.model(x), maps.mean((1, 2)) @ kernel + bias, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"act": "elu"}, "has act=None, but the recipe has 'elu'"),
        ({"data": "made_up:24x24x3:4:96"}, "trained on images with 1 channel, but these have 3"),
        ({"freeze": "stage3"}, "unknown stage of toy_basic 'stage3'; did you mean 'stage"),
        ({"head": "stag1"}, "unknown stage of toy_basic 'stag1'; did you mean 'stage1'"),
        ({"freeze": "head"}, "freeze='head': leaves nothing to train"),
    ],
)
def test_settings_that_contradict_weights_are_errors(settings, words, first, tiny, train, tmp_path):
    with pytest.raises(ValueError, match=words):
        train(tiny, "second", model="toy_basic", weights=str(first.path), **settings)
    assert not (tmp_path / "second").exists()


@pytest.mark.quick
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_raise_an_error(value, first, tiny, train, tmp_path):
    fields = {"model": "toy_basic", "preprocess": "center_channel"}
    broken = shutil.copytree(first.path, tmp_path / "broken")
    model = zoo.load(broken / "model.keras")
    for name in ("stage1_block1_2_norm", "head_dense"):  # the first one is named
        layer = model.get_layer(name)
        layer.set_weights([w * np.where(np.arange(w.size) == 1, value, 1).reshape(w.shape)
                           for w in layer.get_weights()])  # fmt: skip
    model.save(broken / "model.keras")
    result = json.loads((broken / "result.json").read_text())
    result[saved_runs.DIGESTS]["model.keras"] = digest(broken / "model.keras")
    (broken / "result.json").write_text(json.dumps(result))
    model.save_weights(tmp_path / "broken.weights.h5")
    for source in (broken, tmp_path / "broken.weights.h5"):
        words = f"^weights='{source}': the weights of its layer 'stage1_block1_2_norm' are NaN or"
        with pytest.raises(ValueError, match=words):
            train(tiny, "second", **fields, weights=str(source))
        assert not (tmp_path / "second").exists()


def test_a_wrong_source_of_weights_is_a_one_line_error(here):
    done = here("train", "digits/resnet20", "--weights=runs/none")
    assert (done.returncode, done.stderr) == (
        2,
        "train: weights='runs/none': there is no such file; check the path\n",
    )
    done = here("train", "digits/resnet20", "--weights=.")
    assert (done.returncode, "not a run directory" in done.stderr) == (2, True)


@pytest.mark.full  # slow
def test_weights_of_a_run_with_auxiliary_heads_are_used(tiny, train):
    fields = {
        "model": "toy_googlenet_bn", "data": "made_up:32x32x3:4:32", "epochs": 1,
        "options": {"depths": (1, 3, 1), "aux": True},
    }  # fmt: skip
    first = train(tiny, "auxiliary", **fields)
    again = train(tiny, "again", **fields, weights=str(first.path), lr=NOTHING)
    body = [(x.name, x.trainable_weights) for x in again.model.layers if x.trainable_weights]
    for name, weights in body:
        for ours, theirs in zip(
            weights, first.model.get_layer(name).trainable_weights, strict=True
        ):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_weights_of_a_run_with_another_input_size_are_used(tiny, train):
    fields = {"model": "toy_basic", "data": "made_up:32x32x3:4:32", "epochs": 1}
    first = train(tiny, "first", **fields, options={"input_shape": (None, None, 3)})
    train(tiny, "plain", **fields, weights=str(first.path))
    with pytest.raises(ValueError, match="has options="):
        train(tiny, "other", **fields, weights=str(first.path), options={"stem": "cifar"})


def test_data_init_without_hidden_layers_is_an_error(tiny, train):
    with pytest.raises(ValueError, match="data_init='lsuv': there is nothing to fit"):
        train(tiny, model="mlp", options={"hidden": ()}, data_init="lsuv")


@pytest.mark.full
def test_options_of_a_run_are_used_with_its_weights(tiny, train, tmp_path):
    """A file of keras.applications implies TensorFlow's padding, which no field contains."""
    theirs = keras.applications.MobileNetV2((32, 32, 3), weights=None, classes=4)
    theirs.save_weights(tmp_path / "a.weights.h5")
    settings = {
        "model": "mobilenet_v2", "epochs": 1, "lr": NOTHING, "data": "made_up:32x32x3:4:16",
        "batch_size": 16, "freeze": "stage7",
    }  # fmt: skip
    first = train(tiny, "first", **settings, weights=str(tmp_path / "a.weights.h5"))
    again = train(tiny, "again", **settings, weights=str(first.path))
    assert first.model.get_layer("stem_conv").get_config()["padding"] == "same"
    x = pixels(2, 32, 32, 3)
    np.testing.assert_allclose(again.model(x), first.model(x), atol=1e-5)


def test_head_new_ignores_another_head_in_the_file(tiny, train, tmp_path):
    """The head in the file has two layers, and as many classes as the data."""
    small = {"depths": (1, 1, 1, 1), "width": 8}
    body = zoo.build("resnet18", num_classes=0, input_shape=(32, 32, 3), seed=5, **small)
    zoo.export(body, tmp_path / "body.safetensors")
    tensors = load_file(tmp_path / "body.safetensors")
    tensors |= {"fc.0.weight": np.zeros((9, 64), "f4"), "fc.0.bias": np.zeros(9, "f4")}
    tensors |= {"fc.3.weight": np.zeros((4, 9), "f4"), "fc.3.bias": np.zeros(4, "f4")}
    save_file({f"module.{name}": x for name, x in tensors.items()}, tmp_path / "a.safetensors")
    settings = {
        "model": "resnet18", "weights": str(tmp_path / "a.safetensors"), "epochs": 1,
        "batch_size": 16, "lr": NOTHING, "data": "made_up:32x32x3:4:16", "preprocess": "scale",
        "freeze": "stage4", "options": small,
    }  # fmt: skip
    settings["weights"] += "#module"  # a choice by its prefix, as on the command line
    run = train(tiny, "new", **settings, head="new")
    x = pixels(2, 32, 32, 3)
    assert run.model(x).shape == (2, 4)
    ours = zoo.features(run.model, ["stage4"])(x)["stage4"]
    np.testing.assert_allclose(
        ours, zoo.features(body, ["stage4"])(x / 127.5 - 1)["stage4"], atol=1e-4
    )
    with pytest.raises(ValueError, match=r"num_classes=4: .* or set head='new' in a recipe"):
        train(tiny, "kept", **settings)
