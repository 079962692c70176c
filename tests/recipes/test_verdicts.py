"""Verdicts follow from effect, noise and criterion, by the textbook's formulas."""

import math

import numpy as np
import pytest
from scipy import stats

from recipes.studying import Claim, Evidence, above, below, equals, paired, within
from recipes.studying.report import line, measured, number
from recipes.studying.verdicts import combined, finding, pooled_deviation, verdict

pytestmark = pytest.mark.quick
GAIN = Claim("It helps.", "a lecture", "gain", above(0.0))
RATIO = Claim("It is 6 times faster.", "a lecture", "ratio", equals(6, rather_than=3), log=True)


def test_the_interval_is_that_of_scipy():
    values = [1.0, 2.0, 4.0]
    found = verdict(GAIN, Evidence(values))
    expected = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    np.testing.assert_allclose((found.low, found.high), expected)
    assert found.verdict == "undecided"
    assert found.seeds == 3


def test_the_deviation_is_pooled_over_arms_like_an_analysis_of_variance():
    arms = [[1.0, 1.4], [3.0, 3.1, 3.5], [0.2]]
    deviation, freedom = pooled_deviation(arms)
    residuals = np.concatenate([np.array(arm) - np.mean(arm) for arm in arms])
    assert freedom == 3
    np.testing.assert_allclose(deviation, np.sqrt((residuals**2).sum() / 3))
    found = verdict(GAIN, Evidence(arms[0], pooled=arms))
    half = stats.t.ppf(0.975, 3) * deviation / math.sqrt(2)
    np.testing.assert_allclose((found.low, found.high), (1.2 - half, 1.2 + half))
    # The values themselves count once, whether or not they are among the pooled ones.
    assert found == verdict(GAIN, Evidence(arms[0], pooled=arms[1:]))


def test_the_images_of_paired_predictions_add_the_noise_of_mcnemars_test():
    """The variance of a difference of shares of the same n images is (b + c - (b - c)^2 / n) / n^2.

    b and c count the images that only one of two classifiers recognizes (Agresti, section 11.1).
    """
    generator = np.random.default_rng(0)
    one, other = generator.uniform(size=(2, 400)) < [[0.9], [0.8]]
    found = verdict(GAIN, paired([one, one, one], [other, other, other]))
    b, c = (one & ~other).sum(), (other & ~one).sum()
    value, error = 100 * (b - c) / 400, 100 * math.sqrt(b + c - (b - c) ** 2 / 400) / 400
    np.testing.assert_allclose(
        (found.low, found.high), (value - 1.96 * error, value + 1.96 * error)
    )
    # The difference of an image is its mean over the seeds.
    alone = paired([[1, 0], [1, 0]], [[0, 1], [1, 0]])
    assert alone.values == [0, 0]
    assert paired([[1, 1, 0, 1]], [[1, 0, 0, 0]]).says == "75.0 against 25.0 %"
    np.testing.assert_allclose(alone.image_error, 100 * 0.5 / math.sqrt(2))


def test_a_single_seed_decides_only_with_the_noise_of_others():
    assert verdict(GAIN, Evidence([5.0])).verdict == "undecided"
    assert verdict(GAIN, Evidence([5.0], pooled=[[1.0, 1.1], [2.0, 2.2]])).verdict == "confirmed"
    assert verdict(GAIN, Evidence([5.0], exact=True))[:4] == ("confirmed", 5.0, 5.0, 5.0)


def test_the_images_of_the_test_set_add_binomial_noise():
    values = [0.9, 1.1]
    without = verdict(GAIN, Evidence(values))
    found = verdict(GAIN, Evidence(values, accuracies=(0.9, 0.8), images=400, scale=100))
    images = 1.96 * 100 * math.sqrt((0.9 * 0.1 + 0.8 * 0.2) / 400)
    np.testing.assert_allclose(found.high - 1, math.hypot(without.high - 1, images))
    # Ten times the seeds leave this noise as it is.
    many = verdict(GAIN, Evidence(values * 10, accuracies=(0.9, 0.8), images=400, scale=100))
    assert many.high - 1 > images


