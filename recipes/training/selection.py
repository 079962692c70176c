"""Which epoch of a run is the best one, and when a run without improvement stops."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.options import unknown

# The metrics that select_by may name, and whether a higher or a lower value is better
METRICS = {
    "val_accuracy": "max",
    "val_loss": "min",
    "val_balanced_accuracy": "max",
    "val_macro_f1": "max",
    "accuracy": "max",
    "loss": "min",
}


def label_of(by: str) -> str:
    """Return the name of a metric in words: "validation accuracy" for "val_accuracy"."""
    return by.replace("val_", "validation ").replace("macro_f1", "macro F1").replace("_", " ")


def check(values: Mapping[str, Any]) -> None:
    """Check the fields of a recipe that select an epoch.

    Raises:
        ValueError: if the metric is unknown, or needs a validation set and there is none.
    """
    by = values["select_by"]
    if by not in METRICS:
        raise unknown("select_by", by, METRICS)
    if values["validation"] == 0.0 and by.startswith("val_"):
        for name, wanted in (
            ("select='best'", values["select"] == "best"),
            (f"early_stopping={values['early_stopping']}", values["early_stopping"] is not None),
        ):
            if wanted:
                raise ValueError(
                    f"{name}: needs a validation set, but validation=0.0; set a fraction, or"
                    " select_by='loss'"
                )


def _score(row: Mapping[str, Any], by: str) -> float:
    """The metric of an epoch's row, higher is better; -inf where it is missing or not a number."""
    value = float(row.get(by, math.nan))
    if math.isnan(value):
        return -math.inf
    return value if METRICS[by] == "max" else -value


def best_epoch(rows: Sequence[Mapping[str, Any]], by: str = "val_accuracy") -> int:
    """Return the number (from 1) of the epoch with the best metric; 0 where no row has it.

    Of equal values, the one with the lower validation loss is better, then the earlier one.
    """
    scored = [row for row in rows if by in row]
    if not scored:
        return 0
    return int(max(scored, key=lambda row: (_score(row, by), _score(row, "val_loss")))["epoch"])


def stopped_early(
    rows: Sequence[Mapping[str, Any]], epochs: int | None, by: str, min_delta: float = 0.0
) -> bool:
    """Return whether the last `epochs` epochs brought no improvement of the metric.

    An improvement is a value better than the best one before by more than `min_delta`, as in
    keras.callbacks.EarlyStopping. The answer depends on the rows alone, so that a resumed run
    stops at the same epoch as an uninterrupted one.
    """
    if epochs is None:
        return False
    best, waited = -math.inf, 0
    for row in rows:
        score = _score(row, by)
        improved = score - min_delta > best
        best, waited = (score, 0) if improved else (best, waited + 1)
        if waited >= epochs:
            return True
    return False
