"""Estimate the importance of hyperparameters of a search that has not ended.

A search writes importance.csv at its end. Until then, `recipes watch` estimates it with the same
function, in another process: it takes seconds, in which the page must stay responsive.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from recipes import worker
from recipes.watch import searches
from recipes.watch.reading import Files, number

ENOUGH, GROWTH = 8, 1.2  # trials for the first estimate, and how many more for the next one
PAUSE_SECONDS = 30.0
NICE = 10  # trials come first


class Estimates:
    """The importances of searches that run, each estimated again when there are more trials."""

    def __init__(self) -> None:
        self._known: dict[Path, list[dict[str, Any]]] = {}
        self._counts: dict[Path, int] = {}
        self._lock = threading.Lock()
        self._next = 0.0

    def latest(self, folder: Path, count: int) -> list[dict[str, Any]]:
        """Return the last estimate for a search with `count` scores, and begin another if due."""
        due = max(ENOUGH, GROWTH * self._counts.get(folder, 0))
        if count >= due and time.monotonic() >= self._next and self._lock.acquire(blocking=False):
            self._counts[folder] = count
            threading.Thread(target=self._estimate, args=(folder,), daemon=True).start()
        return self._known.get(folder, [])

    def _estimate(self, folder: Path) -> None:
        try:
            command = worker.command("recipes.watch.estimates", str(folder))
            done = subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=600
            )
            if done.returncode == 0:
                self._known[folder] = json.loads(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            pass  # the last estimate stays
        finally:
            self._next = time.monotonic() + PAUSE_SECONDS
            self._lock.release()


def estimate(folder: Path) -> list[dict[str, Any]]:
    """Return the importance of each hyperparameter from the files of a search, as JSON.

    It is empty if there are too few trials; see `recipes.search.importance.importance`.
    """
    import pandas as pd

    from recipes.search.importance import importance

    search, trials = searches.entries(Files(), folder, set(), 2)
    rows = [
        {
            "score": number(entry["score"]) if entry["status"] in ("finished", "stopped") else None,
            "error": None if entry["status"] == "finished" else entry["note"],
            **{name: entry[name] for name in ("same_as", "stage", "tuner/epochs")},
            **entry["values"],
        }
        for entry in trials.values()
        if entry["status"] in ("finished", "stopped", "failed", "same")
    ]
    if not rows:
        return []
    frame = pd.DataFrame(rows).astype({"same_as": object, "error": object, "stage": object})
    frame["score"] = pd.to_numeric(frame["score"])
    table, _ = importance(frame, [_axis(each) for each in search["axes"]], search["by"])
    return [
        {"name": row["hyperparameter"], "value": row["importance"], "error": row["deviation"]}
        for row in table.to_dict("records")
    ]


def _axis(one: dict[str, Any]) -> SimpleNamespace:
    """Return an axis with the attributes of Keras Tuner's hyperparameters."""
    if one["kind"] == "choice":
        return SimpleNamespace(name=one["name"], values=one["values"])
    sampling = "log" if one["log"] and one["low"] > 0 else "linear"
    return SimpleNamespace(
        name=one["name"], sampling=sampling, min_value=one["low"], max_value=one["high"]
    )


if __name__ == "__main__":
    os.nice(NICE)
    print(json.dumps(estimate(Path(sys.argv[1]))))