def test_ratios_are_averaged_on_a_log_scale():
    found = verdict(RATIO, Evidence([4.0, 9.0]))
    np.testing.assert_allclose(found.value, 6.0)
    low, high = stats.t.interval(0.95, 1, np.log([4, 9]).mean(), stats.sem(np.log([4, 9])))
    np.testing.assert_allclose((found.low, found.high), np.exp((low, high)))
    with pytest.raises(ValueError, match="not positive"):
        verdict(RATIO, Evidence([1.0, 0.0]))


@pytest.mark.parametrize(
    ("criterion", "low", "high", "expected"),
    [
        (above(2), 2.1, 3, "confirmed"), (above(2), 1, 2, "refuted"), (above(2), 1, 3, "undecided"),
        (above(2), 2, 3, "undecided"),
        (below(2), 1, 1.9, "confirmed"), (below(2), 1, 2, "undecided"),
        (below(2), 2, 3, "refuted"), (within(1, 3), 1.1, 2.9, "confirmed"),
        (within(1, 3), 0.9, 2, "undecided"), (within(1, 3), 2, 3.1, "undecided"),
        (within(1, 3), 3, 4, "refuted"), (within(1, 3), 0, 1, "refuted"),
        (above(2), 2.1, math.inf, "confirmed"), (above(2), 1, math.inf, "undecided"),
        (below(2), 2.1, math.inf, "refuted"), (below(2), 1, math.inf, "undecided"),
        (within(1, 3), 2, math.inf, "undecided"), (above(2), -math.inf, math.inf, "undecided"),
        (equals(6, rather_than=3), 4, 8, "confirmed"),
        (equals(6, rather_than=3), 2, 7, "undecided"),
        (equals(6, rather_than=3), 1, 5, "refuted"), (equals(6, rather_than=3), 7, 9, "refuted"),
        (equals(6, rather_than=3), 4, 6, "confirmed"),
        (equals(6, rather_than=3), 6, 8, "confirmed"),
        (equals(6, rather_than=3), 3, 7, "undecided"),
        (equals(6, rather_than=8), 5, 8, "undecided"),
        (equals(6, rather_than=3), 4, math.inf, "undecided"),
        (equals(6, rather_than=3), 7, math.inf, "refuted"),
        (equals(6, rather_than=9), -math.inf, 8, "undecided"),
    ],
)  # fmt: skip
def test_criteria(criterion, low, high, expected):
    assert criterion.judge(low, high) == expected


def test_a_range_needs_two_limits_in_order():
    for high in (1, 3):
        with pytest.raises(ValueError, match="low must be less than high"):
            within(3, high)


def test_the_seeds_that_would_decide():
    values = [0.0, 2.0]  # mean 1, noise 12.7
    found = verdict(GAIN, Evidence(values))
    noise = stats.t.ppf(0.975, 1) * math.sqrt(2) / math.sqrt(2)
    assert found.needed == math.ceil(2 * noise**2)
    assert verdict(GAIN, Evidence([-1.0, 1.0])).needed is None  # no number of seeds decides zero
    ratio = verdict(RATIO, Evidence([2.0, 10.0]))
    noise = math.log(ratio.high / ratio.value)
    assert ratio.needed == math.ceil(2 * (noise / math.log(ratio.value / 3)) ** 2) or ratio.needed
    assert verdict(GAIN, Evidence([5.0, 5.1])).needed is None
    # The noise of the images remains, and may be too large for any number of seeds.
    found = verdict(GAIN, Evidence(values, image_error=0.25))
    images = 1.96 * 0.25
    assert found.needed == math.ceil(2 * stats.t.ppf(0.975, 1) ** 2 / (1 - images**2))
    assert verdict(GAIN, Evidence(values, image_error=0.6)).needed is None


