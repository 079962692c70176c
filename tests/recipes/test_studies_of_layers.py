"""What the studies of activations, initial weights and signs compute from their measurements."""

import numpy as np
import pytest

from recipes.studies import activations, dead_units, init_statistics, zigzag
from recipes.studying.verdicts import verdict
from tests.recipes.made_up_labs import made_up_lab

pytestmark = pytest.mark.quick


def test_letters_separate_groups_after_holms_correction():
    """Four groups of four values with the same variance; the gaps are in standard errors."""
    spread = np.array([-1.5, -0.5, 0.5, 1.5])
    error = np.sqrt(2 * spread.var(ddof=1) / 4)
    groups = {"low": 0, "middle": 2, "upper": 4, "far": 20}
    values = {name: spread + gap * error for name, gap in groups.items()}
    # |t| with 12 degrees of freedom: the six pairs have 2, 2, 4, 16, 18 and 20. Their chances are
    # 0.069, 0.069, 0.0018 and tiny ones, so only the neighbors stay together.
    assert activations.letters(values) == {"far": "a", "upper": "b", "middle": "bc", "low": "c"}
    # Without a correction, 2.5 would be significant (0.028); the first step of Holm's needs 0.017.
    three = {name: spread + gap * error for name, gap in {"a": 0, "b": 0.1, "c": 2.5}.items()}
    assert activations.letters(three) == {"c": "a", "b": "a", "a": "a"}
    assert activations.letters({"a": np.array([1.0]), "b": np.array([9.0])}) == {"a": "a", "b": "a"}


@pytest.mark.parametrize(("count", "share"), [(1, 1.0), (2, 0.75), (64, 0.5497), (100, 0.5398)])
def test_the_majority_of_coins(count, share):
    assert zigzag._coin(count) == pytest.approx(share, abs=1e-4)


def test_a_signal_that_does_not_fall_at_every_layer_does_not_shrink():
    def cell(sd):
        return {"sd": sd, "weight_gradient": [1.0, 2.0, 4.0], "beyond_0.99": [0, 0, 0.25]}

    cells = {f"{name}/seed0": cell([1.0, 0.5, 0.01]) for name in init_statistics.NETWORKS}
    cells["tanh, 0.01/seed0"] = cell([1.0, 1.5, 0.01])
    for condition in init_statistics.LEARNED:
        cells[f"learning, {condition}/seed0"] = {"0.1": 0.001, "1.0": 0.0}
    cells["equal/seed0"] = {"apart": 0.0, "moved": 0.1}
    cells["tanh, 0.05/seed0"] = cell([1.0, 0.5, 0.01]) | {"weight_gradient": [3e-4, 5e-4, 2e-3]}
    found = init_statistics.judge(made_up_lab(cells))
    assert found["shrinks"][init_statistics.SIX].values == [1.5]
    assert found["shrinks"][init_statistics.TEN].values == [0.01]
    assert list(found["no local gradients"]["0.05, 6 x 4096"].values) == pytest.approx([5e-4])
    assert list(found["explodes"]["0.05, 6 x 4096"].values) == pytest.approx([0.15])
    assert found["saturates"]["1, 10 x 500"].values == [0.25]
    assert found["no learning"]["6 layers"].values == [0.001]


def test_the_learning_rate_at_which_half_of_the_units_are_dead():
    def cell(dead, wrong, accuracies):
        return [
            {"lr": lr, "dead": share, "wrong": list(range(count)), "val_accuracy": accuracy}
            for lr, share, count, accuracy in zip(
                dead_units.RATES, dead, wrong, accuracies, strict=True
            )
        ]

    cells = {}
    for depth in dead_units.DEPTHS:
        for seed in (0, 1):
            up = [0, 10 * seed, 20, 60, 70, 90, None]
            scores = [0.7, 0.9, 0.8, 0.5, 0.2, 0.1, 0.1]
            cells[f"{depth}/ReLU/seed{seed}"] = cell(up, [9, 9, 9, 180, 200, 300, 324], scores)
            less = [0, 0, 0, 0, 0, 0, 5]
            cells[f"{depth}/ReLU, bias 0.01/seed{seed}"] = cell(less, [9] * 7, scores)
            cells[f"{depth}/leaky ReLU/seed{seed}"] = cell(less, [36] * 7, scores)
            cells[f"{depth}/ELU/seed{seed}"] = cell([0] * 3 + [None] * 4, [324] * 7, scores)
            cells[f"{depth}/maxout/seed{seed}"] = cell(less, [180] * 7, scores)
    found = {name: {} for name in dead_units.CLAIMS}
    depth = "1 hidden layer"
    dead_units._judge_depth(made_up_lab(cells), depth, found)
    assert found["dies"][depth].values == [90, 90]
    assert "learning rate 1; half are dead at 0.3" in found["dies"][depth].says
    assert found["care"][depth].values == [0, 10]  # at 0.1
    means = [-np.mean([0, 10 * seed, 20, 60, 70, 90]) for seed in (0, 1)]
    assert list(found["bias"][depth].values) == pytest.approx(means)
    assert list(found["survive"][f"leaky ReLU, {depth}"].values) == pytest.approx([40, 40])
    assert list(found["survive"][f"maxout, {depth}"].values) == pytest.approx([0, 0])
    elu = found["survive"][f"ELU, {depth}"]
    assert verdict(dead_units.CLAIMS["survive"], elu).verdict == "diverged"
