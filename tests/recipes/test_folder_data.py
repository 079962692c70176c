"""Folders of images: layouts, errors, bad images and the cache of checks."""

import os
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageOps

from recipes import folder_data, image_files
from recipes.augment import Flip, RandomResizedCrop, decode_image
from recipes.data import open_data
from tests.recipes.reading import assert_same, batches, rows

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    path = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(path))
    return path


def pixels(seed, height=10, width=12):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def write(path, seed=0, height=10, width=12):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(seed, height, width)).save(path)


def make_folder(root, splits=("train", "test"), classes=("cat", "dog"), count=6):
    """PNG files, all different, PATH/SPLIT/CLASS/N.png; a split "" is PATH itself."""
    seed = 0
    for part in splits:
        for name in classes:
            for number in range(count):
                write(root / part / name / f"{number}.png", seed)
                seed += 1
    return f"folder:{root}"


def test_folder_of_splits(tmp_path):
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


def test_the_test_set_is_not_listed_before_it_is_opened(tmp_path, monkeypatch):
    name = make_folder(tmp_path)
    listed = []
    listing = folder_data._listed
    monkeypatch.setattr(
        folder_data, "_listed", lambda path, _: listed.append(path.name) or listing(path, _)
    )
    data = open_data(name)
    assert listed == ["train"]
    data.open_test()
    assert listed == ["train", "test"]


def test_folders_validation_and_test(tmp_path):
    both = make_folder(tmp_path / "both", ("train", "validation", "test"))
    data = open_data(both)
    assert "validation" in data.validation.describe(0)
    assert data.train.count == 12
    assert "/test/" in data.open_test().describe(0)
    assert open_data(both, validation=0.0).validation is None
    assert open_data(both, validation="validation").validation.count == 12

    one = make_folder(tmp_path / "one", ("train", "validation"))
    data = open_data(one)
    assert "/train/" in data.validation.describe(0)
    assert "/validation/" in data.open_test().describe(0)
    with pytest.raises(ValueError, match="is the test set"):
        open_data(one, validation="validation")
    with pytest.raises(ValueError, match=r"no folder .*vallidation; did you mean .*validation"):
        open_data(both, validation="vallidation")
    with pytest.raises(ValueError, match=r"/train is the training set, not validation"):
        open_data(both, validation="train")


def test_one_folder_of_classes(tmp_path):
    name = make_folder(tmp_path, ("",), classes=("a", "b", "c"), count=10)

    def files(part):
        return {part.describe(index) for index in range(part.count)}

    data, again, other = (open_data(name, validation=0.25, seed=s) for s in (0, 0, 1))
    parts = [data.train, data.validation, data.open_test()]
    assert [part.count for part in parts] == [18, 6, 6]
    assert len(set.union(*map(files, parts))) == 30
    assert Counter(int(e["label"]) for e in rows(parts[2].elements())) == {0: 2, 1: 2, 2: 2}
    assert files(again.validation) == files(data.validation) != files(other.validation)
    assert files(other.open_test()) == files(parts[2])  # whatever the seed
    with pytest.raises(ValueError, match="take a fraction"):
        open_data(name, validation="validation")


def test_folder_ignores_what_is_no_image(tmp_path):
    name = make_folder(tmp_path)
    (tmp_path / "train" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "train" / "README.md").write_text("")
    (tmp_path / "train" / "cat" / "notes.txt").write_text("")
    (tmp_path / "train" / "cat" / "._0.png").write_text("")
    write(tmp_path / "train" / "cat" / "z.JPEG")
    write(tmp_path / "train" / "cat" / "z.jpg")
    data = open_data(name, validation=0)
    assert data.classes == ("cat", "dog")
    assert data.train.count == 14


@pytest.mark.parametrize("in_memory", [True, False])
def test_names_that_are_no_utf_8(tmp_path, monkeypatch, in_memory):
    """As old archives have them."""
    name = make_folder(tmp_path, count=4)
    for folder in ("cat", "dog"):
        old = tmp_path / "train" / folder / "0.png"
        old.rename(os.fsdecode(os.fsencode(old.parent) + b"/caf\xe9.png"))
    if not in_memory:
        monkeypatch.setattr(folder_data, "IN_MEMORY", 0)
    data = open_data(name, validation=0.25)
    assert data.train.encoded != in_memory
    found = [
        int(e["label"]) for part in (data.train, data.validation) for e in rows(part.elements())
    ]
    assert sorted(found) == [0] * 4 + [1] * 4
    assert len(data.images) == 32


