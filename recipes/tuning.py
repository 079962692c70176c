"""Searches over a recipe's space by Keras Tuner's oracles; each trial is a run directory.

A search's directory holds search.json (what is searched), oracle/ (Keras Tuner's state),
trials/ID (the runs), trials.csv and best.py. A trial has a process of its own: memory grows from
one to the next inside one, and one that is killed costs itself only.
"""

import contextlib
import io
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner as kt
import pandas as pd

import zoo
from recipes import worker
from recipes.files import read, source
from recipes.oracles import OBJECTIVE, ORACLES, follow_the_last, restore
from recipes.oracles import oracle as made_oracle
from recipes.ranges import average_of
from recipes.recipe import Recipe, difference, from_json, replace, style_of, to_json
from recipes.report import table
from recipes.run import Run, locked, write, write_json
from recipes.selection import best_epoch
from zoo.options import unknown

Space = Callable[[Any], dict[str, Any]]


def tune(
    recipe: str | Path | Recipe,
    *,
    run: str | Path,
    trials: int | None = None,
    tuner: str = "random",
    strategy: str = "auto",
    space: Space | None = None,
    verbose: bool = True,
    **overrides: Any,
) -> "pd.DataFrame":
    """Search a recipe's space; the same call goes on after an interruption.

    Args:
        recipe: its name, its file's path, or a Recipe.
        run: the search's directory.
        trials: how many at most; 8, or one whole round of hyperband. More than before
            continues a finished search.
        tuner: "random", "bayesian", "hyperband" or "grid".
        strategy: each trial's; see recipes.train.
        space: hp -> overrides; by default the recipe file's.
        verbose: whether to show progress and the table.
        overrides: of the recipe, before those of the space.

    Returns:
        A row a trial: trial, score (the highest validation accuracy), the hyperparameters,
        epochs, seconds, error, run.

    Raises:
        ValueError: the recipe has no space or no validation set, the directory holds another
            search, or every trial failed.
    """
    base, name = recipe, "recipe"
    if not isinstance(base, Recipe):
        file = read(base)
        base, name, space = file.recipe, file.name, space or file.space
    if space is None:
        raise ValueError(f"{name} has no space(hp), the function that tells what a search tries")
    if tuner not in ORACLES:
        raise unknown("tuner", tuner, ORACLES)
    if trials is not None and trials < 1:
        raise ValueError(f"trials={trials} is not at least 1")
    base = replace(base, **overrides)
    if base.validation == 0.0:
        raise ValueError("a search needs a validation set, but validation=0.0")
    hp = kt.HyperParameters()
    first = _with(base, space(hp), base.epochs if tuner == "hyperband" else None)
    zoo.resolve(first.model, **style_of(first))

    path = Path(run)
    with locked(path):
        about = {"recipe": to_json(base), "first": to_json(first), "tuner": tuner}
        _claim(path, about | {"space": hp.get_config()["space"]})
        oracle = made_oracle(tuner, hp, seed=base.seed, epochs=base.epochs, trials=trials)
        search = Search(path, base, space, oracle, strategy, verbose)
        search.search(verbose=0)
        found = _rows(search, path)
        good = found[found["error"].isna()] if len(found) else found
        write(path / "trials.csv", lambda file: found.to_csv(file, index=False))
        if verbose:
            _show(found, name, tuner)
        if not len(good):
            last = found["error"].iloc[-1] if len(found) else "there was none"
            raise ValueError(f"no trial in {path} succeeded; the last: {last}")
        best = good.sort_values("score", ascending=False, kind="stable").iloc[0]
        values = search.oracle.trials[best["trial"]].hyperparameters
        text = source(
            _with(base, space(values)),
            f"The best of {len(found)} trials of {name} ({tuner} search).\n\n"
            f"Validation accuracy {best['score']:.4f} in {best['run']}.",
        )
        write(path / "best.py", lambda file: file.write(text))
        if verbose:
            print(f"best: validation accuracy {best['score']:.4f}; train it: {path / 'best.py'}")
    return found


