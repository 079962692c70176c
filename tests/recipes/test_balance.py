"""Class weights and balanced sampling, against scikit-learn, torch's definition and counts."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.utils.class_weight import compute_class_weight

import recipes
from recipes import Recipe, optimize
from recipes.augment import Mixup, RepeatedAugmentation
from recipes.data import balance
from recipes.data.batches import open_for, training_batches
from recipes.data.parts import range_of_part
from recipes.data.types import in_memory
from recipes.training import outcome
from zoo.lazy import tensorflow as tf

LABELS = np.random.default_rng(0).permutation([0] * 50 + [2] * 7 + [3])  # none of class 1


@pytest.fixture
def split():
    pixels = np.arange(58, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
    return in_memory(pixels, LABELS, name="train", describe=str, fingerprint="unequal")


def streamed(split):
    """Return the split as TFDS reads a large data set: records in order, without random access."""

    def order(seed, part=(0, 1)):
        start, end = range_of_part(split.count, part)
        own = split.order(seed).filter(lambda index: start <= index and index < end)
        return own.map(lambda index: (index, tf.strings.as_string(index)))

    return dataclasses.replace(
        split, order=order, lookup=lambda index, _: split.lookup(index), order_of_part=order
    )


@pytest.mark.quick
def test_balanced_weights_equal_scikit_learns(split):
    found = balance.class_weights("balanced", list("abcd"), split)
    expected = compute_class_weight("balanced", classes=np.unique(LABELS), y=LABELS)
    np.testing.assert_allclose(found[[0, 2, 3]], expected)
    assert found[LABELS].mean() == pytest.approx(1)
    np.testing.assert_array_equal(
        balance.class_weights({"c": 3.0}, list("abcd"), split), [1, 1, 3, 1]
    )
    for given, message in (
        ({"e": 1.0}, "unknown class in class_weight 'e'"),
        ((1.0, 2.0), "2 weights for 4 classes"),
    ):
        with pytest.raises(ValueError, match=message):
            balance.class_weights(given, list("abcd"), split)


@pytest.mark.quick
@pytest.mark.parametrize("kind", [lambda split: split, streamed], ids=["indexed", "streamed"])
def test_each_class_is_sampled_equally_often(kind, split):
    even = balance.balanced(kind(split))

    def drawn(*seed):
        items = [*even.order(tf.constant(seed)).as_numpy_iterator()]
        assert len({item[:2] for item in items}) == 58  # each repetition once
        return np.array([item[1] for item in items]), np.array([item[0] for item in items])

    epochs = [drawn(3, epoch) for epoch in range(3)]
    for indices, draws in epochs:
        counts = np.bincount(LABELS[indices], minlength=4)
        assert sorted(counts) == [0, 19, 19, 20]
        assert counts[1] == 0
        shown = np.bincount(indices, minlength=58)
        for label in (0, 2, 3):
            assert np.ptp(shown[label == LABELS]) <= 1
        assert draws.max() + 1 == shown.max()
        # In random order, so the repetitions of the only image of class 3 are spread out.
        assert np.mean(np.diff(np.flatnonzero(LABELS[indices] == 3)) > 1) > 0.3
    assert not np.array_equal(epochs[0][0], epochs[1][0])
    assert {*epochs[0][0]} != {*epochs[1][0]}
    for found, once_more in zip(drawn(3, 1), epochs[1], strict=True):
        np.testing.assert_array_equal(found, once_more)
    assert not np.array_equal(drawn(4, 1)[0], epochs[1][0])
    # Evaluation and statistics use each image once, in a fixed order.
    assert [int(e["index"]) for e in even.elements()] == [*range(58)]


@pytest.mark.quick
@pytest.mark.parametrize("ops", [(), (RepeatedAugmentation(2),)], ids=["once", "repeated"])
def test_a_resumed_run_continues_the_same_order(ops, split):
    settings = {"classes": 4, "batch": 8, "ops": ops, "seed": 1, "epochs": 3}
    even = balance.balanced(split)
    whole, steps = training_batches(even, first_epoch=0, **settings)
    late, _ = training_batches(even, first_epoch=2, **settings)
    whole = [*itertools.islice(whole.as_numpy_iterator(), 2 * steps, None)]
    late = [*late.as_numpy_iterator()]
    assert len(late) == len(whole) == steps == 7
    for one, other in zip(whole, late, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.quick
def test_repetitions_of_an_image_are_augmented_differently(split):
    from recipes.augment import Flip, PadCrop, Rotate

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (58, 8, 8, 1)).astype(np.uint8)
    noisy = in_memory(noise, LABELS, name="train", describe=str, fingerprint="noise")
    batches, _ = training_batches(
        balance.balanced(noisy), classes=4, batch=58, ops=(PadCrop(3), Flip(), Rotate(30)), seed=0,
        first_epoch=0, epochs=1,
    )  # fmt: skip
    images, labels = next(batches.as_numpy_iterator())
    rare = images[labels[:, 3] == 1]
    assert len(rare) >= 19
    assert len(np.unique(rare, axis=0)) > 15


def by_hand(logits, labels, weights, loss, smoothing):
    """Return the sum of weight * loss over the batch, divided by its size, with NumPy."""
    k = logits.shape[1]
    smooth = (1 - smoothing) * labels + smoothing / k
    if loss == "softmax":
        each = -(smooth * (logits - np.log(np.exp(logits).sum(1, keepdims=True)))).sum(1)
    else:
        p = 1 / (1 + np.exp(-logits))
        each = -(smooth * np.log(p) + (1 - smooth) * np.log(1 - p)).mean(1)
    return np.mean((labels @ weights) * each)


@pytest.mark.quick
@pytest.mark.parametrize("loss", ["softmax", "bce"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_class_weights_apply_to_the_training_loss_only(loss, accumulate):
    """With soft labels and label smoothing, in whole batches and with accumulate."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 3)).astype("float32")
    kernel = rng.normal(size=(3, 4)).astype("float32")
    labels = rng.dirichlet(np.ones(4) / 3, 8).astype("float32")
    weights = np.array([0.5, 1, 2, 4], np.float32)
    recipe = Recipe(model="mlp", data="digits", loss=loss, label_smoothing=0.1, batch_size=8,
                    accumulate=accumulate, class_weight=tuple(weights.tolist()))  # fmt: skip
    inputs = keras.Input((3,))
    layer = keras.layers.Dense(4, use_bias=False)
    model = optimize.training_model(recipe, keras.Model(inputs, layer(inputs)))
    layer.kernel.assign(kernel)
    model.compile(keras.optimizers.SGD(1.0), optimize.loss(recipe))
    batches = tf.data.Dataset.from_tensors((x, labels))
    plain = model.evaluate(batches, verbose=0)
    assert plain == pytest.approx(by_hand(x @ kernel, labels, np.ones(4), loss, 0.1), rel=1e-5)
    history = model.fit(balance.weighted(batches, weights), verbose=0)
    expected = by_hand(x @ kernel, labels, weights, loss, 0.1)
    assert history.history["loss"][0] == pytest.approx(expected, rel=1e-5)
    # The step follows the gradient of this loss, which finite differences give.
    change = rng.normal(size=kernel.shape) * 1e-3
    slope = (
        by_hand(x @ (kernel + change), labels, weights, loss, 0.1)
        - by_hand(x @ (kernel - change), labels, weights, loss, 0.1)
    ) / 2
    step = kernel - np.asarray(layer.kernel)
    assert np.sum(step * change) == pytest.approx(slope, rel=1e-2)


