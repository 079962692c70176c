"""Evaluation of single runs, ensembles and soups (compared with NumPy), and of dropout masks."""

import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

import recipes
import zoo
from recipes import Recipe, optimize
from recipes.augment import CenterCrop, PadCrop, Resize, ResizeShort
from recipes.cli import main
from recipes.data.batches import open_data, training_batches, training_images
from recipes.evaluation import plots, predict, tta
from recipes.evaluation.noise import Noise, noisy_weights
from recipes.evaluation.runs import predict_member
from recipes.evaluation.soup import average_weights, difference
from tests.recipes.cutting import picture, softmax, ten, with_pillow
from zoo.lazy import tensorflow as tf

LINEAR = Recipe(
    model="mlp", data="digits", options={"hidden": ()}, batch_size=64, epochs=1, lr=0.01,
    eval_ops=(), augment=(PadCrop(1),),
)  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs on digits: two linear classifiers on 8x8, and a convnet with dropout on 24x24."""
    folder = tmp_path_factory.mktemp("runs")
    made = {}
    for name, changes in {
        "one": {},
        "two": {"seed": 1},
        "net": {
            "model": "toy_lenet", "options": {}, "eval_ops": (Resize(24),), "lr": 0.02,
            "augment": (Resize(24),), "dropout": 0.3, "preprocess": "center_channel",
        },
        "normed": {"model": "toy_vgg", "options": {}, "norm": "batch", "dropout": 0.2,
                   "eval_ops": (Resize(16),), "augment": (Resize(16),)},
    }.items():  # fmt: skip
        recipe = recipes.replace(LINEAR, **changes)
        made[name] = recipes.train(recipe, run=folder / name, verbose=False, test=False)
    return made


@pytest.fixture(scope="module")
def digits_set():
    """The test images of digits, uint8 [360, 8, 8, 1], and their labels."""
    elements = list(open_data("digits").open_test().elements().as_numpy_iterator())
    return np.stack([e["image"] for e in elements]), np.array([e["label"] for e in elements])


def resized(images, side):
    return np.asarray(tf.round(tf.image.resize(images, (side, side), antialias=True)), np.float32)


def top1(probabilities, truth):
    return np.mean(probabilities.argmax(-1) == truth)


# Networks


def test_noise_on_weights_and_inputs_lowers_accuracy(runs, digits_set, tmp_path, capsys):
    """The noise of a linear classifier's kernel is compared with NumPy; the run stays the same."""
    images, truth = digits_set
    place = str(runs["one"].path)
    arguments = ["--weight_noise=head_dense:2", "--noise_repeats=3", "--seed=4", f"--to={tmp_path}"]
    assert main.run(["evaluate", place, *arguments, "--json=true"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["seed"] for row in found["noise"]["repeats"]] == [4, 5, 6]
    assert found["top1"] == found["noise"]["repeats"][0]["top1"]
    assert found["noise"]["top1_sd"] > 0
    clean = recipes.evaluate(place)
    assert clean["noise"] is None
    assert found["noise"]["top1_mean"] < clean["top1"] - 0.05
    model = runs["one"].model
    with noisy_weights(model, Noise(2.0), 5):
        p = softmax(model.predict(images.astype(np.float32), verbose=0))
    assert found["noise"]["repeats"][1]["top1"] == top1(p, truth)
    assert recipes.evaluate(place, input_noise=0.1)["top1"] > clean["top1"] - 0.1
    arguments = ["--input_noise=3", "--noise_repeats=2", f"--to={tmp_path}"]
    assert main.run(["evaluate", place, *arguments]) == 0
    written = json.loads((tmp_path / "evaluation.json").read_text())
    assert written["noise"]["top1_mean"] < clean["top1"] - 0.2
    shown = capsys.readouterr().out
    assert "noise              3 on the preprocessed images, seed 0; 2 seeds: top1 0." in shown
    views = recipes.evaluate(runs["net"].path, input_noise=0.5, tta="flip", mc_dropout=2)
    assert views["members"][0]["view_count"] == 2
    for bad, words in (
        ("--weight_noise=stem:1", "unknown layer in weight_noise 'stem'"),
        ("--noise_repeats=2", "noise_repeats=2: only applies with noise"),
        ("--input_noise=-1", "input_noise=-1.0: must be a finite number"),
    ):
        assert main.run(["evaluate", place, bad]) == 2
        assert words in capsys.readouterr().err


def test_a_run_is_evaluated_on_any_split(runs, digits_set):
    images, truth = digits_set
    evaluated = recipes.evaluate(runs["one"].path)
    p = softmax(runs["one"].model.predict(images.astype(np.float32), verbose=0))
    assert (evaluated["samples"], evaluated["split"], evaluated["average"]) == (360, "test", None)
    assert evaluated["top1"] == top1(p, truth)
    assert evaluated["loss"] == pytest.approx(-np.mean(np.log(p[range(360), truth])))
    assert evaluated["members"][0]["input"] == [8, 8, 1]
    assert json.loads(json.dumps(evaluated)) == evaluated
    assert not (runs["one"].path / "evaluation").exists()
    held_out = recipes.evaluate(runs["one"], split="validation")
    assert held_out["top1"] == pytest.approx(runs["one"].metrics["val_accuracy"].iloc[-1])
    assert held_out["samples"] + recipes.evaluate(runs["one"], split="train")["samples"] == 1437


def test_shifts_weight_the_image_and_its_moved_copies(runs, digits_set):
    images, truth = digits_set
    evaluated = recipes.evaluate(runs["one"], tta="shifts")
    padded = np.pad(images.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)), "reflect")
    mean = 0
    for weight, y in ((1 / 2, 1), (1 / 4, 0), (1 / 4, 2)):
        view = padded[:, y : y + 8, y : y + 8, None]
        both = [runs["one"].model.predict(v, verbose=0) for v in (view, view[:, :, ::-1])]
        mean = mean + weight * (softmax(both[0]) + softmax(both[1])) / 2
    assert evaluated["top1"] == top1(mean, truth)
    assert evaluated["loss"] == pytest.approx(-np.mean(np.log(mean[range(360), truth])), rel=1e-5)


