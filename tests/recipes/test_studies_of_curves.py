"""The computations in the studies relu_speed and averaging, against plain ones."""

import keras
import numpy as np
import pytest

from recipes.studies import averaging, relu_speed
from tests.recipes.made_up_labs import made_up_lab


@pytest.mark.quick
def test_epochs_are_counted_to_the_middle_of_the_first_good_batches():
    accuracies = [0.0] * 10 + [1.0] * 10
    # Batches 4 to 13, or 3 to 12 with a limit of 0.7, have enough correct images.
    assert relu_speed.epochs_to(0.7, accuracies, 10) == 0.3 + 0.5
    assert relu_speed.epochs_to(0.05, accuracies, 10) == 1.5
    assert relu_speed.epochs_to(0.25, [0.5] * 20, 10) is None
    assert relu_speed.epochs_to(0.25, [1.0] * 5, 10) is None


class Rates:
    """A lab whose cells return errors by learning rate."""

    def __init__(self, error):
        self.error, self.tried = error, []

    def choose(self, full, quick):
        return full

    def cell(self, name, function, *, lr, epochs, **settings):
        self.tried.append((epochs, lr))
        return {"errors": [1.0, self.error(lr, epochs)]}


@pytest.mark.quick
def test_the_range_of_learning_rates_is_extended_at_its_edges():
    inside = Rates(lambda lr, epochs: abs(np.log(lr / 0.03)) / 10)
    assert relu_speed.best_rate(inside, "relu", 3) == 0.03
    assert len(inside.tried) == 5
    high = Rates(lambda lr, epochs: 0.7 - lr / 100)
    assert relu_speed.best_rate(high, "relu", 3) == 3.0
    assert [lr for _, lr in high.tried][5:] == [0.9, 3.0]
    low = Rates(lambda lr, epochs: 0.1 + lr)
    assert relu_speed.best_rate(low, "relu", 3) == 0.0003
    # On a plateau, the rates are compared again after 12 epochs.
    flat = Rates(lambda lr, epochs: 0.9 if epochs == 3 else abs(np.log(lr / 0.1)) / 10)
    assert relu_speed.best_rate(flat, "sigmoid", 3) == 0.1
    assert [epochs for epochs, _ in flat.tried].count(12) == 5


@pytest.mark.quick
def test_networks_that_do_not_arrive_give_a_lower_bound():
    def cell(arrived, epochs=40, diverged=False):
        return {"arrived": arrived, "diverged": diverged, "errors": [0.5] * epochs}

    cells = {"rates/relu/3 epochs/0.1": cell(1.0)}
    for seed in range(2):
        cells |= {
            f"relu/seed{seed}": cell(4.0 + seed), f"leaky_relu/seed{seed}": cell(4.0),
            f"tanh/seed{seed}": cell(8.0, diverged=seed == 1), f"sigmoid/seed{seed}": cell(None),
        }  # fmt: skip
    found = relu_speed.judge(made_up_lab(cells))
    assert found["relu, six times faster than sigmoid"][""].values == [10, 8]
    assert found["relu, six times faster than sigmoid"][""].at_least
    assert not found["faster than tanh"][""].at_least
    assert found["leaky_relu, six times faster than tanh"][""].values[0] == 2
    assert np.isnan(found["leaky_relu, six times faster than tanh"][""].values[1])


@pytest.mark.quick
def test_means_over_masks_and_their_scores():
    logits = np.random.default_rng(0).normal(size=(7, 4, 3)).astype("float32")
    probabilities = averaging.softmax(logits)
    np.testing.assert_allclose(probabilities, keras.ops.softmax(logits), rtol=1e-5)
    thirds = averaging.means(probabilities, 3)
    np.testing.assert_allclose(thirds[1], probabilities[3:6].mean(0))
    assert thirds.shape == (2, 4, 3)
    labels = np.eye(3)[[0, 1, 2, 0]]
    loss, accuracy = averaging.score(probabilities[0], labels)
    assert loss == pytest.approx(float(np.mean(
        keras.ops.categorical_crossentropy(labels, probabilities[0])
    )))  # fmt: skip
    assert accuracy == np.mean(probabilities[0].argmax(-1) == [0, 1, 2, 0])


@pytest.mark.quick
def test_masks_differ_and_their_mean_logits_are_the_scaled_ones():
    network = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(40, "relu"), keras.layers.Dropout(0.5, seed=1),
         keras.layers.Dense(3)]
    )  # fmt: skip
    images = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")
    scaled, masked = averaging.outputs(network, images, 400)
    np.testing.assert_allclose(scaled, network(images), rtol=1e-6)
    assert masked.shape == (400, 6, 3)
    assert np.abs(masked[0] - masked[1]).max() > 0.01
    error = masked.std(0, ddof=1) / 20
    assert np.abs((masked.mean(0) - scaled) / error).max() < 4


@pytest.mark.quick
def test_gains_of_ensembles_are_those_over_their_own_members():
    views = {"images": 4, "wrong": {"one": [0, 1], "mirrored": [1]}}
    networks = {
        "one": [[0, 1], [0], [3]], "two networks": [[0], [], [0]], "three networks": [[]],
        "three networks, mirrored": [[2]], "images": 4, "soup": 0.1,
    }  # fmt: skip
    lab = made_up_lab({"views/seed0": views, "networks": networks})
    gains = {
        name: (100 * (one - other).mean(-1)).tolist()
        for name, (one, other) in averaging.rights(lab).items()
    }
    assert gains["mirrored"] == [25]
    # Of networks 0 and 2, 1 and 0, and 2 and 1
    assert gains["two networks"] == [12.5, 37.5, 0]
    assert gains["three networks"] == pytest.approx([100 / 3])
    assert gains["three networks, mirrored"] == pytest.approx([100 / 3 - 25])
