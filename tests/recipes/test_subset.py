"""Recipes that use some classes of a data set, and a number of its training images."""

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import recipes
from recipes import Recipe
from recipes.data import from_tfds
from recipes.data.balance import balanced
from recipes.data.batches import evaluation_batches, open_data, open_for, training_batches
from recipes.data.preprocess import fit
from recipes.data.subset import Subset
from recipes.recipe import from_json, replace, to_json
from tests.recipes.folders import make_folder, spoil, write
from tests.recipes.reading import rows
from zoo import terminal

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
    terminal.print_once.cache_clear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folders b, a, c of 9, 6 and 12 training images and 2 test images each."""
    root = tmp_path_factory.mktemp("folder")
    for place, (name, count) in enumerate({"b": 9, "a": 6, "c": 12}.items()):
        for number in range(count):
            write(root / "train" / name / f"{number}.png", 100 * place + number)
        for number in range(2):
            write(root / "test" / name / f"{number}.png", 1000 + 100 * place + number)
    return f"folder:{root}"


def pictures(split):
    """The pixels and the class of each image."""
    return [(np.asarray(e["image"]).tobytes(), int(e["label"])) for e in rows(split.elements())]


def counts(split):
    return Counter(int(e["label"]) for e in rows(split.elements()))


MORE = ("records", "stream", "large folder", "made_up:6x5x3:5:90")
KINDS = ["digits", "folder", *[pytest.param(kind, marks=pytest.mark.full) for kind in MORE]]


@pytest.fixture(params=KINDS)
def opened(request, folder, monkeypatch):
    """A function that opens a data set of each kind."""
    kind = request.param
    if kind in ("records", "stream"):  # of files that fit in memory, and of others
        monkeypatch.setattr(from_tfds, "IN_MEMORY", 60_000 if kind == "records" else 0)
    if kind == "large folder":
        monkeypatch.setattr("recipes.data.folder_split.IN_MEMORY", 0)
    name = {"records": "digits", "stream": "digits", "large folder": folder, "folder": folder}
    return lambda **settings: open_data(name.get(kind, kind), **settings)


@pytest.mark.full
def test_a_subset_is_stratified_nested_and_leaves_the_other_sets_whole(opened):
    whole = opened(validation=0.2, seed=1)
    everything, found = Counter(pictures(whole.train)), {}
    for images in (3, 12, whole.train.count):
        data = opened(validation=0.2, seed=1, images=images)
        found[images] = Counter(pictures(data.train))
        assert data.train.count == images == found[images].total()
        if images <= 12:
            assert pictures(data.validation) == pictures(whole.validation)
            assert pictures(data.open_test()) == pictures(whole.open_test())
            numbers = [counts(data.train)[label] for label in range(len(data.classes))]
            assert max(numbers) - min(numbers) <= 1
    assert found[3] < found[12] < found[whole.train.count] == everything
    few = opened(validation=0.2, seed=1, per_class=3)
    assert set(counts(few.train).values()) == {3}
    equal = opened(validation=0.2, seed=1, images=3 * len(few.classes))
    assert pictures(few.train) == pictures(equal.train)
    other = opened(validation=0.2, seed=2, per_class=3)
    assert pictures(few.train) != pictures(other.train)


def test_classes_are_filtered_in_all_sets_and_numbered_in_the_given_order(opened):
    whole = opened(validation=0.2)
    names = (whole.classes[2], whole.classes[0])
    data = opened(validation=0.2, classes=names)
    assert data.classes == names
    assert opened(validation=0.2, classes=(2, 0)).classes == names
    for split in ("train", "validation", "test"):
        own, every = (
            each.open_test() if split == "test" else getattr(each, split) for each in (data, whole)
        )
        expected = {(image, {2: 0, 0: 1}[n]) for image, n in pictures(every) if n in (0, 2)}
        assert set(pictures(own)) == expected
        assert own.count == len(pictures(own)) == len(expected)
        assert own.fingerprint != every.fingerprint
        for element in rows(own.elements()):
            assert 0 <= element["index"] < own.count
    # The images of a class do not depend on the other classes.
    both = opened(validation=0.2, classes=names, per_class=2)
    alike = {
        (image, {2: 0, 0: 1}[n])
        for image, n in pictures(opened(validation=0.2, per_class=2).train)
        if n in (0, 2)
    }
    assert set(pictures(both.train)) == alike
    assert both.train.labels.tolist() == [int(e["label"]) for e in rows(both.train.elements())]


@pytest.mark.full
def test_positions_shuffles_and_descriptions_are_those_of_the_subset(opened):
    whole, data = opened(validation=0.2), opened(validation=0.2, images=8)
    by_name = {
        whole.train.describe(int(e["index"])): np.asarray(e["image"]).tobytes()
        for e in rows(whole.train.elements())
    }
    elements = rows(data.train.elements(tf.constant([0, 1])))
    assert sorted(int(e["index"]) for e in elements) == list(range(8))
    for element in elements:
        name = data.train.describe(int(element["index"]))
        assert by_name[name] == np.asarray(element["image"]).tobytes()
    assert len({data.images, whole.images, opened(validation=0.2, images=9).images}) == 3


@pytest.mark.full
def test_workers_share_a_subset(opened):
    workers = 3
    data = opened(validation=0.2, images=12)
    settings = {"classes": len(data.classes), "ops": (), "batch": 6}

    def own(make):
        return Counter(
            image.tobytes()
            for worker in range(workers)
            for images, _ in rows(make((worker, workers)))
            for image in images
        )

    def train(part):
        return training_batches(data.train, **settings, seed=0, first_epoch=0, epochs=1, part=part)[
            0
        ]

    (one,) = {tuple(sorted(own(train).values()))}
    assert one == (1,) * 12
    for split in (data.train, data.validation):

        def evaluate(part, split=split):
            return evaluation_batches(split, **settings, part=part)

        alone = Counter(i.tobytes() for x, _ in rows(evaluate((0, 1))) for i in x)
        assert own(evaluate) == alone


@pytest.mark.full
def test_balanced_sampling_of_a_subset(opened):
    split = balanced(opened(validation=0, classes=(0, 2), images=9).train)
    labels = [int(e["label"]) for e in rows(split.elements(tf.constant([0, 1])))]
    assert sorted(Counter(labels).values()) == [4, 5]


def chosen(labels, split="train", name=str, **settings):
    found = Subset(**settings).choose(split, np.array(labels), ("a", "b", "c"), name)
    assert found.places.tolist() == sorted(found.places.tolist())
    return dict(zip(found.places.tolist(), found.labels.tolist(), strict=True))


LABELS = [0] * 6 + [1, 2] * 9 + [2] * 3  # 6, 9 and 12 images


def test_images_are_chosen_in_turns_from_all_classes_with_images_left():
    before: dict[int, int] = {}
    for images in range(1, 28):
        found = chosen(LABELS, images=images, seed=3)
        assert found.items() >= before.items()  # a larger subset contains the smaller ones
        before, counts = found, Counter(found.values())
        numbers = [counts[label] for label in range(3)]
        assert all(label == LABELS[place] for place, label in found.items())
        assert sum(numbers) == images
        for number, available in zip(numbers, (6, 9, 12), strict=True):
            assert number == available or number >= max(numbers) - 1
        if images in (3, 9, 18):
            assert chosen(LABELS, per_class=images // 3, seed=3) == found
    assert len({tuple(chosen(LABELS, images=9, seed=seed)) for seed in range(20)}) > 15
    # The remainder is not always from the same class.
    assert len({tuple(chosen(LABELS, images=1, seed=s).values()) for s in range(20)}) == 3


def test_the_choice_depends_on_names_and_not_on_other_classes():
    names = "".join(chr(97 + place) for place in range(27))
    every = {names[place] for place in chosen(LABELS, name=names.__getitem__, per_class=4)}
    order = np.random.default_rng(0).permutation(27)
    shuffled = chosen(np.array(LABELS)[order], name=lambda place: names[order[place]], per_class=4)
    assert {names[order[place]] for place in shuffled} == every
    two = chosen(LABELS, name=names.__getitem__, per_class=4, classes=("c", 0))
    assert {names[p] for p in two} == {each for each in every if LABELS[ord(each) - 97] != 1}
    assert {label: LABELS[place] for place, label in two.items()} == {0: 2, 1: 0}
    assert len(chosen(LABELS, split="validation", images=3)) == 27


def test_statistics_of_preprocess_are_those_of_the_subset():
    base = Recipe(model="toy_lenet", data="digits", preprocess="center_image", validation=0.1)
    means = []
    for settings in ({"images": 50}, {"images": 51}, {"images": 50, "seed": 1}):
        data = open_for(replace(base, **settings))
        pixels = np.stack([e["image"] for e in rows(data.train.elements())]).astype(np.float64)
        for _ in range(2):  # the second time from the cache
            layer = fit("center_image", data, data.train, ())
            np.testing.assert_allclose(layer(pixels[:1])[0], pixels[0] - pixels.mean(0), atol=1e-3)
        means.append(pixels.mean(0).tobytes())
    assert len(set(means)) == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": 28}, r"images=28: the training set has only 27 images; use at most 27"),
        ({"images": 19, "classes": ("c", "a")}, r"images=19: .* 18 images of these classes"),
        ({"per_class": 7}, r"per_class=7: the class 'a' has only 6 training images; use at most 6"),
        ({"classes": ("a", "d")}, r"unknown class in classes 'd'.*valid: a, b, c"),
        ({"classes": (0, 3)}, r"there is no class 3; the 3 classes have the positions 0 to 2"),
        ({"classes": (0, -1)}, r"there is no class -1"),
        ({"classes": ("a", 0)}, r"classes=\('a', 0\): the class 'a' is given twice"),
    ],
)
def test_a_subset_that_does_not_exist_is_an_error(settings, message, folder):
    with pytest.raises(ValueError, match=message):
        open_data(folder, validation=0, **settings)


def test_a_set_without_images_of_the_classes_is_an_error():
    with pytest.raises(ValueError, match=r"the validation set has no images .*larger validation"):
        Subset(("b", "c")).choose("validation", np.array([0, 0]), ("a", "b", "c"))


def test_a_number_that_may_be_a_name_or_a_position_is_an_error():
    names = ("10", "2", "0")
    assert Subset(("2", "10")).kept(names) == [1, 0]
    assert Subset((1, 0)).kept(("5", "7")) == [1, 0]
    for number in (2, 10):
        with pytest.raises(ValueError, match=rf"{number} may be the class '{number}' or the pos"):
            Subset((number,)).kept(names)


def test_fields_of_a_subset_exclude_each_other_and_survive_json(tiny):
    with pytest.raises(ValueError, match=r"per_class=5: images=9 also sets .* only one of them"):
        replace(tiny, images=9, per_class=5)
    with pytest.raises(ValueError, match=r"classes=\('a',\): a classifier needs at least 2"):
        replace(tiny, classes=("a",))
    for wrong in ({"images": 0}, {"per_class": -1}, {"classes": (1.5, 2)}, {"classes": (True, 0)}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
            replace(tiny, **wrong)
    given = replace(tiny, classes=("cat", 3), images=9)
    assert from_json(json.loads(json.dumps(to_json(given)))) == given


def test_a_bad_image_of_a_subset_is_replaced_within_it(tmp_path):
    name = make_folder(tmp_path, count=8)
    data = open_data(name, validation=0, images=6)
    spoil(Path(data.train.describe(0)))
    again = open_data(name, validation=0, images=6, bad_images=1)
    assert again.train.count == 6
    assert counts(again.train) == {0: 3, 1: 3}


# Commands


def test_a_subset_is_trained_and_evaluated(train, tiny, tmp_path):
    color = replace(tiny, data="made_up:24x24x3:4:96")
    recipe = replace(color, classes=("3", "1"), images=32, epochs=1)
    finished = train(recipe, "finished")
    assert finished.classes == ("3", "1")
    about = json.loads((finished.path / "inference.json").read_text())
    assert about["classes"] == ["3", "1"]
    assert finished.recipe == recipe
    with pytest.raises(ValueError, match=r"contains another recipe .images=32 there, 33 now"):
        train(replace(recipe, images=33), "finished")

    data = open_for(recipe)
    for split, count in {"train": 32, "validation": 9, "test": 12}.items():
        found = recipes.evaluate(finished, split=split)
        assert (found["samples"], found["classes"]) == (count, ["3", "1"])
        part = data.open_test() if split == "test" else getattr(data, split)
        images = np.stack([e["image"] for e in rows(part.elements())])
        own = finished.model.predict(images, verbose=0).argmax(1)
        labels = [int(e["label"]) for e in rows(part.elements())]
        assert found["top1"] == pytest.approx(np.mean(own == labels))

    # Another data set: all images of these classes
    other = recipes.evaluate(finished, data="made_up:24x24x3:5:20", split="train")
    assert other["samples"] == 8
    photos = make_folder(tmp_path / "photos", ("",), ("1", "2", "3"), 4, size=(24, 24))
    found = recipes.evaluate(finished, data=photos)
    assert (found["samples"], found["classes"]) == (8, ["3", "1"])


@pytest.mark.full
def test_a_training_on_a_subset_resumes(train, train_one_epoch, tiny):
    recipe = replace(tiny, classes=(3, 1), per_class=16)
    train_one_epoch(recipe, "stopped")
    resumed, whole = train(recipe, "stopped"), train(recipe, "whole")
    assert resumed.metrics["loss"].tolist() == whole.metrics["loss"].tolist()


@pytest.mark.full
def test_runs_with_other_subsets_have_no_training_set_in_common(train, tiny):
    one = train(replace(tiny, images=32, epochs=1), "one")
    two = train(replace(tiny, images=48, epochs=1), "two")
    with pytest.raises(ValueError, match=r"different train sets.*`images` or `per_class`"):
        recipes.evaluate([one, two], split="train")
    assert recipes.evaluate([one, two], split="validation")["samples"] == 19
    permuted = [
        train(replace(tiny, epochs=1, classes=classes), f"of{classes[0]}")
        for classes in ((0, 1), (1, 0))
    ]
    assert recipes.evaluate(permuted, split="validation")["classes"] == ["0", "1"]


def test_a_subset_on_the_command_line(here):
    done = here("show", "digits/mlp", "--classes=3,5", "--per_class=20", "--batch_size=16")
    assert "classes=(3, 5)," in done.stdout
    assert "per_class=20," in done.stdout
    done = here("show", "digits/mlp", "--classes=cat,3")
    assert "classes=('cat', 3)," in done.stdout
    assert "classes=('3', 'no')," in here("show", "digits/mlp", "--classes=('3', 'no')").stdout
    done = here("train", "digits/mlp", "--images=100", "--batch_size=101")
    assert done.returncode != 0
    assert "batch_size=101: larger than the training set of 100 images" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_check_and_balanced_sampling_use_the_subset(tiny):
    from recipes.diagnostics import context

    few = replace(tiny, images=20, per_class=None, sampling="balanced", classes=(0, 3))
    data = context.opened(few).data
    assert (data.train.count, data.classes) == (20, ("0", "3"))
    with pytest.raises(ValueError, match="batch_size=21: larger than the training set of 20 imag"):
        context.opened(dataclasses.replace(few, batch_size=21))
