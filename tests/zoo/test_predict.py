"""The command predict on small files, against Pillow and NumPy."""

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from tests import processes
from tests.zoo.predictions import CLASSES, by_pillow, by_tensorflow, expected
from zoo import geometry, inference
from zoo.__main__ import main
from zoo.inference import Network


def test_predict_classifies_a_folder_with_a_run_directory(in_prediction_files):
    command = [sys.executable, "-m", "zoo", "predict", "run", "images", "--top=3", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(zoo.__file__).parents[1])}
    done = processes.run(command, env=environment)
    assert done.returncode == 1
    note, error = done.stderr.splitlines()
    assert note.startswith("zoo: run was evaluated on images of 32x32 pixels without resizing, but")
    assert error.startswith("zoo: cannot read images/broken.jpg: ")
    found = json.loads(done.stdout)
    assert [each["file"] for each in found["unreadable"]] == ["images/broken.jpg"]
    files = [each["file"] for each in found["images"]]
    assert files == ["images/a.png", "images/b.JPG", "images/deeper/a.png"]
    model = zoo.load("run/model.keras")
    for each in found["images"]:
        shares = expected(model, Path(each["file"]))
        best = np.argsort(-shares)[:3]
        assert [p["class"] for p in each["predictions"]] == list(best)
        assert [p["name"] for p in each["predictions"]] == [CLASSES[i] for i in best]
        got = [p["probability"] for p in each["predictions"]]
        np.testing.assert_allclose(got, shares[best], rtol=1e-4)


@pytest.mark.quick
def test_predict_takes_patterns_and_home_folders(
    in_prediction_files, monkeypatch, capsys, tmp_path
):
    home = in_prediction_files
    monkeypatch.setenv("HOME", str(home))

    def files(*arguments):
        code = main(["predict", "run", *arguments, "--json"])
        done = capsys.readouterr()
        return code, [each["file"] for each in json.loads(done.out)["images"]]

    assert files("images/*.png", "~/images/b.JPG") == (
        0, ["images/a.png", f"{home}/images/b.JPG"],
    )  # fmt: skip
    assert files("~/images/**/a.png") == (
        0, [f"{home}/images/a.png", f"{home}/images/deeper/a.png"],
    )  # fmt: skip
    # Folders that match a pattern keep their place in it
    assert files("im*/deep*", f"--explain={tmp_path}") == (0, ["images/deeper/a.png"])
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert main(["predict", "run", "images/*.webp"]) == 2
    assert "images='images/*.webp': no file has this name or matches" in capsys.readouterr().err
    assert main(["predict", "run", "~nobody-here/x.png"]) == 2
    assert "IMAGE=~nobody-here/x.png: there is no such file" in capsys.readouterr().err
    images = tmp_path / "brackets[1]"
    images.mkdir()
    Image.new("RGB", (40, 40)).save(images / "1.png")
    assert files(str(images)) == (0, [str(images / "1.png")])


@pytest.mark.quick
def test_predict_prints_class_names_unchanged(in_prediction_files, capsys):
    assert main(["predict", "run", "images/a.png", "--top=10"]) == 0
    out = capsys.readouterr().out
    assert "images/a.png" in out
    assert all(name in out for name in CLASSES)
    assert main(["predict", "alone.keras", "images/a.png", "nothing.jpg", "--top=10"]) == 1
    done = capsys.readouterr()
    assert "class 7" in done.out
    assert done.err == "zoo: cannot read nothing.jpg: No such file or directory\n"


def test_predict_takes_a_network_by_name_with_weights_and_options(in_prediction_files, capsys):
    arguments = ["images/b.JPG", "--weights", "toy.weights.h5", "--json", "--dropout=0.25"]
    assert main(["predict", "toy_vgg", *arguments]) == 0
    done = capsys.readouterr()
    assert "--preprocess=SOURCE" in done.err
    (image,) = json.loads(done.out)["images"]
    model = zoo.build("toy_vgg", weights="toy.weights.h5")
    shares = np.sort(expected(model, Path("images/b.JPG"), by_pillow))[::-1]
    got = [p["probability"] for p in image["predictions"]]
    np.testing.assert_allclose(got, shares[:5], rtol=1e-4)


