"""Layouts of image folders, as written by people and by other programs."""

import os

import pytest

from recipes.data import folder_split
from recipes.data.batches import open_data
from recipes.data.folder import open_whole
from tests.recipes.folders import make_folder, write
from tests.recipes.reading import rows
from zoo import terminal

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
    terminal.print_once.cache_clear()


def counts(data):
    """Return the numbers of images of the three sets."""
    return [data.train.count, data.validation and data.validation.count, data.open_test().count]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("train", "valid", "test"), [12, 12, 12]),
        (("train", "val", "test"), [12, 12, 12]),
        (("Train", "Validation", "Test"), [12, 12, 12]),
        (("TRAIN", "VAL"), [10, 2, 12]),
        (("Training", "Testing"), [10, 2, 12]),
        (("training_set", "test_set"), [10, 2, 12]),
        (("seg_train", "seg_test"), [10, 2, 12]),
        (("training", "validation", "evaluation"), [12, 12, 12]),
        (("train", "eval"), [10, 2, 12]),
        (("train", "eval", "test"), [12, 12, 12]),
        (("bullet_train", "bus"), None),
    ],
)
def test_folders_are_recognized_as_splits_by_their_names(tmp_path, names, found):
    name = make_folder(tmp_path, names)
    if found is None:  # two classes, as far as we can tell
        assert open_data(name).classes == names
        return
    data = open_data(name, validation=0.2)
    assert data.classes == ("cat", "dog")
    assert counts(data) == found
    assert f"/{names[-1]}/" in data.open_test().describe(0)


def test_wrapping_folders_and_system_folders_are_skipped(tmp_path, capsys):
    """Such as those of archives and operating systems."""
    root = tmp_path / "archive" / "data"
    make_folder(root, ("Training/Training", "Testing"))
    for place in (
        "__MACOSX/cat",
        "data/@eaDir/cat",
        "data/.ipynb_checkpoints",
        "data/Training/Training/.DS_Store",
    ):
        write(tmp_path / "archive" / place / "._x.png")
    data = open_data(f"folder:{tmp_path}", validation=0)
    assert data.classes == ("cat", "dog")
    assert counts(data) == [12, None, 12]
    assert capsys.readouterr().err == f"{tmp_path} contains only one folder; reading {root}\n"


def test_classes_may_have_the_names_of_splits(tmp_path):
    name = make_folder(tmp_path, ("",), classes=("bus", "test", "train"))
    assert open_data(name).classes == ("bus", "test", "train")
    make_folder(tmp_path / "two", ("train", "val", "valid"))
    with pytest.raises(ValueError, match="has both val/ and valid/; rename all but the validation"):
        open_data(f"folder:{tmp_path / 'two'}")


def test_subfolders_of_classes_are_read(tmp_path):
    """As in torchvision, timm and Keras; files may have equal names."""
    name = make_folder(tmp_path, ("cat", "dog"), classes=("", "monday", "tuesday/morning"))
    data = open_data(name, validation=0.25)
    assert data.classes == ("cat", "dog")
    assert counts(data) == [20, 8, 8]
    parts = (data.train, data.validation, data.open_test())
    paths = [part.describe(i) for part in parts for i in range(part.count)]
    assert len({*paths}) == 36
    assert sum("/tuesday/morning/" in path for path in paths) == 12
    for part in parts:
        for element in rows(part.elements()):
            path = part.describe(int(element["index"]))
            assert path.startswith(f"{tmp_path}/{data.classes[element['label']]}/")


def test_links_to_folders_and_files_are_followed_once(tmp_path):
    make_folder(tmp_path / "real", ("",), classes=("tabby", "dog"))
    root = tmp_path / "data"
    root.mkdir()
    (root / "cat").symlink_to(tmp_path / "real" / "tabby")
    (root / "dog").mkdir()
    for file in (tmp_path / "real" / "dog").iterdir():
        (root / "dog" / file.name).symlink_to(file)
    (root / "dog" / "back").symlink_to(root / "dog")
    (root / "dog" / "itself").symlink_to("itself")
    data = open_data(f"folder:{root}", validation=0)
    assert data.classes == ("cat", "dog")
    assert counts(data) == [10, None, 2]
    circle = tmp_path / "circle"
    circle.mkdir()
    (circle / "again").symlink_to(circle)
    with pytest.raises(ValueError, match="no class folders"):
        open_data(f"folder:{circle}")


def test_classes_without_images_are_reported(tmp_path, capsys):
    name = make_folder(tmp_path, ("train", "val", "test"))
    for part in ("train", "val"):
        write(tmp_path / part / "elk" / "1.png")
    (tmp_path / "train" / "notes").mkdir()
    (tmp_path / "test" / "Cat").mkdir()
    write(tmp_path / "train" / "loose.png")
    data = open_data(name)
    assert data.classes == ("cat", "dog", "elk")
    assert counts(data) == [13, 13, 12]
    assert capsys.readouterr().err.splitlines() == [
        f"{tmp_path}/train: ignored folders without images: notes",
        f"skipped 1 image directly in {tmp_path}/train, outside of class folders",
        f"{tmp_path}/test has no images of these classes: elk",
    ]
    write(tmp_path / "test" / "cow" / "1.png")
    with pytest.raises(ValueError, match=r"test has unknown classes: cow; known classes: cat"):
        open_data(name)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ((), "has no class folders"),
        (("1.png", "2.png"), r"has no class folders .* \(2 images directly in it\)"),
        (("cat/1.png",), "has only one class, 'cat'; a classifier needs 2"),
        (("cat/1.png", "dog/1.txt"), r"only one class, 'cat' \(without images: dog\)"),
        (("train/cat/1.png", "train/dog/1.png"), "neither test/ nor validation/; add one"),
        (("train/cat/1.png", "train/dog/1.png", "test/elk/1.png"), "unknown classes: elk"),
        (("train/cat/1.png", "train/dog/1.png", "test/1.png"), "no images of the classes cat, dog"),
        (
            ("cat/1.png", "dog/1.png", "elk/1.heic"),
            r"class 'elk' has no readable image .* only 1 \.heic",
        ),
    ],
)
def test_a_folder_that_is_no_data_set_is_an_error(tmp_path, files, message):
    root = tmp_path / "data"
    root.mkdir()
    for file in files:
        write(root / file, format="PNG")
    with pytest.raises(ValueError, match=message) as raised:
        open_data(f"folder:{root}")
    if "test" in str(files):
        assert f"use folder:{root}/train" in str(raised.value)