def test_an_ensemble_may_mix_networks_sizes_and_views(runs, digits_set):
    images, truth = digits_set
    evaluated = recipes.evaluate([runs["one"].path, runs["net"]], tta=["10crop", "flip"])
    linear, net = runs["one"].model, runs["net"].model
    nine = resized(images, 9)
    crops = np.stack([ten(image, 8) for image in nine]).reshape(-1, 8, 8, 1)
    first = softmax(linear.predict(crops, verbose=0)).reshape(360, 10, 10).mean(1)
    large = resized(images, 24)
    second = np.mean(
        [softmax(net.predict(x, verbose=0)) for x in (large, large[:, :, ::-1])], axis=0
    )
    mean = (first + second) / 2
    assert evaluated["loss"] == pytest.approx(-np.mean(np.log(mean[range(360), truth])), rel=1e-5)
    assert evaluated["top1"] == top1(mean, truth)
    assert evaluated["samples"] == 360
    counts = [(one["views"], one["view_count"], one["input"][0]) for one in evaluated["members"]]
    assert counts == [("10crop", 10, 8), ("flip", 2, 24)]
    for one, p in zip(evaluated["members"], (first, second), strict=True):
        assert one["top1"] == top1(p, truth)
        assert one["loss"] == pytest.approx(-np.mean(np.log(p[range(360), truth])), rel=1e-5)
    again = recipes.evaluate([runs["one"].path, runs["net"]], tta="10crop; flip")
    assert again["loss"] == evaluated["loss"]


