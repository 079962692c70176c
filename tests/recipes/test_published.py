"""Evaluation of networks that are given by name, with pretrained weights, on ImageNet's classes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import recipes
import zoo
from recipes import Recipe
from recipes.augment import Resize, apply
from recipes.evaluation import published, tta
from tests.recipes.cutting import picture
from zoo import geometry, imagenet_names, terminal
from zoo.inference import Network
from zoo.lazy import tensorflow as tf

NAME = "mobilenet_v3_small"
# How folders are named, the class that is meant, and the sizes of their images
FOLDERS = {
    "n01440764": (0, [(300, 224), (224, 224)]),
    "Tiger_Shark": (3, [(90, 333), (256, 500)]),
    "281": (281, [(700, 310), (61, 40), (250, 260)]),
    "n02085620-Chihuahua": (151, [(480, 360)]),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Weights with large differences between logits, and photographs of many kinds and sizes."""
    root = tmp_path_factory.mktemp("published")
    model = zoo.build(NAME, seed=1)
    kernel = model.get_layer("head_dense").kernel
    for factor, file in ((50, "one.weights.h5"), (-1, "two.weights.h5")):
        kernel.assign(factor * kernel.value)
        model.save_weights(root / file)
    zoo.new_head(model, classes=10).save_weights(root / "ten.weights.h5")
    for folder, (_, sizes) in FOLDERS.items():
        (root / "photos" / folder).mkdir(parents=True)
        for i, (height, width) in enumerate(sizes):
            image = Image.fromarray(picture(height, width))
            exif = Image.Exif()
            exif[0x0112] = 1 if i else 6  # the first is stored turned
            image.save(root / "photos" / folder / f"{i}.{'png' if i else 'jpg'}", exif=exif)
    Image.fromarray(picture(250, 260)[..., 0]).save(root / "photos" / "281" / "gray.jpg")
    (root / "photos" / "cow").mkdir()
    Image.fromarray(picture(50, 60)).save(root / "photos" / "cow" / "1.png")
    return root