class Search(kt.engine.base_tuner.BaseTuner):
    """Keras Tuner's loop, whose trials are runs of ours."""

    def __init__(self, path, base, space, oracle, strategy, verbose):
        self.path, self.base, self.space = path, base, space
        self.strategy, self.verbose = strategy, verbose
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                super().__init__(oracle, directory=str(path), project_name="oracle")
                restore(oracle)
        except (ValueError, KeyError, RuntimeError) as error:
            raise ValueError(
                f"the search's state in {path / 'oracle'} is damaged: {error}"
            ) from None
        self.save()  # so that a search killed in its first trial goes on with it

    def pre_create_trial(self):
        follow_the_last(self.oracle)

    def save(self):
        self.oracle.save()
        write_json(Path(self._get_tuner_fname()), self.get_state())

    def _try_run_and_update_trial(self, trial, *args, **kwargs):
        # Keras Tuner's prints a traceback of whatever error, ours too, and goes on.
        try:
            self._run_and_update_trial(trial)
            trial.status = "COMPLETED"
        except kt.errors.FailedTrialError as error:
            trial.status, trial.message = "FAILED", str(error)

    def run_trial(self, trial, *args, **kwargs):
        values = trial.hyperparameters
        changes = self.space(values)
        self.oracle.update_space(values)
        folder = self.path / "trials" / trial.trial_id
        if self.verbose:
            shown = ", ".join(f"{n}={_short(v)}" for n, v in _asked(values).items())
            print(f"trial {trial.trial_id}: {shown}", flush=True)
        try:
            recipe = _with(self.base, changes, values.values.get("tuner/epochs"))
        except ValueError as wrong:
            if self.verbose:
                print(f"trial {trial.trial_id}: {wrong}", file=sys.stderr)
            raise kt.errors.FailedTrialError(str(wrong)) from wrong
        order = {"recipe": to_json(recipe), "run": str(folder), "strategy": self.strategy}
        file = folder.with_suffix(".json")
        with locked(folder):  # the trial of a search that was killed may be at work yet
            pass
        write_json(file, order | {"verbose": self.verbose})
        code = subprocess.run(worker.command("recipes.trial", str(file))).returncode
        if code == 130:
            raise KeyboardInterrupt
        if code:
            error = folder.with_suffix(".error")
            text = error.read_text("utf-8") if error.is_file() else f"its process ended with {code}"
            write(error, lambda out: out.write(text))
            raise kt.errors.FailedTrialError(text)
        return {OBJECTIVE.name: _score(Run(folder))}


def _with(base: Recipe, values: dict[str, Any], epochs: int | None = None) -> Recipe:
    """The recipe with a trial's values; in `epochs`, its schedule is shortened with it."""
    if not isinstance(values, dict):
        raise ValueError(f"space(hp) gives {values!r}, not a dict of the recipe's fields")
    if epochs is not None and "epochs" in values:
        raise ValueError("hyperband gives each trial its epochs: let the space set none")
    recipe = replace(base, **values)
    if epochs is None or epochs == recipe.epochs:
        return recipe
    share = epochs / recipe.epochs
    shortened: dict[str, Any] = {
        "epochs": int(epochs),
        "warmup": recipe.warmup * share,
        "steps": tuple(at * share for at in recipe.steps),
        "every": recipe.every and recipe.every * share,
    }
    if recipe.schedule == "plateau":
        shortened["patience"] = max(1, round(recipe.patience * share))
    if recipe.average is not None:
        kind, number = average_of(recipe.average)
        if kind == "swa":
            shortened["average"] = f"swa:{max(1, round(number * share))}"
    return replace(recipe, **shortened)


def _claim(path: Path, wanted: dict[str, Any]) -> None:
    """Make sure that a directory is free or holds the same search."""
    file = path / "search.json"
    wanted = json.loads(json.dumps(wanted, default=str))
    if not file.exists():
        write_json(file, wanted)
        return
    held = json.loads(file.read_text("utf-8"))
    for key in ("tuner", "space"):
        if held[key] != wanted[key]:
            raise ValueError(
                f"{path} holds another search: its {key} is {held[key]}, now {wanted[key]}. "
                "Give another --run"
            )
    # The first trial's, too: what a space does with the same values may have changed.
    for key, where in (("recipe", "there"), ("first", "in its first trial")):
        old, new = (from_json(each.get(key, wanted[key])) for each in (held, wanted))
        changes = difference(old, new)
        if changes:
            shown = "; ".join(f"{n} is {a!r} {where}, now {b!r}" for n, (a, b) in changes.items())
            raise ValueError(f"{path} holds another search: {shown}. Give another --run")


def _asked(values: kt.HyperParameters) -> dict[str, Any]:
    return {n: v for n, v in values.values.items() if not n.startswith("tuner/")}


def _score(run: Run) -> float:
    """A trial's highest validation accuracy."""
    rows: list[dict[str, Any]] = [*run.metrics.to_dict("records")]  # type: ignore[list-item]
    return float(rows[best_epoch(rows) - 1]["val_accuracy"])


def _rows(search: Search, path: Path) -> "pd.DataFrame":
    rows = []
    for trial_id in search.oracle.start_order:
        trial = search.oracle.trials[trial_id]
        folder = path / "trials" / trial_id
        error = folder.with_suffix(".error")
        metrics = Run(folder).metrics
        failed = trial.status != "COMPLETED" or trial.score is None or math.isnan(trial.score)
        reason = error.read_text("utf-8").strip() if error.is_file() else str(trial.message or "")
        rows.append(
            {
                "trial": trial_id,
                "score": None if failed else trial.score,
                **_asked(trial.hyperparameters),
                "epochs": len(metrics),
                "seconds": round(float(metrics["seconds"].sum()), 1) if len(metrics) else 0.0,
                "error": (reason.splitlines() or ["?"])[-1] if failed else None,
                "run": str(folder),
            }
        )
    return pd.DataFrame(rows)


def _show(found: "pd.DataFrame", name: str, tuner: str) -> None:
    if not len(found):
        return
    names = [column for column in found.columns if column not in ("error", "run")]
    best = found["score"].max()
    rows = []
    for row in found.to_dict("records"):
        cells = [_short(row[column]) for column in names]
        if isinstance(row["error"], str):
            cells[1] = f"failed: {row['error']}"
        elif row["score"] == best:
            cells[1] += " *"
        rows.append(cells)
    table(f"{name}, {tuner} search", names, rows, note="score: validation accuracy; * the best")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
