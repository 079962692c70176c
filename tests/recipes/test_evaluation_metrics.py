"""Metrics against scikit-learn, views against Pillow, mean probabilities against NumPy."""

import re

import keras
import numpy as np
import pytest
from sklearn import metrics as reference

import recipes
from recipes import Recipe
from recipes.augment import Flip, GaussianBlur, Mixup, PadCrop, Resize, ResizeShort, apply
from recipes.evaluation import metrics, predict, tta
from tests.recipes.cutting import picture, softmax, ten, with_pillow
from zoo.lazy import tensorflow as tf

LINEAR = Recipe(
    model="mlp", data="digits", options={"hidden": ()}, batch_size=64, epochs=1, lr=0.01,
    eval_ops=(), augment=(PadCrop(1),),
)  # fmt: skip


# Metrics


@pytest.mark.quick
def test_metrics_match_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 7, 300)
    logits = 3 * rng.normal(size=(300, 7)) + 3 * np.eye(7)[truth]
    found = metrics.compute_all(logits, np.eye(7)[truth], list("abcdefg"))
    p, everything = softmax(logits), list(range(7))
    assert found["samples"] == 300
    assert found["top1"] == reference.accuracy_score(truth, p.argmax(1))
    assert found["top5"] == reference.top_k_accuracy_score(truth, p, k=5, labels=everything)
    assert found["loss"] == pytest.approx(reference.log_loss(truth, p, labels=everything))
    counts = reference.confusion_matrix(truth, p.argmax(1), labels=everything)
    np.testing.assert_array_equal(found["confusion"], counts)
    recall = reference.recall_score(truth, p.argmax(1), average=None)
    np.testing.assert_allclose([c["accuracy"] for c in found["per_class"].values()], recall)
    assert list(found["per_class"]) == list("abcdefg")
    for kind, score in (("precision", reference.precision_score), ("f1", reference.f1_score)):
        expected = score(truth, p.argmax(1), average=None)
        np.testing.assert_allclose([c[kind] for c in found["per_class"].values()], expected)
    assert found["balanced_accuracy"] == reference.balanced_accuracy_score(truth, p.argmax(1))
    f1 = reference.f1_score(truth, p.argmax(1), average="macro")
    assert found["macro_f1"] == pytest.approx(f1)

    error = 0.0
    for i in range(15):  # Guo et al. 2017, equation 3, with bins (i/15, (i + 1)/15]
        rows = [k for k in range(300) if i / 15 < p[k].max() <= (i + 1) / 15]
        if rows:
            accuracy = np.mean([p[k].argmax() == truth[k] for k in rows])
            error += len(rows) / 300 * abs(accuracy - np.mean([p[k].max() for k in rows]))
            assert found["calibration"][i]["accuracy"] == pytest.approx(accuracy)
        assert found["calibration"][i]["images"] == len(rows)
    assert found["ece"] == pytest.approx(error)
    assert error > 0.01

    losses = -np.log(p[np.arange(300), truth])
    order = [k for k in np.argsort(-losses, kind="stable") if p[k].argmax() != truth[k]]
    assert len(order) > 24
    assert [one["place"] for one in found["worst"]] == order[:24]
    assert found["worst"][0]["true_probability"] == pytest.approx(np.exp(-losses.max()))
    assert found["worst"][0]["predicted"] == p[order[0]].argmax()


