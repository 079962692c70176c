"""Verdicts: what measured values say about a claim, computed in the same way in every study."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from recipes.studying.criteria import Criterion

CONFIRMED, REFUTED, UNDECIDED = "confirmed", "refuted", "undecided"
DEPENDS, DIVERGED = "depends", "diverged"


@dataclass(frozen=True)
class Claim:
    """A statement of the lectures about one number.

    Attributes:
        text: the statement, as a sentence.
        source: the lectures that make it.
        quantity: what the number is, such as "test error at 56 layers minus that at 20, in points".
        criterion: the values for which the claim holds: above(x), below(x), within(low, high) or
            equals(x, rather_than=y).
        conditions: names of the conditions under which the number is measured, if there are
            several: the verdict is "depends" if they disagree.
        log: whether the number is a ratio: ratios are averaged and compared on a log scale.
        unit: unit of the number, such as " points" or " %", as it follows the number.
    """

    text: str
    source: str
    quantity: str
    criterion: Criterion
    conditions: tuple[str, ...] = ("",)
    log: bool = False
    unit: str = ""


@dataclass(frozen=True)
class Evidence:
    """The measured values of a claim's number, under one condition.

    Attributes:
        values: one value per seed; NaN stands for a training that diverged. Differences and
            ratios of arms that share their seeds are computed for each seed.
        pooled: the values of other arms whose variance over seeds is the same; the standard
            deviation is estimated from all of them, because two or three seeds estimate it poorly.
        accuracies: the accuracies, from 0 to 1, that are subtracted from each other, if there are
            any; the finite number of test images then adds noise.
        images: number of test images behind each of the accuracies.
        scale: factor from a difference of accuracies to the values: 100 for points.
        image_error: standard error of the mean of the values that comes from the finite number of
            test images, where it is known from the predictions; see `paired`. It takes the place of
            `accuracies` and `images`.
        exact: whether the number has no noise, such as the slope of a function.
        at_least: whether the number is a lower bound, for trainings that did not arrive.
        says: more numbers for the printed line.
        repeats: what the values are of, such as "repetitions", if not of seeds.
    """

    values: Sequence[float]
    pooled: Iterable[Sequence[float]] = ()
    accuracies: tuple[float, ...] = ()
    images: int = 0
    scale: float = 1.0
    image_error: float = 0.0
    exact: bool = False
    at_least: bool = False
    says: str = ""
    repeats: str = "seeds"


def correct_images(wrong: Iterable[Sequence[int]], images: int) -> np.ndarray:
    """Return which images are classified correctly, float [seeds, images], of lists of the others.

    Args:
        wrong: for each seed, the positions of the images that are classified wrongly.
        images: number of images.
    """
    return np.array([~np.isin(np.arange(images), each) for each in wrong], float)


def paired(one: Any, other: Any, pooled: Iterable[Sequence[float]] = ()) -> Evidence:
    """Return the evidence of a difference of accuracies, in points, on the same images.

    Two networks tend to be wrong about the same images. The noise that comes from the finite number
    of images is therefore computed from the differences of each image, not from the accuracies.

    Args:
        one, other: whether each image is classified correctly, [seeds, images].
        pooled: as in Evidence.
    """
    mine, theirs = np.asarray(one, float), np.asarray(other, float)
    difference = 100 * (mine - theirs)
    by_image = difference.mean(0)
    return Evidence(
        values=difference.mean(1).tolist(),
        pooled=pooled,
        image_error=float(by_image.std() / math.sqrt(len(by_image))),
        says=f"{100 * mine.mean():.1f} against {100 * theirs.mean():.1f} %",
    )


class Verdict(NamedTuple):
    """A claim's number, and what it says about the claim.

    Attributes:
        verdict: confirmed, refuted, undecided or diverged.
        value: mean over the seeds; the geometric mean of ratios.
        low, high: limits of the 95 % interval of the mean; infinite if the noise is unknown.
        seeds: number of values.
        needed: number of seeds that would decide an undecided claim, if the value stays the same;
            None if no number would, because the noise of the images remains.
        at_least: whether the value is a lower bound.
        repeats: what the values are of, in place of seeds.
    """

    verdict: str
    value: float
    low: float
    high: float
    seeds: int
    needed: int | None = None
    at_least: bool = False
    repeats: str = "seeds"


def verdict(claim: Claim, evidence: Evidence) -> Verdict:
    """Compute a claim's verdict under one condition from effect, noise and criterion.

    The claim is confirmed if the whole 95 % interval of the number satisfies the criterion, refuted
    if none of it does, and else undecided. The interval is that of Student's t distribution with
    the degrees of freedom of all pooled values, to which the binomial variance of accuracies is
    added.

    Args:
        claim: the claim.
        evidence: the measured values.

    Raises:
        ValueError: if there are no values, or a ratio is not positive.
    """
    values = [float(value) for value in evidence.values]
    if not values:
        raise ValueError(f"values=[]: nothing was measured for the claim {claim.text!r}")
    if any(math.isnan(value) for value in values):
        return Verdict(DIVERGED, math.nan, math.nan, math.nan, len(values))
    into, back = (_log, math.exp) if claim.log else (float, float)
    own = [into(value) for value in values]
    center = math.fsum(own) / len(own)
    others = [[into(v) for v in group] for group in evidence.pooled]
    of_seeds, of_images = _noise(own, others, evidence)
    noise = math.hypot(of_seeds, of_images)
    low, high = back(center - noise), math.inf if math.isinf(noise) else back(center + noise)
    if evidence.at_least:
        high = math.inf
    found = claim.criterion.judge(low, high)
    value = back(center)
    needed = None
    if found == UNDECIDED and 0 < of_seeds < math.inf:
        edge = claim.criterion.edge(value, evidence.at_least)
        distance = 0.0
        if edge is not None and (edge > 0 or not claim.log):
            distance = abs(into(edge) - center)
        if distance > of_images:
            needed = math.ceil(len(own) * of_seeds**2 / (distance**2 - of_images**2))
    return Verdict(
        found, value, low, high, len(values), needed, evidence.at_least, evidence.repeats
    )  # fmt: skip


def combined(verdicts: Iterable[str]) -> str:
    """Return one verdict for those under several conditions.

    It is "depends" if the claim is confirmed under one condition and refuted under another, the
    common verdict if all agree, and else undecided.
    """
    seen = set(verdicts)
    if {CONFIRMED, REFUTED} <= seen:
        return DEPENDS
    return seen.pop() if len(seen) == 1 else UNDECIDED


def pooled_deviation(groups: Iterable[Sequence[float]]) -> tuple[float, int]:
    """Return the standard deviation within groups of values, and its degrees of freedom."""
    squares, freedom = 0.0, 0
    for group in groups:
        mean = math.fsum(group) / len(group) if group else 0.0
        squares += math.fsum((value - mean) ** 2 for value in group)
        freedom += max(0, len(group) - 1)
    return (math.sqrt(squares / freedom) if freedom else math.nan), freedom


def _noise(own: list[float], others: list[list[float]], evidence: Evidence) -> tuple[float, float]:
    """Return half the widths of the 95 % intervals of a mean that are due to seeds and images.

    The images are the same for every seed, so more seeds do not reduce their noise.
    """
    from scipy.stats import t

    if evidence.exact:
        return 0.0, 0.0
    groups = others if any(group == own for group in others) else [own, *others]
    deviation, freedom = pooled_deviation(groups)
    if not freedom:
        return math.inf, 0.0
    seeds = float(t.ppf(0.975, freedom)) * deviation / math.sqrt(len(own))
    error = evidence.image_error
    if evidence.images:
        variance = math.fsum(share * (1 - share) for share in evidence.accuracies)
        error = evidence.scale * math.sqrt(variance / evidence.images)
    return seeds, 1.96 * error


def _log(value: float) -> float:
    if value <= 0:
        raise ValueError(f"values: {value:g} is not positive, but the claim is about a ratio")
    return math.log(value)


@dataclass(frozen=True)
class Finding:
    """A claim with the verdicts under its conditions.

    Attributes:
        claim: the claim.
        conditions: condition -> verdict.
        says: condition -> more numbers.
    """

    claim: Claim
    conditions: Mapping[str, Verdict]
    says: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Return the verdict over all conditions."""
        return combined(each.verdict for each in self.conditions.values())


def finding(claim: Claim, evidence: Mapping[str, Evidence]) -> Finding:
    """Compute the verdicts of a claim under all its conditions.

    Raises:
        ValueError: if the conditions are not those that the claim lists.
    """
    if set(evidence) != set(claim.conditions):
        raise ValueError(
            f"conditions={sorted(evidence)}: the claim {claim.text!r} is about "
            f"{sorted(claim.conditions)}"
        )
    return Finding(
        claim,
        {name: verdict(claim, evidence[name]) for name in claim.conditions},
        {name: evidence[name].says for name in claim.conditions if evidence[name].says},
    )
