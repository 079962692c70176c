"""The trials of a search as rows and as a table, and why the search ended."""

import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import keras_tuner as kt
import pandas as pd

from recipes.old_names import renamed
from recipes.recipe import FIELDS
from recipes.report import table
from recipes.run import Run
from recipes.search.oracles.draws import DRAWS
from recipes.search.oracles.stages import StagesOracle
from recipes.search.spaces.space import Space
from recipes.training import stopping
from recipes.training.selection import METRICS, best_epoch, label_of
from zoo.terminal import plural

COLUMNS = 12  # the most hyperparameters that a printed table shows


def order_of(path: Path, trial_id: str) -> dict[str, Any]:
    """Return the contents of trials/ID.json; empty for a trial without a valid recipe."""
    try:
        order = json.loads((path / "trials" / f"{trial_id}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if isinstance(order.get("recipe"), dict):
        order["recipe"] = renamed(order["recipe"], FIELDS, quiet=True)
    return order


def reason_of(path: Path, trial: Any) -> str:
    """Return in one line why a trial failed."""
    error = path / "trials" / f"{trial.trial_id}.error"
    text = error.read_text("utf-8").strip() if error.is_file() else str(trial.message or "")
    return (text.splitlines() or ["?"])[-1]


def rows_of(
    oracle: kt.Oracle,
    space: Space,
    path: Path,
    known: dict[str, dict[str, Any]] | None = None,
    waiting: Collection[str] = (),
) -> "pd.DataFrame":
    """Return one row per trial, as recipes.tune does.

    Args:
        oracle: the oracle.
        space: the space.
        path: directory of the search.
        known: rows of trials that have ended, which are added to it.
        waiting: trials that have started, but have no worker.
    """
    known = {} if known is None else known
    rows = []
    for trial_id in oracle.start_order:
        trial = oracle.trials[trial_id]
        row = known.get(trial_id) or _row(trial, space, path, trial_id in waiting)
        rows.append(row)
        if trial.status in ("COMPLETED", "FAILED"):
            known[trial_id] = row
    return pd.DataFrame(rows)


def _row(trial: Any, space: Space, path: Path, waiting: bool) -> dict[str, Any]:
    order = order_of(path, trial.trial_id)
    same = order.get("same_as")
    folder = path / "trials" / (same or trial.trial_id)
    metrics = Run(folder).metrics
    ended = trial.status in ("COMPLETED", "FAILED")
    failed = ended and (trial.status != "COMPLETED" or math.isnan(trial.score))
    stopped = stopping.read(folder) if failed and not same else None
    status = "waiting" if waiting else "running"
    error = reason_of(path, trial) if failed else order.get("stopped")
    if stopped is not None and stopped["reason"] in ("nan", "loss"):
        status = "stopped"
    elif failed:
        status = "failed"
    elif ended:
        status = "same" if same else "stopped" if error else "finished"
    values = trial.hyperparameters.values
    stage = {"stage": values["tuner/stage"]} if "tuner/stage" in values else {}
    return {
        "trial": trial.trial_id,
        **stage,
        "status": status,
        "score": trial.score if ended and not failed else None,
        **space.active(values),
        "epochs": len(metrics),
        "seconds": round(float(metrics["seconds"].sum()), 1) if len(metrics) and not same else 0.0,
        "error": error,
        "same_as": same,
        "run": str(folder),
    }


def best_row(run: Run, by: str) -> dict[str, Any]:
    """Return the metrics of a run's best epoch; see selection.best_epoch."""
    rows: list[dict[str, Any]] = [*run.metrics.to_dict("records")]  # type: ignore[list-item]
    return rows[best_epoch(rows, by) - 1]


def best_of(good: "pd.DataFrame", by: str) -> "pd.Series":
    """Return the row of the best trial, of the last stage if there are stages.

    Ties are broken by the validation loss.
    """
    if "stage" in good:  # scores of different numbers of epochs do not compare
        good = good[good["stage"] == good["stage"].max()]
    top = good[good["score"] == getattr(good["score"], METRICS[by])()]
    losses = [best_row(Run(path), by).get("val_loss", math.nan) for path in top["run"]]
    return top.iloc[min(range(len(top)), key=lambda i: (math.isnan(losses[i]), losses[i]))]


def why_it_ended(oracle: kt.Oracle, space: Space, count: int, tuner: str) -> str:
    """Explain why a search ended before the requested number of trials; "" if it did not."""
    wanted = oracle.max_trials
    if wanted is not None and count >= wanted:
        return ""
    of = plural(count, "trial")
    if wanted is not None:
        of = f"{count} of {plural(wanted, 'requested trial')}"
    if isinstance(oracle, StagesOracle):
        return f"The search ended after {of}: {oracle.why_it_ended()}."
    trials = [oracle.trials[trial_id] for trial_id in oracle.start_order]
    different = len({space.key(trial.hyperparameters.values) for trial in trials})
    total = space.count(grid=tuner == "grid")
    if total is not None and different >= total:
        recipes = "1 recipe; it was" if total == 1 else f"{total} different recipes; all were"
        return f"The search ended after {of}: the space has {recipes} tried."
    if tuner == "grid":
        return f"The search ended after {of}: all combinations of the grid were tried."
    if tuner == "hyperband":
        return f"The search ended after {of}: the round of hyperband is complete."
    return (
        f"The search ended after {of}: {DRAWS} random draws in a row gave no recipe that had not"
        f" been tried; {different} {'was' if different == 1 else 'different ones were'}."
    )


def show(found: "pd.DataFrame", name: str, tuner: str, by: str, best: str | None) -> None:
    """Print a search's trials as a table, with a star at the trial `best`.

    A table of more than COLUMNS hyperparameters would be too wide to read, and has none.
    """
    if not len(found):
        return
    hidden = ("status", "error", "same_as", "run")
    names = [column for column in found.columns if column not in hidden]
    note = f"score: {label_of(by)}; * the best"
    searched = [n for n in names if n not in ("stage", "trial", "score", "epochs", "seconds")]
    if len(searched) > COLUMNS:
        names = [name for name in names if name not in searched]
        note += f"; trials.csv has the {len(searched)} hyperparameters"
    at = names.index("score")
    rows = []
    for row in found.to_dict("records"):
        cells = [short(row[column]) for column in names]
        if not isinstance(row["error"], str):
            cells[at] += " *" if row["trial"] == best else ""
        elif math.isnan(row["score"]):
            cells[at] = f"failed: {row['error']}"
        else:
            cells[at] += f"{' *' if row['trial'] == best else ''} (stopped: {row['error']})"
        if row["status"] == "same":
            cells[at] += f" (same as trial {row['same_as']})"
        rows.append(cells)
    table(f"{name}, {tuner} search", names, rows, note=note)


def short(value: Any) -> str:
    """Format a value for a table."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)