def test_the_digest_of_images_tells_when_some_came_or_went(tmp_path):
    name = make_folder(tmp_path, ("",), count=10)
    first = open_data(name)
    assert open_data(name).images == first.images
    assert open_data(name, seed=1).images != first.images
    write(tmp_path / "cat" / "new.png")
    more = open_data(name)
    assert more.images != first.images
    (tmp_path / "cat" / "new.png").unlink()
    assert open_data(name).images == first.images


def remove(root, part):
    for path in sorted((root / part).rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: os.rename(root, root.with_name("dat")), "no folder .*; did you mean .*dat"),
        (lambda root: remove(root, "train/cat"), "class 'cat' is empty"),
        (lambda root: remove(root, "train"), "no folders of classes"),
        (lambda root: os.rename(root / "train/cat", root / "cat"), "one class only, 'dog'"),
        (lambda root: os.rename(root / "test/cat", root / "test/cow"), "lacks cat; has cow"),
        (lambda root: os.rename(root / "test", root / "tset"), "neither test/ nor validation/"),
    ],
)
def test_folder_errors(tmp_path, spoil, message):
    name = make_folder(tmp_path / "data")
    spoil(tmp_path / "data")
    with pytest.raises(ValueError, match=message):
        open_data(name)


def test_an_image_alone_in_its_class_cannot_be_split(tmp_path):
    for count, left in ((1, "test"), (2, "validation")):
        name = make_folder(tmp_path / left, ("",), count=count)
        with pytest.raises(ValueError, match=f"one image only is left .* the {left} set: .*/cat"):
            open_data(name)


def spoil(path, how):
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"no"}[how])


@pytest.mark.parametrize("how", ["cut", "empty", "text"])
@pytest.mark.parametrize("kind", ["jpg", "png"])
def test_bad_images_are_named_and_skipped_to_the_budget(tmp_path, capfd, how, kind):
    name = make_folder(tmp_path)
    bad = tmp_path / "train" / "cat" / f"bad.{kind}"
    write(bad, height=40, width=40)
    spoil(bad, how)
    with pytest.raises(ValueError, match=rf"1 images .* bad_images=0 .*bad\.{kind}"):
        open_data(name, validation=0)
    data = open_data(name, validation=0, bad_images=1)
    assert data.train.count == 12
    assert str(bad) in capfd.readouterr().err
    assert str(bad) not in {data.train.describe(i) for i in range(12)}
    assert sum(e["label"] == 0 for e in rows(data.train.elements())) == 6
    spoil(tmp_path / "train" / "dog" / "3.png", how)
    with pytest.raises(ValueError, match=r"2 images .* bad_images=1"):
        open_data(name, validation=0, bad_images=1)


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_what_cannot_be_read_counts_as_a_bad_image(tmp_path, capfd, kind):
    name = make_folder(tmp_path)
    bad = tmp_path / "train" / "cat" / "x.jpg"
    bad.mkdir() if kind == "folder" else bad.symlink_to(tmp_path / "nothing.jpg")
    with pytest.raises(ValueError, match=r"1 images .* bad_images=0 .*x\.jpg"):
        open_data(name, validation=0)
    assert open_data(name, validation=0, bad_images=1).train.count == 12
    assert f"bad image, skipped: {bad}" in capfd.readouterr().err
    if kind == "link":
        write(tmp_path / "nothing.jpg")
        assert open_data(name, validation=0).train.count == 13


def test_images_of_other_kinds_are_passed_over_aloud(tmp_path, capfd):
    name = make_folder(tmp_path)
    for file in ("cat/a.webp", "cat/b.WebP", "dog/c.bmp", "dog/notes.txt", "dog/._d.tif"):
        (tmp_path / "train" / file).write_bytes(b"")
    for _ in range(2):
        assert open_data(name, validation=0).train.count == 12
    lines = capfd.readouterr().err.splitlines()
    assert lines == [
        f"3 images passed over in {tmp_path / 'train'}: 2 .webp, 1 .bmp"
        " (only .jpg, .jpeg and .png are read)"
    ]
    for file in (tmp_path / "train" / "cat").glob("*.png"):
        file.rename(file.with_suffix(".tif"))
    with pytest.raises(ValueError, match=r"class 'cat' is empty: .*cat, only 6 \.tif, 2 \.webp"):
        open_data(name, validation=0)


def test_only_the_opened_split_is_checked(tmp_path):
    name = make_folder(tmp_path)
    spoil(tmp_path / "test" / "cat" / "0.png", "cut")
    data = open_data(name)
    with pytest.raises(ValueError, match="1 images of the test set"):
        data.open_test()


def test_extraneous_bytes_are_no_error(tmp_path):
    name = make_folder(tmp_path)
    path = tmp_path / "train" / "cat" / "more.jpg"
    write(path)
    content = path.read_bytes()
    scan = content.index(b"\xff\xda")
    path.write_bytes(content[:scan] + b"\0\0\0" + content[scan:] + b"trailing")
    assert open_data(name, validation=0).train.count == 13


def test_checks_are_cached_until_a_file_changes(tmp_path, cache, monkeypatch):
    name = make_folder(tmp_path, ("",))
    checks = []
    check = image_files._decoded
    monkeypatch.setattr(image_files, "_decoded", lambda f: checks.append(len(f.paths)) or check(f))

    def checked():
        before = len(checks)
        data = open_data(name, validation=0)
        assert data.train.count == 10
        return len(checks) - before

    assert checked() == 1
    assert checked() == 0
    (file,) = (cache / "folders").iterdir()
    for damage in (
        "",
        "{",
        "[]",
        '{"count": 10}',
        '{"count": 10, "bad": [99], "turned": [], "size": null}',
    ):
        file.write_text(damage)
        assert checked() == 1
        assert checked() == 0
    open_data(name, validation=0)
    train = open_data(name, validation=0).train.describe(0)
    os.utime(train, (0, 0))
    assert checked() == 1


SAVED = {"jpg": {"quality": 95, "subsampling": 0}, "png": {}}


@pytest.mark.parametrize("ending", SAVED)
def test_photographs_stored_turned_are_read_upright(tmp_path, cache, capsys, ending):
    """As people and `zoo predict` see them, at each of EXIF's eight orientations."""
    ramp = np.mgrid[0:24, 0:40].sum(0)
    picture = np.stack([ramp * 4, 255 - ramp * 3, np.full((24, 40), 90)], -1).astype(np.uint8)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[image_files.ORIENTATION] = orientation
        path = tmp_path / "photos" / "ab"[orientation % 2] / f"{orientation}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path, exif=exif, **SAVED[ending])
    before = {path: path.read_bytes() for path in tmp_path.rglob(f"*.{ending}")}
    said = []
    for _ in range(3):  # checked, from the cache, and without the copies
        data = open_data(f"folder:{tmp_path / 'photos'}", validation=0)
        shapes = Counter()
        for split in (data.train, data.open_test()):
            for element in rows(split.elements()):
                path = split.describe(int(element["index"]))
                with Image.open(path) as image:
                    upright = np.asarray(ImageOps.exif_transpose(image), np.float32)
                seen = element["image"]
                if split.encoded:
                    seen = np.asarray(decode_image(seen, 3))
                assert seen.shape == upright.shape
                assert np.abs(seen.astype(np.float32) - upright).mean() < 2, path
                shapes[seen.shape] += 1
        assert shapes == {(24, 40, 3): 4, (40, 24, 3): 4}
        said.append(capsys.readouterr().err)
        if len(said) == 2:
            for copy in (cache / "upright").iterdir():
                copy.unlink()
    assert ["upright copies in" in text for text in said] == [True, False, True]
    assert {path: path.read_bytes() for path in before} == before


def test_a_damaged_photograph_stored_turned_is_a_bad_image(tmp_path):
    name = make_folder(tmp_path)
    exif = Image.Exif()
    exif[image_files.ORIENTATION] = 6
    path = tmp_path / "train" / "cat" / "turned.jpg"
    Image.fromarray(pixels(0, 60, 80)).save(path, exif=exif)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="1 images of the train set cannot be decoded"):
        open_data(name, validation=0)


def make_sizes(root):
    for name in ("cat", "dog"):
        for number in range(6):
            write(root / name / f"{number}.jpg", number, 20 + number, 30)
    return open_data(f"folder:{root}", validation=0)


def test_images_of_several_sizes(tmp_path):
    data = make_sizes(tmp_path)
    assert data.shape == (None, None, 3)
    assert data.train.encoded
    with pytest.raises(ValueError, match=r"may differ in size .* add Resize"):
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
    monkeypatch.setattr(folder_data, "IN_MEMORY", 0)
    large = open_data(name)
    assert large.train.encoded
    assert not small.train.encoded
    assert large.shape == small.shape == (10, 12, 3)
    assert_same(
        batches(large.train, classes=2, epochs=2)[0], batches(small.train, classes=2, epochs=2)[0]
    )