@pytest.mark.quick
def test_means_over_classes_skip_classes_that_do_not_occur():
    """Class b has no image but is predicted, c is never predicted, d does not occur at all."""
    truth, predicted = np.array([0, 0, 0, 2, 2, 4]), np.array([0, 1, 0, 0, 1, 4])
    found = metrics.compute_all(np.eye(5)[predicted], np.eye(5)[truth], list("abcde"))
    recall = reference.recall_score(truth, predicted, average="macro", labels=[0, 2, 4])
    assert found["balanced_accuracy"] == pytest.approx(recall)
    f1 = reference.f1_score(truth, predicted, average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(f1)
    one, two = found["per_class"]["b"], found["per_class"]["d"]
    assert (one["recall"], one["precision"], one["f1"]) == (None, 0.0, 0.0)
    assert (two["recall"], two["precision"], two["f1"]) == (None, None, None)


@pytest.mark.quick
def test_a_row_without_finite_scores_is_wrong_and_predicts_no_class():
    logits = np.array([[np.nan, 1.0], [3.0, 1.0], [0.0, np.inf], [0.0, 9.0]])
    found = metrics.compute_all(logits, np.eye(2)[[1, 0, 1, 1]], ["a", "b"])
    assert (found["top1"], found["not_finite"]) == (0.5, 2)
    assert found["confusion"] == [[1, 0], [0, 1]]
    assert found["per_class"]["b"] == {
        "images": 3, "right": 1, "accuracy": 1 / 3, "recall": 1 / 3, "precision": 1.0, "f1": 0.5
    }  # fmt: skip
    assert [one["place"] for one in found["worst"]] == [0, 2]
    assert found["worst"][0]["predicted"] is None
    none = metrics.compute_all(np.full((2, 2), np.nan), np.eye(2), ["a", "b"])
    assert none["top1"] == 0
    assert np.isnan(none["ece"])


@pytest.mark.quick
def test_the_mean_of_probabilities_does_not_underflow():
    rng = np.random.default_rng(1)
    several = [rng.normal(size=(20, 4)) * 5 for _ in range(3)]
    mean = np.mean([softmax(x) for x in several], axis=0)
    np.testing.assert_allclose(np.exp(metrics.mean_of_probabilities(several)), mean, rtol=1e-12)
    sure = metrics.mean_of_probabilities([np.array([[0.0, 3000.0]])] * 2)
    np.testing.assert_allclose(sure, [[-3000.0, 0.0]])


# Views


def cut(image, ops):
    seed = tf.constant([0, 0])
    return apply(ops, tf.constant(image), False, seed, image.shape).numpy()


@pytest.mark.quick
@pytest.mark.parametrize("shape", [(90, 60, 3), (50, 77, 3), (64, 64, 3)])
def test_ten_crops_match_pillow(shape):
    image = picture(*shape)
    recipe = recipes.replace(LINEAR, eval_ops="(ResizeShort(36), CenterCrop(32))")
    asked = tta.parse("10crop")
    found = cut(image, asked.ops_for(recipe, (32, 32), 0))
    short = min(shape[:2])  # 32 / 0.875 = 36.6
    whole = with_pillow(image, shape[0] * 37 // short, shape[1] * 37 // short)
    assert found.shape == (asked.count, 32, 32, 3)
    assert np.abs(found.astype(int) - ten(whole, 32)).max() <= 1


def test_crops_at_several_scales_match_pillow():
    image = picture(80, 60)
    asked = tta.parse("10crop:5scales")
    found = cut(image, asked.ops_for(LINEAR, (28, 28), 0))
    assert found.shape == (asked.count, 28, 28, 3) == (50, 28, 28, 3)
    for i, side in enumerate((28, 32, 48, 60, 80)):  # 224, 256, 384, 480, 640 eighths
        whole = with_pillow(image, 80 * side // 60, side)
        assert np.abs(found[10 * i : 10 * i + 10].astype(int) - ten(whole, 28)).max() <= 1
    two = tta.parse("10crop:32,48")
    np.testing.assert_array_equal(cut(image, two.ops_for(LINEAR, (28, 28), 0)), found[10:30])


def test_crops_keep_the_aspect_ratio_only_if_the_recipe_does():
    image = picture(40, 80)
    recipe = recipes.replace(LINEAR, eval_ops=(Resize((28, 28)), GaussianBlur()))
    found = cut(image, tta.parse("10crop").ops_for(recipe, (28, 28), 0))
    blurred = cut(image, (GaussianBlur(),))
    assert np.abs(found.astype(int) - ten(with_pillow(blurred, 32, 32), 28)).max() <= 1


def test_flip_and_augment_views_match_the_ops():
    image = picture(20, 20)
    recipe = recipes.replace(LINEAR, augment=(PadCrop(3), Flip()), eval_ops=(ResizeShort(16),))
    both = cut(image, tta.parse("flip").ops_for(recipe, (16, 16), 0))
    small = cut(image, (ResizeShort(16),))
    np.testing.assert_array_equal(both, [small, small[:, ::-1]])

    def seen(text, seed):
        return cut(image, tta.parse(text).ops_for(recipe, (20, 20), seed))

    eight = seen("augment:8", 0)
    np.testing.assert_array_equal(eight, seen("augment:8", 0))
    np.testing.assert_array_equal(eight[:3], seen("augment:3", 0))
    assert (eight != seen("augment:8", 1)).any()
    assert len({view.tobytes() for view in eight}) > 4
    padded = np.pad(image, ((3, 3), (3, 3), (0, 0)))
    possible = {
        part[:, ::way].tobytes()
        for y in range(7)
        for x in range(7)
        for part in [padded[y : y + 20, x : x + 20]]
        for way in (1, -1)
    }
    assert {view.tobytes() for view in eight} <= possible
    turned = seen("augment:40:Flip()", 0)
    assert {v.tobytes() for v in turned} == {small.tobytes(), small[:, ::-1].tobytes()}


def test_shifts_are_those_of_the_paper():
    image = picture(20, 16)
    padded = np.pad(image, ((3, 3), (3, 3), (0, 0)), "reflect")
    moved = [image, padded[6:, 6:], padded[:20, :16]]
    asked = tta.parse("shifts:3")
    expected = [view for each in moved for view in (each, each[:, ::-1])]
    np.testing.assert_array_equal(cut(image, asked.ops_for(LINEAR, (20, 16), 0)), expected)
    assert (asked.count, sum(asked.weights)) == (6, 1)
    one = tta.parse("shifts").ops_for(LINEAR, (20, 16), 0)
    assert one == tta.parse("shifts:1").ops_for(LINEAR, (20, 16), 0)


BAD_VIEWS = {
    "shifts:0": "unknown tta 'shifts:0'",
    "shifts:a": "unknown tta 'shifts:a'",
    "10crops": "unknown tta '10crops'; did you mean '10crop'?",
    "flipp": "did you mean 'flip'?",
    "augment:0": "N in augment:N must be a whole number of at least 1",
    "augment:x": "N in augment:N must be a whole number of at least 1",
    "augment:2:Flop()": "unknown op 'Flop'; did you mean 'Flip'?",
    "augment:2:()": "names no op",
    "augment:2:Mixup()": "Mixup(alpha=0.2, probability=1.0) does not transform single images",
    "augment:2:Resize(8)": "all deterministic, so every view would be identical",
    "augment:2:(Flip(1.0), CenterCrop(8), RandomErasing(0))": "these ops are all deterministic",
    "10crop:a": "unknown tta",
    "one;flip;flip": "tta='one;flip;flip': 3 entries for 2 runs; give one for all runs, or",
}


@pytest.mark.quick
@pytest.mark.parametrize("text", BAD_VIEWS)
def test_invalid_views_are_rejected(text):
    with pytest.raises(ValueError, match=re.escape(BAD_VIEWS[text])):
        tta.parse_all_of(text, 2)


@pytest.mark.quick
def test_views_that_cannot_be_computed_are_rejected():
    plain = recipes.replace(LINEAR, augment=())
    with pytest.raises(ValueError, match="has no random op for single images"):
        tta.parse("augment:4").ops_for(plain, (8, 8), 0)
    sized = recipes.replace(LINEAR, augment=(Resize(8), ResizeShort(8), Mixup()))
    with pytest.raises(ValueError, match=r"name a random op, such as augment:4:PadCrop"):
        tta.parse("augment:4").ops_for(sized, (8, 8), 0)
    mirrored = recipes.replace(LINEAR, augment=(Flip(1.0),))
    with pytest.raises(ValueError, match=r"name a random op, such as augment:4:PadCrop"):
        tta.parse("augment:4").ops_for(mirrored, (8, 8), 0)
    with pytest.raises(ValueError, match="a side of 6 pixels is too short for crops of 8x8"):
        tta.parse("10crop:6").ops_for(LINEAR, (8, 8), 0)
    message = "tta='shifts:8': an image of 8x9 cannot be moved by 8 pixels; use at most 7"
    with pytest.raises(ValueError, match=message):
        tta.parse("shifts:8").ops_for(LINEAR, (8, 9), 0)


@pytest.mark.quick
def test_views_and_masks_are_averaged_as_probabilities():
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(),
                              keras.layers.Dense(3, kernel_initializer="ones")])  # fmt: skip
    model.layers[-1].set_weights([np.arange(12.0).reshape(4, 3) * 9, np.zeros(3)])
    seen = np.random.default_rng(0).normal(size=(5, 4, 2, 2, 1)).astype(np.float32)
    mean = softmax(model.predict(seen.reshape(20, 2, 2, 1), verbose=0)).reshape(5, 4, 3).mean(1)
    for masks in (1, 3):
        found = predict.average_views(model, (4, 2, 2, 1), masks).predict(seen, verbose=0)
        assert found.dtype == np.float64
        np.testing.assert_allclose(np.exp(found), mean, rtol=1e-5, atol=1e-12)
    each = softmax(model.predict(seen.reshape(20, 2, 2, 1), verbose=0)).reshape(5, 4, 3)
    weights = (0.5, 0.25, 0.125, 0.125)
    mean = (each * np.array(weights)[:, None]).sum(1)
    for masks in (1, 2):
        averaged = predict.average_views(model, (4, 2, 2, 1), masks, weights)
        found = averaged.predict(seen, verbose=0)
        np.testing.assert_allclose(np.exp(found), mean, rtol=1e-5, atol=1e-12)
