"""Features, new heads and freezing by stage, on the toys of every family."""

import keras
import numpy as np
import pytest

import zoo
from zoo import surgery

X = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")


def test_stages_partition_the_layers_and_features_lead_to_the_logits(toy):
    model = zoo.build(toy, seed=0)
    found = zoo.stages(model)
    assert sum(map(len, found.values())) == len(model.layers)
    wanted = [name for name in found if name not in ("input", "head")]
    maps = zoo.features(model, wanted)(X)
    assert list(maps) == wanted
    # From the features of the last stage, the head computes the logits.
    head = found["head"]
    rest = keras.Model(head[0].input, model.output)
    np.testing.assert_allclose(rest(maps[wanted[-1]]), model(X), rtol=1e-5, atol=1e-6)


def test_a_new_head_keeps_the_body(toy, tmp_path):
    model = zoo.build(toy, seed=0, num_classes=10)
    new = zoo.new_head(model, 3, seed=1)
    assert new.output.shape == (None, 3)
    assert new.output.dtype == "float32"
    body, other = (zoo.features(m, [list(zoo.stages(m))[-2]])(X) for m in (model, new))
    for a, b in zip(body.values(), other.values(), strict=True):
        np.testing.assert_array_equal(a, b)
    new.save(tmp_path / "new.keras")
    np.testing.assert_allclose(zoo.load(tmp_path / "new.keras")(X), new(X), atol=1e-6)
    bare = zoo.build(toy, num_classes=0)
    assert zoo.new_head(bare, 5).output.shape == (None, 5)


@pytest.mark.quick
def test_freezing_through_a_stage_keeps_its_weights_and_statistics():
    model = zoo.build("toy_resnet", seed=0)
    zoo.freeze(model, through="stage1")
    before = {w.path: np.array(w) for w in model.weights}
    model.compile("sgd", "mse")
    model.train_on_batch(X + 3, np.zeros((4, 10)))
    for layer in model.layers:
        frozen = layer.name.split("_")[0] in ("input", "stem", "stage1")
        assert layer.trainable != frozen
        for w in layer.weights:
            same = np.array_equal(before[w.path], w)
            assert same or not frozen, w.path
    changed = [w.path for w in model.weights if not np.array_equal(before[w.path], w)]
    assert any("stage2" in path for path in changed)
    zoo.unfreeze(model)
    assert all(layer.trainable for layer in model.layers)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: zoo.features(m, ["stage9"]), "did you mean 'stage"),
        (lambda m: zoo.freeze(m, through="stag1"), "did you mean 'stage1'"),
        (lambda m: zoo.new_head(m, 0), "classes=0"),
        (lambda m: zoo.new_head(zoo.features(m, ["stage1"]), 2), "a new head needs"),
    ],
)
def test_a_wrong_argument_is_an_error(call, words):
    with pytest.raises(ValueError, match=words):
        call(zoo.build("toy_resnet"))


@pytest.fixture
def with_auxiliary_heads():
    shape = {"input_shape": (32, 32, 3), "num_classes": 5}
    return zoo.build("toy_googlenet_bn", depths=(1, 3, 1), aux=True, seed=0, **shape)


def test_features_of_a_stage_ignore_auxiliary_heads(with_auxiliary_heads):
    model = with_auxiliary_heads
    maps = zoo.features(model, ["stage2"])(np.zeros((1, 32, 32, 3)))["stage2"]
    assert len(maps.shape) == 4
    probe = zoo.new_head(model, 7, stage="stage2")
    assert probe.get_layer("head_dense").input.shape[-1] == maps.shape[-1]


def test_a_new_head_replaces_auxiliary_heads_too(with_auxiliary_heads):
    model = zoo.new_head(with_auxiliary_heads, 7)
    assert [output.shape for output in model.outputs] == [(None, 7)]
    assert not [layer.name for layer in model.layers if "_aux" in layer.name]


def test_freezing_a_stage_freezes_its_auxiliary_heads(with_auxiliary_heads):
    model = with_auxiliary_heads
    zoo.freeze(model, "stage1")
    assert all(x.trainable for x in model.layers if x.name.startswith(("stage2", "stage3", "head")))
    zoo.freeze(model, "stage2")
    own = [x.name for x in model.layers if x.trainable and x.weights]
    assert own
    assert all(name.startswith(("stage3", "head")) for name in own)


@pytest.mark.quick
@pytest.mark.parametrize("name", ["toy_efficientnet", "toy_vgg", "toy_resnet"])
def test_freezing_the_features_leaves_only_the_classifier(name):
    """EfficientNet's last convolution belongs to its head, VGG's dense layers to fc."""
    model = zoo.new_head(zoo.build(name, seed=0), 3)
    zoo.freeze(model, "features")
    assert [w.path for w in model.trainable_weights] == ["head_dense/kernel", "head_dense/bias"]
    zoo.unfreeze(model, "features")
    assert all(layer.trainable for layer in model.layers)


@pytest.mark.quick
def test_features_of_a_network_without_a_classifier():
    model = zoo.build("toy_resnet", num_classes=0)
    with pytest.raises(ValueError, match=r"^through='features': .* has no classifier; add one"):
        zoo.freeze(model, "features")


@pytest.mark.quick
@pytest.mark.parametrize(
    ("name", "through", "shape"),
    [
        ("toy_resnet", "stem", 4),
        ("toy_efficientnet", "stage1", 4),
        ("toy_efficientnet", "features", 2),  # pooled, but in front of the dropout
        ("toy_vgg", "features", 2),
    ],
)
def test_the_frozen_part_and_the_rest_are_the_network(name, through, shape):
    model = zoo.build(name, seed=0, drop_path=0.5 if "efficient" in name else 0.0)
    zoo.freeze(model, through)
    for layer in model.layers:
        if not layer.trainable and surgery.is_random(layer):
            layer.rate = 0.0
    frozen, rest = surgery.split_frozen(model)
    x = np.random.default_rng(0).normal(size=(4, *model.input.shape[1:])).astype("float32")
    assert len(frozen.output.shape) == shape
    assert not frozen.trainable_variables
    trained = {w.path for w in rest.trainable_variables}
    assert trained == {w.path for w in model.trainable_variables}
    np.testing.assert_allclose(rest(frozen(x)), model(x), atol=1e-5)


@pytest.mark.quick
def test_what_is_not_frozen_or_random_cannot_be_computed_once():
    model = zoo.build("toy_efficientnet", seed=0, drop_path=0.5)
    assert surgery.split_frozen(model) is None
    zoo.freeze(model, "stage1")
    assert surgery.split_frozen(model) is None  # a block that is dropped at random
    whole = zoo.build("toy_resnet", seed=0)
    zoo.freeze(whole)
    assert surgery.split_frozen(whole) is None