def test_trainings_that_diverged_or_did_not_arrive():
    assert verdict(GAIN, Evidence([1.0, math.nan])).verdict == "diverged"
    slow = verdict(RATIO, Evidence([8.0, 8.2], at_least=True))
    assert (slow.verdict, slow.high) == ("refuted", math.inf)
    # At least 5.1 may be 6, and may be 60.
    assert verdict(RATIO, Evidence([5.0, 5.2], at_least=True)).verdict == "undecided"
    faster = Claim("It is faster.", "", "time over time", above(1), log=True)
    assert verdict(faster, Evidence([3.0, 3.1], at_least=True)).verdict == "confirmed"
    # More seeds may show that a lower bound is above 6, but never that the number is 6.
    near = verdict(RATIO, Evidence([6.0, 8.3], at_least=True))
    noise = math.log(near.value / near.low)
    assert near.verdict == "undecided"
    assert near.needed == math.ceil(2 * (noise / math.log(near.value / 6)) ** 2)
    assert verdict(RATIO, Evidence([3.0, 5.3], at_least=True)).needed is None
    with pytest.raises(ValueError, match="nothing was measured"):
        verdict(GAIN, Evidence([]))


def test_conditions_that_disagree_make_it_depend():
    assert combined(["confirmed", "confirmed"]) == "confirmed"
    assert combined(["refuted", "confirmed", "undecided"]) == "depends"
    assert combined(["refuted", "undecided"]) == "undecided"
    assert combined(["confirmed", "diverged"]) == "undecided"
    claim = Claim("It helps.", "a lecture", "gain", above(0.0), ("tanh", "relu"))
    found = finding(claim, {"relu": Evidence([-1, -1.1]), "tanh": Evidence([1, 1.1], says="all")})
    assert (found.verdict, list(found.conditions)) == ("depends", ["tanh", "relu"])
    with pytest.raises(ValueError, match="elu"):
        finding(claim, {"tanh": Evidence([1.0]), "elu": Evidence([1.0])})


def test_a_line_has_the_claim_the_numbers_the_noise_and_the_verdict():
    claim = Claim("It helps.", "a lecture", "gain", above(0.0), ("tanh", "relu"), unit=" points")
    found = finding(
        claim, {"tanh": Evidence([1, 1.2], says="3 against 2"), "relu": Evidence([-1, -1.2])}
    )
    assert line(found) == (
        "It helps: tanh: 1.1 ± 1.3 points, 3 against 2, undecided, about 3 seeds would decide it; "
        "relu: -1.1 ± 1.3 points, undecided, about 3 seeds would decide it "
        "[gain; the claim: above 0 points] (undecided)"
    )
    assert "undecided" not in line(found, verdict=False)
    alone = line(finding(GAIN, {"": Evidence([1, 1.2])}))
    assert alone == (
        "It helps: 1.1 ± 1.3, about 3 seeds would decide it [gain; the claim: above 0] (undecided)"
    )


def test_numbers_have_the_digits_that_their_noise_leaves():
    assert measured(verdict(GAIN, Evidence([12.0, 12.2, 12.4]))) == "12.20 ± 0.50"
    assert measured(verdict(GAIN, Evidence([1500.0, 1700.0]))) == "1600 ± 1271"
    assert measured(verdict(GAIN, Evidence([0.25], exact=True))) == "0.250"
    assert measured(verdict(GAIN, Evidence([0.25]))) == "0.250 (one seed)"
    assert measured(verdict(GAIN, Evidence([math.nan]))) == "diverged"
    assert measured(verdict(RATIO, Evidence([4.0, 4.4])), log=True) == "4.20 (2.29 to 7.69)"
    assert measured(verdict(RATIO, Evidence([8.0], exact=True, at_least=True))) == "at least 8.00"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"), (math.inf, "inf"), (2.0, "2.00"), (12.34, "12.3"), (123.4, "123"),
        (99_999, "99,999"), (1e5, "1e+05"), (0.001, "0.00100"), (0.000999, "0.001"),
        (-0.0456, "-0.0456"),
    ],
)  # fmt: skip
def test_numbers_have_three_significant_digits(value, expected):
    assert number(value) == expected
