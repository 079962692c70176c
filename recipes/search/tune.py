"""Search the hyperparameters of a recipe with Keras Tuner's oracles.

The directory of a search contains search.json (what is searched), oracle/ (Keras Tuner's state),
trials/ID (one run per trial), trials/ID.log (what it printed), trials.csv, workers.json (what each
worker does), and best.py. Worker processes train the trials; see recipes.search.workers.
"""

import functools
from pathlib import Path
from typing import Any

import keras_tuner as kt
import pandas as pd

import zoo
from recipes.distribution import strategies
from recipes.early_checks import check_search
from recipes.locking import locked
from recipes.recipe import Recipe, replace, style_of, to_json
from recipes.recipe_files import RecipeFile, read, source
from recipes.search.claim import claim
from recipes.search.hparams import write_trials
from recipes.search.importance import write_importance
from recipes.search.oracles.make import TRIALS, make_oracle, reload, without_repeats
from recipes.search.oracles.stages import StagesOracle
from recipes.search.report import best_of, rows_of, show, why_it_ended
from recipes.search.spaces.axes import space_of
from recipes.search.spaces.default_space import default_space
from recipes.search.spaces.grid import Grid
from recipes.search.spaces.space import Space, SpaceFunction, trial_recipe, with_current_names
from recipes.search.trials import Trials
from recipes.search.workers import hosts, local
from recipes.search.workers.chief import Chief
from recipes.training.selection import label_of
from recipes.values import parse_stages
from recipes.watch.plotting import draw_search
from zoo.files import write, write_json
from zoo.terminal import plural


def tune(
    recipe: str | Path | Recipe,
    *,
    run: str | Path,
    trials: int | None = None,
    tuner: str = "random",
    strategy: str = "auto",
    space: SpaceFunction | str | None = None,
    stages: str | None = None,
    workers: int = 1,
    stop_early: bool = True,
    verbose: bool = True,
    **overrides: Any,
) -> "pd.DataFrame":
    """Search the hyperparameters of a recipe. The same call resumes after an interruption.

    The score of a trial is the best value of the recipe's select_by in its epochs, by default the
    highest validation accuracy. Of equal scores, the one with the lower validation loss in that
    epoch is the best.

    Args:
        recipe: recipe name, path of a recipe file, or a Recipe.
        run: directory of the search.
        trials: largest number of trials. Default: 8, or one whole round of hyperband. A larger
            number than before continues a finished search.
        tuner: "random", "bayesian", "hyperband", "grid", "reinforce" or "evolution".
        strategy: devices of each trial; see recipes.train.
        workers: number of processes that train trials at the same time.
        stop_early: whether a trial is stopped if its scores are below the median of the others; see
            recipes.search.stopping. Hyperband has its own rule.
        space: function from Keras Tuner's HyperParameters to overrides, or axes as text, such as
            "act=relu,elu lr=log:1e-4:1"; see recipes.search.spaces.axes. Default: `space` in the
            recipe file, or else a space over everything that applies to the recipe.
        stages: trials and epochs of each stage of a coarse-to-fine search, such as "30x2,10x10";
            see recipes.search.oracles.stages. More stages, or more trials of the last one, continue
            a finished search. Default: all trials have the epochs of the recipe.
        verbose: whether to show progress and the table.
        overrides: new values for the recipe's fields; those of the space take precedence.

    Returns:
        One row per trial: trial, score, the hyperparameters, epochs, seconds, error, same_as (the
        trial with the same recipe, which is not trained again), run.

    Raises:
        ValueError: if a name or value of the space is not valid, there is no validation set, the
            directory contains another search, or all trials failed.
    """
    file = read(recipe)
    check_search(tuner, trials, stages, workers)
    base = replace(file.recipe, **overrides)
    zoo.resolve(base.model, **style_of(base))
    return tune_checked(
        file,
        base,
        space_of(file, base, space),
        run=run,
        trials=trials,
        tuner=tuner,
        strategy=strategy,
        stages=stages,
        workers=workers,
        stop_early=stop_early,
        verbose=verbose,
    )