REPLICAS = """
import sys
import numpy as np
import recipes
from recipes import Recipe
from recipes.augment import Mixup
# Of the three validation images one replica has two, the other one.
recipe = Recipe(model="mlp", data="made_up:6x6x1:3:32", options={"hidden": (5,)}, batch_size=8,
                epochs=2, lr=0.1, augment=(Mixup(0.4),), class_weight={"1": 5.0}, accumulate=2,
                stats_every=0)
runs = [recipes.train(recipe, run=f"{sys.argv[1]}/{name.replace(':', '')}", strategy=name,
                      verbose=False, test=False) for name in ("mirrored:2", "one")]
columns = ["loss", "val_loss", "val_accuracy"]
np.testing.assert_allclose(*(run.metrics[columns] for run in runs), rtol=1e-4)
"""


@pytest.mark.full  # test_replicas.py has class weights
def test_class_weights_have_the_same_effect_on_two_replicas(tmp_path, python):
    python(REPLICAS.replace("sys.argv[1]", repr(str(tmp_path))), CUDA_VISIBLE_DEVICES="-1")


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """A folder of three digits, one of which has only 18 of the 228 training images."""
    root, digits = tmp_path_factory.mktemp("rare"), load_digits()
    for name, digit, count in (("eight", 8, 18), ("one", 1, 105), ("three", 3, 105)):
        pixels = (digits.images[digits.target == digit] * 15.9).astype(np.uint8)
        for part, numbers in (("train", range(count)), ("test", range(count, count + 30))):
            folder = root / part / name
            folder.mkdir(parents=True)
            for i in numbers:
                Image.fromarray(pixels[i]).save(folder / f"{i}.png")
    return f"folder:{root}"


