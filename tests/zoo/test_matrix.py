"""Any activation with any norm, in every mode and with every dtype policy, as users run it.

Each combination is trained by `fit` with validation data, evaluated, saved, loaded, folded,
exported, and predicts in a graph; all must give the same logits, close to those in float32. The
quick tier covers each activation, norm and policy. The default tier covers each pair of a family
and a policy, and most pairs of an activation and a norm, some of which only train, predict and are
folded. The full tier tests the product.
"""

import functools
import itertools
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import registry
from zoo.plan import sketch
from zoo.vocabulary import ACTS, NORMS

X = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
LABELS = np.eye(10, dtype="float32")[[1, 2, 3, 4]]

# Policy -> largest differences, relative to the largest logit: between modes, and to the same
# weights in float32. float16 has 11 significant bits, bfloat16 8; later layers amplify rounding
# errors.
POLICIES = {
    "float32": (1e-4, 1e-4),
    "mixed_bfloat16": (0.05, 0.1),
    "mixed_float16": (0.01, 0.03),
    "bfloat16": (0.05, 0.1),
    "float16": (0.01, 0.03),
}
# "fixup" stands for no norm and the initialization that replaces it.
KINDS = (*NORMS, "fixup")
# 8 groups, because the default of 32 gives groups of two values in the dense layers of a toy.
# Normalized, they are +1 and -1, and a rounding error can exchange them.
MADE_OF = {"fixup": ("none", "fixup"), "group": ("group:8", "kaiming")}
FAMILIES = {family: next(iter(registry.family(family).toys)) for family in registry.families()}
# One residual block, to test pairs of activations and norms with an addition at little cost.
SMALL = {"residual": ("toy_basic", {"depths": (1,), "stem": "cifar"})}
# Families whose toys take longest, and the policies that the default tier tests with them.
HEAVY = {
    "inception": ("float32", "bfloat16"), "nasnet": ("bfloat16",),
    "efficientnet": ("float32", "bfloat16", "mixed_float16"),
}  # fmt: skip
LIGHT = ("mlp", "lenet", "vgg", "residual")
PRE_ACTIVATION = ("preact_resnet", "wide_resnet", "densenet", "nasnet")
WITH_LRN = ("alexnet", "googlenet")


class Combination(NamedTuple):
    family: str
    act: str
    norm: str
    policy: str

    @property
    def is_valid(self) -> bool:
        """Whether the network can be built; test_options tests that others are rejected."""
        return not (
            (self.norm == "lrn" and self.family not in WITH_LRN)
            or (self.act == "maxout" and self.family in PRE_ACTIVATION)
            or (self.norm == "instance" and self.family == "mlp")
        )

    def build(self, policy: str):
        toy, options = SMALL.get(self.family) or (FAMILIES[self.family], {})
        norm, init = MADE_OF.get(self.norm, (self.norm, "kaiming"))
        keras.config.set_dtype_policy(policy)
        try:
            return zoo.build(
                toy, act=self.act, norm=norm, init=init, head_init="normal:0.1", seed=0, **options
            )
        finally:
            keras.config.set_dtype_policy("float32")


# bfloat16 cannot tell the images apart: the means of hard_sigmoid over normalized maps are all near
# 0.5.
ALIKE = (
    Combination("residual", "hard_sigmoid", "group", "bfloat16"),
    Combination("residual", "hard_sigmoid", "instance", "mixed_bfloat16"),
)


def assert_near(got, expected, tolerance, what):
    got, expected = np.asarray(got, "float64"), np.asarray(expected, "float64")
    difference = np.abs(got - expected).max() / np.abs(expected).max()
    assert difference <= tolerance, f"{what}: differs by {difference:.2g}, more than {tolerance}"


def cross_entropy(logits):
    """Return the mean cross-entropy of logits, computed in float64."""
    logits = np.asarray(logits, "float64")
    logits = logits - logits.max(axis=1, keepdims=True)
    return float((np.log(np.exp(logits).sum(axis=1)) - (logits * LABELS).sum(axis=1)).mean())


