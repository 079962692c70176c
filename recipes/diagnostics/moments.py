"""Moments, histograms and shares of activations: computed in a graph, and summed over batches."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf


class Values(NamedTuple):
    """Statistics of a tensor (..., units) for one batch, as tensors.

    Attributes:
        count: the number of values of a unit.
        mean, variance, largest: of each unit (units,).
        zero: whether all values of a unit are 0 (units,).
        beyond: the number of values beyond each limit.
        saturated: the number of saturated values.
        histogram: counts between the edges; empty without edges.
    """

    count: Any
    mean: Any
    variance: Any
    largest: Any
    zero: Any
    beyond: Any
    saturated: Any
    histogram: Any

    @classmethod
    def of(cls, x, edges=None, beyond=(), limits=None, near: float = 0.0) -> "Values":
        """Compute the statistics of a tensor.

        Args:
            x: tensor (..., units).
            edges: edges of the histogram; None for none.
            beyond: limits of |x|.
            limits: the smallest and largest value of a bounded activation, each of which may be
                None; None if it is unbounded.
            near: the distance from a limit within which a value is saturated, as a fraction of the
                distance between the limits, or of the only limit.
        """
        x = tf.reshape(tf.cast(x, tf.float32), (-1, x.shape[-1]))
        mean, variance = tf.nn.moments(x, [0])
        low, high = limits or (None, None)
        margin = near * ((high or 0) - (low or 0))
        ends = [] if low is None else [_count(x < low + margin)]
        ends += [] if high is None else [_count(x > high - margin)]
        size = tf.abs(x) if len(beyond) else x
        return cls(
            count=tf.shape(x)[0],
            mean=mean,
            variance=variance,
            largest=tf.reduce_max(x, 0),
            zero=tf.reduce_all(x == 0, 0),
            beyond=[_count(size > limit) for limit in beyond],
            saturated=tf.add_n(ends) if ends else tf.zeros([], tf.int64),
            histogram=_histogram(x, edges),
        )


def _count(condition):
    return tf.math.count_nonzero(condition)


def _histogram(x, edges):
    """Return what numpy.histogram does: the last bin includes its upper edge."""
    if edges is None:
        return tf.zeros([0], tf.int64)
    x = tf.reshape(x, [-1])
    bins = tf.searchsorted(tf.constant(edges), x, side="right")
    bins = tf.where(x == edges[-1], len(edges) - 1, bins)
    bins = tf.where(tf.math.is_nan(x), 0, bins)
    counts = tf.math.bincount(bins, minlength=len(edges) + 1, maxlength=len(edges) + 1)
    return tf.cast(counts[1 : len(edges)], tf.int64)


class Sums:
    """The statistics of all batches so far."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.squares = np.zeros(())
        self.largest = np.full((), -np.inf)
        self.zero = np.ones((), bool)
        self.beyond_counts: Any = 0
        self.saturated_count = 0
        self.counts: Any = 0

    def add(self, batch: Values) -> None:
        """Add a batch."""
        count = int(batch.count)
        mean, variance = (np.asarray(x, np.float64) for x in (batch.mean, batch.variance))
        difference = mean - self.mean
        total = self.count + count
        # Merge the moments of two samples (Chan et al. 1979).
        with np.errstate(over="ignore", invalid="ignore"):
            self.squares = (
                self.squares + variance * count + difference**2 * (self.count * count / total)
            )
            self.mean = self.mean + difference * (count / total)
        self.count = total
        self.largest = np.maximum(self.largest, np.asarray(batch.largest))
        self.zero = self.zero & np.asarray(batch.zero)
        self.beyond_counts = self.beyond_counts + np.array([int(n) for n in batch.beyond])
        self.saturated_count += int(batch.saturated)
        self.counts = self.counts + np.asarray(batch.histogram)

    @property
    def units(self) -> int:
        return len(self.mean)

    def moments(self) -> dict[str, float]:
        """Return mean and standard deviation of all values, and the mean one of a unit."""
        with np.errstate(over="ignore", invalid="ignore"):
            own = self.squares / self.count
            mean = float(self.mean.mean())
            between = np.mean((self.mean - mean) ** 2)
            return {
                "mean": mean,
                "sd": float(np.sqrt(own.mean() + between)),
                "unit_sd": float(np.sqrt(own).mean()),
            }

    @property
    def beyond(self) -> list[float]:
        return [float(n) / (self.count * self.units) for n in self.beyond_counts]

    @property
    def saturated(self) -> float:
        return self.saturated_count / (self.count * self.units)

    @property
    def dead(self) -> float:
        return float(self.zero.mean())

    def negative(self, pieces: int = 1) -> float:
        """Return the share of units for which the values of all `pieces` channels are at most 0."""
        return float((self.largest <= 0).reshape(-1, pieces).all(1).mean())

    @property
    def histogram(self) -> np.ndarray | None:
        return self.counts if len(self.counts) else None
