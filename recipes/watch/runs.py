"""What the page shows of a run directory."""

import datetime
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recipes.training.selection import METRICS, best_epoch
from recipes.watch.fields import changes
from recipes.watch.reading import Files, as_dict, as_metrics, changed, number

CURVES = ("loss", "val_loss", "accuracy", "val_accuracy", "lr")
_NOTHING: dict[str, Any] = {}
_NO_ROWS: list[dict[str, float]] = []
QUIET_SECONDS = 60  # how long a run of another host may be silent before it counts as interrupted


def entry(files: Files, folder: Path, locks: set[int], points: int = 400) -> dict[str, Any]:
    """Return what the page shows of a run, finished or not.

    Args:
        files: the files that have been read.
        folder: the run directory.
        locks: inodes of the folders that are locked by a process.
        points: largest number of epochs of each curve; others are left out evenly.
    """
    about = files.read(folder / "recipe.json", _of_recipe, _NOTHING)
    rows = files.read(folder / "metrics.csv", as_metrics, _NO_ROWS)
    result = files.read(folder / "result.json", _of_result)
    inputs = (about, rows, result, points)
    known = files.derived(folder, inputs, lambda: _derived(about, rows, result, points))
    times = [changed(folder / name) for name in ("metrics.csv", "recipe.json")]
    updated = max((each for each in times if each is not None), default=None)
    return known | {
        "status": _status(folder, result, locks, updated, rows),
        "ended": (result or {}).get("finished") or updated,
    }


def _derived(
    about: dict[str, Any],
    rows: list[dict[str, float]],
    result: dict[str, Any] | None,
    points: int,
) -> dict[str, Any]:
    """Return what the page shows of the contents of a run's files."""
    by = about.get("by", "val_accuracy")
    if not any(by in row for row in rows):  # without a validation set
        by = by.removeprefix("val_")
    best = best_row(rows, by)
    return {
        "note": _note(result),
        "score": None if best is None else _finite(best.get(by)),
        "best_epoch": None if best is None else int(best["epoch"]),
        "by": by,
        "epochs": int(rows[-1]["epoch"]) if rows else 0,
        "planned": about.get("planned"),
        "seconds": round(sum(s for r in rows if math.isfinite(s := r.get("seconds", 0.0))), 1),
        "started": about.get("started"),
        "recipe": about.get("recipe", {}),
        "last": _last(rows),
        "result": {} if result is None else result["metrics"],
        "curves": curves(rows, points),
    }


def curves(rows: Sequence[dict[str, float]], points: int) -> dict[str, list[Any]]:
    """Return the columns of the curves with at most `points` epochs, among them the last one."""
    if len(rows) > points:
        step = (len(rows) - 1) / (points - 1)
        rows = [rows[round(i * step)] for i in range(points)]
    names = [name for name in CURVES if any(name in row for row in rows)]
    made: dict[str, list[Any]] = {name: [_finite(r.get(name)) for r in rows] for name in names}
    return {"epoch": [int(row["epoch"]) for row in rows], **made} if rows else {}


def best_row(rows: Sequence[dict[str, float]], by: str) -> dict[str, float] | None:
    """Return the row of the best epoch by a metric; None if no row has a number for it."""
    known = [row for row in rows if math.isfinite(row.get(by, math.nan))]
    if not known:
        return None
    epoch = best_epoch(known, by)
    return next(row for row in known if row["epoch"] == epoch)


def _finite(value: Any) -> float | None:
    """Return a number with five digits, which is enough for curves; None for NaN and infinity."""
    if not isinstance(value, float) or not math.isfinite(value):
        return None
    return float(f"{value:.5g}")


def _status(folder, result, locks, updated, rows) -> str:
    if result is not None:
        return "finished"
    try:
        if folder.stat().st_ino in locks:
            return "running"
    except OSError:
        pass
    slow = max((row.get("seconds", 0.0) for row in rows[-3:]), default=0.0)
    patience = max(QUIET_SECONDS, 2 * slow if math.isfinite(slow) else 0.0)
    return "running" if updated and time.time() - updated < patience else "interrupted"


def _note(result: dict[str, Any] | None) -> str | None:
    if result and result["stopped_early"]:
        return "stopped early, because it did not improve"
    return None


def _time(text: Any) -> float | None:
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None


def _last(rows: Sequence[dict[str, float]]) -> dict[str, float | None]:
    """Return the metrics of the last epoch."""
    names = ("loss", "val_loss", "accuracy", "val_accuracy")
    return {name: _finite(rows[-1].get(name)) for name in names if name in rows[-1]} if rows else {}


def _of_recipe(text: str) -> dict[str, Any]:
    """Parse recipe.json."""
    about = as_dict(text)
    recipe, sessions = about["recipe"], about.get("sessions") or [{}]
    by, epochs = recipe.get("select_by"), recipe.get("epochs")
    return {
        "recipe": changes(recipe),
        "by": by if by in METRICS else "val_accuracy",
        "planned": epochs if isinstance(epochs, int) else None,
        "started": _time(sessions[0].get("started")),
    }


def _of_result(text: str) -> dict[str, Any]:
    """Parse result.json."""
    result = as_dict(text)
    names = ("top1", "top5", "loss", "val_accuracy", "samples", "parameters", "seconds")
    metrics = {name: number(result.get(name)) for name in names}
    return {
        "metrics": {n: v for n, v in metrics.items() if v is not None}
        | {"split": str(result.get("split"))},
        "stopped_early": bool(result.get("stopped_early")),
        "finished": _time(result.get("finished")),
    }
