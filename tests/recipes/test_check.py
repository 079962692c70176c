"""The sanity checks find the faults of broken networks, and pass for correct ones."""

import dataclasses
import itertools
import json
import os
import re
import signal
import sys
import time
from importlib import import_module

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits

import recipes
from recipes.augment import Resize
from recipes.diagnostics import (
    ALIASES,
    CHECKS,
    Report,
    activations,
    context,
    generalization,
    gradient_check,
    initial_loss,
    learning_rate,
    overfit_sample,
    selected,
    train_vs_inference,
)
from recipes.diagnostics.context import Context, logits, network, opened
from recipes.diagnostics.results import CheckResult
from recipes.diagnostics.short_training import trained
from tests import processes
from zoo.layers import BatchNorm

MLP = recipes.load("digits/mlp")
NORMED = recipes.replace(MLP, norm="batch", epochs=4)


def failed(report):
    return {each.name for each in report.results if each.verdict == "fail"}


BROKEN = {
    # Fault: overrides of digits/mlp, checks that must fail, and checks that may fail.
    "zero init": (
        {"init": "zeros"}, "overfit_sample activations update_ratios",
        "learning_rate generalization",
    ),
    "rate of 1e6": ({"lr": 1e6}, "learning_rate", "update_ratios"),
    "rate of 1e-8": ({"lr": 1e-8}, "learning_rate update_ratios", "generalization"),
    "sigmoid stack": (
        {"act": "sigmoid", "init": "xavier", "options": {"hidden": (50,) * 8}},
        "activations overfit_sample", "learning_rate generalization update_ratios",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(what, marks=[pytest.mark.full] if what == "rate of 1e-8" else [])
        for what in BROKEN
    ],
)
def test_each_fault_fails_the_checks_that_detect_it(what):
    overrides, must, may = BROKEN[what]
    prepared = opened(recipes.replace(MLP, **overrides))
    found = [import_module(f"recipes.diagnostics.{name}").check(prepared) for name in CHECKS]
    fails = {each.name for each in found if each.verdict == "fail"}
    assert set(must.split()) <= fails <= {*must.split(), *may.split()}, found
    assert all(each.explanation for each in found if each.verdict == "fail")