def check(combination: Combination, folder, whole=True):
    """Train, predict and fold one network, and evaluate, save, load and export it if `whole`."""
    modes, rounding = POLICIES[combination.policy]
    model = combination.build(combination.policy)
    model.compile(
        keras.optimizers.SGD(0.01),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    held_out = (X, LABELS) if whole else None
    history = model.fit(X, LABELS, batch_size=4, validation_data=held_out, verbose=0).history
    logits = np.asarray(model(X))
    assert logits.dtype == "float32"
    assert np.isfinite(logits).all()
    assert np.isfinite(history["loss"]).all()
    if combination not in ALIKE:
        assert logits.std(axis=0).max() > 0
    assert_near(model.predict(X, verbose=0), logits, modes, "predict")
    folded = zoo.fold_batchnorm(model)
    assert_near(folded.predict(X, verbose=0), logits, modes, "folded, predict")
    if combination.policy != "float32":
        exact = combination.build("float32")
        exact.set_weights([np.asarray(w, "float32") for w in model.get_weights()])
        assert_near(logits, exact(X), rounding, "compared with float32")
    if not whole:
        return
    loss = model.evaluate(X, LABELS, batch_size=4, verbose=0)  # without another trace
    # Not exactly, because oneDNN rounds differently from run to run in half precision.
    assert loss == pytest.approx(history["val_loss"][0], rel=modes)
    assert loss == pytest.approx(cross_entropy(logits), rel=modes, abs=modes)

    folder.mkdir(exist_ok=True)
    model.save(folder / "model.keras")
    loaded = zoo.load(folder / "model.keras")
    assert [w.dtype for w in loaded.weights] == [w.dtype for w in model.weights]
    assert_near(loaded(X), logits, 1e-6, "loaded from .keras")
    model.save_weights(folder / "model.weights.h5")
    for weight in loaded.weights:
        weight.assign(np.zeros(weight.shape))
    loaded.load_weights(folder / "model.weights.h5")
    assert_near(loaded(X), logits, 1e-6, "loaded from .weights.h5")

    model.export(folder / "exported", format="tf_saved_model", verbose=False)
    exported = tf.saved_model.load(folder / "exported")
    assert_near(exported.serve(X), logits, modes, "SavedModel")


def is_default(combination: Combination) -> bool:
    return combination.policy in HEAVY.get(combination.family, POLICIES)


@functools.cache
def cover() -> list[Combination]:
    """Return combinations with each pair of act and norm, and of family and policy."""
    left = list(itertools.product(ACTS, KINDS))
    left.sort(key=lambda pair: (list(KINDS).index(pair[1]) + list(ACTS).index(pair[0])) % 19)
    found = []

    def take(family: str, policy: str) -> bool:
        for act, norm in left:
            combination = Combination(family, act, norm, policy)
            if combination.is_valid:
                # A combination of the full tier does not cover a pair for the default tier.
                if is_default(combination):
                    left.remove((act, norm))
                found.append(combination)
                return True
        return False

    for family, policy in itertools.product(FAMILIES, POLICIES):
        assert take(family, policy)
    small = itertools.cycle(itertools.product(POLICIES, ("lenet", "residual")))
    while left:
        policy, family = next(small)
        assert take(family, policy) or take("alexnet", policy)
    return found


@functools.cache
def quick() -> list[Combination]:
    """Return a part of the cover, on fast networks, with each act, norm and policy."""
    found, seen = [], set()
    for combination in cover():
        values = {("act", combination.act), ("norm", combination.norm), combination.policy}
        if combination.family in LIGHT and values - seen:
            seen |= values
            found.append(combination)
    return found


def whole() -> list[Combination]:
    """Return the part of the cover that is checked in every mode."""
    return [*cover()[: len(FAMILIES) * len(POLICIES)], *quick()]


def default() -> list[Combination]:
    """Return the part of the cover for the default tier: `whole`, and half of the other pairs."""
    others = [combination for combination in cover() if combination not in whole()]
    return [c for c in (*whole(), *others[::2]) if is_default(c)]


def product() -> list[Combination]:
    """Return all valid combinations."""
    every = itertools.starmap(Combination, itertools.product(FAMILIES, ACTS, KINDS, POLICIES))
    return [combination for combination in every if combination.is_valid]


@pytest.mark.quick
def test_the_tiers_cover_all_pairs_and_values():
    covered = cover()
    light = [combination for combination in covered if is_default(combination)]
    assert {c[1:3] for c in light} == set(itertools.product(ACTS, KINDS))
    assert len({c[1:3] for c in default()}) > 0.6 * len(ACTS) * len(KINDS)
    assert set(itertools.product(FAMILIES, POLICIES)) <= {(c.family, c.policy) for c in covered}
    assert all(combination.is_valid for combination in covered)
    kept = [combination for combination in whole() if is_default(combination)]
    assert {c.act for c in kept} == set(ACTS)
    assert {c.norm for c in kept} == set(KINDS)
    assert {c[::3] for c in kept} >= {c[::3] for c in light if c.family in FAMILIES}
    # Only larger networks take the norm "lrn".
    assert {c.act for c in quick()} == set(ACTS)
    assert {c.norm for c in quick()} == set(KINDS) - {"lrn"}
    assert {c.policy for c in quick()} == set(POLICIES)


@pytest.mark.parametrize(
    "combination",
    [
        pytest.param(
            c,
            id="-".join(c),
            marks=[pytest.mark.quick] * (c in quick()) + [pytest.mark.full] * (c not in default()),
        )
        for c in cover()
    ],
)
def test_all_modes_give_the_same_logits(combination, tmp_path):
    check(combination, tmp_path, combination in whole())


@pytest.mark.full
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("norm", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_all_modes_give_the_same_logits_for_the_whole_product(family, norm, policy, tmp_path):
    failures = []
    for act in ACTS:
        combination = Combination(family, act, norm, policy)
        if combination.is_valid:
            try:
                check(combination, tmp_path / act)
            except Exception as error:  # report the failures of the other activations, too
                failures.append(f"{act}: {error}")
    assert not failures, "\n".join(failures)


@pytest.mark.quick
@pytest.mark.parametrize("floatx", ["bfloat16", "float16"])
def test_the_input_is_float32_whatever_float_type_keras_has(floatx):
    keras.config.set_floatx(floatx)
    try:
        assert sketch(zoo.resolve("toy_lenet")).input.dtype == "float32"
    finally:
        keras.config.set_floatx("float32")


@pytest.mark.parametrize("policy", ["bfloat16", "float16"])
@pytest.mark.parametrize(
    ("toy", "options"),
    [
        ("toy_googlenet_bn", {"depths": (1, 3, 1), "aux": True}),
        ("toy_resnet", {"recompute": True, "drop_path": 0.1, "dropout": 0.2}),
    ],
)
def test_branches_that_exist_only_during_training_train_in_half_precision(toy, options, policy):
    """Auxiliary heads, dropped paths, and blocks that are recomputed."""
    keras.config.set_dtype_policy(policy)
    try:
        model = zoo.build(toy, seed=0, head_init="normal:0.1", **options)
    finally:
        keras.config.set_dtype_policy("float32")
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    losses = [loss] * len(model.outputs)
    model.compile(keras.optimizers.SGD(0.1), losses, jit_compile=False)
    before = [np.asarray(w, "float32") for w in model.trainable_weights]
    history = model.fit(X, [LABELS] * len(losses), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert {output.dtype for output in model.outputs} == {"float32"}
    after = [np.asarray(w, "float32") for w in model.trainable_weights]
    assert np.mean([np.any(a != b) for a, b in zip(before, after, strict=True)]) > 0.5
