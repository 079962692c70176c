"""Folders of images as data sets: splits, order, bad images, sizes."""

import os
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from recipes.augment import Flip, RandomResizedCrop
from recipes.data import folder_split
from recipes.data.batches import open_data
from tests.recipes.folders import make_folder, spoil, write
from tests.recipes.reading import assert_same, batches, rows
from zoo import terminal

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    path = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(path))
    terminal.print_once.cache_clear()
    return path


def test_a_folder_with_train_and_test(tmp_path):
    data = open_data(make_folder(tmp_path, count=10), validation=0.2)
    assert data.classes == ("cat", "dog")
    assert data.shape == (10, 12, 3)
    assert (data.train.count, data.validation.count) == (16, 4)
    elements = rows(data.train.elements())
    for element in elements:
        path = data.train.describe(int(element["index"]))
        with Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image), element["image"])
        assert data.classes[element["label"]] == os.path.basename(os.path.dirname(path))
    held_out = Counter(int(e["label"]) for e in rows(data.validation.elements()))
    assert held_out == {0: 2, 1: 2}
    assert data.open_test().count == 20


def test_folders_named_validation_and_test_are_those_sets(tmp_path, capsys):
    both = make_folder(tmp_path / "both", ("train", "validation", "test"))
    data = open_data(both)
    assert "validation" in data.validation.describe(0)
    assert data.train.count == 12
    assert "/test/" in data.open_test().describe(0)
    assert open_data(both, validation=0.0).validation is None
    assert open_data(both, validation="validation").validation.count == 12

    one = make_folder(tmp_path / "one", ("train", "validation"))
    capsys.readouterr()
    data = open_data(one)
    assert "/train/" in data.validation.describe(0)
    assert "/validation/" in data.open_test().describe(0)
    assert capsys.readouterr().err == f"{one[7:]} has no test/; using validation/ as the test set\n"
    with pytest.raises(ValueError, match="is the test set, which cannot be the validation set"):
        open_data(one, validation="validation")
    with pytest.raises(ValueError, match=r"no folder .*vallidation; did you mean .*validation"):
        open_data(both, validation="vallidation")
    with pytest.raises(ValueError, match=r"/train is the training set, which cannot be"):
        open_data(both, validation="train")


def test_a_folder_of_classes_is_split_into_three_sets(tmp_path):
    name = make_folder(tmp_path, ("",), classes=("a", "b", "c"), count=10)

    def files(part):
        return {part.describe(index) for index in range(part.count)}

    data, again, other = (open_data(name, validation=0.25, seed=s) for s in (0, 0, 1))
    parts = [data.train, data.validation, data.open_test()]
    assert [part.count for part in parts] == [18, 6, 6]
    assert len(set.union(*map(files, parts))) == 30
    assert Counter(int(e["label"]) for e in rows(parts[2].elements())) == {0: 2, 1: 2, 2: 2}
    assert files(again.validation) == files(data.validation) != files(other.validation)
    assert files(other.open_test()) == files(parts[2])  # for any seed
    with pytest.raises(ValueError, match="use a fraction"):
        open_data(name, validation="validation")


def test_a_class_with_one_image_is_used_for_training(tmp_path, capsys):
    name = make_folder(tmp_path, ("",), count=5)
    write(tmp_path / "elk" / "only.png")
    data = open_data(name, validation=0.25)
    assert data.classes == ("cat", "dog", "elk")

    def count(part):
        return Counter(int(e["label"]) for e in rows(part.elements()))

    assert count(data.train) == {0: 3, 1: 3, 2: 1}
    assert count(data.validation) == count(data.open_test()) == {0: 1, 1: 1}
    printed = capsys.readouterr().err
    one = "1 class with only 1 image, which is used for training and not for the"
    assert printed == f"{one} test set: elk\n{one} validation set: elk\n"
    alone = make_folder(tmp_path / "alone", ("",), count=1)
    with pytest.raises(
        ValueError, match="no class has the 2 images needed to split off a test set"
    ):
        open_data(alone)
    pairs = make_folder(tmp_path / "pairs", ("",), count=2)
    with pytest.raises(ValueError, match="a validation set; add images, or set validation=0"):
        open_data(pairs)
    assert open_data(pairs, validation=0).train.count == 2


def test_the_digest_of_images_changes_if_images_are_added_or_removed(tmp_path):
    name = make_folder(tmp_path, ("",), count=10)
    first = open_data(name)
    assert open_data(name).images == first.images
    assert open_data(name, seed=1).images != first.images
    write(tmp_path / "cat" / "new.png")
    more = open_data(name)
    assert more.images != first.images
    (tmp_path / "cat" / "new.png").unlink()
    assert open_data(name).images == first.images


