"""Gradients of deep networks without norms neither vanish nor explode, unlike in the controls.

Zhang et al. 2019 (Fixup), sections 2 and 3; Klambauer et al. 2017 (SELU); Glorot & Bengio 2010.
Fixup initializes the last layer of each branch with zeros, and the paper also the classifier, so
no gradient reaches a block before the first step. Most tests of Fixup therefore initialize the
classifier with N(0, 0.01) and compare gradients of whole blocks; one initializes it as in the
paper and compares the outputs after some steps.
"""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 16, 16, 3)).astype("float32")
LABELS = RNG.integers(0, 10, 8)
NARROW = {"width": 8, "norm": "none", "input_shape": (16, 16, 3), "seed": 0}
FIXUP = {"init": "fixup", "head_init": "normal:0.01"}
BLOCK = r"(stage\d+_block\d+|fc_\d+)_"
# Each SELU multiplies the variance of the gradient by E[selu'(z)^2], z ~ N(0, 1): 1.0507^2 *
# (1 + 1.6733^2 * exp(2) * erfc(sqrt(2))) / 2.
SELU_GAIN = 1.0713


class Probe:
    """A network, its loss on one batch, and the gradients of its blocks."""

    def __init__(self, name, **options):
        self.model = zoo.build(name, **options)
        self.x = np.resize(X, (8, *self.model.input_shape[1:]))
        last = {}
        for layer in self.model.layers:
            if found := re.match(BLOCK, layer.name):
                last[found[1]] = layer.output
        self.blocks = list(last)
        self.all = keras.Model(self.model.input, [*last.values(), self.model.output])
        self.read()

    def read(self):
        """Compute the norms of the gradients of each block's output and of its kernels."""
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            *maps, logits = self.all(self.x, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, logits)
            self.loss = tf.reduce_mean(losses)
        found = tape.gradient(self.loss, [*maps, *variables])
        self.logits = np.asarray(logits)
        self.gradients = list(zip(found[len(maps) :], variables, strict=True))
        self.output_norms = [float(tf.norm(g)) for g in found[: len(maps)]]
        squares = dict.fromkeys(self.blocks, 0.0)
        for gradient, variable in self.gradients:
            block = re.match(BLOCK, variable.path)
            if block and variable.name == "kernel":
                squares[block[1]] += float(tf.norm(gradient)) ** 2
        self.kernel_norms = [square**0.5 for square in squares.values()]

    def train(self, steps, learning_rate=0.05):
        optimizer = keras.optimizers.SGD(learning_rate, momentum=0.9)
        for _ in range(steps):
            optimizer.apply_gradients(self.gradients)
            self.read()

    @property
    def output_ratio(self):
        """First to last block: gradients explode on their way back if above 1, else vanish."""
        return self.output_norms[0] / self.output_norms[-1]

    @property
    def kernel_ratio(self):
        return self.kernel_norms[0] / self.kernel_norms[-1]


# Fixup: all blocks are initially the identity, so depth has no influence before training.


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet56", {}),
        ("resnet50", {"depths": (8, 8, 8), "stem": "cifar"}),
        ("preact_resnet110", {"depths": (12, 12, 12), "stem_width": 8}),
        pytest.param(
            "preact_resnet164",
            {"depths": (12, 12, 12), "stem_width": 8},
            marks=pytest.mark.full,
        ),
    ],
)
def test_fixup_keeps_gradients_at_any_depth(name, options):
    """Measured: 0.4 to 1.05 for outputs, 1.4 to 2.7 for kernels; the identity would give 1."""
    deep = Probe(name, **NARROW, **FIXUP, **options)
    assert len(deep.blocks) >= 24
    assert 0.2 < deep.output_ratio < 5
    assert 0.2 < deep.kernel_ratio < 5
    shallow = Probe(name, **{**NARROW, **FIXUP, **options, "depths": (1, 1, 1)})
    np.testing.assert_allclose(deep.logits, shallow.logits, rtol=1e-4, atol=1e-6)
    deep.train(2)
    assert 0.1 < deep.output_ratio < 10
    assert 0.1 < deep.kernel_ratio < 10


