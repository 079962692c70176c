"""Images that cannot be read, found while a network is trained: in large folders."""

import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

import recipes
from recipes.augment import RandomResizedCrop
from recipes.data import folder_split, image_checks
from recipes.data.balance import balanced
from recipes.data.batches import evaluation_batches, open_data, training_batches
from recipes.data.image_checks import Checks
from recipes.data.pipelines import clear_errors
from tests.recipes.folders import make_folder, pixels, spoil, write
from tests.recipes.reading import assert_same, batches, rows
from zoo import terminal
from zoo.files import cache_dir


@pytest.fixture(autouse=True)
def large(tmp_path_factory, monkeypatch):
    """Treat each folder like one with millions of images, and use an empty cache."""
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(folder_split, "FEW", 0)
    monkeypatch.setattr(folder_split, "IN_MEMORY", 0)
    terminal.print_once.cache_clear()


@pytest.mark.quick
def test_opening_a_large_folder_decodes_no_image(tmp_path, monkeypatch):
    name = make_folder(tmp_path)
    monkeypatch.setattr(Checks, "verify", lambda *a: pytest.fail("an image was read"))
    data = open_data(name)
    assert (data.train.count, data.validation.count) == (10, 2)
    assert data.shape == (10, 12, 3)


@pytest.mark.quick
@pytest.mark.parametrize("kind", ["shuffled", "balanced"])
@pytest.mark.not_quick
def test_a_bad_image_is_replaced_whenever_it_is_found(tmp_path, kind, capfd):
    """A run that finds the file has the batches of a run that knows it, and of a resumed one."""
    name = make_folder(tmp_path, count=7)
    bad = [tmp_path / "train" / "cat" / "2.png", tmp_path / "train" / "cat" / "3.png"]
    for path in bad:
        spoil(path)
    settings = {"classes": 2, "batch": 3, "seed": 0, "epochs": 3}
    settings["ops"] = (RandomResizedCrop(8),)

    def train():
        split = open_data(name, validation=0, bad_images=2).train
        assert split.count == 14
        return balanced(split) if kind == "balanced" else split

    split = train()
    assert "skipped" not in capfd.readouterr().err
    found, steps = training_batches(split, first_epoch=0, **settings)
    found = rows(found)
    printed = capfd.readouterr().err
    for path in bad:
        assert printed.count(f"skipped unreadable image {path}: image file is truncated\n") == 1
    whole = training_batches(train(), first_epoch=0, **settings)[0]
    assert "2 images of the train set" in capfd.readouterr().err
    assert_same(rows(whole), found)
    late = training_batches(train(), first_epoch=1, first_step=2, **settings)[0]
    assert_same(rows(late), found[steps + 2 :])
    # By hand: both are replaced by the next good image of their class.
    shown = {train().describe(int(e["index"])): e["image"] for e in rows(train().elements())}
    for path in bad:
        assert shown[str(path)] == bad[1].with_name("4.png").read_bytes()


@pytest.mark.quick
def test_a_class_without_a_readable_image_is_an_error(tmp_path):
    name = make_folder(tmp_path, count=2)
    for number in range(2):
        spoil(tmp_path / "train" / "dog" / f"{number}.png")
    data = open_data(name, validation=0, bad_images=None)
    message = r"^no image of the train set in .*dog can be read; "
    with pytest.raises(ValueError, match=message), clear_errors():
        batches(data.train, classes=2)


@pytest.mark.quick
def test_bad_images_of_other_sets_are_left_out(tmp_path):
    make_folder(tmp_path, ("train", "validation", "test"))
    for part in ("validation", "test"):
        spoil(tmp_path / part / "cat" / "1.png")
    for workers in (1, 2):
        data = open_data(f"folder:{tmp_path}", bad_images=1)
        for split in (data.validation, data.open_test()):
            own = [
                evaluation_batches(split, classes=2, batch=4, ops=(), part=(worker, workers))
                for worker in range(workers)
            ]
            found = [image for part in own for images, _ in part for image in images.numpy()]
            whole = tmp_path / split.name
            paths = [p for p in whole.rglob("*.png") if p != whole / "cat" / "1.png"]
            expected = [np.float32(tf.io.decode_png(path.read_bytes())) for path in paths]
            assert sorted(x.tobytes() for x in found) == sorted(x.tobytes() for x in expected)
    assert data.open_test().count == 11
    assert open_data(f"folder:{tmp_path}", bad_images=1).validation.count == 11  # now known


