"""What the page shows of a search directory."""

import json
import time
from pathlib import Path
from typing import Any

from recipes.training.selection import METRICS
from recipes.watch import runs
from recipes.watch.fields import choice_text, declared, inferred, place
from recipes.watch.reading import Files, as_dict, as_table, number

_COLUMNS = {
    "trial", "status", "score", "epochs", "seconds", "error", "same_as", "run", "stage", "worker",
}  # fmt: skip
_OF_ORACLE = {"RUNNING": "running", "COMPLETED": "finished", "FAILED": "failed",
              "INVALID": "failed"}  # fmt: skip
SILENT_SECONDS = 15  # the chief writes workers.json every 2 seconds


def entries(
    files: Files, folder: Path, locks: set[int], points: int
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return what the page shows of a search: the search, and its trials by ID.

    Args:
        files: the files that have been read.
        folder: the directory of the search.
        locks: inodes of the folders that are locked by a process.
        points: largest number of epochs of each curve.
    """
    about = files.read(folder / "search.json", _of_search, {})
    table = files.read(folder / "trials.csv", _of_trials, {})
    oracle = files.read(folder / "oracle" / "oracle.json", _of_oracle, {})
    staff = files.read(folder / "workers.json", _of_workers, {})
    alive = _alive(folder, staff, locks)
    ids = _ids(folder, table, oracle)
    trials: dict[str, Any] = {}
    values: dict[str, dict[str, Any]] = {}
    for trial in ids:
        trials[trial], values[trial] = _trial(files, folder, trial, table, locks, points, alive)
    axes = {**about.get("axes", {}), **oracle.get("axes", {})}
    for name in dict.fromkeys(name for each in values.values() for name in each):
        axes.setdefault(name, inferred(name, [each.get(name) for each in values.values()]))
    for trial, each in trials.items():
        each["planned"] = each["planned"] or about.get("epochs")
        each["values"] = {n: place(one, values[trial].get(n)) for n, one in axes.items()}
    by = about.get("by", "val_accuracy")
    search = {
        "kind": "search",
        "path": str(folder),
        "name": folder.resolve().name,
        "model": about.get("model"),
        "data": about.get("data"),
        "tuner": about.get("tuner"),
        "by": by,
        "goal": METRICS[by],
        "wanted": staff.get("wanted"),
        "axes": list(axes.values()),
        "stages": files.read(folder / "stages.json", _of_stages, []),
        "importance": files.read(folder / "importance.csv", _of_importance, []),
        "workers": staff.get("workers", []),
        "alive": alive,
    }
    return search, trials


def _of_search(text: str) -> dict[str, Any]:
    """Parse search.json."""
    about = as_dict(text)
    recipe = about["recipe"]
    by = recipe.get("select_by")
    return {
        "axes": declared(about["space"]),
        "tuner": str(about.get("tuner")),
        "by": by if by in METRICS else "val_accuracy",
        "model": str(recipe.get("model")),
        "data": str(recipe.get("data")),
        "epochs": epochs if isinstance(epochs := recipe.get("epochs"), int) else None,
    }


def _of_oracle(text: str) -> dict[str, Any]:
    """Parse the state of Keras Tuner's oracle, which knows axes that appear during a search."""
    about = as_dict(text)
    order = [str(trial) for trial in about["start_order"]]
    return {"order": order, "axes": declared(about["hyperparameters"]["space"])}


def _of_oracle_trial(text: str) -> dict[str, Any]:
    """Parse Keras Tuner's file of a trial."""
    about = as_dict(text)
    return {
        "status": _OF_ORACLE.get(str(about.get("status"))),
        "score": number(about.get("score")),
        "values": dict(about["hyperparameters"]["values"]),
    }


def _of_order(text: str) -> dict[str, Any]:
    """Parse trials/ID.json."""
    same = as_dict(text).get("same_as")
    return {"same_as": None if same is None else str(same)}


def _of_workers(text: str) -> dict[str, Any]:
    """Parse workers.json."""
    about = as_dict(text)
    names = ("worker", "host", "pid", "state", "trial", "trials", "restarts", "memory", "heard")
    return {
        "workers": [{name: each.get(name) for name in names} for each in about["workers"]],
        "ended": bool(about.get("ended")),
        "heard": number(about["chief"]["time"]),
        "wanted": wanted if isinstance(wanted := about["chief"].get("wanted"), int) else None,
    }


def _of_trials(text: str) -> dict[str, dict[str, str]]:
    """Parse trials.csv into rows by trial."""
    return {row["trial"]: row for row in as_table(text) if row["trial"]}


def _of_stages(text: str) -> list[dict[str, Any]]:
    """Parse stages.json, which describes the stages of a search from coarse to fine."""
    return [
        {
            "stage": choice_text(each["stage"]),
            "trials": int(each["trials"]),
            "epochs": int(each["epochs"]),
            "ranges": [str(part) for part in each["ranges"]],
            "remarks": [str(remark) for remark in each["remarks"]],
        }
        for each in json.loads(text)
    ]


def _of_importance(text: str) -> list[dict[str, Any]]:
    rows = [
        {"name": row["hyperparameter"], "value": number(row["importance"]),
         "error": number(row.get("deviation"))}
        for row in as_table(text)
    ]  # fmt: skip
    return [row for row in rows if row["value"] is not None and row["value"] == row["value"]]


def _ids(folder: Path, table: dict[str, Any], oracle: dict[str, Any]) -> list[str]:
    """Return the IDs of the trials in the order in which they were started."""
    known = [*oracle.get("order", []), *table]
    known += [path.stem for path in sorted((folder / "trials").glob("*.json"))]
    return list(dict.fromkeys(each for each in known if _is_name(each)))


def _is_name(trial: Any) -> bool:
    """Return whether a text can be the ID of a trial, and leads to no other directory."""
    return bool(trial) and "/" not in trial and not trial.startswith(".")


def _alive(folder: Path, staff: dict[str, Any], locks: set[int]) -> bool:
    """Return whether the command that runs the search is running."""
    try:
        if folder.stat().st_ino in locks:
            return True
    except OSError:
        return False
    if not staff or staff["ended"]:
        return False
    return time.time() - (staff["heard"] or 0) < SILENT_SECONDS


def _trial(
    files: Files,
    folder: Path,
    trial: str,
    table: dict[str, dict[str, str]],
    locks: set[int],
    points: int,
    alive: bool,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the page shows of a trial, and the values of its hyperparameters."""
    row = table.get(trial, {})
    order = files.read(folder / "trials" / f"{trial}.json", _of_order, {})
    same = row.get("same_as") or order.get("same_as")
    same = same if _is_name(same) else None
    made = runs.entry(files, folder / "trials" / (same or trial), locks, points)
    of_oracle = folder / "oracle" / f"trial_{trial}" / "trial.json"
    its = files.read(of_oracle, _of_oracle_trial, {})
    drawn = its.get("values", {})
    stage = row.get("stage") or drawn.get("tuner/stage")
    made |= {"trial": trial, "same_as": same, "stage": choice_text(stage) if stage else None}
    made["tuner/epochs"] = number(drawn.get("tuner/epochs"))
    made["status"] = _status(made["status"], row, its, same, alive)
    made["note"] = row.get("error") or _error(files, folder, trial) or made["note"]
    score = number(row.get("score"), its.get("score"))
    if score is not None and score == score:
        made["score"] = score
    elif made["status"] in ("failed", "same") or (row and made["status"] == "stopped"):
        made["score"] = None
    values = {n: v for n, v in row.items() if n not in _COLUMNS} if row else drawn
    return made, {n: v for n, v in values.items() if not n.startswith("tuner/")}


def _status(of_run: str, row: dict[str, str], its: dict[str, Any], same: Any, alive: bool) -> str:
    """Return the status of a trial: that in trials.csv if there is one."""
    found = row.get("status")
    if not found and row:
        found = "failed" if row.get("error") else "same" if same else "finished"
    elif not found:
        found = its.get("status") or of_run
        if found == "running" and of_run == "finished":
            return "finished"
    if found == "running" and not alive and of_run != "running":
        return "interrupted"
    return found


def _error(files: Files, folder: Path, trial: str) -> str | None:
    return files.read(folder / "trials" / f"{trial}.error", _last_line)


def _last_line(text: str) -> str | None:
    lines = text.strip().splitlines()
    return lines[-1] if lines else None
