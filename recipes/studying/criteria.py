"""Criteria: which values of a measured number confirm a claim."""

import math
from dataclasses import dataclass
from typing import Literal, Protocol


class Criterion(Protocol):
    """What a study's claim says about one number, written down before the number is measured."""

    def judge(self, low: float, high: float) -> Literal["confirmed", "refuted", "undecided"]:
        """Judge the interval [low, high] in which the number lies."""

    def edge(self, value: float, at_least: bool = False) -> float | None:
        """Return the limit of the claim that more seeds would exclude first, around a value.

        With `at_least`, the value is a lower bound: only limits below it can be excluded, and the
        result is None if there are none.
        """


@dataclass(frozen=True)
class Range:
    """The claim holds for values between `low` and `high`, the limits excluded."""

    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"within({self.low}, {self.high}): low must be less than high")

    def __str__(self) -> str:
        if math.isinf(self.low):
            return f"below {self.high:.3g}"
        if math.isinf(self.high):
            return f"above {self.low:.3g}"
        return f"between {self.low:.3g} and {self.high:.3g}"

    def judge(self, low: float, high: float) -> Literal["confirmed", "refuted", "undecided"]:
        """Confirm an interval inside the range, and refute one that does not overlap it."""
        if self.low < low and (high < self.high or math.isinf(self.high)):
            return "confirmed"
        if high <= self.low or low >= self.high:
            return "refuted"
        return "undecided"

    def edge(self, value: float, at_least: bool = False) -> float | None:
        """Return the finite limit that is nearest to a value."""
        limits = [x for x in (self.low, self.high) if math.isfinite(x)]
        return min(_possible(limits, value, at_least), key=lambda x: abs(x - value), default=None)


@dataclass(frozen=True)
class Equals:
    """The claim states a number; `rather_than` is the number that would contradict it."""

    number: float
    rather_than: float

    def __str__(self) -> str:
        return f"{self.number:.3g} rather than {self.rather_than:.3g}"

    def judge(self, low: float, high: float) -> Literal["confirmed", "refuted", "undecided"]:
        """Confirm an interval with the number but not the other; refute one without the number.

        A lower or upper bound alone, whose interval is infinite, cannot confirm a number.
        """
        if not low <= self.number <= high:
            return "refuted"
        bound = math.isinf(low) or math.isinf(high)
        return "undecided" if bound or low <= self.rather_than <= high else "confirmed"

    def edge(self, value: float, at_least: bool = False) -> float | None:
        """Return the number that the claim states or the other one, whichever is farther away.

        An interval that excludes it decides the claim. A lower bound can only exclude the stated
        number.
        """
        numbers = [self.number] if at_least else [self.number, self.rather_than]
        numbers = _possible(numbers, value, at_least)
        return max(numbers, key=lambda x: abs(x - value), default=None)


def _possible(limits: list[float], value: float, at_least: bool) -> list[float]:
    """Return the limits that an interval around a value, or a lower bound, may exclude."""
    return [x for x in limits if x < value] if at_least else limits


def above(limit: float) -> Range:
    """Return the criterion that a number is greater than a limit."""
    return Range(low=limit)


def below(limit: float) -> Range:
    """Return the criterion that a number is less than a limit."""
    return Range(high=limit)


def within(low: float, high: float) -> Range:
    """Return the criterion that a number lies between two limits."""
    return Range(low, high)


def equals(number: float, *, rather_than: float) -> Equals:
    """Return the criterion that a number is the stated one rather than another one."""
    return Equals(number, rather_than)
