"""Runs on folders, from the command line: other folders, damaged files, gray images, odd names."""

import json
import os

import numpy as np
import pytest
from PIL import Image

import recipes
import zoo
from recipes import Recipe
from recipes.augment import Resize
from recipes.data.batches import channels_of, evaluation_batches, open_for
from recipes.run import default_path
from tests.recipes.folders import make_folder, pixels, spoil, write
from zoo import terminal
from zoo.files import cache_dir

CLASSES = ("a$b$", "cat [1]", "犬")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
    terminal.print_once.cache_clear()


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def test_a_run_on_a_folder_of_many_kinds_of_files(tmp_path, here, monkeypatch):
    """It trains, evaluates and predicts gray pixels of files of many formats."""
    root = tmp_path / "photos"
    make_folder(root, ("",), classes=CLASSES, count=3)
    for number, name in enumerate(CLASSES):
        write(root / name / "day 1" / "turned.jpg", number, 30, 20, exif=exif(6))
        write(root / name / "x.webp", 10 + number, 12, 17)
        deep = pixels(20 + number)[..., 0].astype(np.uint16) * 257
        Image.fromarray(deep).save(root / name / "deep.png")
    fields = {"model": "toy_lenet", "batch_size": 4, "epochs": 1, "lr": 0.01, "stats_every": 0}
    fields |= {"channels": 1, "augment": (Resize(24),), "eval_ops": (Resize(24),)}
    recipe = Recipe(data=f"folder:{root}", validation=0.2, **fields)
    run = recipes.train(recipe, run=tmp_path / "run", verbose=False)
    assert run.model.input_shape == (None, 24, 24, 1)
    assert run.result["samples"] == 3

    # One file after another: evaluation's probabilities are prediction's.
    data, endings = open_for(run.recipe), set()
    for part in (data.train, data.validation, data.open_test()):
        files = [part.describe(i) for i in range(part.count)]
        endings |= {os.path.splitext(file)[1] for file in files}
        batches = evaluation_batches(part, classes=3, batch=99, ops=recipe.eval_ops)
        logits = run.model.predict(batches, verbose=0)
        expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        found = zoo.predict(str(run.path), files)
        # Rounding in batches of another size explains differences of up to 1e-7. A larger one was
        # seen once: 2.6e-6 for one image of twelve. If one pixel rounds to its other neighbor,
        # because its resized value lies next to a half (as 3 % do here; see zoo.resampling), these
        # probabilities change by 1e-7 to 7e-6.
        np.testing.assert_allclose(found[list(CLASSES)].to_numpy(), expected, atol=1e-5)
    assert endings == {".jpg", ".png", ".webp"}

    # Another folder, all of it: fewer classes, a damaged file and one that no one can draw.
    other = tmp_path / "others"
    make_folder(other, ("",), classes=("Cat [1]", "a$b$"), count=5)
    spoil(write(other / "a$b$" / "bad $x$\n.png"))
    os.rename(other / "a$b$" / "0.png", os.fsencode(other / "a$b$") + b"/caf\xe9.png")
    done = here("evaluate", "run", f"--data=folder:{other}", "--to=evaluated")
    assert done.returncode == 0
    assert f"skipped unreadable image {other}/a$b$/bad $x$\\n.png: " in done.stderr
    assert f"{other} has no images of these classes: 犬" in done.stderr
    evaluated = json.loads((tmp_path / "evaluated" / "evaluation.json").read_text())
    assert evaluated["samples"] == 10
    assert [evaluated["per_class"][name]["images"] for name in CLASSES] == [5, 5, 0]
    truth = zoo.predict(str(run.path), sorted((other / "Cat [1]").iterdir()))
    right = int((truth["class"] == "cat [1]").sum())
    assert evaluated["per_class"]["cat [1]"]["right"] == right
    assert (tmp_path / "evaluated" / "confusion.png").is_file()
    write(other / "cow" / "1.png")
    done = here("evaluate", "run", f"--data=folder:{other}")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cow; known classes: a$b$, cat [1], 犬" in done.stderr
    # The run's own folder by another path, and a part of it
    done = here("evaluate", "run", f"--data=folder:{root / '..' / 'photos'}", "--to=own")
    assert json.loads((tmp_path / "own" / "evaluation.json").read_text())["samples"] == 3
    assert "was trained" not in done.stderr
    (root / "犬" / "part").mkdir()
    for name in CLASSES:
        (root / "犬" / "part" / name).symlink_to(root / name)
    done = here("evaluate", "run", f"--data=folder:{root / '犬' / 'part'}", "--to=part")
    assert f"contains images of folder:{root}, on which run was trained" in done.stderr
    done = here("evaluate", "run", f"--data=folder:{other / 'cow'}")
    assert "`zoo predict` classifies images without labels" in done.stderr


