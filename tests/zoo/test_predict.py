"""The commands predict, filters and neighbours on small files, against Pillow and NumPy."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import zoo
from zoo import geometry, inference, pictures
from zoo.__main__ import main
from zoo.image_reading import read_image
from zoo.inference import Network

CLASSES = ["zero", "one", "[bold]two", *map(str, range(3, 10))]


def photograph(path: Path, seed: int, size=(50, 40), **options) -> Path:
    """Write an image whose neighboring pixels are similar."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype="uint8")
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(path, **options)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a run directory, a saved model, weights, three images and a broken one."""
    root = tmp_path_factory.mktemp("predict")
    before = keras.layers.Rescaling(1 / 127.5, -1, name="input_rescaling")
    model = zoo.build("toy_vgg", seed=0, preprocess=before)
    (root / "run").mkdir()
    model.save(root / "run" / "model.keras")
    model.save(root / "alone.keras")
    about = {"name": "x", "recipe": {"eval_ops": []}, "classes": CLASSES, "sessions": []}
    (root / "run" / "recipe.json").write_text(json.dumps(about))
    zoo.build("toy_vgg", seed=0).save_weights(root / "toy.weights.h5")
    (root / "images" / "deeper").mkdir(parents=True)
    (root / "empty").mkdir()
    for i, name in enumerate(("a.png", "b.JPG", "deeper/a.png")):
        photograph(root / "images" / name, i)
    (root / "images" / "broken.jpg").write_bytes((root / "images/b.JPG").read_bytes()[:700])
    (root / "images" / "notes.txt").write_text("not an image")
    return root


@pytest.fixture
def inside(place, monkeypatch) -> Path:
    monkeypatch.chdir(place)
    return place


def by_pillow(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB").resize((40, 32), Image.Resampling.BILINEAR))


def by_tensorflow(path: Path, height: int = 32, width: int = 40) -> np.ndarray:
    pixels = np.asarray(Image.open(path).convert("RGB"), "float32")
    return np.rint(tf.image.resize(pixels, (height, width), antialias=True))


def expected(model, path: Path, resized=by_tensorflow) -> np.ndarray:
    """Return the probabilities of the central 32x32 pixels of the image resized to 32x40."""
    pixels = resized(path)[None, :, 4:36].astype("float32")
    logits = np.asarray(model(pixels), "float64")[0]
    return np.exp(logits) / np.exp(logits).sum()


def test_predict_classifies_a_folder_with_a_run_directory(inside):
    command = [sys.executable, "-m", "zoo", "predict", "run", "images", "--top=3", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(zoo.__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
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
def test_predict_prints_class_names_unchanged(inside, capsys):
    assert main(["predict", "run", "images/a.png", "--top=10"]) == 0
    out = capsys.readouterr().out
    assert "images/a.png" in out
    assert all(name in out for name in CLASSES)
    assert main(["predict", "alone.keras", "images/a.png", "nothing.jpg", "--top=10"]) == 1
    done = capsys.readouterr()
    assert "class 7" in done.out
    assert done.err == "zoo: cannot read nothing.jpg: No such file or directory\n"


def test_predict_takes_a_network_by_name_with_weights_and_options(inside, capsys):
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


def test_tta_averages_over_ten_crops(inside, capsys):
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
def test_the_geometry_of_a_run_is_that_of_its_evaluation(place, tmp_path):
    about = json.loads((place / "run/recipe.json").read_text())
    (tmp_path / "model.keras").write_bytes((place / "alone.keras").read_bytes())
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


def test_predict_explain_writes_a_picture_per_image(inside, tmp_path, capsys):
    assert main(["predict", "run", "images", "--json", "--explain", str(tmp_path / "why")]) == 1
    found = json.loads(capsys.readouterr().out)["images"]
    paths = [Path(each["explanation"]).relative_to(tmp_path / "why") for each in found]
    assert [*map(str, paths)] == ["a.png", "b.png", "deeper/a.png"]
    saved = {p for p in (tmp_path / "why").rglob("*") if p.is_file()}
    assert saved == {tmp_path / "why" / path for path in paths}
    model = zoo.load("run/model.keras")
    for each in found:
        pixels = by_tensorflow(Path(each["file"]))[:, 4:36]
        best = int(expected(model, Path(each["file"])).argmax())
        (heat,) = zoo.gradcam(model, pixels, best)
        picture = pictures.explanation(
            read_image(each["file"]), pixels, heat, Path(each["file"]).name, CLASSES[best],
            expected(model, Path(each["file"]))[best],
        )  # fmt: skip
        saved = np.asarray(Image.open(each["explanation"]).convert("RGB"), int)
        assert np.abs(saved - np.asarray(picture, int)).max() <= 3  # the heat is rounded


@pytest.mark.quick
def test_an_explanation_shows_the_image_heat_map_class_and_probability(tmp_path):
    path = photograph(tmp_path / "a.png", 0)
    view, heat = np.zeros((32, 32, 3)), np.full((4, 4), 0.5, "float32")

    def drawn(name="a.png", label="cat", probability=0.75):
        picture = pictures.explanation(read_image(path), view, heat, name, label, probability)
        return np.asarray(picture, int)

    picture = drawn()
    assert picture.shape == (224 + 34, 280 + 224 + 24, 3)
    original = Image.open(path).resize((280, 224), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(picture[8:232, 8:288], original)
    np.testing.assert_array_equal(picture[8:232, 296:520], pictures.overlay(view, heat))
    for other, place in (
        (drawn(name="b.png"), np.s_[8:288]),
        (drawn(label="dog"), np.s_[296:470]),
        (drawn(probability=0.25), np.s_[470:520]),
    ):
        changed = (other != picture).any(2)
        assert changed[236:256, place].any()
        assert changed[236:256, place].sum() == changed.sum()
    for shape in ((900, 20), (20, 900), (1, 1)):
        long = pictures.explanation(np.zeros((*shape, 1)), view, heat, "n" * 300, "c" * 300, 1.0)
        assert long.height == 258
        assert long.width <= 2 * 224 + 224 + 24


def test_explanations_mirror_folders_and_failures_do_not_stop_predict(inside, tmp_path, capsys):
    more = tmp_path / "more"
    (more / "deeper").mkdir(parents=True)
    photograph(more / "deeper" / "x.png", 1)
    photograph(more / "deeper" / "x.bmp", 2)
    blocked = tmp_path / "why" / "images" / "deeper"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where a folder is needed")
    places = ["images", str(more), "images/a.png", "--explain", str(tmp_path / "why"), "--json"]
    assert main(["predict", "run", *places]) == 1
    done = capsys.readouterr()
    found = json.loads(done.out)["images"]
    assert [Path(each["file"]).name for each in found] == [
        "a.png", "b.JPG", "a.png", "x.bmp", "x.png", "a.png",
    ]  # fmt: skip
    assert "zoo: no picture of images/deeper/a.png: cannot write" in done.err
    names = [each["explanation"] for each in found]
    assert names.pop(2) is None
    expected = ["images/a", "images/b", "more/deeper/x", "more/deeper/x-2", "images/a-2"]
    assert names == [str(tmp_path / "why" / f"{name}.png") for name in expected]
    assert all(Path(name).is_file() for name in names)
    assert main(["predict", "run", "images", "--explain", str(blocked)]) == 2
    assert "cannot create this folder" in capsys.readouterr().err


@pytest.mark.quick
def test_an_overlay_is_hot_where_the_map_is():
    heat = np.zeros((4, 4), "float32")
    heat[0, 3] = 1
    picture = np.asarray(pictures.overlay(np.full((32, 32, 1), 128.0), heat), int)
    assert picture.shape == (224, 224, 3)
    red, blue = picture[..., 0], picture[..., 2]
    assert (red - blue)[:20, -20:].min() > (red - blue)[60:, :160].max()


def test_the_filters_command_draws_the_first_kernel(inside, tmp_path, capsys):
    assert main(["filters", "run", "--to", str(tmp_path / "f.png")]) == 0
    kernel = zoo.load("alone.keras").get_layer("stage1_block1_conv").kernel.numpy()
    count = kernel.shape[-1]
    assert capsys.readouterr().out.endswith(f": {count} filters of 3x3x3\n")
    grid = np.asarray(Image.open(tmp_path / "f.png"))
    columns = int(np.ceil(np.sqrt(count)))
    side = (grid.shape[1] - 2) // columns - 2
    assert side >= 39
    for i in range(count):
        filter_ = kernel[..., i]
        scaled = 255 * (filter_ - filter_.min()) / (filter_.max() - filter_.min())
        y, x = 2 + i // columns * (side + 2), 2 + i % columns * (side + 2)
        tile = grid[y : y + side : side // 3, x : x + side : side // 3]
        np.testing.assert_allclose(tile, scaled, atol=0.6)


@pytest.mark.quick
def test_filters_of_dense_layers_and_gray_images():
    model = zoo.build("toy_mlp", input_shape=(8, 6, 1), seed=0)
    kernel = pictures.first_kernel(model)
    assert kernel.shape == (8, 6, 1, 64)
    flat = model.get_layer("fc_1_dense").kernel.numpy()
    np.testing.assert_array_equal(kernel[..., 5].ravel(), flat[:, 5])
    grid = np.asarray(pictures.filter_grid(kernel))
    assert (grid[..., 0] == grid[..., 2]).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        broken = kernel.copy()
        broken[0, 0, 0, :2] = np.nan, np.inf
        assert np.asarray(pictures.filter_grid(broken)).shape == grid.shape
    few = pictures.filter_grid(np.ones((3, 3, 3, 6), np.float32))
    assert min(few.size) > 200  # large enough to see


@pytest.mark.quick
def test_distances_are_printed_with_equally_many_decimals():
    assert pictures.evenly([0, 0.5, 12.34567]) == ["0.000", "0.500", "12.346"]
    assert pictures.evenly([1e-7, 9.87654e-4]) == ["0.00000010", "0.00098765"]
    assert pictures.evenly([2.0, 123456.7]) == ["2", "123457"]
    assert pictures.evenly([0.0]) == ["0"]


def test_the_neighbours_command_finds_the_nearest_images(inside, tmp_path, capsys):
    copy = photograph(inside / "query.png", 2)  # equals deeper/a.png
    arguments = ["neighbours", "run", "images", "--query", str(copy), "--stage=stage2"]
    assert main([*arguments, "--count=2", "--to", str(tmp_path / "n.png")]) == 1
    done = capsys.readouterr()
    assert "broken.jpg" in done.err
    rows = [line for line in done.out.splitlines() if "images/" in line]
    assert "images/deeper/a.png" in rows[0]
    assert "the nearest 2 of 3 images" in done.out
    model = zoo.features(zoo.load("alone.keras"), ["stage2"])
    network = inference.open_network("run", None, {})
    paths = (copy, Path("images/a.png"), Path("images/b.JPG"))
    seen = [network.views(read_image(p))[0] for p in paths]
    mean = np.mean(model(np.concatenate(seen))["stage2"], (1, 2))
    distances = np.sqrt(((mean[1:] - mean[0]) ** 2).sum(-1))
    shown = [float(row.split()[3]) for row in rows]
    np.testing.assert_allclose(shown, [0, distances.min()], rtol=1e-4, atol=1e-6)
    assert Image.open(tmp_path / "n.png").size[0] > 3 * 160


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
def test_a_wrong_command_line_is_a_one_line_error(inside, capsys, arguments, words):
    assert main(arguments) == 2
    done = capsys.readouterr()
    assert words in done.err
    assert len(done.err.splitlines()) == 1
    assert done.out == ""
    assert not list(inside.rglob("*x.png*"))


def test_a_damaged_run_is_an_error(place, tmp_path):
    (tmp_path / "model.keras").write_bytes((place / "alone.keras").read_bytes())
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