def test_a_network_with_auxiliary_heads_and_dropout_passes():
    """Without dropout, its layers are in another order."""
    recipe = recipes.Recipe(
        model="toy_googlenet", norm="batch", data="digits", augment=(Resize(64),),
        eval_ops=(Resize(64),), options={"aux": True, "depths": (1, 3, 1)}, batch_size=8, lr=0.01,
    )  # fmt: skip
    prepared = opened(recipe, seconds=1)
    done, model = trained(prepared), prepared.network(prepared.plain)
    done.copy_weights_to(model)
    images, _ = prepared.batch_at(0)
    ours, theirs = (logits(x, images, training=False) for x in (model, done.steps.network))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_overfitting_a_sample_reports_that_its_time_was_up():
    found = overfit_sample.check(opened(MLP, seconds=0.0))
    assert found.verdict == "fail"
    assert "--seconds=0 allowed only 1 of 200 steps at lr=0.05" in found.explanation


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "digits/linear" else pytest.mark.full)
        for name in recipes.names("digits/*")
    ],
)
def test_our_recipes_pass(name, tmp_path):
    report = recipes.check(name, run=tmp_path, verbose=False)
    assert report.passed, {f.name: (f.figure, f.explanation) for f in report.results}
    assert [each.name for each in report.results] == list(CHECKS)
    pictures = {f"{check}.png" for check in CHECKS} | {"check.png"}
    assert {path.name for path in tmp_path.iterdir()} == {*pictures, "check.json"}
    for picture in pictures:
        pixels = np.asarray(Image.open(tmp_path / picture).convert("L"))
        assert pixels.std() > 5, f"{picture} is empty"
    written = json.loads((tmp_path / "check.json").read_text())
    assert written["passed"]
    assert [f["figure"] for f in written["results"]] == [f.figure for f in report.results]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write the digits as PNG files, each with the label of the image `shift` positions later."""
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path / "cache"))
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))[:1000]

    def write(shift):
        labels = np.roll(digits.target[order], shift)
        for number, (image, label) in enumerate(zip(digits.images[order], labels, strict=True)):
            path = tmp_path / f"shift{shift}" / str(label)
            path.mkdir(parents=True, exist_ok=True)
            pixels = np.round(image * 255 / 16).astype(np.uint8)
            Image.fromarray(pixels).save(path / f"{number}.png")
        return f"folder:{tmp_path / f'shift{shift}'}"

    return write


def test_shifted_labels_are_memorized_but_do_not_generalize(folder):
    for shift, expected in ((0, "pass"), (1, "fail")):
        prepared = opened(recipes.replace(MLP, data=folder(shift)))
        assert initial_loss.check(prepared).verdict == "pass"
        assert overfit_sample.check(prepared).verdict == "pass"
        found = generalization.check(prepared)
        assert found.verdict == expected, found
    assert abs(found.values["z"]) < generalization.ENOUGH


@pytest.mark.quick
@pytest.mark.parametrize(("images", "classes"), [(10, 2), (40, 4), (24, 3)])
def test_the_largest_fit_of_labels(images, classes):
    """For balanced classes, it is sqrt((n - 1) (C - 1))."""
    labels = np.eye(classes)[np.arange(images) % classes]
    assert generalization.perfect(labels) == pytest.approx(np.sqrt((images - 1) * (classes - 1)))


@pytest.mark.quick
def test_the_largest_fit_of_labels_of_one_class_is_zero():
    assert generalization.perfect(np.eye(3)[[1, 1, 1]]) == 0.0
    assert generalization.perfect(np.eye(3)[[1]]) == 0.0
    assert generalization._needed(np.eye(3)[[1]]) == 33
    assert generalization._needed(np.eye(3)[[1] * 50]) == 51
    assert generalization._needed(np.eye(2)[[0] + [1] * 9]) == 65


def test_too_few_unseen_images_give_a_note(tmp_path, monkeypatch):
    """Two classes of 50 images that are easy to distinguish; then with a larger validation set."""
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    for number in range(100):
        path = tmp_path / "photos" / ("dark", "light")[number % 2]
        path.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, 90, (8, 8)) + 160 * (number % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(path / f"{number}.png")
    recipe = recipes.replace(
        recipes.load("digits/linear"), data=f"folder:{tmp_path / 'photos'}", augment=(),
        eval_ops=(), batch_size=8, lr=0.05,
    )  # fmt: skip
    found = generalization.check(opened(recipe))
    assert found.values["accuracy"] == 1.0
    assert found.verdict == "note"
    assert "too few unseen images for a verdict: 8; at least 65 are needed" in found.explanation
    assert found.values["needed"] == 65
    found = generalization.check(opened(recipes.replace(recipe, validation=0.82)))
    assert found.values["images"] >= 65
    assert found.verdict == "pass"


@pytest.mark.quick
@pytest.mark.parametrize(
    ("off", "printed"),
    [(0.003, "0.3%"), (1.5, "150.0%"), (2.8523e29, "2.9e+31%"), (20, "2e+03%")],
)
def test_percentages_are_rounded_to_short_numbers(off, printed):
    assert initial_loss.percent(off) == printed


def test_a_gradient_of_nan_fails():
    """In the second stage, regardless of the first one."""
    found = opened(recipes.replace(MLP, **{"options.hidden": (6,)}))
    wrong = gradient_check.check(
        Context(found.recipe, found.data, make=with_behind_activations(NoGradient))
    )
    assert wrong.verdict == "fail"
    assert wrong.values["errors"]["fc"] == np.inf
    assert wrong.values["errors"]["head"] < 1e-6


def test_labels_outside_of_the_classes_are_detected():
    """With labels 1 to 10 for ten classes, one-hot rows of label 10 are zero."""
    found = opened(MLP)
    train = found.data.train

    def lookup(*item):
        element = train.lookup(*item)
        return {**element, "label": element["label"] + 1}

    shifted = dataclasses.replace(found.data, train=dataclasses.replace(train, lookup=lookup))
    result = initial_loss.check(Context(MLP, shifted))
    assert result.verdict == "fail"
    assert "not among the 10 classes" in result.explanation


def test_the_check_of_the_initial_loss_blames_the_head_if_its_scale_is_wrong():
    found = initial_loss.check(opened(recipes.replace(MLP, **{"options.head_init": "normal:1"})))
    assert found.verdict == "fail"
    assert "the classifier's scale" in found.explanation
    assert found.values["smaller_head"] == pytest.approx(np.log(10), rel=0.1)
    assert found.values["loss"] > 1.1 * np.log(10)


@pytest.mark.quick
def test_the_initial_loss_equals_that_of_keras():
    """Compared with the compiled loss in training mode, and the penalty computed by NumPy."""
    found = opened(MLP)
    made = initial_loss.check(found)
    model = found.network(found.plain)
    images, labels = found.sample(made.values["images"])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    assert made.values["loss"] == pytest.approx(float(loss(labels, model(images))), rel=1e-5)
    squares = sum(float(np.sum(np.square(v))) for v in model.trainable_variables)
    assert made.values["penalty"] == pytest.approx(0.5e-3 * squares, rel=1e-5)
    assert made.values["chance"] == pytest.approx(np.log(10))
    assert made.verdict == "pass"


class Steeper(keras.layers.Layer):
    """The identity, with 1.5 times its gradient."""

    def call(self, x):
        @tf.custom_gradient
        def steeper(x):
            return tf.identity(x), lambda dy: 1.5 * dy

        return steeper(x)


class NoGradient(keras.layers.Layer):
    """The identity, with a gradient of NaN."""

    def call(self, x):
        @tf.custom_gradient
        def broken(x):
            return tf.identity(x), lambda dy: dy * np.nan

        return broken(x)


class AlwaysInference(BatchNorm):
    """A norm that ignores the training flag."""

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, False)


class AlwaysTraining(BatchNorm):
    """A norm that uses the statistics of the batch in inference, too."""

    def call(self, inputs, training=None, mask=None):
        return super().call(inputs, True)


def with_norm(kind):
    """Replace the norms of the recipe's network by another class."""

    def make(recipe, data, small=None):
        model = network(recipe, data, small)

        def clone(layer):
            cls = kind if isinstance(layer, BatchNorm) else type(layer)
            return cls.from_config(layer.get_config())

        made = keras.models.clone_model(model, clone_function=clone)
        made.set_weights(model.get_weights())
        return made

    return make