def test_a_run_resumes_after_a_file_was_damaged_during_it(tmp_path, here):
    """The setting in the message lets the run resume; its training images must not change."""
    root = tmp_path / "photos"
    make_folder(root, ("train", "test"), count=4)
    (tmp_path / "small.py").write_text(
        "from recipes import Recipe\n"
        "from recipes.augment import Resize\n"
        f"recipe = Recipe(model='mlp', options={{'hidden': ()}}, data='folder:{root}', "
        " batch_size=4, epochs=1, lr=0.01, validation=0.25, stats_every=0)\n"
    )
    trained = ("train", "small.py", "--run=run")
    spoil(root / "test" / "cat" / "0.png", "empty")
    done = here(*trained)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("skip it with bad_images=1")
    assert not (tmp_path / "run").exists()
    write(root / "test" / "cat" / "0.png")
    made = recipes.train(tmp_path / "small.py", run=tmp_path / "run", verbose=False)
    (made.path / "result.json").unlink()  # as where it was killed before its test
    spoil(root / "test" / "cat" / "0.png", "empty")
    assert here(*trained).returncode == 2
    assert here(*trained, "--bad_images=1").returncode == 0
    assert made.result["samples"] == 7
    assert recipes.open(made.path).recipe.bad_images == 1
    # A training image that is found to be bad later is replaced, so the run continues.
    (made.path / "result.json").unlink()
    spoil(root / "train" / "cat" / "0.png", "empty")
    assert here(*trained, "--bad_images=1").returncode == 0
    (made.path / "result.json").unlink()
    (root / "test" / "cat" / "0.png").unlink()  # no image of the test set takes part in training
    assert here(*trained, "--bad_images=1").returncode == 0
    (made.path / "result.json").unlink()
    (root / "train" / "cat" / "1.png").unlink()
    done = here(*trained, "--bad_images=1")
    assert done.returncode == 2
    assert "other images than when" in done.stderr


@pytest.mark.quick
def test_names_of_run_directories_are_short_in_bytes(tmp_path, monkeypatch):
    plain = Recipe(model="mlp", data="digits")

    def path(data):
        return default_path("x", plain, recipes.replace(plain, data=data))

    paths = [path(f"folder:{'植物' * n}/{'犬' * m}") for n in (1, 20, 40) for m in (1, 2, 40)]
    assert len({*paths}) == len(paths)
    monkeypatch.chdir(tmp_path)
    for each in (*paths, path(os.fsdecode(b"folder:caf\xe9/" + b"x\xff" * 90))):
        each.mkdir(parents=True)  # 255 bytes at most


@pytest.mark.quick
def test_the_channels_of_a_recipe_follow_its_fields():
    plain = Recipe(model="mlp", data="folder:x")
    assert channels_of(plain) == 3
    assert channels_of(recipes.replace(plain, channels=4)) == 4
    gray = recipes.replace(plain, options={"input_shape": (32, 32, 1)})
    assert channels_of(gray) == 1
    assert channels_of(recipes.replace(gray, channels=3)) == 3
    with pytest.raises(ValueError, match=r"channels=2: must be 1 \(gray\), 3 \(RGB\) or 4"):
        recipes.replace(plain, channels=2)
    with pytest.raises(ValueError, match="channels=1: only applies with data='folder:"):
        Recipe(model="mlp", data="digits", channels=1)
    assert cache_dir().is_dir()
