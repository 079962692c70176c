"""The contact sheet of augmented training images."""

import numpy as np
import pytest
from PIL import Image

from recipes import Recipe, replace
from recipes.augment import (
    AlternatingFlip,
    CutMix,
    Flip,
    Mixup,
    RandomResizedCrop,
    RepeatedAugmentation,
    Resize,
)
from recipes.data import preview
from recipes.data.batches import open_data, training_batches
from recipes.data.preview import _epoch, _first_of_classes, _named, contact_sheet
from tests.recipes.pictures import photo
from tests.recipes.reading import rows

RECIPE = Recipe(model="toy_lenet", data="made_up:12x10x3:3:30", validation=0.0, seed=4)


@pytest.fixture
def folder(tmp_path):
    """Photos of different sizes in two classes."""
    for number in range(8):
        path = tmp_path / "photos" / ("cat" if number % 2 else "dog")
        path.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(30 + number, 40, seed=number)).save(path / f"{number}.jpg")
    return tmp_path / "photos"


@pytest.mark.quick
def test_a_sheet_shows_originals_and_augmented_views(tmp_path, monkeypatch):
    """Its pixels show a red original and its augmented version side by side."""
    red = np.zeros((6, 8, 8, 3), np.uint8)
    red[..., 0] = 200
    split = open_data(RECIPE.data, validation=0.0).train
    monkeypatch.setattr(
        preview, "_first_of_classes", lambda *_: (list(red), [0, 1, 2, 0, 1, 2], list(range(6)))
    )
    assert split.count == 30
    recipe = Recipe(**{**vars(RECIPE), "augment": (Resize(9), Resize(5))})
    printed = contact_sheet(recipe, tmp_path / "sheet.png", images=6, views=4)
    assert printed == f"6 images, 4 views of each: {tmp_path / 'sheet.png'}"
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    is_red = (sheet == (200, 0, 0)).all(-1)
    runs = np.flatnonzero(np.diff(np.r_[0, is_red.any(0).astype(int), 0]))
    assert len(runs) == 2 * (1 + 4)  # columns of pictures, each with a start and an end
    runs = np.flatnonzero(np.diff(np.r_[0, is_red.any(1).astype(int), 0]))
    assert len(runs) == 2 * 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sheet.png"]


@pytest.mark.quick
@pytest.mark.parametrize("more", [(), (RepeatedAugmentation(3),)], ids=["once", "repeated"])
def test_views_equal_those_of_training(folder, more):
    data = open_data(f"folder:{folder}", validation=0.0)
    ops = (*more, RandomResizedCrop(16), Flip(), AlternatingFlip())
    recipe = Recipe(**{**vars(RECIPE), "data": data.name, "augment": ops})
    shown, labels, numbers = _first_of_classes(data.train, 4, recipe.seed)
    assert set(labels) == {0, 1}
    assert len(set(numbers)) == 4
    trained, _ = training_batches(
        data.train, classes=2, batch=2, ops=ops, seed=recipe.seed, first_epoch=1, epochs=2
    )
    seen = {image.tobytes() for images, _ in rows(trained) for image in images}
    views, soft = _epoch(recipe, data.train, shown, labels, numbers, 1, 2)
    assert views.shape == (4, 16, 16, 3)
    np.testing.assert_array_equal(soft, np.eye(2)[labels])
    assert len(seen & {view.tobytes() for view in views}) >= (1 if more else 3)


@pytest.mark.quick
def test_soft_labels_are_shown_with_their_classes():
    recipe = Recipe(**{**vars(RECIPE), "augment": (Mixup(1.0), CutMix())})
    split = open_data(recipe.data, validation=0.0).train
    shown = _first_of_classes(split, 3, recipe.seed)
    _, soft = _epoch(recipe, split, *shown, 0, 3)
    assert ((soft > 0).sum(1) > 1).any()
    np.testing.assert_allclose(soft.sum(1), 1, rtol=1e-6)
    classes = ("cat", "dog", "a very long name of a class")
    assert _named(np.array([0.0, 1.0, 0.0]), classes) == "dog"
    assert _named(np.array([0.3, 0.7, 0.0]), classes) == "dog 0.70, cat 0.30"
    assert _named(np.array([0.4, 0.0, 0.6]), classes) == "a very… class 0.60, cat 0.40"