def with_behind_activations(kind):
    """Add a layer of this class after each activation of the recipe's network."""

    def make(recipe, data, small=None):
        model = network(recipe, data, small)

        def call(layer, *args, **kwargs):
            y = layer(*args, **kwargs)
            return kind(dtype="float64")(y) if layer.name.endswith("_act") else y

        made = keras.models.clone_model(model, call_function=call)
        made.set_weights(model.get_weights())
        return made

    return make


class Sawtooth(keras.layers.Layer):
    """The identity plus a sawtooth of slope 0.01, which has a kink within every step."""

    def call(self, x):
        return x + 1e-11 * tf.abs(tf.math.floormod(1e9 * x, 2.0) - 1.0)


def test_a_wrong_gradient_is_detected_and_its_stage_named():
    found = opened(recipes.replace(MLP, **{"options.hidden": (6,)}))
    sound = gradient_check.check(found)
    assert sound.verdict == "pass"
    assert max(sound.values["errors"].values()) < 1e-6
    steeper = with_behind_activations(Steeper)
    wrong = gradient_check.check(Context(found.recipe, found.data, make=steeper))
    assert wrong.verdict == "fail"
    assert wrong.values["errors"]["fc"] == pytest.approx(1 / 3, abs=0.1)
    assert wrong.values["errors"]["head"] < 1e-6
    assert "fc" in wrong.explanation
    assert wrong.values["smooth"]["fc"] > 0.1  # whatever the activation


def test_kinks_of_activations_are_no_fault():
    found = opened(recipes.replace(MLP, **{"options.hidden": (6,)}))

    def kinked(recipe, *args):
        make = network if recipe.act == "softplus" else with_behind_activations(Sawtooth)
        return make(recipe, *args)

    kinks = gradient_check.check(Context(found.recipe, found.data, make=kinked))
    assert 1e-4 < kinks.values["errors"]["fc"] < 1e-2
    assert kinks.verdict == "pass"
    assert "with softplus" in kinks.figure
    everywhere = Context(found.recipe, found.data, make=with_behind_activations(Sawtooth))
    other = gradient_check.check(everywhere)
    assert other.verdict == "note"
    assert "more than the activation's kinks" in other.explanation


@pytest.mark.parametrize(
    "toy",
    [
        "toy_resnet",
        *(
            pytest.param(toy, marks=pytest.mark.full)
            for toy in ("toy_vgg", "toy_lenet", "toy_alexnet")
        ),
    ],
)
def test_correct_gradients_of_several_networks_pass(toy):
    """With grouped convolutions, squeeze-and-excitation, pools, LRN and tanh."""
    recipe = recipes.Recipe(model=toy, data="made_up:32x32x3:4:64", batch_size=8, validation=0.2)
    found = gradient_check.check(opened(recipe))
    assert found.verdict == "pass", found.values


