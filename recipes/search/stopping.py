"""When a trial of a search is stopped before its last epoch."""

import math
import statistics
from collections.abc import Sequence

# Prefix of the error of a trial if its process failed; the same recipe may then be tried again.
PROCESS = "its process"
# In this first part of its epochs, a trial is not compared with others: warmup and noise decide.
UNTOUCHED = 0.2
# Nor in so many epochs, or in the first half: validation accuracies are near chance until the
# averages of batch norm have followed the weights.
EPOCHS = 5


def below_median(
    trial: Sequence[float],
    others: Sequence[Sequence[float]],
    direction: str,
    enough: int = 5,
    epochs: int = 0,
) -> bool:
    """Return whether the median rule stops a trial after its last epoch so far.

    The rule is that of Golovin et al. 2017, "Google Vizier": after t epochs, a trial stops if its
    best value is worse than the median, over other trials, of the mean of their first t values. It
    is applied only if `enough` others have t values. Those may have finished, still run or have
    been stopped later. It never stops a trial in its first epoch, its first fifth, its first
    EPOCHS epochs or half of all, or its last epoch.

    Args:
        trial: the metric after each epoch so far; NaN and infinity are the worst values.
        others: the same for other trials that can be compared, with any number of epochs.
        direction: "max" if higher values are better, otherwise "min".
        enough: smallest number of other trials with as many epochs.
        epochs: number of epochs for which the trial is trained. 0: unknown.
    """
    count = len(trial)
    first = max(2, math.ceil(UNTOUCHED * epochs), int(min(EPOCHS, epochs / 2)) + 1)
    if count < first or count == epochs:
        return False
    sign = 1 if direction == "max" else -1

    def finite(values: Sequence[float]) -> list[float]:
        return [sign * value if math.isfinite(value) else -math.inf for value in values[:count]]

    means = [sum(finite(other)) / count for other in others if len(other) >= count]
    return len(means) >= enough and max(finite(trial)) < statistics.median(means)
