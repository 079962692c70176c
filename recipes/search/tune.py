"""Search the hyperparameters of a recipe with Keras Tuner's oracles.

The directory of a search contains search.json (what is searched), oracle/ (Keras Tuner's state),
trials/ID (one run per trial), trials.csv and best.py. Each trial has its own process, because
memory would grow from trial to trial in a single process, and a crash affects one trial only.
"""

import contextlib
import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import keras_tuner as kt
import pandas as pd

import zoo
from recipes import worker
from recipes.distribution import strategies
from recipes.early_checks import check_search
from recipes.locking import locked
from recipes.recipe import Recipe, difference, from_json, replace, style_of, to_json
from recipes.recipe_files import RecipeFile, read, source
from recipes.run import Run
from recipes.search.oracles.make import (
    TRIALS,
    follow_the_last,
    make_oracle,
    restore,
    without_repeats,
)
from recipes.search.oracles.stages import StagesOracle
from recipes.search.report import (
    best_of,
    best_row,
    label_of,
    order_of,
    reason_of,
    rows_of,
    short,
    show,
    why_it_ended,
)
from recipes.search.spaces.axes import SpaceOf, parse
from recipes.search.spaces.default_space import default_space
from recipes.search.spaces.grid import Grid
from recipes.search.spaces.space import Space, SpaceFunction, trial_recipe, with_current_names
from recipes.values import continues_stages, parse_stages
from recipes.watch.plotting import draw_search
from zoo.files import write, write_json
from zoo.terminal import plural

# Prefix of the error of a trial if its process failed; the same recipe may then be tried again.
_PROCESS = "its process"


