"""Features: the outputs of the frozen layers are computed once, and the result is the same."""

import numpy as np
import pytest

import recipes
import zoo
from recipes.data.batches import open_for
from recipes.training import features as features_of
from recipes.training.network import build_network

# A network with dropout in front of its classifier and in its blocks
FIELDS = {
    "model": "toy_efficientnet",
    "data": "made_up:32x32x3:4:48",
    "drop_path": 0.4,
    "dropout": 0.2,
    "freeze": "features",
    "epochs": 3,
    "lr": 0.05,
    "stats_every": 0,
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/features"


def weights_of(run):
    return {w.path: w.numpy() for w in run.model.weights}


def assert_same(run, other):
    """The weights, the metrics of each epoch and the test metrics are equal."""
    one, two = weights_of(run), weights_of(other)
    assert one.keys() == two.keys()
    for name, value in one.items():
        np.testing.assert_allclose(value, two[name], atol=1e-4, err_msg=name)
    for name in ("loss", "accuracy", "val_loss", "val_accuracy", "lr"):
        np.testing.assert_allclose(run.metrics[name], other.metrics[name], atol=1e-4)
    assert run.result["top1"] == other.result["top1"]
    assert run.result["loss"] == pytest.approx(other.result["loss"], abs=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"freeze": "stage1", "accumulate": 2, "average": "ema:0.9", "class_weight": "balanced",
             "augment": "(Resize(40), CenterCrop(32))", "eval_ops": "(CenterCrop(32),)"},
            marks=pytest.mark.full,
        ),
        {},
        pytest.param(
            {"freeze": "stage1", "options": {"recompute": True}, "dtype": "mixed_bfloat16"},
            marks=pytest.mark.full,
        ),
        pytest.param(
            {"model": "toy_resnet", "freeze": "stem", "sampling": "balanced", "select": "best",
             "dropout": None, "drop_path": None},
            marks=pytest.mark.full,
        ),
    ],
    ids=["parts", "probe", "recomputed", "balanced"],
)  # fmt: skip
def test_the_result_is_that_of_training_without_the_cache(changes, tiny, train, cache, tmp_path):
    settings = {**FIELDS, **changes}
    plain = train(tiny, "plain", **settings, cache_features="never")
    assert not cache.exists()
    once = train(tiny, "once", **settings, cache_features="always")
    assert len(list(cache.iterdir())) == 3  # training, validation and test set
    if "dtype" in changes:  # rounding differs, and with it an image may
        assert once.result["loss"] == pytest.approx(plain.result["loss"], abs=0.05)
    else:
        assert_same(plain, once)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3))
    np.testing.assert_allclose(
        once.predict(images).iloc[:, 1:].select_dtypes("number"),
        plain.predict(images).iloc[:, 1:].select_dtypes("number"),
        atol=0.02 if "dtype" in changes else 1e-4,
    )
    evaluated = recipes.evaluate(once.path, to=tmp_path / "evaluated", verbose=False)
    assert evaluated["top1"] == pytest.approx(once.result["top1"])


@pytest.mark.full
def test_features_are_read_by_the_next_training(tiny, train, cache, capsys):
    """The classifier's seed and learning rate do not matter; the weights and the size do."""
    train(tiny, "first", **FIELDS, head="new", verbose=True)
    assert capsys.readouterr().out.count(": computed in ") == 3
    first = train(tiny, "weights", **FIELDS | {"freeze": None, "epochs": 1})
    fields = FIELDS | {"weights": str(first.path), "head": "new", "verbose": True}
    train(tiny, "again", **fields)
    assert capsys.readouterr().out.count(": computed in ") == 3
    train(tiny, "rate", **fields | {"lr": 0.01, "epochs": 1, "average": "polyak"})
    said = capsys.readouterr().out
    assert (said.count(": computed in "), said.count(": read from ")) == (0, 3)
    before = set(cache.iterdir())
    newest = max(before, key=lambda path: path.stat().st_mtime)
    newest.write_bytes(newest.read_bytes()[:100])
    train(tiny, "damaged", **fields | {"epochs": 1})
    assert capsys.readouterr().out.count(": computed in ") == 1
    size = {"augment": "(Resize(24),)", "eval_ops": "(Resize(24),)"}
    train(tiny, "smaller", **fields | size)
    assert capsys.readouterr().out.count(": computed in ") == 3
    assert set(cache.iterdir()) > before


