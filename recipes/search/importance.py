"""How much each hyperparameter of a search matters, with its uncertainty.

A random forest of scikit-learn (of extremely randomized trees, which need fewer trials) predicts
the scores of trials that it has not seen, and a hyperparameter is important if shuffling its values
makes these predictions worse (permutation importance). Half of the increase of the squared error,
relative to the variance of the scores, estimates the total effect of the hyperparameter (Jansen
1999): the part of the variance that is due to it, alone and in interactions. With few trials, the
forest has learned little, and small effects are underestimated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recipes.search.stopping import PROCESS
from recipes.training.selection import METRICS
from zoo.files import write
from zoo.terminal import plural

if TYPE_CHECKING:
    import keras_tuner as kt

ENOUGH = 8  # smallest number of finished trials
FOLDS, ROUNDS = 5, 3  # of cross-validation
SHUFFLES = 3  # of each hyperparameter in a fold
TREES = 32


def importance(trials: pd.DataFrame, axes: Iterable[Any], by: str) -> tuple[pd.DataFrame, str]:
    """Return the importance of each hyperparameter, and why there is none or "".

    The scores are replaced by their ranks, so that a few huge losses do not hide everything else.
    A failed trial has the worst rank, because its values were bad, unless its process was killed or
    crashed. If trials have stages, or different numbers of epochs in hyperband, only the largest
    group of those that can be compared is used. Trials with the recipe of another do not count.
    Where a hyperparameter is inactive, its value is one of another trial, chosen at random: it then
    has no effect there, and does not show which other hyperparameter has made it inactive.

    Args:
        trials: rows of recipes.tune.
        axes: the hyperparameters of Keras Tuner.
        by: metric of the scores, one of selection.METRICS.

    Returns:
        A table with the columns hyperparameter, importance (0: none, 1: it determines the score)
        and deviation (standard deviation over the folds of a repeated cross-validation), the most
        important one first. Its values are near 0, and may be below, without any influence.
    """
    empty = pd.DataFrame(columns=["hyperparameter", "importance", "deviation"])
    rows = _comparable(trials)
    finished = int(rows["score"].notna().sum()) if len(rows) else 0
    if finished < ENOUGH:
        trained = plural(finished, "trial") + (" has" if finished == 1 else " have")
        return empty, (
            f"The importance of hyperparameters is not estimated: it needs {ENOUGH} finished trials"
            f" that can be compared, and {trained} finished."
        )
    ranks = _ranks(rows["score"], METRICS[by])
    columns = {}
    for hp in axes:
        if hp.name in rows and hp.name not in columns:
            values = _encoded(rows[hp.name], hp)
            if len({*values[~np.isnan(values)]}) > 1:
                columns[hp.name] = values
    if not columns or np.ptp(ranks) == 0:
        what = "scores" if columns else "values of each hyperparameter"
        return empty, f"The importance of hyperparameters is not estimated: all {what} are equal."
    found = _effects(np.stack([*columns.values()], axis=1), ranks)
    table = pd.DataFrame(
        {"hyperparameter": [*columns], "importance": found.mean(0), "deviation": found.std(0)}
    )
    return table.sort_values("importance", ascending=False, ignore_index=True).round(4), ""


def write_importance(
    path: Path, trials: pd.DataFrame, oracle: kt.Oracle, by: str
) -> tuple[pd.DataFrame, str]:
    """Write importance.csv into the directory of a search; return its table and a line about it.

    Args:
        path: directory of the search.
        trials: its rows, as from recipes.tune.
        oracle: its oracle, which knows the hyperparameters.
        by: metric of the scores.
    """
    if len(trials):
        values = [oracle.trials[trial].hyperparameters.values for trial in trials["trial"]]
        trials = trials.assign(**{"tuner/epochs": [each.get("tuner/epochs") for each in values]})
    table, why = importance(trials, oracle.hyperparameters.space, by)
    write(path / "importance.csv", lambda file: table.to_csv(file, index=False))
    return table, why or f"importance: {describe(table)}"


def describe(table: pd.DataFrame) -> str:
    """Return a table of importances in one line: "lr 0.61 +- 0.08, act 0.20 +- 0.05"."""
    return ", ".join(
        f"{row['hyperparameter']} {row['importance']:.2f} +- {row['deviation']:.2f}"
        for row in table.to_dict("records")
    )


def _comparable(trials: pd.DataFrame) -> pd.DataFrame:
    """Return independent trials that have a score or failed because of their values."""
    if not len(trials):
        return trials
    rows = trials[trials["same_as"].isna()]
    crashed = rows["error"].fillna("").str.startswith(PROCESS)
    rows = rows[rows["score"].notna() | (rows["error"].notna() & ~crashed)]
    for group in ("stage", "tuner/epochs"):
        if group in rows and rows[group].notna().any():
            scored = rows[rows["score"].notna()]
            sizes = scored[group].value_counts().sort_index()
            rows = rows[rows[group] == (sizes.idxmax() if len(sizes) else None)]
    return rows


def _ranks(scores: pd.Series, direction: str) -> np.ndarray:
    """Return ranks from 0 to 1; equal scores share one, and missing ones are the worst."""
    better = scores.astype(float) * (1 if direction == "max" else -1)
    ranks = better.fillna(-math.inf).rank(method="average").to_numpy()
    return (ranks - 1) / max(len(ranks) - 1, 1)


def _encoded(values: pd.Series, hp: Any) -> np.ndarray:
    """Return numbers on the scale of a range, or the numbers of a list's values; NaN: inactive."""
    if not hasattr(hp, "sampling"):
        codes, _ = pd.factorize(values.astype(object).map(str).where(values.notna()))
        return np.where(codes < 0, np.nan, codes)
    numbers = pd.to_numeric(values).to_numpy(float)
    if hp.sampling == "log":
        return np.log(numbers)
    if hp.sampling == "reverse_log":
        return -np.log(hp.max_value + hp.min_value - numbers)
    return numbers


def _effects(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the total effect of each column, one row for each fold of the cross-validation."""
    from sklearn.ensemble import ExtraTreesRegressor
    from sklearn.inspection import permutation_importance
    from sklearn.model_selection import KFold

    rng = np.random.RandomState(0)
    found = []
    for turn in range(ROUNDS):
        filled = x.copy()
        for column in filled.T:
            missing = np.isnan(column)
            column[missing] = rng.choice(column[~missing], missing.sum())
        for train, test in KFold(min(FOLDS, len(y) // 2), shuffle=True, random_state=turn).split(x):
            forest = ExtraTreesRegressor(TREES, random_state=turn).fit(filled[train], y[train])
            increase = permutation_importance(
                forest, filled[test], y[test], scoring="neg_mean_squared_error",
                n_repeats=SHUFFLES, random_state=turn,
            )  # fmt: skip
            found.append(increase.importances_mean / (2 * y.var()))
    return np.array(found)
