"""The sheet of preprocessed images."""

import numpy as np
import pytest
from PIL import Image

import recipes
from recipes.augment import Resize
from recipes.cli import main
from recipes.data import preprocess_sheet
from recipes.data.batches import open_for
from recipes.data.preprocess_sheet import Row, cloud, pixel_pair, preprocessed

pytestmark = pytest.mark.quick
RECIPE = recipes.Recipe(
    model="toy_lenet", data="made_up:9x7x2:3:60", validation=0.0, eval_ops=(Resize((8, 6)),),
    preprocess="scale", seed=2,
)  # fmt: skip


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_each_row_is_a_step_of_the_whole_training_set():
    rows = {row.name: row for row in preprocessed(RECIPE, open_for(RECIPE))}
    assert [*rows] == ["raw", "centered", "scaled", "decorrelated", "whitened", "this recipe"]
    x = rows["raw"].images
    assert x.shape == (60, 8, 6, 2)
    np.testing.assert_allclose(rows["centered"].images, x - x.mean(0), atol=1e-3)
    np.testing.assert_allclose(rows["scaled"].images, (x - x.mean(0)) / x.std(0), atol=1e-3)
    np.testing.assert_allclose(rows["this recipe"].images, x / 127.5 - 1, atol=1e-5)
    flat = rows["decorrelated"].images.reshape(60, -1)
    covariance = np.cov(flat.T, bias=True)
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 1e-3 * covariance.max()
    assert rows["whitened"].images.reshape(60, -1)[:, :20].std(0) == pytest.approx(1, abs=0.02)
    assert len(preprocessed(RECIPE, open_for(RECIPE), count=5)[0].images) == 5
    pair = pixel_pair(x)
    a, b, names = cloud(rows["centered"], pair)
    (y, left), (below, right) = pair
    assert (y, abs(left - right)) == (below, 1)
    assert a.std() == pytest.approx(x[..., 0].std(0).max(), rel=1e-4)
    np.testing.assert_array_equal(b, rows["centered"].images[:, below, right, 0])
    assert names == (f"pixel ({y}, {left})", f"pixel ({below}, {right})")
    first, second, names = cloud(rows["whitened"], pair)
    assert names == ("coordinate 1", "coordinate 2")
    assert abs(np.corrcoef(first, second)[0, 1]) < 1e-3


def test_the_neighbor_of_a_pixel_at_an_edge():
    x = np.zeros((2, 3, 4, 1))
    x[1, 2, 3] = 1
    assert pixel_pair(x) == ((2, 3), (2, 2))
    assert pixel_pair(x[:, :, 3:]) == ((2, 0), (1, 0))
    x[1, 0, 0] = 5
    assert pixel_pair(x) == ((0, 0), (0, 1))
    assert pixel_pair(np.zeros((2, 1, 1, 1))) == ((0, 0), (0, 0))
    row = Row("decorrelated", "pca", np.zeros((2, 1, 1, 1)))
    assert [len(each) for each in cloud(row, None)[:2]] == [2, 2]


def test_the_command_draws_rows_and_says_why_one_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(preprocess_sheet.preprocess, "MOST_DIMENSIONS", 200)
    line = ["look", "digits/mlp", "--data=made_up:8x9x3:2:40", "--show=preprocess"]
    assert main.run([*line, "--to=new/sheet.png"]) == 0
    assert capsys.readouterr().out == "6 images after 5 steps of preprocessing: new/sheet.png\n"
    pixels = np.asarray(Image.open("new/sheet.png").convert("L"))
    rows = np.array_split(pixels[55:], 6)  # below the title
    assert all(row[:, 170:800].std() > 20 for row in (*rows[:3], rows[5]))
    assert all(row[:, 700:].min() > 250 for row in rows[3:5])
    assert main.run([*line[:-1], "--show=preproces"]) == 2
    assert "unknown show 'preproces'; did you mean 'preprocess'?" in capsys.readouterr().err