NORMS = {
    "sound": ({}, network, "pass", ""),
    "a momentum of 0.9999": (
        {"options.norm_momentum": 0.9999}, network, "fail", "momentum of 0.9999 needs 46,050 steps"
    ),
    "always as in inference": ({}, with_norm(AlwaysInference), "fail", "do not change"),
    "always as in training": ({}, with_norm(AlwaysTraining), "fail", "with the other images"),
}  # fmt: skip


@pytest.mark.parametrize("what", NORMS)
def test_train_vs_inference_gives_each_norm_the_right_verdict(what):
    overrides, make, verdict, why = NORMS[what]
    recipe = recipes.replace(NORMED, **overrides)
    found = train_vs_inference.check(Context(recipe, opened(recipe).data, make=make))
    assert found.verdict == verdict, (found.figure, found.explanation)
    assert why in found.explanation


def test_new_frozen_norms_fail():
    def frozen(recipe, data, small=None):
        model = network(recipe, data, small)
        for layer in model.layers:
            layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
        return model

    found = train_vs_inference.check(Context(NORMED, opened(NORMED).data, make=frozen))
    assert found.verdict == "fail"
    assert "a frozen norm" in found.explanation


@pytest.mark.quick
def test_statistics_of_activations_equal_numpys():
    """For a tanh layer with large weights."""
    recipe = recipes.replace(MLP, act="tanh", init="normal:3")
    found = opened(recipe)
    model = found.network(found.plain)
    table, count = activations.measured(found, model)
    (layer,) = table.itertuples()
    images, _ = found.sample(count)
    before = keras.Model(model.input, model.get_layer(layer.act).input)
    y = np.tanh(np.asarray(before(images), np.float64))
    assert layer.mean == pytest.approx(y.mean(), abs=1e-4)
    assert layer.unit_sd == pytest.approx(y.std(axis=0).mean(), rel=1e-3)
    assert layer.saturated == pytest.approx((np.abs(y) > 0.98).mean(), abs=2e-3)
    assert layer.saturated > 0.5
    result = activations.check(found)
    assert result.verdict == "fail"
    assert "saturated" in result.explanation


@pytest.mark.quick
def test_a_signal_that_shrinks_layer_by_layer_is_noted():
    recipe = recipes.replace(
        MLP, **{"act": "tanh", "init": "normal:0.05", "options.hidden": (50,) * 4}
    )
    result = activations.check(opened(recipe))
    assert result.verdict == "note"
    assert "the signal shrinks at every layer, by a factor of 2.7 per layer" in result.explanation
    assert result.values["trend"] == "shrinks"
    rows = result.values["layers"]
    assert rows[2]["factor"] == pytest.approx(rows[2]["unit_sd"] / rows[1]["unit_sd"])
    shown = result.values["histograms"]["fc_1_dense"]
    assert len(result.values["edges"]) == len(shown) + 1
    assert 0.99 * 64 * 50 <= sum(shown) <= 64 * 50


@pytest.mark.quick
@pytest.mark.parametrize(
    ("deviations", "gradients", "text"),
    [
        ([1, 1, 1], [1, 10, 1001], "the gradients vanish: |dL/da| is 1e+03 in c and 1 in a"),
        ([1, 1, 1], [1, 10, 999], ""),
        ([1, 1, 1], [3000, 10, 1], "the gradients explode: |dL/da| is 1 in c and 3e+03 in a"),
        ([1, 4, 16], [1, 1, 1], "the signal grows at every layer, by a factor of 4 per layer"),
    ],
)
def test_what_is_noted_by_layer(deviations, gradients, text):
    table = {"layer": list("abc"), "unit_sd": deviations, "activation_gradient": gradients}
    found = activations._note(pd.DataFrame(table))
    assert found.startswith(text)
    assert bool(found) == bool(text)


def test_dead_units_are_detected():
    """Biases of -100 before a ReLU."""
    recipe = recipes.replace(MLP, **{"options.bias_init": "constant:-100"})
    result = activations.check(opened(recipe))
    assert result.verdict == "fail"
    assert result.values["layers"][0]["dead"] == 1.0


@pytest.mark.quick
def test_the_fit_of_labels_equals_that_over_all_permutations():
    """Mean and standard deviation in closed form, against the 120 permutations of five images."""
    generator = np.random.default_rng(0)
    found, truth = generator.normal(size=(5, 3)), np.eye(3)[[0, 1, 2, 0, 1]]
    score, expected, deviation = generalization.fit(found, truth)
    logs = found - np.log(np.exp(found).sum(axis=1, keepdims=True))
    scores = [
        np.mean(np.sum(logs * truth[list(order)], axis=1))
        for order in itertools.permutations(range(5))
    ]
    assert score == pytest.approx(scores[0])
    assert expected == pytest.approx(np.mean(scores))
    assert deviation == pytest.approx(np.std(scores))