def test_gradients_of_fixup_shrink_with_the_square_root_of_the_depth():
    """Section 3: the first of two layers is scaled by L^(-1/2), so L branches add up to O(1)."""
    few, many = (Probe(name, **NARROW, **FIXUP) for name in ("resnet20", "resnet110"))
    assert (len(few.blocks), len(many.blocks)) == (9, 54)
    ratio = few.kernel_norms[0] / many.kernel_norms[0]
    assert ratio == pytest.approx((54 / 9) ** 0.5, rel=0.2)


def test_steps_of_fixup_change_the_output_equally_at_any_depth():
    """The aim in section 3: an update by SGD changes the output by O(learning rate)."""
    few, many = (Probe(name, **NARROW, init="fixup") for name in ("resnet20", "resnet56"))
    for probe in (few, many):
        assert not np.any(probe.logits)
        probe.train(3, learning_rate=0.02)
        assert probe.loss < np.log(10)
        assert min(probe.kernel_norms) > 0.1 * max(probe.kernel_norms)
    assert many.logits.std() == pytest.approx(few.logits.std(), rel=0.2)


def test_gradients_of_residual_networks_explode_without_fixup():
    """Section 2: with Kaiming initialization, each residual block doubles the variance."""
    few, many = (Probe(name, **NARROW, init="kaiming") for name in ("resnet20", "resnet110"))
    growth = (many.logits.std() / few.logits.std()) ** (1 / (54 - 9))
    assert growth == pytest.approx(2**0.5, abs=0.05)
    assert many.loss > 1e4
    assert many.output_ratio > 1e5
    assert max(many.kernel_norms) > 1e5


# SELU in plain networks


@pytest.mark.quick
def test_selu_keeps_the_gradients_of_thirty_dense_layers():
    """The ratio is within a factor of two of theory, which gives 2.7; measured: 3.1."""
    probe = Probe("mlp", hidden=(256,) * 30, act="selu", input_shape=(8, 8, 3), seed=0)
    expected = SELU_GAIN ** (29 / 2)
    assert expected / 2 < probe.output_ratio < expected * 2
    assert 0.2 < probe.kernel_ratio < 5 * expected


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain56", NARROW),
        ("vgg16", {"depths": (6, 6, 6), "widths": (16, 32, 64), "hidden": (64,), "grid": 1,
                   "dropout": 0.0, "input_shape": (16, 16, 3), "seed": 0}),
    ],
)  # fmt: skip
def test_selu_keeps_the_gradients_of_deep_plain_networks(name, options):
    """Measured: 2.3 and 0.6 for outputs, 1.8 and 0.5 for kernels."""
    selu = Probe(name, act="selu", **options)
    assert 0.1 < selu.output_ratio < 10
    assert 0.1 < selu.kernel_ratio < 10
    before = float(selu.loss)
    selu.train(3, learning_rate=0.01)
    assert selu.loss < before
    relu = Probe(name, act="relu", init="xavier", **options)
    assert relu.output_ratio < 1e-2 * selu.output_ratio
    assert relu.logits.std() < 1e-2 * selu.logits.std()


@pytest.mark.quick
def test_gradients_of_xavier_vanish_with_relu_and_sigmoid():
    """A ReLU halves the variance (He et al. 2015); the slope of a sigmoid is at most 1/4."""
    thirty = {"hidden": (256,) * 30, "init": "xavier", "input_shape": (8, 8, 3), "seed": 0}
    relu = Probe("mlp", act="relu", **thirty)
    assert relu.output_ratio == pytest.approx(2 ** (-29 / 2), rel=1)
    # A square random kernel of variance 1/n stretches no vector by more than about 2.
    assert Probe("mlp", act="sigmoid", **thirty).output_ratio < (2 / 4) ** 29