def test_a_source_gives_geometry_and_class_names(tmp_path):
    zoo.build("mobilenet_v3_small", seed=0).save_weights(tmp_path / "it.weights.h5")
    messages = []
    network = inference.open_network(
        "mobilenet_v3_small",
        str(tmp_path / "it.weights.h5"),
        {"preprocess": "keras", "input_shape": (64, 64, 3)},
        messages.append,
    )
    source = zoo.source("mobilenet_v3_small", "keras")
    assert network.geometry == geometry.of_source((64, 64), source.crop, source.interpolation)
    assert network.name_of(1) == "goldfish"
    assert network.size == (64, 64)
    assert not messages
    pixels = 255 * np.random.default_rng(0).random((1, 64, 64, 3), "float32")
    plain = zoo.build(
        "mobilenet_v3_small", weights=tmp_path / "it.weights.h5", input_shape=(64, 64, 3)
    )
    expected = plain((pixels - source.mean) / source.deviation)
    np.testing.assert_allclose(network.model(pixels), expected, rtol=1e-4, atol=1e-5)


def test_tta_averages_over_ten_crops(in_prediction_files, capsys):
    assert main(["predict", "run", "images/a.png", "--tta", "--top=10", "--json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    # 32 / 0.875 = 36.57, so the shorter side is resized to 37 pixels and the longer to 46.
    pixels = by_tensorflow(Path("images/a.png"), 37, 46)
    cuts = [pixels[y : y + 32, x : x + 32] for y, x in ((2, 7), (0, 0), (0, 14), (5, 0), (5, 14))]
    ten = np.stack([*cuts, *(cut[:, ::-1] for cut in cuts)]).astype("float32")
    shares = keras.ops.softmax(zoo.load("alone.keras")(ten)).numpy().mean(0)
    got = {p["class"]: p["probability"] for p in image["predictions"]}
    np.testing.assert_allclose([got[i] for i in range(10)], shares, rtol=1e-4)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("size", "crop", "resized"),
    [(224, 0.875, 256), (299, 0.8743, 342), (224, 0.9655, 232), (240, 0.9412, 255), (8, 1.0, 8)],
)
def test_resizing_equals_torchvisions(size, crop, resized):
    """The sizes are resize_size and crop_size of torchvision's weights."""
    pixels = np.random.default_rng(0).integers(0, 256, (300, 401, 3), dtype="uint8")
    image = Image.fromarray(pixels)
    shown = geometry.of_source((size, size), crop)
    (view,), _ = Network("x", None, (), (size, size), shown).views(pixels)
    wide = int(resized * 401 / 300)
    whole = np.asarray(image.resize((wide, resized), Image.Resampling.BILINEAR))
    y, x = round((resized - size) / 2), round((wide - size) / 2)
    np.testing.assert_array_equal(view, whole[y : y + size, x : x + size])


@pytest.mark.quick
def test_the_geometry_of_a_run_is_that_of_its_evaluation(prediction_files, tmp_path):
    about = json.loads((prediction_files / "run/recipe.json").read_text())
    (tmp_path / "model.keras").write_bytes((prediction_files / "alone.keras").read_bytes())
    for ops, steps in (
        (
            ["ResizeShort(size=40)", "CenterCrop(size=32)"],
            (geometry.ResizeShort(40), geometry.CenterCrop(32, 32)),
        ),
        (
            ["Resize(size=(32, 36), method='bicubic', antialias=False)"],
            (geometry.Resize(32, 36, "bicubic", False),),
        ),
        (["Grayscale(probability=1.0)"], (geometry.Grayscale(),)),
        ([], ()),
    ):
        about["recipe"]["eval_ops"] = ops
        (tmp_path / "recipe.json").write_text(json.dumps(about))
        network = inference.open_network(str(tmp_path), None, {})
        assert network.geometry == geometry.Geometry(steps, "tensorflow")
    views, fitted = network.views(np.zeros((90, 40, 3), "uint8"))
    assert views.shape == (1, 32, 32, 3)
    assert fitted
    about["recipe"]["eval_ops"] = [
        "CenterCrop(size=32)",
        "Solarize(threshold=9.0, probability=1.0)",
    ]
    (tmp_path / "recipe.json").write_text(json.dumps(about))
    network = inference.open_network(str(tmp_path), None, {})
    with pytest.raises(ValueError, match=r"eval_ops contain Solarize\(threshold=9"):
        network.views(np.zeros((90, 40, 3), "uint8"))


@pytest.mark.quick
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "resnte50", "images"], "did you mean 'resnet50'"),
        (["predict", "runs/none", "images"], "there is no such run directory or saved model"),
        (["predict", "toy_vgg", "images"], "weights=None: toy_vgg would have random weights"),
        (["predict", "images", "images"], "model='images': not a finished run"),
        (["predict", "none.keras", "images"], "none.keras"),
        (["predict", "run", "nowhere"], "IMAGE=nowhere: there is no such file or folder"),
        (["neighbours", "run", "images", "--query=no.jpg"], "--query=no.jpg: there is no such"),
        (["predict", "run", "empty"], "images='empty': there are no images in this folder"),
        (["predict", "run", "images", "--top=0"], "--top=0"),
        (["predict", "run", "images", "--weights=imagenet"], "weights='imagenet': does not apply"),
        (["predict", "run", "images", "--act=elu"], "act='elu': does not apply to run, which is"),
        (["predict", "run", "images", "--stage=stage1"], "--stage=stage1: only applies together"),
        (["predict", "run", "images", "--explain=x", "--stage=stage8"], "did you mean 'stage"),
        (["predict", "toy_vgg", "images", "--weights=nowhere.h5"], "nowhere.h5"),
        (["filters", "run", "--to=x.jpg"], "does not end in .png"),
        (["filters", "run", "--to=run/model.keras/x.png"], "cannot write"),
        (["neighbours", "run", "nowhere", "--query=images/a.png"], "FOLDER=nowhere: there is no"),
        (["neighbours", "run", "images", "--query=images/broken.jpg"], "cannot read"),
        (["neighbours", "run", "images", "--query=images/a.png", "--stage=s3"], "unknown stage"),
        (["neighbours", "run", "images", "--query=images/a.png", "--count=0"], "--count=0"),
    ],
)
def test_a_wrong_command_line_is_a_one_line_error(in_prediction_files, capsys, arguments, words):
    assert main(arguments) == 2
    done = capsys.readouterr()
    assert words in done.err
    assert len(done.err.splitlines()) == 1
    assert done.out == ""
    assert not list(in_prediction_files.rglob("*x.png*"))