@pytest.fixture
def recipe(tmp_path):
    root = tmp_path / "photos"
    make_folder(root, ("train", "validation", "test"))
    (tmp_path / "small.py").write_text(
        "from recipes import Recipe\n"
        f"recipe = Recipe(model='mlp', options={{'hidden': ()}}, data='folder:{root}',"
        " batch_size=4, epochs=2, lr=0.01, stats_every=0)\n"
    )
    return root


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_bad_image_stops_a_training_until_it_is_accepted(recipe, part, here, tmp_path):
    """With one line, and the command continues with the setting that it names."""
    bad = spoil(recipe / part / "cat" / "0.png")
    for _ in range(2):  # found when it is read, then known
        done = here("train", "small.py", "--run=run")
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].endswith(
            f"bad_images=0: 1 image of the {part} set cannot be read: {bad} (image file is"
            " truncated); repair or remove it, or skip it with bad_images=1"
        )
        assert "Traceback" not in done.stderr
    done = here("train", "small.py", "--run=run", "--bad_images=1")
    assert done.returncode == 0, done.stderr
    run = recipes.open(tmp_path / "run")
    assert run.result["samples"] == (11 if part == "test" else 12)
    assert run.result["val_samples"] == (11 if part == "validation" else 12)
    assert len(run.metrics) == 2
    if part == "validation":  # the number is that of the images that can be read, also at first
        shutil.rmtree(cache_dir() / "folders")
        assert here("train", "small.py", "--run=other", "--bad_images=1").returncode == 0
        assert recipes.open(tmp_path / "other").result["val_samples"] == 11


@pytest.mark.quick
def test_a_file_that_could_not_be_read_is_tried_again(tmp_path, monkeypatch):
    name = make_folder(tmp_path)
    path = tmp_path / "train" / "cat" / "1.png"
    content = path.read_bytes()
    data = open_data(name, validation=0, bad_images=1)
    with monkeypatch.context() as patch:
        decodes, copied = Checks._decodes, image_checks.make_copy

        def refused(place, *more):
            if place == str(path):
                raise image_checks.UnreadableImage(place, PermissionError(13, "not allowed"))
            return copied(place, *more)

        patch.setattr(
            Checks,
            "_decodes",
            lambda self, i: self.files.paths[i] != str(path) and decodes(self, i),
        )
        patch.setattr(image_checks, "make_copy", refused)
        shown = rows(data.train.elements())
    assert sum(e["image"] == content for e in shown) == 0
    again = open_data(name, validation=0)
    assert sum(e["image"] == content for e in rows(again.train.elements())) == 1


@pytest.mark.quick
def test_a_file_that_is_lost_during_a_run_is_an_error_in_one_line(tmp_path):
    name = make_folder(tmp_path)
    data = open_data(name, validation=0)
    rows(data.train.elements())
    (tmp_path / "train" / "cat" / "1.png").unlink()
    message = r"^data: an image can no longer be read \(.*1\.png"
    with pytest.raises(ValueError, match=message), clear_errors():
        batches(data.train, classes=2)


@pytest.mark.quick
def test_files_that_need_a_copy_are_copied_when_first_read(tmp_path, capfd):
    for name in ("cat", "dog"):
        for number in range(5):
            write(tmp_path / name / f"{number}.bmp", number)
    data = open_data(f"folder:{tmp_path}", validation=0)
    assert "10 images will be copied to the cache when first read" in capfd.readouterr().err
    images = [tf.io.decode_png(e["image"]).numpy() for e in rows(data.train.elements())]
    known = {pixels(seed).tobytes() for seed in range(5)}
    assert {image.tobytes() for image in images} <= known
    open_data(f"folder:{tmp_path}", validation=0)
    assert "copied" not in capfd.readouterr().err