@pytest.fixture(autouse=True)
def inside(place, monkeypatch):
    """Run each test in the folder `place`, so that weights and photos have short names."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(place / "cache"))
    terminal.print_once.cache_clear()


def predicted(weights="one.weights.h5", **settings):
    """The files, their classes, and the probabilities that `zoo.predict` gives them."""
    # In the order of the classes
    folders = sorted(FOLDERS, key=lambda folder: FOLDERS[folder][0])
    files = [str(path) for folder in folders for path in sorted(Path("photos", folder).iterdir())]
    table = zoo.predict(NAME, files, weights=weights, preprocess="imagenet", **settings)
    truth = [FOLDERS[file.split("/")[1]][0] for file in files]
    return files, np.array(truth), table.iloc[:, 3:].to_numpy(float)


def check(result, files, truth, p):
    """Compare an evaluation with the probabilities of all images."""
    own = p[np.arange(len(truth)), truth]
    ranks = (p > own[:, None]).sum(1)
    assert result["samples"] == len(truth) == 9
    assert result["top1"] == np.mean(ranks == 0)
    assert result["top5"] == np.mean(ranks < 5)
    assert result["loss"] == pytest.approx(-np.log(own).mean(), rel=1e-4)
    wrong = [i for i in np.argsort(own) if ranks[i]]
    assert [one["image"] for one in result["worst"]] == [files[i] for i in wrong]
    assert [one["predicted"] for one in result["worst"]] == p[wrong].argmax(1).tolist()
    for key, expected in (("probability", p[wrong].max(1)), ("true_probability", own[wrong])):
        assert [one[key] for one in result["worst"]] == pytest.approx(expected, rel=2e-4)
    confidence = p.max(1)
    assert sum(b["images"] * b.get("confidence", 0) for b in result["calibration"]) == (
        pytest.approx(confidence.sum(), rel=1e-4)
    )
    names = imagenet_names.unique_names()
    counts = {names[n]: int((truth == n).sum()) for n in truth}
    seen = {name: row["images"] for name, row in result["per_class"].items() if row["images"]}
    assert seen == counts


def test_evaluation_gives_the_probabilities_of_predict(place, here):
    files, truth, p = predicted()
    done = here(  # `here` changes to an empty folder
        "evaluate", NAME, f"--weights={place}/one.weights.h5", "--preprocess=imagenet",
        f"--data=folder:{place}/photos",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "left out 1 unknown name (cow)" in done.stderr
    to = f"runs/{NAME}/evaluation"
    assert f"pictures and evaluation.json: {to}" in done.stdout
    assert {p.name for p in Path(to).iterdir()} == {
        "calibration.png", "confusion.png", "evaluation.json", "worst.png",
    }  # fmt: skip
    result = json.loads(Path(to, "evaluation.json").read_text())
    check(result, [f"{place}/{file}" for file in files], truth, p)
    (member,) = result["members"]
    assert (member["run"], member["model"], member["input"]) == (None, NAME, [224, 224, 3])
    assert member["weights"] == f"{place}/one.weights.h5"


@pytest.mark.full  # slow
def test_an_ensemble_mixes_networks_views_and_runs():
    recipe = Recipe(
        model="mlp", options={"hidden": ()}, data="made_up:9x9x3:1000:8", batch_size=8, epochs=1,
        lr=0.1, eval_ops=(Resize(9),), augment=(), stats_every=0,
    )  # fmt: skip
    run = recipes.train(recipe, run="run", verbose=False, test=False)
    files, truth, crops = predicted(tta=True)
    _, _, plain = predicted("two.weights.h5")
    third = run.predict(files).iloc[:, 3:].to_numpy(float)
    result = recipes.evaluate(
        [NAME, NAME, run], data="folder:photos", weights="one.weights.h5; two.weights.h5",
        preprocess="imagenet", tta="10crop; one; one",
    )  # fmt: skip
    check(result, files, truth, (crops + plain + third) / 3)
    for row, p in zip(result["members"], (crops, plain, third), strict=True):
        own = p[np.arange(len(truth)), truth]
        assert row["loss"] == pytest.approx(-np.log(own).mean(), rel=1e-4)
    assert [row["view_count"] for row in result["members"]] == [10, 1, 1]
    assert [row["run"] for row in result["members"]] == [None, None, "run"]


@pytest.fixture(scope="module")
def small(place):
    """A run on 4 classes."""
    recipe = Recipe(
        model="mlp", options={"hidden": ()}, data="made_up:9x9x3:4:8", batch_size=8, epochs=1,
        lr=0.1, stats_every=0,
    )  # fmt: skip
    return recipes.train(recipe, run=place / "small", verbose=False, test=False)


@pytest.mark.quick
def test_views_follow_the_geometry_of_the_network():
    """The views that `zoo.predict` does not have, computed with Pillow."""
    network = Network("x", None, (), (20, 28), geometry.of_source((20, 28), 0.8, "bicubic"))
    image = picture(61, 90)

    def views(text):
        ops = published.ops_for(network, tta.parse(text), 3)
        return apply(ops, tf.constant(image), False, tf.constant([0, 7]), image.shape).numpy()

    def covering(height, width):
        factor = max(height / 61, width / 90)
        size = (max(width, int(90 * height / 61)), max(height, int(61 * width / 90)))
        assert abs(size[0] - 90 * factor) < 1
        return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))

    whole = covering(25, 35)
    top, left = round((len(whole) - 20) / 2), round((whole.shape[1] - 28) / 2)
    (center,) = network.views(image)[0]
    np.testing.assert_array_equal(center, whole[top : top + 20, left : left + 28])
    np.testing.assert_array_equal(views("one"), center)
    np.testing.assert_array_equal(views("flip"), [center, center[:, ::-1]])
    crops = views("10crop:24,40")
    assert crops.shape == (20, 20, 28, 3)
    for ten, side in ((crops[:10], 24), (crops[10:], 40)):
        large = covering(side, round(28 * side / 20))
        np.testing.assert_array_equal(ten[1], large[:20, :28])
        np.testing.assert_array_equal(ten[4], large[-20:, -28:])
        np.testing.assert_array_equal(ten[9], ten[4][:, ::-1])
    jittered = views("augment:3:ColorJitter(0.5)")
    assert jittered.shape == (3, 20, 28, 3)
    assert len({view.tobytes() for view in jittered}) == 3
    np.testing.assert_array_equal(jittered, views("augment:3:ColorJitter(0.5)"))
    with pytest.raises(ValueError, match="too short for crops of 20x28"):
        views("10crop:19")


WEIGHTS = "--weights=PLACE/one.weights.h5"
DATA = "--data=folder:PLACE/photos"
BAD = {
    f"{NAME} {DATA}": f"run `recipes evaluate {NAME} --weights=imagenet --data=folder:PATH`",
    f"airbench94 {DATA}": "run `recipes evaluate airbench94 --weights=FILE --data=folder:PATH`",
    f"{NAME} {WEIGHTS}": "has no data set of its own; name one, such as --data=folder:PATH",
    f"{NAME[:-1]} {WEIGHTS} {DATA}": f"no network has this name; did you mean '{NAME}'?",
    f"resnet20 {WEIGHTS} {DATA}": "resnet20 has 10 outputs with them; only weights for ImageNet's",
    f"{NAME} --weights=imagenot {DATA}": "did you mean 'imagenet'?",
    f"{NAME} --weights=no.h5 {DATA}": "there is no such file",
    f"{NAME} {WEIGHTS} --preprocess=imagenot {DATA}": "did you mean 'imagenet'?",
    f"{NAME} {WEIGHTS} --data=folder:PLACE/nothing": "there is no folder",
    f"{NAME} {WEIGHTS} {DATA} --average=soup": "averages the weights of runs, but",
    f"{NAME} {NAME} {WEIGHTS};b;c {DATA}": "3 weights for 2 networks; give one for all, or one",
    f"{NAME} PLACE/small {WEIGHTS} {DATA}": "small: has 4 classes, and mobilenet_v3_small ImageNet",
    f"PLACE/small --weights=imagenet {DATA}": "only applies to networks that are given by name",
    f"PLACE/small --preprocess=imagenet {DATA}": "only applies to networks that are given by name",
}
LATE = {
    f"{NAME} --weights=PLACE/ten.weights.h5 {DATA}": "has no classifier for the 1000 classes",
    f"{NAME} {WEIGHTS} --data=digits": "has classes that are not ImageNet's: 10 unknown names",
    f"{NAME} {WEIGHTS} {DATA} --split=train": "is one folder of classes without splits",
    f"{NAME} {WEIGHTS} {DATA} --tta=augment:3": "name the ops, such as augment:3:PadCrop(2)",
    f"{NAME} {WEIGHTS} --data=folder:PLACE/photos/cow": "is named after a class of ImageNet",
    f"{NAME} {WEIGHTS} --data=folder:PLACE/strips": "its 1x9000 pixels would be resized to",
}


@pytest.mark.parametrize("line", [*BAD, *LATE])
def test_an_evaluation_that_is_impossible_is_a_one_line_error(line, place, small, here, tmp_path):
    strip = place / "strips" / "tench" / "1.png"
    strip.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(1, 9000)).save(strip)
    done = here("evaluate", *line.replace("PLACE", str(place)).split())
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith("evaluate: ")
    assert (BAD | LATE)[line] in last
    assert line in LATE or done.stderr.count("\n") == 1, done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []
