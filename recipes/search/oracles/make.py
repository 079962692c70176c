"""Keras Tuner's oracles, which choose the trials of a search, with atomic files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras_tuner as kt

from recipes.search.oracles.draws import DRAWS, Proposing
from recipes.search.oracles.evolution import EvolutionOracle
from recipes.search.oracles.reinforce import ReinforceOracle
from recipes.search.oracles.stages import StagesOracle
from recipes.search.spaces.space import Space
from recipes.training.selection import METRICS
from recipes.values import Stage
from zoo.files import write_json

ORACLES: dict[str, type[kt.Oracle]] = {
    "random": kt.oracles.RandomSearchOracle,
    "bayesian": kt.oracles.BayesianOptimizationOracle,
    "hyperband": kt.oracles.HyperbandOracle,
    "grid": kt.oracles.GridSearchOracle,
    "reinforce": ReinforceOracle,
    "evolution": EvolutionOracle,
}
TRIALS = 8


def make_oracle(
    tuner: str,
    hp: kt.HyperParameters,
    *,
    seed: int,
    epochs: int,
    trials: int | None,
    by: str = "val_accuracy",
    space: Space | None = None,
    stages: Sequence[Stage] | None = None,
    announce: Callable[[str], None] = lambda text: None,
) -> kt.Oracle:
    """Create one of ORACLES that writes its files atomically.

    Args:
        tuner: name of the oracle.
        hp: the search space, as far as it is known.
        seed: seed of the oracle's random numbers.
        epochs: epochs of a full training, which hyperband shortens.
        trials: largest number of trials. None: TRIALS, or one whole round of hyperband.
        by: metric of the scores, one of selection.METRICS.
        space: the space itself, which only our own oracles need.
        stages: stages of a coarse-to-fine search, or None.
        announce: function that prints what a stage will try.
    """
    settings: dict[str, Any] = {
        "objective": kt.Objective(by, METRICS[by]),
        "hyperparameters": hp,
        "seed": seed + 1,  # Keras Tuner treats 0 as no seed
        "max_consecutive_failed_trials": 10**9,  # the table shows them
    }
    if stages is not None:
        assert space is not None
        made: kt.Oracle = StagesOracle(space, stages, announce, **settings)
    elif tuner == "hyperband":
        made = ORACLES[tuner](max_epochs=epochs, **settings)
        made.max_trials = trials
    elif issubclass(ORACLES[tuner], Proposing):
        assert space is not None
        made = ORACLES[tuner](space, trials or TRIALS, **settings)
    else:
        made = ORACLES[tuner](max_trials=trials or TRIALS, **settings)

    # Keras Tuner's methods do not write atomically.
    def save():
        write_json(Path(made._get_oracle_fname()), made.get_state())

    def save_trial(trial):
        write_json(Path(made._get_trial_dir(trial.trial_id), "trial.json"), trial.get_state())

    made.save, made._save_trial = save, save_trial
    return made


def without_repeats(made: kt.Oracle, key: Callable[[dict[str, Any]], str]) -> None:
    """Let an oracle propose only new recipes, as long as random draws find one.

    Keras Tuner compares all values, including those of hyperparameters that are inactive in a
    trial. If nothing new is found, the search ends, except that hyperband, whose rounds have a
    fixed size, repeats recipes.

    Args:
        made: the oracle. A grid search is not changed.
        key: function from values to a text that is the same for the same recipe.
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


def reload(made: kt.Oracle, folder: Path) -> None:
    """Read the state of an oracle from its files, if there are any, and repair it.

    Args:
        made: the oracle.
        folder: folder of its files.

    Raises:
        ValueError: if they are damaged.
    """
    made._set_project_dir(str(folder.parent), folder.name)
    made.verbose = 0
    if not (folder / "oracle.json").is_file():
        made.save()  # so that a search killed in its first trial can resume it
        return
    try:
        made.reload()
        # A killed search may have left a trial that its oracle had not saved.
        made.trials = {trial_id: made.trials[trial_id] for trial_id in made.start_order}
        # Keras Tuner first saves a trial that has ended as one that runs.
        made._retry_queue = [each for each in made._retry_queue if each not in made.end_order]
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"{folder}: the state of the search is damaged ({error}); choose another --run"
        ) from None
    if isinstance(made, kt.oracles.GridSearchOracle):
        # Keras Tuner does not save the position in a grid, and would stop.
        for before, trial_id in zip([None, *made.start_order], made.start_order, strict=False):
            made._ordered_ids.insert(trial_id, before)


def follow_the_last(made: kt.Oracle) -> None:
    """Let a grid search continue after its last trial.

    Keras Tuner also looks for gaps after earlier trials, for parallel workers. That raises a
    KeyError if a trial lacks a hyperparameter that was found later.
    """
    if isinstance(made, kt.oracles.GridSearchOracle):
        made._populate_next = made.start_order[-1:]
