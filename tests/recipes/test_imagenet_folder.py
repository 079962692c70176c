"""Folders whose classes are some of ImageNet's, under any of their names."""

from dataclasses import replace

import pytest

from recipes.data.batches import open_data
from recipes.data.folder import open_whole
from recipes.data.imagenet_folder import NAMING, numbers_of, of_imagenet
from tests.recipes.folders import make_folder, write
from tests.recipes.reading import rows
from zoo import imagenet_names, terminal

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
    terminal.print_once.cache_clear()


def opened(root, split="test"):
    return open_whole(f"folder:{root}", split, imagenet_names.unique_names(), naming=NAMING)


def labels(part):
    return [int(element["label"]) for element in rows(part.elements())]


def test_folders_are_mapped_by_id_name_and_number(tmp_path, capsys):
    names = ("n01440764", "goldfish", "2", "n02085620-Chihuahua", "tiger_shark", "Tench",
             "crane", "cow", "Maillot", "n99999999")  # fmt: skip
    make_folder(tmp_path, ("",), classes=names, count=2)
    (tmp_path / "no images").mkdir()
    part = opened(tmp_path)
    assert labels(part) == [0] * 4 + [1, 1, 2, 2, 3, 3, 151, 151]
    paths = [part.describe(i).removeprefix(f"{tmp_path}/") for i in (0, 2, 4)]
    assert paths == ["Tench/0.png", "n01440764/0.png", "goldfish/0.png"]
    assert capsys.readouterr().err.splitlines()[0] == (
        f"{tmp_path}: left out 2 unknown names (cow, n99999999) and 2 ambiguous names (Maillot:"
        " n03710637 or n03710721, crane: n02012849 or n03126707); name folders by WordNet id, such"
        " as n01440764, or by number from 0 to 999"
    )


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("cardigan", "Chihuahua"), [151, 474]),
        (("Cardigan", "cardigan"), [264, 474]),
        (("cardigan", "chihuahua"), [151]),  # it may be either cardigan
        (("CARDIGAN", "tench"), [0]),
    ],
)
def test_case_distinguishes_names_only_where_it_is_kept(tmp_path, names, found):
    make_folder(tmp_path, ("",), classes=names, count=1)
    assert labels(opened(tmp_path)) == found


def test_classes_that_cannot_be_mapped_are_an_error(tmp_path):
    make_folder(tmp_path / "pets", ("",), classes=("cat", "dog", "crane"), count=1)
    with pytest.raises(ValueError, match=r"only 2 unknown names \(cat, dog\) and 1 ambiguous"):
        opened(tmp_path / "pets")
    make_folder(tmp_path / "shifted", ("",), classes=("1", "2", "1000"), count=1)
    with pytest.raises(ValueError, match=r"numbered from 1 to 1000, but .* from 0 to 999"):
        opened(tmp_path / "shifted")
    write(tmp_path / "flat" / "n01440764.png")
    with pytest.raises(ValueError, match="1 image directly in it: `zoo predict`"):
        opened(tmp_path / "flat")


@pytest.mark.parametrize(
    ("splits", "chosen", "ignored"),
    [
        (("test",), "test", ""),
        (("val",), "val", ""),
        (("train",), "train", ""),
        (("val", "test"), "test", ""),
        (("validation", "notes/x"), "validation", "notes"),
        (("train", "val"), "val", ""),
        (("",), "", ""),
    ],
)
def test_a_test_set_needs_no_training_set(tmp_path, capsys, splits, chosen, ignored):
    make_folder(tmp_path, splits, classes=("n01440764", "goldfish"), count=1)
    part = opened(tmp_path)
    assert [part.describe(i) for i in range(2)] == [
        str(tmp_path / chosen / name / "0.png") for name in ("n01440764", "goldfish")
    ]
    printed = capsys.readouterr().err
    assert (f"ignored folders that are not splits: {ignored}" in printed) == bool(ignored)
    if len(splits) > 1 and not ignored:
        assert f"{tmp_path} has splits; evaluating on {tmp_path / chosen}" in printed


def test_test_sets_of_runs_need_no_training_set_either(tmp_path):
    make_folder(tmp_path, ("test", "val"), count=2)
    part = open_whole(f"folder:{tmp_path}", "validation", ("dog", "cat"))
    assert part.describe(0) == str(tmp_path / "val" / "dog" / "0.png")
    # A folder named like a split is a class if a class of the run has this name.
    make_folder(tmp_path / "other", ("",), classes=("test", "dog"), count=2)
    part = open_whole(f"folder:{tmp_path / 'other'}", "test", ("test", "dog"))
    assert part.count == 4
    make_folder(tmp_path / "twice", ("test", "testing"), count=1)
    with pytest.raises(ValueError, match="several folders of one split"):
        open_whole(f"folder:{tmp_path / 'twice'}", "test", ("dog", "cat"))


def test_the_folder_of_a_single_class_is_not_skipped_as_a_wrapper(tmp_path):
    make_folder(tmp_path / "n01440764", ("",), classes=("monday", "tuesday"), count=1)
    assert labels(opened(tmp_path)) == [0, 0]


def test_labels_of_data_sets_become_numbers_of_imagenet_classes():
    data = open_data("made_up:4x4x3:3:6", validation=0.5)
    named = of_imagenet(replace(data, classes=("n01443537", "Chihuahua", "tench")))
    assert named.classes == imagenet_names.unique_names()
    for part, own in (
        (named.train, data.train),
        (named.validation, data.validation),
        (named.open_test(), data.open_test()),
    ):
        assert labels(part) == [(1, 151, 0)[label] for label in labels(own)]


def test_classes_of_data_sets_and_runs_are_mapped():
    assert numbers_of(("n01443537", "tench"), "data") == [1, 0]
    assert numbers_of([str(n) for n in range(1000)], "data") == list(range(1000))
    for classes, message in (
        (("0", "1"), r"data: has classes that are not ImageNet's: 2 unknown names \(0, 1\)"),
        (("tench", "crane"), r"1 ambiguous name \(crane: n02012849 or n03126707\)"),
        (("tench", "n01440764"), "two of its classes are one class of ImageNet"),
    ):
        with pytest.raises(ValueError, match=message):
            numbers_of(classes, "data")