@pytest.mark.full
def test_augmented_views_depend_only_on_the_seed(runs):
    one, same, other = (
        recipes.evaluate(runs["one"], split="validation", tta="augment:3", seed=seed)["loss"]
        for seed in (0, 0, 1)
    )
    assert one == same != other


def test_photos_of_different_sizes_are_cropped_and_drawn(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path / "cache"))
    kept = {}
    for part, count in (("train", 6), ("test", 3)):
        for label, name in enumerate(("dark", "light")):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                image = picture(40 + 7 * i, 64 - 5 * i) // 2 + np.uint8(80 * label)
                Image.fromarray(image).save(folder / f"{i}.png")
                kept[part, label, i] = image
    cropped = (ResizeShort(32), CenterCrop(28))
    recipe = Recipe(
        model="mlp", data=f"folder:{tmp_path / 'photos'}", options={"hidden": ()}, batch_size=4,
        epochs=1, lr=0.001, eval_ops=cropped, augment=cropped, preprocess="scale",
    )  # fmt: skip
    run = recipes.train(recipe, run=tmp_path / "run", verbose=False)
    evaluated = recipes.evaluate(run, tta="10crop", to=tmp_path / "out")
    losses = []
    for label in (0, 1):
        for i in range(3):
            image = kept["test", label, i]
            short = min(image.shape[:2])
            whole = with_pillow(image, *(side * 32 // short for side in image.shape[:2]))
            p = softmax(run.model.predict(ten(whole, 28).astype(np.float32), verbose=0)).mean(0)
            losses.append(-np.log(p[label]))
    assert evaluated["samples"] == 6
    assert evaluated["loss"] == pytest.approx(np.mean(losses), rel=0.01)
    wrong = [i for i in np.argsort(-np.array(losses)) if losses[i] > np.log(2)]  # two classes
    assert [one["place"] for one in evaluated["worst"]] == wrong
    part = open_data(recipe.data, validation=recipe.validation).open_test()
    assert part.encoded
    assert all(one["image"].endswith(".png") for one in evaluated["worst"])
    for place, image in zip([4, 0, 5], plots.stored(part, [4, 0, 5]), strict=True):
        np.testing.assert_array_equal(image, kept["test", place // 3, place % 3])


def test_evaluating_too_few_images_is_an_error(runs):
    data = open_data("digits")
    split = data.open_test()
    short = type(split)(**{**vars(split), "order": lambda seed: split.order(seed).take(300)})
    run = runs["one"]
    with pytest.raises(RuntimeError, match="evaluated 300 of 360 images"):
        predict_member(run, run.model, data, short, tta.parse("flip"))


def test_classes_in_another_order_are_reordered(runs, tmp_path, digits_set):
    run = runs["one"]
    other = tmp_path / "other"
    shutil.copytree(run.path, other)
    about = json.loads((other / "recipe.json").read_text())
    about["classes"][:2] = ["1", "0"]
    (other / "recipe.json").write_text(json.dumps(about))
    images, truth = digits_set
    p = softmax(run.model.predict(images.astype(np.float32), verbose=0))
    p[:, [0, 1]] = p[:, [1, 0]]
    found = recipes.evaluate(other)
    assert found["top1"] == top1(p, truth)
    assert found["classes"] == [str(n) for n in range(10)]

    about["classes"] = [*"012345678", "ten"]
    (other / "recipe.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match="lacks ten and has the unknown 9"):
        recipes.evaluate(other)


def test_incompatible_runs_are_rejected(runs, tmp_path):
    strange = recipes.train(
        recipes.replace(LINEAR, data="made_up:8x8x1:10:128"),
        run=tmp_path / "strange", verbose=False, test=False,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"made_up:8x8x1:10:128; choose .* with --data=NAME"):
        recipes.evaluate([runs["one"], strange])
    evaluated = recipes.evaluate([runs["one"], strange], data="digits")
    assert (evaluated["samples"], evaluated["data"]) == (360, "digits")
    with pytest.raises(ValueError, match="needs images of 8x8x1, but these are 24x24x1"):
        recipes.evaluate(strange, data="made_up:24x24x1:10")
    held = tmp_path / "held"
    shutil.copytree(runs["two"].path, held)
    text = (held / "recipe.json").read_text()
    (held / "recipe.json").write_text(text.replace('"validation": 0.1', '"validation": 0.2'))
    with pytest.raises(ValueError, match="have different validation sets"):
        recipes.evaluate([runs["one"], held], split="validation")
    for wrong, message in {
        "splitt": {"split": "tests"}, "average": {"average": "soop"},
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=f"unknown {wrong[:5]}.*did you mean"):
            recipes.evaluate(runs["one"], **message)
    with pytest.raises(ValueError, match="mc_dropout=0: must be at least 1"):
        recipes.evaluate(runs["one"], mc_dropout=0)
    with pytest.raises(ValueError, match="no run to evaluate"):
        recipes.evaluate([])


# Soups


def test_a_soup_of_linear_classifiers_averages_their_weights(runs, digits_set, tmp_path):
    images, truth = digits_set
    evaluated = recipes.evaluate([runs["one"], runs["two"]], average="soup", to=tmp_path / "soup")
    one, two = runs["one"].model, runs["two"].model
    (a, b), (c, d) = (m.get_layer("head_dense").get_weights() for m in (one, two))
    body = keras.Model(one.input, one.get_layer("head_dense").input)
    flat = body.predict(images.astype(np.float32), verbose=0)
    logits = flat.astype(np.float64) @ ((a + c) / 2) + (b + d) / 2
    p = softmax(logits)
    assert evaluated["loss"] == pytest.approx(-np.mean(np.log(p[range(360), truth])), rel=1e-5)
    assert evaluated["top1"] == top1(p, truth)
    assert evaluated["average"] == "soup"
    assert [m["run"] for m in evaluated["members"]] == [str(runs[n].path) for n in ("one", "two")]
    assert [*zoo.predict(tmp_path / "soup", np.zeros((8, 8), "uint8"))][3:] == evaluated["classes"]
    kept = zoo.load(tmp_path / "soup" / "model.keras")
    found = kept.predict(images.astype(np.float32), verbose=0)
    np.testing.assert_allclose(found, logits, atol=1e-4)


def test_a_soup_of_a_run_and_its_copy_equals_the_run(runs, tmp_path):
    copy = shutil.copytree(runs["net"].path, tmp_path / "copy")
    twice = recipes.evaluate([runs["net"], copy], average="soup")
    once = recipes.evaluate(runs["net"])
    assert {n: twice[n] for n in ("top1", "loss", "ece")} == {
        n: once[n] for n in ("top1", "loss", "ece")
    }


def test_a_soup_recomputes_batch_norm_statistics(runs):
    run = runs["normed"]
    soup = average_weights([run, run])
    norm = next(x for x in soup.layers if isinstance(x, keras.layers.BatchNormalization))
    before = norm.get_weights()
    assert optimize.update_batch_norm(soup, training_images(run.recipe)) == len(
        [x for x in soup.layers if isinstance(x, keras.layers.BatchNormalization)]
    )
    gamma, beta, mean, variance = norm.get_weights()
    np.testing.assert_array_equal([gamma, beta], before[:2])
    data = open_data("digits")
    images, steps = training_batches(
        data.train, classes=10, batch=64, ops=run.recipe.augment, seed=0, first_epoch=0, epochs=1
    )
    inside = keras.Model(run.model.input, run.model.get_layer(norm.name).input)
    seen = [inside.predict(x, verbose=0) for x, _ in images.as_numpy_iterator()]
    assert len(seen) == steps
    np.testing.assert_allclose(mean, np.mean([x.mean((0, 1, 2)) for x in seen], 0), atol=1e-4)
    np.testing.assert_allclose(variance, np.mean([x.var((0, 1, 2)) for x in seen], 0), rtol=1e-3)
    assert np.abs(mean - before[2]).max() > 1e-3
    assert norm.momentum == run.model.get_layer(norm.name).momentum


def test_a_soup_of_different_networks_names_the_first_difference(runs):
    with pytest.raises(
        ValueError, match=r"^average='soup': needs runs of one network, but eval_ops is \(\) in"
    ):
        recipes.evaluate([runs["one"], runs["net"]], average="soup")
    with pytest.raises(ValueError, match="two or more runs"):
        recipes.evaluate(runs["one"], average="soup")
    shape = {"num_classes": 3, "input_shape": (16, 16, 1)}
    plain = zoo.build("toy_plain", **shape)
    assert difference(plain, zoo.build("toy_plain", **shape, seed=5, init="xavier")) is None
    act = difference(plain, zoo.build("toy_plain", **shape, act="elu"))
    assert act == ("the layer stem_act", "Activation(relu)", "ELU")
    assert difference(plain, zoo.build("toy_basic", **shape)) is not None
    wide = difference(zoo.build("mlp", **shape), zoo.build("mlp", hidden=(7,), **shape))
    assert wide[1:] == (50, 7)
    assert "units" in wide[0]


# Dropout masks


def test_dropout_masks_leave_other_layers_in_inference_mode():
    model = zoo.build(
        "toy_resnet", num_classes=4, input_shape=(16, 16, 3), dropout=0.4, drop_path=0.3, seed=0
    )
    rng = np.random.default_rng(0)
    for layer in model.layers:  # statistics unlike those of any batch
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(size=layer.moving_mean.shape))
    before = [np.array(v) for v in model.weights]
    x, y, z = rng.uniform(0, 255, (3, 1, 16, 16, 3)).astype(np.float32)

    def shown(*images, seed=3):
        batch = np.concatenate(images)
        return predict.with_dropout(model, seed).predict_on_batch(batch)

    drawing = predict.with_dropout(model, 3)
    switched = [q for q in drawing.layers if isinstance(q, predict.AlwaysTraining)]
    assert len(switched) == len([q for q in model.layers if isinstance(q, keras.layers.Dropout)])
    assert len(switched) >= 2
    # Other images of a batch have no influence, because norms are in inference mode.
    np.testing.assert_allclose(shown(x, y)[0], shown(x, z)[0], rtol=1e-5)
    assert np.abs(shown(x, y)[0] - shown(x, y, seed=4)[0]).max() > 1e-6
    assert np.abs(np.diff(drawing.predict_on_batch(np.concatenate([x, x])), axis=0)).max() > 1e-6
    for v, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(v, old)


def test_the_mean_over_masks_of_a_linear_layer_approaches_inference(runs):
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dropout(0.4, seed=1), keras.layers.Dense(3)]
    )
    x = np.linspace(-1, 1, 6, dtype=np.float32)[None]
    drawn = predict.with_dropout(model, 0).predict_on_batch(np.repeat(x, 20_000, 0))
    error = drawn.std(0) / np.sqrt(len(drawn))
    assert (np.abs(drawn.mean(0) - model.predict_on_batch(x)[0]) < 5 * error).all()
    assert drawn.std(0).min() > 0.1

    def evaluated(**asked):
        return recipes.evaluate(runs["net"], split="validation", **asked)

    plain = evaluated()
    few, same, many = (evaluated(mc_dropout=n)["loss"] for n in (2, 2, 16))
    assert few == same != many
    assert few != plain["loss"]
    assert abs(many - plain["loss"]) < 0.25 * plain["loss"]
    both = evaluated(mc_dropout=3, tta="flip")
    assert (both["masks"], both["samples"], both["members"][0]["view_count"]) == (3, 144, 2)
    with pytest.raises(ValueError, match="has no dropout"):
        recipes.evaluate(runs["one"], mc_dropout=2)


# Files and the command


def test_files_contain_the_evaluation(runs, tmp_path, digits_set):
    images, truth = digits_set
    evaluated = recipes.evaluate(runs["one"], to=tmp_path / "out")
    names = {"evaluation.json", "confusion.png", "calibration.png", "worst.png"}
    assert {p.name for p in (tmp_path / "out").iterdir()} == names
    kept = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert kept == evaluated
    assert {"commit", "versions", "hardware"} <= set(kept["provenance"])
    for name in names - {"evaluation.json"}:
        with Image.open(tmp_path / "out" / name) as file:
            file.load()
            assert min(file.size) > 300
    places = [one["place"] for one in evaluated["worst"]]
    found = plots.stored(open_data("digits").open_test(), places)
    np.testing.assert_array_equal(found, images[places])
    assert [one["true"] for one in evaluated["worst"]] == truth[places].tolist()
    assert evaluated["worst"][0]["image"].startswith(f"example {places[0]} of digits")


def evaluate(*arguments):
    return main.run(["evaluate", *map(str, arguments)])


def test_the_command_prints_metrics_or_json(runs, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(runs["one"].path, run)
    assert evaluate(run) == 0
    text = capsys.readouterr().out
    evaluated = json.loads((run / "evaluation" / "evaluation.json").read_text())
    assert f"{'top1':<19}{evaluated['top1']:.4f}" in text
    assert f"{'ece':<19}{evaluated['ece']:.4f}" in text
    assert "most often mistaken for" in text
    arguments = (run, runs["net"].path, "--json", "--tta=one;flip", "--split", "validation")
    assert evaluate(*arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["samples"], found["average"], found["split"]) == (144, "ensemble", "validation")
    assert evaluate(run, runs["net"].path, "--to", tmp_path / "both", "--data=digits") == 0
    text = capsys.readouterr().out
    assert "toy_lenet" in text
    assert "24x24x1" in text
    assert (tmp_path / "both" / "worst.png").is_file()


def test_metrics_are_written_before_plots_are_drawn(runs, tmp_path, capsys, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(plots, "confusion", stop)
    assert evaluate(runs["one"].path, "--to", tmp_path / "out") == 130
    text = capsys.readouterr().out
    evaluated = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert f"{evaluated['top1']:.4f}" in text
    assert "most often mistaken for" in text


def test_an_evaluation_that_is_impossible_is_a_one_line_error(runs, tmp_path, capsys):
    run = runs["one"].path
    unfinished = tmp_path / "unfinished"
    shutil.copytree(run, unfinished, ignore=shutil.ignore_patterns("model.keras"))
    (tmp_path / "link").symlink_to(run)
    with pytest.raises(ValueError, match="this run is given twice"):
        recipes.evaluate([run, f"{run}/"])
    for arguments, message in {
        (tmp_path / "none",): "there is no such directory",
        (run, "--tta=flop"): "unknown tta 'flop'; did you mean 'flip'?",
        (run, "--split=tests"): "unknown split 'tests'; did you mean 'test'?",
        (run, "--mc_dropout=2"): "the network has no dropout",
        (run, "--mc_dropout=x"): "mc_dropout",
        (run, "--seed=99999999999999999999"): "must be from 0 to 2147483647",
        (run, "--ta=flip"): "unknown flag '--ta'; did you mean '--tta'?",
        (unfinished,): "model.keras is missing; `recipes train ",
        (run, run): f"run={str(run)!r}: this run is given twice; give each run once",
        (run, tmp_path / "link"): f"is given twice, as {str(run)!r} before; give each run once",
        (run, "--to", run / "recipe.json"): "not a usable directory",
        (): "required",
    }.items():
        assert evaluate(*arguments) == 2
        shown = capsys.readouterr()
        assert message in shown.err
        assert shown.err.count("\n") == 1
        assert shown.out == ""
    assert not (run / "evaluation").exists()
