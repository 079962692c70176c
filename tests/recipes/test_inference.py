"""Prediction uses the pixels of evaluation, for all ops in any order and for the files of a run."""

import dataclasses
import itertools
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

import recipes
import zoo
from recipes import Recipe, augment
from recipes.augment import CenterCrop, Grayscale, Invert, Mixup, Resize, ResizeShort
from recipes.evaluation import inference, runs, tta
from zoo import geometry, old_runs
from zoo.__main__ import main as zoo_main
from zoo.image_reading import read_image
from zoo.inference import Network

SIZES = [(9, 14), (40, 31), (64, 64), (57, 120)]
SIZED = (
    Resize(24),
    Resize((31, 18), "bicubic"),
    Resize((16, 50), "bilinear", antialias=False),
    Resize(20, "area"),
    Resize((45, 21), "nearest"),
    Resize(27, "lanczos3"),
    Resize((29, 23), "bicubic", antialias=False),
    ResizeShort(21),
    ResizeShort(50),
    CenterCrop(19),
    CenterCrop((12, 33)),
    Grayscale(1.0),
)


def picture(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(height * width)
    return rng.integers(0, 256, (height, width, 3), dtype="uint8")


def by_tensorflow(ops: tuple, image: np.ndarray) -> np.ndarray:
    seed = tf.constant([0, 3])
    return augment.apply(ops, tf.constant(image), False, seed, image.shape).numpy()


def same_pixels(found: np.ndarray, expected: np.ndarray, message: object) -> None:
    """Compare pixels, except 8-bit values next to a half, which may be rounded to either side.

    A later op may sum several such values, or resize pixels that differ by one.
    """
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape, message
    away = np.abs(found.astype(int) - expected)
    assert away.max(initial=0) <= 2, message
    assert away.mean() < 0.01, message


def test_all_ops_in_every_order_give_the_pixels_of_evaluation():
    orders = [(), *((op,) for op in SIZED), *itertools.permutations(SIZED, 2)]
    orders += [(Grayscale(1.0), *both) for both in itertools.permutations(SIZED[:-1], 2)][::3]
    for (number, ops), size in zip(enumerate(orders), itertools.cycle(SIZES), strict=False):
        shown, beyond = inference.geometry_of(ops)
        assert (shown is not None, beyond) == (True, "")
        written = geometry.from_json(json.loads(json.dumps(shown.to_json())))
        assert written == shown == old_runs.geometry(map(repr, ops))
        image = picture(*size)
        same_pixels(written(image), by_tensorflow(ops, image), (number, ops, size))


@pytest.mark.quick
@pytest.mark.parametrize("name", sorted(augment.OPS))
def test_each_op_is_described_as_geometry_or_named(name):
    cls = augment.OPS[name]
    required = {"size": 16, "transforms": 1}
    fields = [f for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING]
    op = cls(**{field.name: required[field.name] for field in fields})
    described, beyond = inference.geometry_of((ResizeShort(20), op))
    if not callable(op):  # of batches, which evaluation does not run
        assert described == geometry.Geometry((geometry.ResizeShort(20),))
    elif isinstance(op, (Resize, ResizeShort, CenterCrop)):
        assert len(described.steps) == 2
    else:
        assert (described, beyond) == (None, repr(op))
        with pytest.raises(old_runs.BeyondGeometry) as raised:
            old_runs.geometry([repr(op)])
        assert str(raised.value) == repr(op)


@pytest.mark.quick
def test_ops_without_effect_are_omitted():
    ops = (Invert(0.0), Resize(9), Mixup())
    expected = geometry.Geometry((geometry.Resize(9, 9),))
    assert inference.geometry_of(ops) == (expected, "")
    assert old_runs.geometry(map(repr, ops[:2])) == expected
    for text in ("Resize", "Resize(9", "Resize(9)", "Resize(size=9, by=2)", "CenterCrop(size='a')"):
        with pytest.raises(old_runs.BeyondGeometry):
            old_runs.geometry([text])


@pytest.mark.quick
@pytest.mark.parametrize("size", [(32, 32), (20, 33)])
@pytest.mark.parametrize(
    "ops",
    [
        (ResizeShort(40), CenterCrop(32)),
        (Resize(32, "bicubic"),),
        (CenterCrop(32),),
        (Grayscale(1.0), Resize((24, 24), "area")),
        (),
    ],
)
def test_ten_crops_equal_those_of_evaluation(ops, size):
    recipe = recipes.replace(Recipe(model="toy_mlp", data="digits"), eval_ops=ops)
    asked = tta.parse("10crop")
    shown, _ = inference.geometry_of(ops)
    for image in (picture(90, 61), picture(18, 40), picture(37, 37)):
        found, _ = Network("x", None, (), size, shown).views(image, tta=True)
        expected = by_tensorflow(asked.ops_for(recipe, size, 0), image)
        same_pixels(found.astype("uint8"), expected, image.shape)


# A run, and the same files evaluated and predicted

COLORS = {"blue": (40, 60, 200), "red": (200, 60, 40)}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Images whose center has the color of their class, and whose border has the other color."""
    root = tmp_path_factory.mktemp("middle")
    rng = np.random.default_rng(0)
    for split, count in (("train", 16), ("test", 10)):
        for name, other in zip(COLORS, reversed(COLORS), strict=True):
            (root / "data" / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = np.empty((61 + i, 70, 3))
                pixels[:] = COLORS[other]
                top, left = (len(pixels) - 24) // 2, 23
                pixels[top : top + 24, left : left + 24] = COLORS[name]
                pixels += rng.integers(-40, 40, pixels.shape)
                whole = Image.fromarray(pixels.clip(0, 255).astype("uint8"))
                file = root / "data" / split / name / f"{i}.{'jpg' if i % 3 else 'png'}"
                exif = Image.Exif()
                exif[0x0112] = 6 if i % 3 == 2 else 1  # stored rotated
                whole.save(file, exif=exif)
    return root


@pytest.fixture(scope="module")
def trained(place):
    def trained(name: str, eval_ops: str):
        recipe = Recipe(
            model="toy_mlp", options={"hidden": ()}, data=f"folder:{place / 'data'}",
            preprocess="scale",
        )  # fmt: skip
        return recipes.train(
            recipe, run=place / name, verbose=False, augment=eval_ops, eval_ops=eval_ops,
            batch_size=8, epochs=2, lr=1e-4, validation=0,
        )  # fmt: skip

    return trained


def truth(files) -> list[str]:
    return [file.split("/")[-2] for file in files]


def probabilities(run, shown: str) -> np.ndarray:
    """Return the probabilities that evaluation computes for each image."""
    data, part = runs.open_split([run], "test", None)
    scores, _ = runs.predict_member(run, run.model, data, part, tta.parse(shown))
    return tf.nn.softmax(scores.astype("float64")).numpy()


def test_predict_and_evaluate_agree_on_the_same_files(place, trained, capsys):
    run = trained("run", "(CenterCrop(24),)")
    evaluated = recipes.evaluate(run)
    assert evaluated["top1"] == 1
    for more, shown in (([], "one"), (["--tta"], "10crop")):
        expected = probabilities(run, shown)
        assert zoo_main(["predict", str(run.path), str(place / "data/test"), "--json", *more]) == 0
        found = json.loads(capsys.readouterr().out)["images"]
        best = [each["predictions"][0] for each in found]
        if shown == "one":
            assert [each["name"] for each in best] == truth(each["file"] for each in found)
        np.testing.assert_allclose(
            [each["probability"] for each in best], expected.max(-1), rtol=1e-4
        )
        again = recipes.open(run.path).predict(place / "data/test", tta=bool(more))
        np.testing.assert_allclose(again[["blue", "red"]], expected, rtol=1e-4)
    arrays = [read_image(file) for file in again["file"]]
    np.testing.assert_array_equal(run.predict(arrays)["class"], truth(again["file"]))
    other = zoo.predict(run.path / "model.keras", str(place / "data/test/*/*.*"))
    pd.testing.assert_frame_equal(other, run.predict(place / "data/test"))

    # The same run from before there was an inference.json
    old = shutil.copytree(run.path, place / "old")
    (old / "inference.json").unlink()
    result = json.loads((old / "result.json").read_text())
    del result["sha256"]
    (old / "result.json").write_text(json.dumps(result))
    pd.testing.assert_frame_equal(zoo.predict(old, place / "data/test"), other)


def test_runs_with_other_ops_than_geometry_are_predicted_only_by_recipes(place, trained, capsys):
    run = trained("beyond", "(Invert(1.0), CenterCrop(24))")
    about = json.loads((run.path / "inference.json").read_text())
    assert (about["geometry"], about["beyond"]) == (None, "Invert(probability=1.0)")
    for command in (
        ["predict", run.path, place / "data/test"],
        ["neighbours", run.path, place / "data/test", "--query", place / "data/test/red/0.png"],
    ):
        assert zoo_main([*map(str, command)]) == 2
        done = capsys.readouterr()
        assert (
            "eval_ops contain Invert(probability=1.0), but zoo only resizes and crops" in done.err
        )
        assert "recipes.open(RUN).predict(images)" in done.err
        assert done.out == ""
    with pytest.raises(ValueError, match="eval_ops contain Invert"):
        zoo.predict(run.path, place / "data/test")
    for ten, shown in ((False, "one"), (True, "10crop")):
        table = run.predict(place / "data/test", tta=ten)
        np.testing.assert_allclose(table[["blue", "red"]], probabilities(run, shown), rtol=1e-4)


def test_an_unfinished_run_does_not_predict(tmp_path):
    run = recipes.Run(tmp_path)
    with pytest.raises(ValueError, match=r"model\.keras is missing"):
        run.predict(picture(9, 9))


def test_a_network_of_any_input_size_predicts_images_of_evaluation(place):
    recipe = Recipe(
        model="toy_vgg", data=f"folder:{place / 'data'}", options={"input_shape": (None, None, 3)},
        batch_size=8, epochs=1, validation=0,
    )  # fmt: skip
    ops = "(Resize((40, 36)), Grayscale(1.0))"
    run = recipes.train(recipe, run=place / "any", verbose=False, augment=ops, eval_ops=ops)
    assert run.model.input_shape == (None, None, None, 3)
    assert json.loads((run.path / "inference.json").read_text())["input"] == [40, 36, 3]
    table = run.predict(place / "data/test")
    np.testing.assert_allclose(table[["blue", "red"]], probabilities(run, "one"), rtol=1e-4)
