"""When a trial of a search is stopped."""

import math

import pytest

from recipes.search.stopping import below_median

pytestmark = pytest.mark.quick
# The means of their first two values are 0.3, 0.4, 0.5, 0.6 and 0.7; the median is 0.5.
OTHERS = [[mean - 0.1, mean + 0.1, 0.9] for mean in (0.6, 0.3, 0.5, 0.7, 0.4)]


@pytest.mark.parametrize(
    ("trial", "stops"),
    [
        ([0.1, 0.49], True),
        ([0.49, 0.1], True),
        ([0.1, 0.51], False),
        ([0.51, 0.1], False),  # its best value counts
        ([0.5, 0.5], False),  # not worse
        ([math.nan, math.nan], True),
        ([0.51, math.nan], False),
        ([0.1], False),  # the first epoch
        ([0.1, 0.2, 0.3, 0.4], False),  # no other trial has four epochs
    ],
)
def test_the_best_value_is_compared_with_the_median_of_the_means(trial, stops):
    assert below_median(trial, OTHERS, "max") is stops
    negated = [[-value for value in other] for other in OTHERS]
    assert below_median([-value for value in trial], negated, "min") is stops


def test_others_with_too_few_epochs_do_not_count():
    short = [[0.9]] * 5
    assert not below_median([0.1, 0.1], OTHERS[:4] + short, "max")
    assert below_median([0.1, 0.1], OTHERS[:4] + short, "max", enough=4)


def test_a_diverged_trial_is_the_worst_one():
    # With 0 in place of infinity, the median would be 0.3.
    others = [[math.inf, 1], [math.nan, 1], [0.4, 0.4], [0.3, 0.3], [0.5, 0.5]]
    assert not below_median([0.45, 0.6], others, "min")
    assert below_median([0.51, 0.6], others, "min")


@pytest.mark.parametrize(
    ("epochs", "first"), [(3, 2), (6, 4), (10, 6), (11, 6), (30, 6), (40, 8), (41, 9)]
)
def test_a_trial_is_compared_after_its_first_epochs_and_before_the_last(epochs, first):
    others = [[1.0] * epochs] * 5
    for count in range(1, epochs + 1):
        stops = below_median([0.0] * count, others, "max", epochs=epochs)
        assert stops is (first <= count < epochs)