@pytest.mark.parametrize(
    ("how", "kind", "reason"),
    [
        ("cut", "jpg", "truncated"),
        ("cut", "png", "truncated"),
        ("cut", "webp", "decoder"),
        ("empty", "jpg", "the file is empty"),
        ("text", "png", "it is not an image of a known format"),
    ],
)
def test_bad_images_are_named_and_skipped_up_to_the_limit(tmp_path, capfd, how, kind, reason):
    name = make_folder(tmp_path)
    bad = spoil(write(tmp_path / "train" / "cat" / f"bad.{kind}", height=40, width=40), how)
    with pytest.raises(
        ValueError,
        match=rf"bad_images=0: 1 image of the train set cannot be read: {bad} \(.*{reason}.*\);"
        " repair or remove it, or skip it with bad_images=1",
    ):
        open_data(name, validation=0)
    data = open_data(name, validation=0, bad_images=1)
    printed = capfd.readouterr().err
    assert printed.count(f"skipped unreadable image {bad}: ") == 1
    assert reason in printed
    what = f"1 image of the train set in {tmp_path} cannot be read and was replaced by the next"
    assert f"{what} of the same class\n" in printed
    # The epoch keeps its length. The last file of a class is replaced by the first.
    assert data.train.count == 13
    found = {data.train.describe(int(e["index"])): e for e in rows(data.train.elements())}
    first = found[str(tmp_path / "train" / "cat" / "0.png")]
    np.testing.assert_array_equal(found[str(bad)]["image"], first["image"])
    assert found[str(bad)]["label"] == 0
    spoil(tmp_path / "train" / "dog" / "3.png", how)
    with pytest.raises(ValueError, match=r"bad_images=1: 2 images .* with bad_images=2"):
        open_data(name, validation=0, bad_images=1)
    assert open_data(name, validation=0, bad_images=None).train.count == 13
    both = f"2 images of the train set in {tmp_path} cannot be read and were replaced by the next"
    assert both in capfd.readouterr().err


def test_bad_images_of_the_test_set_are_found_before_training(tmp_path):
    """One error covers all sets, with the setting that accepts them."""
    name = make_folder(tmp_path)
    spoil(tmp_path / "test" / "cat" / "0.png")
    message = "bad_images=0: 1 image of the test set .* with bad_images=1$"
    with pytest.raises(ValueError, match=message):
        open_data(name)
    assert open_data(name, bad_images=1).open_test().count == 11
    spoil(tmp_path / "train" / "cat" / "0.png")
    spoil(tmp_path / "train" / "cat" / "1.png")
    message = "2 images of the train set and 1 image of the test set .* with bad_images=2$"
    with pytest.raises(ValueError, match=message):
        open_data(name, validation=0)


def test_a_dangling_link_counts_as_a_bad_image(tmp_path, capfd):
    name = make_folder(tmp_path)
    bad = tmp_path / "train" / "cat" / "x.jpg"
    bad.symlink_to(tmp_path / "nothing.jpg")
    with pytest.raises(ValueError, match=r"1 image .*x\.jpg \(No such file or directory\)"):
        open_data(name, validation=0)
    assert open_data(name, validation=0, bad_images=1).train.count == 13
    assert f"skipped unreadable image {bad}: No such" in capfd.readouterr().err
    write(tmp_path / "nothing.jpg")
    assert open_data(name, validation=0).train.count == 13


def make_sizes(root):
    for name in ("cat", "dog"):
        for number in range(6):
            write(root / name / f"{number}.jpg", number, 20 + number, 30)
    return open_data(f"folder:{root}", validation=0)


def test_images_of_different_sizes_must_be_resized_by_ops(tmp_path):
    data = make_sizes(tmp_path)
    assert data.shape == (None, None, 3)
    assert data.train.encoded
    with pytest.raises(ValueError, match=r"^augment or eval_ops: .* may differ .* add Resize"):
        batches(data.train, ops=(Flip(),), classes=2)
    found, steps = batches(data.train, ops=(RandomResizedCrop(16), Flip()), classes=2, epochs=3)
    assert found[0][0].shape == (4, 16, 16, 3)
    again, _ = batches(
        data.train, ops=(RandomResizedCrop(16), Flip()), classes=2, first_epoch=1, epochs=3
    )
    assert_same(found[steps:], again)


def test_large_folders_stay_encoded(tmp_path, monkeypatch):
    name = make_folder(tmp_path)
    small = open_data(name)
    monkeypatch.setattr(folder_split, "IN_MEMORY", 0)
    large = open_data(name)
    assert large.train.encoded
    assert not small.train.encoded
    assert large.shape == small.shape == (10, 12, 3)
    assert_same(
        batches(large.train, classes=2, epochs=2)[0], batches(small.train, classes=2, epochs=2)[0]
    )
