"""Every act, norm and init works on the toys of every family, or is rejected with a reason.

The default tier tests each value once, but only a third of the initializers on slow toys. The
full tier tests all of them, all pairs of values, and the whole product. test_matrix tests acts and
norms in graphs and in half precision.
"""

import itertools
import random

import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import registry
from zoo.vocabulary import ACTS, INITS, NORMS

PRE_ACTIVATION = ("preact_resnet", "wide_resnet", "densenet", "nasnet")
X = np.random.default_rng(0).normal(size=(4, 32, 32, 3)).astype("float32")
LABELS = np.eye(10, dtype="float32")[[1, 2, 3, 4]]


# Initializers with which all images may have the same logits in float32, because kernels are
# zero, equal, too small or too large.
NO_SIGNAL = ("zeros", "ones", "constant", "normal")
# Families whose toys take longest.
SLOW = (
    "googlenet", "inception", "nasnet", "mobilenet", "efficientnet", "senet", "densenet",
    "preact_resnet", "wide_resnet",
)  # fmt: skip


def expected_error(toy, act, norm, init):
    """Return a part of the error for an invalid combination, or None for a valid one."""
    if init == "fixup" and norm not in ("none", "lrn"):
        return "fixup"
    if norm == "lrn" and toy not in ("toy_alexnet", "toy_googlenet"):
        return "local response"
    if act == "maxout" and registry.find(toy).family in PRE_ACTIVATION:
        return "linear map"
    if norm == "instance" and toy == "toy_mlp":
        return "normalized on its own"
    return None


def check(toy, act, norm, init):
    words = expected_error(toy, act, norm, init)
    if words:
        with pytest.raises(ValueError, match=words):
            zoo.build(toy, act=act, norm=norm, init=init, seed=0)
        return
    model = zoo.build(toy, act=act, norm=norm, init=init, seed=0)
    with tf.GradientTape() as tape:
        logits = model(X, training=True)
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(LABELS, logits))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert np.isfinite(loss)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all(), variable.path
        variable.assign_sub(1e-3 * gradient / (1e-12 + tf.norm(gradient)))
    logits = np.asarray(model(X))
    assert logits.shape == (4, 10)
    assert logits.dtype == "float32"
    assert np.isfinite(logits).all()
    # Different images have different logits.
    assert logits.std(axis=0).max() > 0 or init in NO_SIGNAL, (toy, act, norm, init)


def each_value(toy):
    """Yield each act, norm and init once, with the family's default for the other two."""
    default = zoo.resolve(toy).style
    yield from ((act, default.norm, "kaiming") for act in ACTS)
    yield from ((default.act, norm, "kaiming") for norm in NORMS)
    yield from ((default.act, default.norm, init) for init in INITS)


@pytest.mark.toy_tiers(
    full=("toy_inception", "toy_mobilenet_v3", "toy_nasnet"),
    not_quick=("toy_alexnet", "toy_resnet"),
)
@pytest.mark.not_quick
def test_each_value_trains_or_is_rejected(toy):
    """Slow toys test every third init, starting at different ones."""
    family = registry.find(toy).family
    first, step = (0, 1)
    if family in SLOW:
        first, step = len(ACTS) + len(NORMS) + SLOW.index(family) % 3, 3
    for values in itertools.islice(each_value(toy), first, None, step):
        check(toy, *values)


@pytest.mark.full
def test_each_value_on_slow_toys_trains_or_is_rejected(toy):
    for values in each_value(toy) if registry.find(toy).family in SLOW else ():
        check(toy, *values)


def pairwise():
    """Return triples of act, norm and init that contain each pair of values at least once."""
    choices = [list(ACTS), list(NORMS), list(INITS)]
    open_pairs = {
        (i, a, j, b)
        for (i, left), (j, right) in itertools.combinations(enumerate(choices), 2)
        for a in left
        for b in right
    }
    rng = random.Random(0)
    cover = []
    while open_pairs:
        i, a, j, b = min(open_pairs)
        best = max(
            (
                [a if k == i else b if k == j else rng.choice(choices[k]) for k in range(3)]
                for _ in range(40)
            ),
            key=lambda t: len(pairs_of(t) & open_pairs),
        )
        open_pairs -= pairs_of(best)
        cover.append(tuple(best))
    return cover


def pairs_of(triple):
    return {(i, a, j, b) for (i, a), (j, b) in itertools.combinations(enumerate(triple), 2)}


@pytest.mark.full
@pytest.mark.parametrize(
    "toy", [next(iter(registry.family(family).toys)) for family in registry.families()]
)
def test_each_pair_of_values_trains_or_is_rejected(toy):
    for act, norm, init in pairwise():
        check(toy, act, norm, init)


@pytest.mark.full
@pytest.mark.parametrize("act", ACTS)
def test_the_whole_product_trains_or_is_rejected(toy, act):
    for norm, init in itertools.product(NORMS, INITS):
        check(toy, act, norm, init)


@pytest.mark.quick
def test_the_pairwise_cover_contains_all_pairs():
    cover = pairwise()
    assert len(cover) < len(ACTS) * len(NORMS) * len(INITS) / 4
    for act, norm in itertools.product(ACTS, NORMS):
        assert any(t[:2] == (act, norm) for t in cover)
