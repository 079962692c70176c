"""Keras Tuner's oracles, which choose what a search tries: made, and their state kept whole."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner as kt

from recipes.training.selection import METRICS
from zoo.files import write_json

ORACLES: dict[str, Callable[..., kt.Oracle]] = {
    "random": kt.oracles.RandomSearchOracle,
    "bayesian": kt.oracles.BayesianOptimizationOracle,
    "hyperband": kt.oracles.HyperbandOracle,
    "grid": kt.oracles.GridSearchOracle,
}
TRIALS = 8
# Draws in a row that give no new recipe before a space counts as exhausted
DRAWS = 300


def oracle(
    tuner: str,
    hp: kt.HyperParameters,
    *,
    seed: int,
    epochs: int,
    trials: int | None,
    by: str = "val_accuracy",
) -> kt.Oracle:
    """One of ORACLES, whose files are written whole or not at all.

    Args:
        tuner: its name.
        hp: the space, as far as it is known.
        seed: of what it draws.
        epochs: of a whole training, which hyperband shortens.
        trials: how many at most; None for TRIALS, or one whole round of hyperband.
        by: the metric of the scores, one of selection.METRICS.
    """
    settings: dict[str, Any] = {
        "objective": kt.Objective(by, METRICS[by]),
        "hyperparameters": hp,
        "seed": seed + 1,  # 0 would be taken for none
        "max_consecutive_failed_trials": 10**9,  # the table shows them
    }
    if tuner == "hyperband":
        made = ORACLES[tuner](max_epochs=epochs, **settings)
        made.max_trials = trials
    else:
        made = ORACLES[tuner](max_trials=trials or TRIALS, **settings)

    # Keras Tuner's own open the files in their place.
    def save():
        write_json(Path(made._get_oracle_fname()), made.get_state())

    def save_trial(trial):
        write_json(Path(made._get_trial_dir(trial.trial_id), "trial.json"), trial.get_state())

    made.save, made._save_trial = save, save_trial
    return made


def without_repeats(made: kt.Oracle, key: Callable[[dict[str, Any]], str]) -> None:
    """Let an oracle propose new recipes only, as long as a random draw finds one.

    Keras Tuner compares values, also of hyperparameters that the space does not ask for with
    the others' values. Where nothing new is found, the search ends; hyperband, whose rounds have
    a fixed size, goes on with recipes that were tried.

    Args:
        made: a grid is left as it is.
        key: values -> a text that is the same for the same recipe.
    """
    draw, populate = made._random_values, made.populate_space
    made._max_collisions = DRAWS

    def tried() -> set[str]:
        return {key(trial.hyperparameters.values) for trial in made.trials.values()}

    def random_values():
        before = tried()
        made._duplicate = lambda values: key(values) in before
        values = draw()
        if values is None and isinstance(made, kt.oracles.HyperbandOracle):
            made._duplicate = lambda values: False
            values = draw()
        return values

    def populate_space(trial_id):
        found = populate(trial_id)
        if found["status"] == "RUNNING" and key(found["values"]) in tried():
            found = made._random_populate_space()
        return found

    made._random_values = random_values
    if isinstance(made, kt.oracles.BayesianOptimizationOracle):
        made.populate_space = populate_space


def restore(made: kt.Oracle) -> None:
    """Mend an oracle that was read from its files.

    Raises:
        KeyError: a trial's file is missing.
    """
    # One that was killed may have left a trial that it had not noted.
    made.trials = {trial_id: made.trials[trial_id] for trial_id in made.start_order}
    if isinstance(made, kt.oracles.GridSearchOracle):
        # Keras Tuner does not save where a grid was, and would stop.
        for before, trial_id in zip([None, *made.start_order], made.start_order, strict=False):
            made._ordered_ids.insert(trial_id, before)


def follow_the_last(made: kt.Oracle) -> None:
    """Let a grid's next trial be the one behind its last.

    Keras Tuner looks behind earlier ones again, for other workers: a KeyError where one
    lacks a hyperparameter that the space asked for later.
    """
    if isinstance(made, kt.oracles.GridSearchOracle):
        made._populate_next = made.start_order[-1:]