def test_a_rare_class_is_reported_and_its_recall_rises(rare, tmp_path, here):
    base = Recipe(
        model="mlp", data=rare, options={"hidden": ()}, batch_size=16, epochs=3, lr=0.001,
        validation=0.1, stats_every=0, augment=(Mixup(0.1),),
    )  # fmt: skip
    (tmp_path / "rare.py").write_text(recipes.source(base))
    found = {}
    for name, flags in (
        ("plain", ()),
        ("weighted", ("--class_weight=balanced",)),
        ("sampled", ("--sampling=balanced",)),
    ):
        done = here("train", "rare.py", f"--run={name}", *flags)
        assert done.returncode == 0, done.stderr
        result = recipes.open(tmp_path / name).result
        found[name] = result["recall"]["eight"]
        assert result["balanced_accuracy"] == pytest.approx(np.mean([*result["recall"].values()]))
        told = "class 'eight' (16 of 206 training images) has recall 0.00; consider"
        assert (told in done.stdout) == (name == "plain")
        assert ("class weights: from 0.7" in done.stdout) == (name == "weighted")
    assert found["plain"] == 0
    assert found["weighted"] > 0.3
    assert found["sampled"] > 0.3
    evaluated = here("evaluate", "weighted").stdout
    result = recipes.open(tmp_path / "weighted").result
    for name in ("balanced_accuracy", "macro_f1"):
        assert f"{name:<19}{result[name]:.4f}" in evaluated


@pytest.mark.quick
def test_wrong_class_weights_are_errors_and_write_nothing(rare, train, tmp_path):
    recipe = Recipe(model="mlp", data=rare, batch_size=16, epochs=1, class_weight={"eigth": 2.0})
    with pytest.raises(ValueError, match="'eigth'; did you mean 'eight'"):
        train(recipe)
    assert not (tmp_path / "run").exists()


@pytest.mark.quick
def test_the_labels_of_a_folder_are_found_without_reading_images(rare):
    data = open_for(Recipe(model="mlp", data=rare, sampling="balanced"))
    counts = np.bincount(balance.labels_of(data.train))
    assert counts.tolist() == [16, 95, 95]


@pytest.mark.quick
def test_names_that_are_not_utf8_are_printed_once_escaped(rare, capsys):
    data = open_for(Recipe(model="mlp", data=rare))
    data = dataclasses.replace(data, classes=("caf\udce9", "one", "two"))
    result = {"recall": [0.0, 0.5, 0.0], "images": [4, 4, 4]}
    told = [*outcome.missed_classes(result, data, Recipe(model="mlp", data=rare))]
    words = "class 'caf\\xe9' (16 of 206 training images) has recall 0.00; consider"
    assert told[0].startswith(words)
    assert told[1].endswith("has recall 0.00")  # no rare class: weights would not help