@pytest.mark.quick
def test_all_data_of_a_jpeg_are_checked(tmp_path):
    """Files are decoded at an eighth of their size; every cut is found, as at full size."""
    path = write(tmp_path / "cat" / "x.jpg", 0, 64, 80)
    write(tmp_path / "dog" / "x.jpg", 1)
    whole = path.read_bytes()
    checks = open_data_checks(tmp_path)
    for length in (len(whole) - 2, len(whole) * 3 // 4, len(whole) // 2):
        path.write_bytes(whole[:length])
        try:
            tf.io.decode_jpeg(whole[:length], channels=3, dct_method="INTEGER_ACCURATE")
            good = True
        except tf.errors.InvalidArgumentError:
            good = False
        assert checks._decodes(0) == good


def open_data_checks(root):
    from recipes.data.file_lists import Files, packed

    paths = sorted(str(path) for path in root.rglob("*.jpg"))
    return Checks(Files(packed(root, paths), np.zeros(len(paths), np.int32)), 3, root / "cache")


@pytest.mark.quick
def test_lists_of_files_need_little_memory():
    from recipes.data.file_lists import joined, packed

    paths = [f"/photos/n{c:08d}/n{c:08d}_{i}.JPEG" for c in range(10) for i in range(1000)]
    groups = [(c, packed("/photos", paths[c * 1000 : (c + 1) * 1000])) for c in range(10)]
    files = joined("/photos", groups)
    assert [*files.paths] == paths
    assert files.name(1234) == os.path.relpath(paths[1234], "/photos/n00000001")
    assert np.array_equal(files.labels, np.repeat(np.arange(10), 1000))
    held = len(files.paths.buffer) + files.paths.ends.nbytes + files.labels.nbytes
    assert held / len(files) < 50


def test_check_data_reads_all_images_and_training_starts_with_the_results(
    recipe, here, monkeypatch
):
    write(recipe / "train" / "cat" / "x.jpg", 0, 40, 50)
    write(recipe / "train" / "dog" / "x.webp", 0, 8, 8)
    done = here("check-data", recipe)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "train: 14 images of 2 classes, 7 per class",
        "train: formats: 12 PNG, 1 JPEG, 1 WEBP",
        "train: sizes (height x width): from 8x8 to 40x50",
        *[
            line
            for part in ("validation", "test")
            for line in (
                f"{part}: 12 images of 2 classes, 6 per class",
                f"{part}: formats: 12 PNG",
                f"{part}: sizes (height x width): all 10x12",
            )
        ],
        "all 38 images can be read",
    ]
    bad = spoil(recipe / "train" / "cat" / "x.jpg")
    empty = spoil(recipe / "test" / "dog" / "1.png", "empty")
    done = here("check-data", f"folder:{recipe}")
    assert done.returncode == 1
    *_, first, second, last = done.stdout.splitlines()
    assert first.startswith(f"cannot read {bad}: image file is truncated")
    assert second == f"cannot read {empty}: the file is empty"
    assert (
        last == "2 of 38 images cannot be read; repair or remove them, or train with --bad_images=1"
    )
    # Another seed and other sets start with the results.
    for name in ("_decodes", "_copied"):
        monkeypatch.setattr(Checks, name, lambda *a: pytest.fail("an image was read"))
    for seed in (0, 1):
        with pytest.raises(ValueError, match="1 image of the train set and 1 image of the test"):
            open_data(f"folder:{recipe}", validation=0.2, seed=seed)
    # A full check reads files again, even if neither size nor time has changed.
    monkeypatch.undo()
    assert here("check-data", recipe / "nothing").returncode == 2


UNFINISHED = """
from recipes.data import folder_split
from recipes.data.batches import open_data
from recipes.data.image_sets import ImageSet
folder_split.FEW = folder_split.IN_MEMORY = 0
def slow(self, indices, locate=ImageSet.locate):
    for _ in range(10_000):
        sum(range(1_000))
    return locate(self, indices)
ImageSet.locate = slow
data = open_data({name!r}, validation=0)
iterator = data.train.elements().repeat().prefetch(9).as_numpy_iterator()
next(iterator)
"""


@pytest.mark.full
def test_python_exits_while_a_pipeline_is_in_use(tmp_path, python):
    """Its threads wait for Python, which waits for them."""
    python(UNFINISHED.format(name=make_folder(tmp_path)), fresh=True)