@pytest.mark.quick
def test_long_names_keep_their_start_and_their_end():
    dogs = ("golden_retriever", "soft_coated_wheaten_terrier_puppy", "cat")
    assert _named(np.array([0.7, 0.3, 0.0]), dogs) == "gold…ver 0.70, soft…ppy 0.30"
    assert _named(np.array([0.7, 0.0, 0.3]), dogs) == "golden…riever 0.70, cat 0.30"
    assert _named(np.array([1.0, 0.0, 0.0]), dogs) == "golden_retriever"
    assert _named(np.array([0.0, 1.0, 0.0]), dogs) == "soft_coated_wh…terrier_puppy"
    assert len(_named(np.array([0.0, 1.0, 0.0]), dogs)) == 28


def test_no_title_runs_over_the_next_column(folder, tmp_path, monkeypatch):
    """The drawn boxes of titles are compared, for classes with long names."""
    (folder / "cat").rename(folder / "n02098105_soft_coated_wheaten_terrier")
    (folder / "dog").rename(folder / "n02099601_golden_retriever_that_is_a_dog")
    drawn = []
    monkeypatch.setattr(preview.drawing, "save", lambda figure, path: drawn.append(figure))
    recipe = Recipe(
        model="toy_lenet", data=f"folder:{folder}", validation=0.0, augment=(Resize(16), Mixup(1.0))
    )
    contact_sheet(recipe, tmp_path / "sheet.png", images=2, views=3)
    contact_sheet(replace(recipe, augment=(Resize(16),)), tmp_path / "sheet.png", images=2, views=3)
    for figure in drawn:
        figure.canvas.draw()
        columns = sorted({round(axes.get_window_extent().x0) for axes in figure.axes})
        assert len(columns) == 4
        for axes in figure.axes:
            title = axes.get_title(loc="left")
            end = axes._left_title.get_window_extent().x1
            ends = [x for x in columns if x > axes.get_window_extent().x0 + 1]
            assert end <= (ends[0] if ends else figure.bbox.x1), title


@pytest.mark.quick
def test_names_with_dollar_signs_are_not_formulas(folder, tmp_path):
    """Matplotlib would parse $a_$ as a formula and fail."""
    (folder / "cat").rename(folder / "$a_$")
    recipe = Recipe(
        model="toy_lenet", data=f"folder:{folder}", validation=0.0, augment=(Resize(16), Mixup(1.0))
    )
    contact_sheet(recipe, tmp_path / "sheet.png", images=2, views=1)
    assert (tmp_path / "sheet.png").is_file()


@pytest.mark.quick
def test_images_of_different_sizes_are_an_error(folder, tmp_path):
    recipe = Recipe(**{**vars(RECIPE), "data": f"folder:{folder}", "augment": (Flip(),)})
    with pytest.raises(ValueError, match=r"images of \d sizes .* add Resize"):
        contact_sheet(recipe, tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.full
def test_the_command_writes_a_sheet_and_creates_its_folder(cli, here, tmp_path):
    done = cli("look", "digits/mlp", "--data=made_up:9x9x1:3:20", "--augment=(Flip(),)")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "6 images, 5 views of each: look.png\n"
    with Image.open(tmp_path / "look.png") as image:
        assert min(image.size) > 500
    (tmp_path / "look.png").unlink()
    done = here("look", "digits/mlp", "--data=made_up:9x9x1:3:20", "--to=a/new/folder.png")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "a/new").iterdir()] == ["folder.png"]


@pytest.mark.quick
def test_a_path_without_png_is_rejected_before_tensorflow_is_imported(python):
    python(
        "import sys\n"
        "from recipes.cli import main\n"
        "assert main.run(['look', 'digits/mlp', '--to=look.jpg']) == 2\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n",
        fresh=True,
    )


BAD = {
    ("digits/mpl",): "did you mean 'digits/mlp'",
    ("digits/mlp", "--to=look.jpg"): "does not end in .png",
    ("digits/mlp", "--to=/dev/null/folder.png"): "cannot create the folder (File exists)",
    ("digits/mlp", "--augment=(Flop(),)"): "did you mean 'Flip'",
    (
        "digits/mlp",
        "--augment=(Lighting(),)",
    ): "Lighting: channels=1: needs images with 3 channels (RGB)",
    ("digits/mlp", "--epoch=3"): "did you mean '--epochs'",
}


@pytest.mark.parametrize("line", BAD)
def test_a_wrong_command_line_is_a_one_line_error(here, tmp_path, line):
    done = here("look", *line, "--data=made_up:9x9x1:3:20")
    assert done.returncode == 2
    assert BAD[line] in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert list(tmp_path.iterdir()) == []
