"""What a run has in the end, value for value, to compare it with an undisturbed one."""

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from recipes.training import checkpoint

# What two runs of the same recipe may differ in
TIMES = ("seconds", "finished", "sha256")


def end_of(run: Path) -> dict[str, Any]:
    """Return name -> value (bytes, text or number) of everything that a finished run contains."""
    arrays, state = checkpoint.read(run / checkpoint.NEWEST)
    found: dict[str, Any] = {f"checkpoint/{n}": _exactly(a) for n, a in arrays.items()}
    found |= {f"state/{n}": _without_times(v) for n, v in state.items()}
    for best in sorted(run.glob("best-*.npz")):
        arrays, _ = checkpoint.read(best)
        found |= {f"{best.name}/{n}": _exactly(a) for n, a in arrays.items()}
    found |= {f"model.keras/{n}": v for n, v in _weights(run / "model.keras").items()}
    found["steps.csv"] = (run / "steps.csv").read_text()
    found["metrics.csv"] = table_without(run / "metrics.csv", "seconds")
    for name in ("result.json", "inference.json"):
        found[name] = _without_times(json.loads((run / name).read_text()))
    about = json.loads((run / "recipe.json").read_text())
    found["recipe.json"] = {n: v for n, v in about.items() if n != "sessions"}
    names = [p.name for p in run.iterdir() if p.name != "tensorboard"]
    found["files"] = sorted(name for name in names if not name.startswith("."))
    return found


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Return the names whose values are not exactly equal."""
    return [n for n in {**one, **other} if n not in one or n not in other or one[n] != other[n]]


def _exactly(array: np.ndarray) -> tuple:
    return array.dtype.str, array.shape, array.tobytes()


def _weights(file: Path) -> dict[str, tuple]:
    found: dict[str, tuple] = {}
    with (
        zipfile.ZipFile(file) as archive,
        h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights,
    ):
        weights.visititems(
            lambda name, each: (
                found.update({name: _exactly(np.asarray(each))})
                if isinstance(each, h5py.Dataset)
                else None
            )
        )
    return found


def table_without(file: Path, *columns: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file without some columns, as text."""
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    return [{n: v for n, v in row.items() if n not in columns} for row in rows]


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {n: _without_times(v) for n, v in value.items() if n not in TIMES}
    return [_without_times(v) for v in value] if isinstance(value, list) else value