def test_an_empty_folder_name_is_an_error():
    with pytest.raises(ValueError, match="data='folder:': has no path; write folder:PATH"):
        open_data("folder:")


def test_two_folders_of_the_same_name_are_an_error(tmp_path):
    """Accented letters composed and decomposed, as by different operating systems."""
    name = make_folder(tmp_path, ("",), classes=("\xe9lan", "e\u0301lan"))
    with pytest.raises(ValueError, match="two folders named 'élan'; merge them"):
        open_data(name)


def test_a_missing_folder_is_an_error(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(ValueError, match=r"no folder .*/photo; did you mean .*/photos\?"):
        open_data(f"folder:{tmp_path / 'photo'}")
    (tmp_path / "photos.zip").write_bytes(b"")
    with pytest.raises(ValueError, match=r"photos\.zip is not a folder"):
        open_data(f"folder:{tmp_path / 'photos.zip'}")


def test_skipped_files_are_counted_by_ending(tmp_path, capsys):
    name = make_folder(tmp_path)
    for file in ("cat/a.HEIC", "cat/b.heic", "dog/c.jpg~", "dog/notes.txt", "dog/._d.tif", "x.csv"):
        (tmp_path / "train" / file).write_bytes(b"")
    (tmp_path / "test" / "dog" / "list.txt").write_bytes(b"")
    (tmp_path / "test" / "dog" / "Thumbs.db").write_bytes(b"")
    write(tmp_path / "train" / "cat" / "noending", format="JPEG")
    for _ in range(2):
        assert open_data(name, validation=0).train.count == 13
    assert capsys.readouterr().err.splitlines() == [
        f"skipped 5 files in {tmp_path} without the extension of an image: 2 .heic, 2 .txt,"
        " 1 .jpg~; HEIC can be converted to JPEG"
    ]


@pytest.mark.parametrize("in_memory", [True, False])
def test_folder_names_that_are_not_utf8_are_accepted(tmp_path, monkeypatch, in_memory):
    """They occur in old archives; the names of classes are printable."""
    name = make_folder(tmp_path, count=4)
    for part in ("train", "test"):
        for folder in ("cat", "dog"):
            old = tmp_path / part / folder / "0.png"
            old.rename(os.fsdecode(os.fsencode(old.parent) + b"/caf\xe9 [1] $x$\n.png"))
        os.rename(tmp_path / part / "cat", os.fsencode(tmp_path / part) + b"/c\xe4t")
    if not in_memory:
        monkeypatch.setattr(folder_split, "IN_MEMORY", 0)
    data = open_data(name, validation=0.25)
    assert data.classes == ("c\\xe4t", "dog")
    assert data.train.encoded != in_memory
    found = [
        int(e["label"]) for part in (data.train, data.validation) for e in rows(part.elements())
    ]
    assert sorted(found) == [0] * 4 + [1] * 4
    assert data.open_test().count == 8
    assert len(data.images) == 32


def test_evaluation_on_another_folder_matches_classes_by_name(tmp_path, capsys):
    """It uses all images of a folder of classes, or the test set of a folder of splits."""
    classes = ("dog", "Cat", "élan")
    plain = make_folder(tmp_path / "plain", ("",), classes=("cat", "e\u0301lan"))
    part = open_whole(plain, "test", classes)
    assert part.count == 12
    assert [int(e["label"]) for e in rows(part.elements())] == [1] * 6 + [2] * 6
    assert capsys.readouterr().err == f"{plain[7:]} has no images of these classes: dog\n"
    with pytest.raises(ValueError, match=r"split='train': .* is one folder of classes"):
        open_whole(plain, "train", classes)
    splits = make_folder(tmp_path / "splits", ("train", "val"))
    for split, used in (("test", "val"), ("train", "train"), ("validation", "val")):
        part = open_whole(splits, split, ("dog", "cat"))
        assert (part.name, part.count) == (split, 12)
        assert f"/{used}/dog/" in part.describe(0)
    with pytest.raises(ValueError, match=r"unknown classes: dog; known classes: cat"):
        open_whole(splits, "test", ("cat",))
    only = make_folder(tmp_path / "only", ("train",))
    assert "/train/" in open_whole(only, "test", ("dog", "cat")).describe(0)
    one = make_folder(tmp_path / "one" / "cat", ("",), classes=("monday", "tuesday"))
    assert open_whole(one.removesuffix("/cat"), "test", ("dog", "Cat")).count == 12


def test_folders_next_to_the_splits_are_ignored_with_a_message(tmp_path, capsys):
    name = make_folder(tmp_path, ("train", "test", "pred"))
    assert counts(open_data(name, validation=0)) == [12, None, 12]
    out = capsys.readouterr().err
    assert out == f"{tmp_path}: ignored folders that are not splits: pred\n"
    (tmp_path / "val").symlink_to("train")
    with pytest.raises(ValueError, match=r"two of .*train/, val/.* are the same folder \(a link\)"):
        open_data(name)
