"""Recomputed blocks train to the same weights, and all functions of zoo work with them."""

import keras
import numpy as np
import pytest

import zoo
from zoo import layers as zoo_layers
from zoo import registry
from zoo.graph import block_of, layers_of, unwrapped

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(4, 32, 32, 3)).astype("float32")
LABELS = np.arange(4)


def trained(model, steps=2, eager=True):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, run_eagerly=eager)
    losses = [float(model.train_on_batch(X, LABELS)) for _ in range(steps)]
    weights = {f"{x.name}/{w.name}": np.asarray(w) for x in layers_of(model) for w in x.weights}
    return losses, weights


def random_options(toy):
    residual = getattr(registry.defaults(toy, registry.find(toy))[0], "residual", False)
    return {"dropout": 0.3, **({"drop_path": 0.3} if residual else {})}


# One toy for each kind of block; the full tier tests all.
KINDS = ("toy_resnet", "toy_densenet", "toy_googlenet_bn", "toy_mobilenet_v3", "toy_wide_resnet")
TOYS = [toy for family in registry.families() for toy in registry.family(family).toys]


@pytest.mark.parametrize(
    "toy", [pytest.param(t, marks=() if t in KINDS else pytest.mark.full) for t in TOYS]
)
def test_recompute_trains_with_the_same_gradients_masks_and_statistics(toy):
    options = {"seed": 0, **random_options(toy)}
    losses, weights = trained(zoo.build(toy, **options))
    model = zoo.build(toy, recompute=True, **options)
    again, others = trained(model)
    np.testing.assert_allclose(again, losses, rtol=1e-6)
    assert weights.keys() == others.keys()
    for name, value in weights.items():
        np.testing.assert_allclose(others[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    flat = unwrapped(model)
    np.testing.assert_allclose(flat(X), model(X), rtol=1e-4, atol=1e-6)
    blocks = {name for x in flat.layers if (name := block_of(x))}
    wrappers = [x.name for x in model.layers if isinstance(x, zoo_layers.Recompute)]
    assert sorted(wrappers) == sorted(blocks)


def test_recompute_changes_nothing_in_compiled_training():
    losses, weights = trained(zoo.build("toy_densenet", seed=0, dropout=0.3), eager=False)
    model = zoo.build("toy_densenet", seed=0, dropout=0.3, recompute=True)
    again, others = trained(model, eager=False)
    np.testing.assert_allclose(again, losses, rtol=1e-6)
    for name, value in weights.items():
        np.testing.assert_allclose(others[name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_memory_of_a_recomputed_dense_block_is_linear_in_its_layers():
    model = zoo.build("toy_densenet", depths=(6, 1), growth=4, stem_width=8, recompute=True)
    last = next(x for x in model.layers if x.name == "stage1_block6")
    assert [x.shape[-1] for x in last.input] == [8, 4, 4, 4, 4, 4]
    joins = [x.name for x in model.layers if isinstance(x, keras.layers.Concatenate)]
    assert joins == ["stage1_block6_concat"]


def test_surgery_folding_and_saving_work_with_recompute(tmp_path):
    plain = zoo.build("toy_resnet", seed=0)
    model = zoo.build("toy_resnet", seed=0, recompute=True)
    names = {stage: [x.name for x in found] for stage, found in zoo.stages(plain).items()}
    seen = {stage: [x.name for x in found] for stage, found in zoo.stages(model).items()}
    assert {s: sorted(n) for s, n in seen.items()} == {s: sorted(n) for s, n in names.items()}
    for stage, maps in zoo.features(plain, ["stage1", "stage2"])(X).items():
        np.testing.assert_allclose(zoo.features(model, [stage])(X)[stage], maps, atol=1e-6)
    zoo.freeze(model, through="stage1")
    frozen = {x.name for x in layers_of(model) if x.weights and not x.trainable}
    assert frozen == {x for s in ("stem", "stage1") for x in names[s] if plain.get_layer(x).weights}
    assert zoo.profile(model).loc["total", "macs"] == zoo.profile(plain).loc["total", "macs"]
    zoo.unfreeze(model)
    folded = zoo.fold_batchnorm(model)
    assert not [x for x in folded.layers if isinstance(x, keras.layers.BatchNormalization)]
    np.testing.assert_allclose(folded(X), plain(X), rtol=1e-4, atol=1e-5)
    assert zoo.new_head(model, 3)(X).shape == (4, 3)
    model.save(tmp_path / "model.keras")
    loaded = zoo.load(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(X), plain(X), atol=1e-6)
    np.testing.assert_allclose(unwrapped(loaded)(X), plain(X), atol=1e-6)


def test_lsuv_initializes_layers_inside_recomputed_blocks():
    model = zoo.build("toy_vgg", recompute=True, seed=0, norm="none")
    variances = zoo.lsuv(model, X)
    assert len(variances) > 4
    again = zoo.features(unwrapped(model), ["stage1"])(X)["stage1"]
    np.testing.assert_allclose(zoo.features(model, ["stage1"])(X)["stage1"], again, atol=1e-6)
    np.testing.assert_allclose(list(variances.values()), 1, atol=0.1)


def test_recompute_in_mixed_bfloat16_keeps_float32_statistics():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        runs = [trained(zoo.build("toy_resnet", seed=0, recompute=r)) for r in (False, True)]
    finally:
        keras.config.set_dtype_policy("float32")
    (losses, weights), (again, others) = runs
    np.testing.assert_allclose(again, losses, rtol=1e-2)
    for name in (n for n in weights if "moving" in n):
        np.testing.assert_allclose(others[name], weights[name], rtol=1e-2, atol=1e-3)
        assert np.any(others[name] != others[name].astype("float16")), name


def test_recompute_must_be_true_or_false():
    with pytest.raises(ValueError, match="recompute='yes': must be True or False"):
        zoo.build("toy_resnet", recompute="yes")
