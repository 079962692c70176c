"""Every act, norm and init on every family's toys: forward, one gradient step, refusals.

The default tier takes each value once, of toys that take long a third of the initializers;
`tools/test full` takes a pairwise cover of the three, and the whole product. In graphs and in half
precision acts and norms are tested by test_matrix.
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


# Kernels all zero, or so small, large or equal that float32 may lose the images.
NO_SIGNAL = ("zeros", "ones", "constant", "normal")
# Families whose toys take longest: pairs and products are for the long tier alone.
LONG = (
    "googlenet", "inception", "nasnet", "mobilenet", "efficientnet", "senet", "densenet",
    "preact_resnet", "wide_resnet",
)  # fmt: skip


def refusal(toy, act, norm, init):
    """What the error says of a combination that has no meaning, or None."""
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
    words = refusal(toy, act, norm, init)
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
    # The images give different logits, where the initializer lets any signal through.
    assert logits.std(axis=0).max() > 0 or init in NO_SIGNAL, (toy, act, norm, init)


def each_value(toy):
    """Each act, norm and init once, the others as the family has them."""
    default = zoo.resolve(toy).style
    yield from ((act, default.norm, "kaiming") for act in ACTS)
    yield from ((default.act, norm, "kaiming") for norm in NORMS)
    yield from ((default.act, default.norm, init) for init in INITS)


@pytest.mark.toy_tiers(
    full=("toy_inception", "toy_mobilenet_v3", "toy_nasnet"),
    not_quick=("toy_alexnet", "toy_resnet"),
)
def test_each_value(toy):
    """Of a toy that takes long each third init; where to begin differs from toy to toy."""
    family = registry.find(toy).family
    first, step = (0, 1)
    if family in LONG:
        first, step = len(ACTS) + len(NORMS) + LONG.index(family) % 3, 3
    for values in itertools.islice(each_value(toy), first, None, step):
        check(toy, *values)


@pytest.mark.full
def test_each_value_of_toys_that_take_long(toy):
    for values in each_value(toy) if registry.find(toy).family in LONG else ():
        check(toy, *values)


def pairwise():
    """Triples such that each pair of an act, a norm and an init stands in one of them."""
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
def test_pairs(toy):
    for act, norm, init in pairwise():
        check(toy, act, norm, init)


@pytest.mark.full
@pytest.mark.parametrize("act", ACTS)
def test_product(toy, act):
    for norm, init in itertools.product(NORMS, INITS):
        check(toy, act, norm, init)


@pytest.mark.quick
def test_the_cover_is_a_cover():
    cover = pairwise()
    assert len(cover) < len(ACTS) * len(NORMS) * len(INITS) / 4
    for act, norm in itertools.product(ACTS, NORMS):
        assert any(t[:2] == (act, norm) for t in cover)