def test_a_damaged_run_is_an_error(prediction_files, tmp_path):
    (tmp_path / "model.keras").write_bytes((prediction_files / "alone.keras").read_bytes())
    for text, words in (
        ("{", "its recipe.json is damaged"),
        ('{"classes": 3}', "its recipe.json is damaged"),
        ('{"classes": ["a"], "recipe": {}}', "json has 1 class, but the network has 10 outputs"),
    ):
        (tmp_path / "recipe.json").write_text(text)
        with pytest.raises(ValueError, match=words):
            inference.open_network(str(tmp_path), None, {})
    whole = {"classes": CLASSES, "input": [32, 32, 3], "geometry": geometry.Geometry().to_json()}
    for about, words in (
        ({"classes": ["a"]}, "json has 1 class, but the network has 10 outputs"),
        ({"geometry": {"library": "pillow", "steps": [{"step": "Blur"}]}}, "unknown step of the"),
        ({"geometry": None}, "its inference.json is damaged .*beyond"),
        ({}, ""),
    ):
        (tmp_path / "inference.json").write_text(json.dumps(whole | about))
        if words:
            with pytest.raises(ValueError, match=words):
                inference.open_network(str(tmp_path), None, {})
    network = inference.open_network(str(tmp_path), None, {})
    assert network.geometry == geometry.Geometry()
    assert network.classes == tuple(CLASSES)