def tune_checked(
    file: RecipeFile,
    base: Recipe,
    space: SpaceFunction | None,
    *,
    run: str | Path,
    trials: int | None = None,
    tuner: str = "random",
    strategy: str = "auto",
    stages: str | None = None,
    workers: int = 1,
    stop_early: bool = True,
    verbose: bool = True,
) -> "pd.DataFrame":
    """Search around a recipe whose network has been checked; otherwise like `tune`.

    Args:
        file: the recipe's file; its name is that of the search.
        base: the file's recipe with all overrides.
        space: function from Keras Tuner's HyperParameters to further overrides, or None.
    """
    if base.validation == 0.0:
        raise ValueError("validation=0.0: a search needs a validation set; set a fraction")
    strategies.cluster_for(strategy, hosts=False)
    say = functools.partial(print, flush=True) if verbose else lambda line: None
    name, path = file.name, Path(run)
    if hosts.joins():
        hosts.join(path, workers, strategy, say)
        return pd.read_csv(path / "trials.csv", dtype={"trial": str, "same_as": str})
    if space is None:
        if tuner == "grid":
            raise ValueError(
                "tuner='grid': the default space has too many values for a grid; name some with"
                " --space, or use --tuner=random"
            )
        space = default_space(base)
    space = with_current_names(space)
    if tuner == "grid":
        space = Grid(base, space, trials or TRIALS)
        if verbose:
            print(space.plan(trials or TRIALS))
    hp = kt.HyperParameters()
    plan = None if stages is None else parse_stages(stages)
    first = trial_recipe(base, space(hp), base.epochs if plan or tuner == "hyperband" else None)
    if (first.model, style_of(first)) != (base.model, style_of(base)):
        zoo.resolve(first.model, **style_of(first))

    with locked(path):
        about = {"recipe": to_json(base), "first": to_json(first), "tuner": tuner}
        claim(path, about | {"space": hp.get_config()["space"], "stages": stages})
        searched = Space(base, space)
        oracle = make_oracle(
            tuner, hp, seed=base.seed, epochs=base.epochs, trials=trials, by=base.select_by,
            space=searched, stages=plan, announce=say,
        )  # fmt: skip
        without_repeats(oracle, searched.key)
        reload(oracle, path / "oracle")
        known: dict[str, dict[str, Any]] = {}
        found = pd.DataFrame()

        def changed(chief: Chief) -> None:
            nonlocal found
            found = rows_of(oracle, searched, path, known, oracle._retry_queue)
            write(path / "trials.csv", lambda file: found.to_csv(file, index=False))
            write_trials(path, searched, oracle)
            if isinstance(oracle, StagesOracle):
                write_json(path / "stages.json", oracle.begun())

        local.search(
            oracle, Trials(path, searched), workers=workers, strategy=strategy,
            median=stop_early and tuner != "hyperband",
            say=say, changed=changed,
        )  # fmt: skip
        _, about_importance = write_importance(path, found, oracle, base.select_by)
        draw_search(path, f"{name}, {plural(len(found), 'trial')}")
        good = found[found["score"].notna()] if len(found) else found
        best = best_of(good, base.select_by) if len(good) else None
        kind = tuner if plan is None else "coarse-to-fine"
        if verbose:
            show(found, name, kind, base.select_by, None if best is None else best["trial"])
            if remark := why_it_ended(oracle, searched, len(found), tuner):
                print(remark)
            print(about_importance)
        if best is None:
            last = found["error"].iloc[-1] if len(found) else "there were no trials"
            raise ValueError(f"run={str(path)!r}: no trial succeeded; the last error: {last}")
        trial = oracle.trials[best["trial"]]
        title = f"The best of {plural(len(found), 'trial')} of {name} ({kind} search)."
        _write_best(path, searched, trial, best, title)
        if verbose:
            score = f"{label_of(base.select_by)} {best['score']:.4f}"
            print(f"best: {score}; train it: {path / 'best.py'}")
    return found


def _write_best(path: Path, space: Space, trial: Any, row: "pd.Series", about: str) -> None:
    """Write best.py, a recipe that reproduces the score of the best trial."""
    recipe = space.recipe(trial.hyperparameters)
    metric = label_of(recipe.select_by)
    text = f"{about}\n\n{metric.capitalize()} {row['score']:.4f} in {row['run']}."
    if recipe.epochs < space.base.epochs:
        text += f" The trial had {recipe.epochs} of {plural(space.base.epochs, 'epoch')}."
    text = source(recipe, text)
    write(path / "best.py", lambda file: file.write(text))