@pytest.mark.quick
@pytest.mark.parametrize(
    ("losses", "printed"),
    [
        (np.full(100, 2.3), "barely moves"),
        (np.linspace(2.3, 2.27, 100), "barely moves"),
        (np.linspace(2.3, 2.0, 100), "falls"),
        (np.linspace(2.3, 2.6, 100), "explodes"),
        ([2.3, 2.2, np.nan], "explodes"),
        ([2.3, 9.0, 12.0, 14.0, 18.0, 20.0], "explodes"),
        ([2.3, 9.0, *np.linspace(2.3, 1.0, 60)], "falls"),
    ],
)
def test_learning_curves_are_interpreted_as_in_the_lectures(losses, printed):
    assert learning_rate.reading(list(losses), 2.3) == printed


def test_some_checks_turn_regularization_off():
    recipe = recipes.replace(
        recipes.load("digits/vgg11"), dropout=0.3, label_smoothing=0.1, data="made_up:32x32x1:4:64"
    )
    plain = Context(recipe, opened(recipe).data).plain
    assert (plain.dropout, plain.weight_decay, plain.label_smoothing) == (0, 0, 0)
    model = context.network(plain, opened(recipe).data)
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in model.layers)


BAD = {
    "check digits/mlp --only=initial_los": "'initial_los'; did you mean 'initial_loss'?",
    "check digits/mlpp": "did you mean 'digits/mlp'?",
    "check digits/mlp --act=rellu": "did you mean 'relu'?",
    "diagnose nosuch": "run='nosuch': there is no such directory",
}


@pytest.mark.quick
@pytest.mark.parametrize("line", BAD)
def test_a_wrong_command_line_is_a_one_line_error(line, here, tmp_path):
    done = here(*line.split())
    assert done.returncode == 2
    assert BAD[line] in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_a_line_per_check_and_fails_if_one_fails(here, tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    done = here("check", "digits/linear", "--only=initial_loss,learning_rate", "--lr=1e-8")
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    verdicts = [re.search(r"(pass|fail|note)\W+(\w+)", line) for line in lines]
    assert [m.groups() for m in verdicts if m][:2] == [
        ("pass", "initial_loss"),
        ("fail", "learning_rate"),
    ]
    assert any(
        line.startswith("fail learning_rate: lr=1e-08 barely moves the loss") for line in lines
    )
    (folder,) = (tmp_path / "runs" / "digits" / "linear" / "lr=1e-08").iterdir()
    assert folder.name == "check"
    assert {p.name for p in folder.iterdir()} == {
        "check.json", "check.png", "initial_loss.png", "learning_rate.png",
    }  # fmt: skip
    assert not json.loads((folder / "check.json").read_text())["passed"]


@pytest.mark.quick
def test_earlier_names_of_checks_are_accepted(tmp_path):
    assert selected(["rates", "first_loss"]) == ["initial_loss", "learning_rate"]
    assert set(ALIASES.values()) <= set(CHECKS)
    assert not set(ALIASES) & set(CHECKS)
    result = CheckResult("learning_rate", "pass", "")
    assert Report(tmp_path, (result,), 1.0)["rates"] is result


@pytest.mark.quick
def test_wrong_arguments_are_errors(tmp_path):
    for seconds in (0, float("inf"), float("nan")):
        with pytest.raises(
            ValueError, match=f"seconds={seconds}: must be a finite number greater than 0"
        ):
            recipes.check(MLP, run=tmp_path / "run", seconds=seconds)
    with pytest.raises(
        ValueError, match=r"unknown check 'learn_rate'; did you mean 'learning_rate'"
    ):
        recipes.check(MLP, run=tmp_path / "run", only=["learn_rate"])
    with pytest.raises(ValueError, match=r"batch_size=5000: larger than the training set of"):
        recipes.check(MLP, run=tmp_path / "run", batch_size=5000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.full
def test_ctrl_c_leaves_no_partial_files(tmp_path):
    command = [sys.executable, "-m", "recipes", "check", "digits/resnet20", "--run=here"]
    process = processes.Process(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(recipes.recipe_files.HERE.parent)},
    )
    while not (tmp_path / "here").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    assert stderr.strip() == "check: stopped"
    assert list(tmp_path.iterdir()) == []
