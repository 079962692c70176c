"""What the studies of many small trainings compute from their measurements."""

import math

import numpy as np
import pytest

from recipes.studies import babysit, random_vs_grid, selu_depth
from recipes.studying.verdicts import finding
from tests.recipes.made_up_labs import made_up_lab

pytestmark = pytest.mark.quick


def test_a_grid_has_equal_steps_and_a_random_search_has_none():
    grid = np.log10(random_vs_grid.points("grid", seed=3, side=5))
    for axis, (low, high) in zip(grid.T, np.log10(random_vs_grid.RANGES), strict=True):
        values = np.unique(axis.round(9))
        np.testing.assert_allclose(np.diff(values), (high - low) / 5)
        assert low <= values[0] <= low + (high - low) / 5
    assert len(np.unique(grid.round(9), axis=0)) == 25
    for kind in ("random", "linear"):
        found = np.array(random_vs_grid.points(kind, seed=3, side=5))
        for axis, (low, high) in zip(found.T, random_vs_grid.RANGES, strict=True):
            assert len(np.unique(axis)) == 25
            assert low <= axis.min() < axis.max() <= high
            middle = math.sqrt(low * high) if kind == "random" else (low + high) / 2
            assert 4 < (axis < middle).sum() < 21
    assert random_vs_grid.points("random", 3, 5) != random_vs_grid.points("random", 4, 5)


def made_search(val, exploded, wrong=()):
    return {"lr": [1.0] * len(val), "val": val, "exploded": exploded, "wrong": list(wrong)}


def test_an_abandoned_run_counts_if_it_ends_close_to_the_best_of_its_repetition():
    lab = made_up_lab({})
    for network in random_vs_grid.NETWORKS:
        for seed in range(3):
            for kind in random_vs_grid.SEARCHES:
                # 15 explosions in each search: 135 of all. One ends within 0.02 of the best, 0.95.
                val = [0.95] + [0.2] * 14 + [0.5]
                exploded = [False] + [True] * 15
                if (network, seed, kind) == (random_vs_grid.DEEP, 1, "grid"):
                    val[3] = 0.935
                wrong = range(9) if kind == "grid" else range(18)
                made = made_search(val, exploded, wrong)
                lab.cells[f"{network}/{kind}/seed{seed}"] = made
    found = random_vs_grid.judge(lab)
    claims = random_vs_grid.CLAIMS
    abandoned = finding(claims["abandon"], found["abandon"])
    shallow, deep = (abandoned.conditions[n] for n in (random_vs_grid.SHALLOW, random_vs_grid.DEEP))
    assert (shallow.value, shallow.verdict) == (0, "confirmed")
    assert (deep.value, deep.verdict) == (1, "refuted")
    assert "135 runs" in found["abandon"][random_vs_grid.SHALLOW].says
    random = finding(claims["random"], found["random"]).conditions[random_vs_grid.SHALLOW]
    assert random.value == pytest.approx(100 * (9 - 18) / 360)
    assert random.verdict == "refuted"


def test_the_greatest_depth_ends_before_the_first_accuracy_that_is_too_low():
    accuracies = {
        8: np.array([95.0, 90.0, 94.0]), 4: np.array([94.0, 96.0, 95.0]),
        16: np.array([92.9, 95.0, 93.5]), 32: np.array([95.0, 95.0, 96.0]),
    }  # fmt: skip
    # The mean at 4 layers is 95, so 93 is the least.
    assert selu_depth.greatest(accuracies) == [8, 4, 32]


def test_the_distance_to_an_edge_is_measured_in_log_space():
    coarse = [{"lr": 10.0**-i, "val": 1 / i} for i in range(1, 9)]
    assert babysit.best_range(coarse, "lr") == [1e-2, 1e-1]
    fine = [{"lr": 10**-1.2, "val": 0.5}, {"lr": 10**-1.5, "val": 0.4}]
    assert babysit._edge(coarse, fine) == pytest.approx(0.2)


def test_a_loss_that_is_not_finite_or_three_times_the_first_has_exploded():
    assert babysit.exploded([2.0, None])
    assert babysit.exploded([2.0, 6.1, 1.0])
    assert not babysit.exploded([2.0, 6.0, 1.0])
