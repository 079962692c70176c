"""Explanations, filters and nearest images, as pictures and from the command line."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zoo
from tests.zoo.predictions import CLASSES, by_tensorflow, expected, photograph
from zoo import inference, pictures
from zoo.__main__ import main
from zoo.image_reading import read_image


def test_predict_explain_writes_a_picture_per_image(in_prediction_files, tmp_path, capsys):
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


def test_explanations_mirror_folders_and_failures_do_not_stop_predict(
    in_prediction_files, tmp_path, capsys
):
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


def test_the_filters_command_draws_the_first_kernel(in_prediction_files, tmp_path, capsys):
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


def test_the_neighbours_command_finds_the_nearest_images(in_prediction_files, tmp_path, capsys):
    copy = photograph(in_prediction_files / "query.png", 2)  # equals deeper/a.png
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