def tune(
    recipe: str | Path | Recipe,
    *,
    run: str | Path,
    trials: int | None = None,
    tuner: str = "random",
    strategy: str = "auto",
    space: SpaceFunction | str | None = None,
    stages: str | None = None,
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
    check_search(tuner, trials, stages)
    base = replace(file.recipe, **overrides)
    zoo.resolve(base.model, **style_of(base))
    if isinstance(space, str):
        space = SpaceOf(base, parse(space))
    return tune_checked(
        file,
        base,
        space or file.space,
        run=run,
        trials=trials,
        tuner=tuner,
        strategy=strategy,
        stages=stages,
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

    name, path = file.name, Path(run)
    with locked(path):
        about = {"recipe": to_json(base), "first": to_json(first), "tuner": tuner}
        _claim(path, about | {"space": hp.get_config()["space"], "stages": stages})
        searched = Space(base, space)
        oracle = make_oracle(
            tuner, hp, seed=base.seed, epochs=base.epochs, trials=trials, by=base.select_by,
            space=searched, stages=plan, announce=print if verbose else lambda text: None,
        )  # fmt: skip
        without_repeats(oracle, searched.key)
        search = Search(path, searched, oracle, strategy, verbose)
        search.search(verbose=0)
        found = rows_of(search.oracle, searched, path)
        good = found[found["error"].isna()] if len(found) else found
        write(path / "trials.csv", lambda file: found.to_csv(file, index=False))
        draw_search(path, f"{name}, {plural(len(found), 'trial')}")
        if isinstance(oracle, StagesOracle):
            write_json(path / "stages.json", oracle.begun())
        best = best_of(good, base.select_by) if len(good) else None
        if verbose:
            show(found, name, tuner, base.select_by, None if best is None else best["trial"])
            if remark := why_it_ended(search.oracle, searched, len(found), tuner):
                print(remark)
        if best is None:
            last = found["error"].iloc[-1] if len(found) else "there were no trials"
            raise ValueError(f"run={str(path)!r}: no trial succeeded; the last error: {last}")
        values = search.oracle.trials[best["trial"]].hyperparameters
        metric = label_of(base.select_by)
        text = source(
            searched.recipe(values) if plan else trial_recipe(base, space(values)),
            f"The best of {plural(len(found), 'trial')} of {name} ({tuner} search).\n\n"
            f"{metric.capitalize()} {best['score']:.4f} in {best['run']}.",
        )
        write(path / "best.py", lambda file: file.write(text))
        if verbose:
            print(f"best: {metric} {best['score']:.4f}; train it: {path / 'best.py'}")
    return found


class Search(kt.engine.base_tuner.BaseTuner):
    """Keras Tuner's search loop, with a run directory for each trial."""

    def __init__(self, path, space, oracle, strategy, verbose):
        self.path, self.space = path, space
        self.strategy, self.verbose = strategy, verbose
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                super().__init__(oracle, directory=str(path), project_name="oracle")
                restore(oracle)
        except (ValueError, KeyError, RuntimeError) as error:
            raise ValueError(
                f"{path / 'oracle'}: the state of the search is damaged ({error});"
                " choose another --run"
            ) from None
        self.save()  # so that a search killed in its first trial can resume it

    def pre_create_trial(self):
        follow_the_last(self.oracle)

    def save(self):
        self.oracle.save()
        write_json(Path(self._get_tuner_fname()), self.get_state())

    def _try_run_and_update_trial(self, trial, *args, **kwargs):
        # Keras Tuner prints a traceback for every error and continues.
        try:
            self._run_and_update_trial(trial)
            trial.status = "COMPLETED"
        except kt.errors.FailedTrialError as error:
            trial.status, trial.message = "FAILED", str(error)

    def run_trial(self, trial, *args, **kwargs):
        folder = self.path / "trials" / trial.trial_id
        if self.verbose:
            active = self.space.active(trial.hyperparameters.values)
            shown = ", ".join(f"{n}={short(v)}" for n, v in active.items())
            print(f"trial {trial.trial_id}: {shown}", flush=True)
        try:
            recipe = self.space.recipe(trial.hyperparameters)
        except ValueError as wrong:
            raise self._failed(trial, str(wrong)) from wrong
        finally:
            self.oracle.update_space(trial.hyperparameters)
        order = {"recipe": to_json(recipe), "run": str(folder), "strategy": self.strategy}
        file = folder.with_suffix(".json")
        same = self._same(trial.trial_id, order["recipe"])
        if same is not None:
            write_json(file, order | {"same_as": same.trial_id})
            if same.status != "COMPLETED":
                raise self._failed(
                    trial, f"same as trial {same.trial_id}: {reason_of(self.path, same)}"
                )
            if self.verbose:
                print(f"trial {trial.trial_id}: same as trial {same.trial_id}, not trained again")
            return {self.oracle.objective.name: same.score}
        folder.parent.mkdir(exist_ok=True)  # otherwise `locked` would remove it again
        with locked(folder, wait=worker.END_SECONDS + 5):  # for the trial of a killed search
            pass
        write_json(file, order | {"verbose": self.verbose})
        folder.with_suffix(".error").unlink(missing_ok=True)  # of an earlier session
        code = worker.run("recipes.search.trial", str(file))
        if code in (130, 143):  # only the trial was interrupted
            raise KeyboardInterrupt
        if code:
            error = folder.with_suffix(".error")
            if not error.is_file():
                ended = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
                write(error, lambda out: out.write(f"{_PROCESS} {ended}"))
            raise kt.errors.FailedTrialError(error.read_text("utf-8"))
        by = self.oracle.objective.name
        score = best_row(Run(folder), by)[by]
        if not math.isfinite(score):
            raise self._failed(trial, f"{by} is not a finite number")
        return {by: float(score)}

    def _failed(self, trial, reason: str) -> kt.errors.FailedTrialError:
        if self.verbose:
            print(f"trial {trial.trial_id}: {reason}", file=sys.stderr)
        return kt.errors.FailedTrialError(reason)

    def _same(self, trial_id: str, recipe: dict[str, Any]) -> Any:
        """Return an earlier trial of the same recipe that finished, or failed because of it."""
        for other in self.oracle.start_order:
            trial = self.oracle.trials[other]
            if other == trial_id or trial.status not in ("COMPLETED", "FAILED"):
                continue
            order = order_of(self.path, other)
            if order.get("recipe") != recipe or "same_as" in order:
                continue
            if trial.status == "COMPLETED" or not reason_of(self.path, trial).startswith(_PROCESS):
                return trial
        return None


def _claim(path: Path, wanted: dict[str, Any]) -> None:
    """Check that a directory is empty or contains the same search."""
    file = path / "search.json"
    wanted = json.loads(json.dumps(wanted, default=str))
    if not file.exists():
        write_json(file, wanted)
        return
    held = json.loads(file.read_text("utf-8"))
    for key in ("tuner", "space"):
        if held[key] != wanted[key]:
            raise ValueError(
                f"run={str(path)!r}: contains another search ({key}={held[key]} there,"
                f" {wanted[key]} now); choose another --run"
            )
    before, now = held.get("stages"), wanted["stages"]
    if not continues_stages(before, now):
        raise ValueError(
            f"run={str(path)!r}: contains another search (stages={before} there, {now} now); only"
            " more stages, or more trials in the last one, continue it; choose another --run"
        )
    if before != now:
        write_json(file, held | {"stages": now})
    # Compare the first trial's recipe, too: the function space may have changed.
    for key, where in (("recipe", "there"), ("first", "in its first trial")):
        old, new = (from_json(each.get(key, wanted[key])) for each in (held, wanted))
        changes = difference(old, new)
        if changes:
            shown = "; ".join(f"{n}={a!r} {where}, {b!r} now" for n, (a, b) in changes.items())
            raise ValueError(
                f"run={str(path)!r}: contains another search ({shown}); choose another --run"
            )