@pytest.mark.full
def test_a_training_resumes_with_or_without_the_cache(tiny, train, train_one_epoch):
    fields = FIELDS | {"average": "ema:0.9"}
    whole = train(tiny, "whole", **fields)
    for first, then in (("auto", "never"), ("never", "auto"), ("auto", "auto")):
        train_one_epoch(tiny, first + then, **fields, cache_features=first)
        assert_same(train(tiny, first + then, **fields, cache_features=then), whole)


@pytest.fixture
def once():
    """Return the features of a recipe's network, without training it."""

    def made(recipe, replicas=1, **changes):
        recipe = recipes.replace(recipe, **FIELDS | changes)
        data = open_for(recipe)
        network = build_network(recipe, data, (32, 32, 3))
        return features_of.features(recipe, network, data, replicas, print)

    return made


@pytest.mark.quick
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"augment": "(Flip(),)"}, r"Flip\(probability=0.5\) in augment gives an image other pix"),
        ({"augment": "(Mixup(0.2),)"}, r"Mixup\(.* in augment gives an image other pixels"),
        ({"model": "toy_nasnet", "freeze": "stage1", "dropout": None},
         "the layers that freeze='stage1' freezes do not end in one tensor"),
        ({"replicas": 2}, "supports one device only, not 2"),
    ],
)  # fmt: skip
def test_what_changes_from_epoch_to_epoch_is_not_cached(changes, words, tiny, once):
    assert once(tiny, **changes) is None
    with pytest.raises(ValueError, match=f"^cache_features='always': {words}"):
        once(tiny, **changes, cache_features="always")


@pytest.mark.quick
def test_features_that_need_too_much_memory_are_not_cached(tiny, once, monkeypatch):
    size = 4 * 58 * once(tiny).frozen.output.shape[-1]
    monkeypatch.setattr(features_of, "MOST_BYTES", size)
    assert once(tiny)
    monkeypatch.setattr(features_of, "MOST_BYTES", size - 1)
    assert once(tiny) is None
    with pytest.raises(ValueError, match=r"^cache_features='always': the features of 58 images"):
        once(tiny, cache_features="always")


@pytest.mark.quick
def test_nothing_is_cached_unless_something_is_frozen(tiny):
    with pytest.raises(ValueError, match=r"^cache_features='never': only applies with freeze"):
        recipes.replace(tiny, cache_features="never")


def test_frozen_layers_do_not_drop(tiny, train):
    """Their dropout is off in training, and the saved network can be opened and trained again."""
    run = train(tiny, **FIELDS | {"freeze": "stage1", "epochs": 1, "augment": "(Flip(),)"})
    rates = {x.name: x.rate for x in run.model.layers if hasattr(x, "rate")}
    frozen = [rate for name, rate in rates.items() if name.startswith("stage1")]
    assert all(rate == 0 for rate in frozen)
    assert rates["head_drop"] == 0.2
    assert max(rate for name, rate in rates.items() if name.startswith("stage2")) == 0.4
    again = train(tiny, "again", **FIELDS | {"freeze": None, "epochs": 1, "weights": str(run.path)})
    assert {x.name: x.rate for x in again.model.layers if hasattr(x, "rate")} == {
        x.name: x.rate
        for x in zoo.build("toy_efficientnet", drop_path=0.4, dropout=0.2).layers
        if hasattr(x, "rate")
    }
