"""Checkpoints: the complete state of a training in one file, written atomically.

A checkpoint contains all variables of the model (including norm statistics and random seeds) and
of the optimizer, by their order and path, and a JSON state, with a checksum. Within an epoch, it
also contains the sums that the metrics are computed from. Earlier checkpoints are kept in case the
newest one is damaged.
"""

import hashlib
import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from recipes.recipe import Recipe
from zoo.files import write

NEWEST, PREVIOUS = "checkpoint.npz", "checkpoint.previous.npz"
_PLACE = re.compile(r"checkpoint(?:\.previous(\d*))?\.npz")
# Errors from reading a damaged file; a RuntimeError comes from a damaged header.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError)


def variables(model: keras.Model, averages: Any = None) -> dict[str, keras.Variable]:
    """Return all variables of a compiled model, its optimizer and its averages, by name.

    A name consists of the variable's order and path.
    """
    found = weights(model)
    if getattr(model, "optimizer", None) is not None:
        own = model.optimizer.variables
        found |= {f"optimizer/{i}/{_path(v)}": v for i, v in enumerate(own)}
    if averages is not None:
        found |= {f"average/{i}/{_path(v)}": v for i, v in enumerate(averages.variables)}
    return found


def metrics(model: keras.Model) -> dict[str, keras.Variable]:
    """Return the variables of a compiled model's metrics, by order and name."""
    return {f"metric/{i}/{v.name}": v for i, v in enumerate(model.metrics_variables)}


def weights(model: keras.Model, averages: Any = None) -> dict[str, keras.Variable]:
    """Return all variables of a model, or their averages, by order and path."""
    chosen = averages.of(model.variables) if averages is not None else model.variables
    named = zip(model.variables, chosen, strict=True)
    return {f"model/{i}/{_path(v)}": average for i, (v, average) in enumerate(named)}


def _path(variable: keras.Variable) -> str:
    # The number counts all seed generators of the process, which differ after a resume.
    return re.sub(r"\bseed_generator_\d+", "seed_generator", variable.path)


def save(path: Path, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
    """Write one checkpoint file. The state must be JSON-serializable."""
    text = np.frombuffer(json.dumps(state).encode(), np.uint8)
    digest = np.frombuffer(_digest(arrays, text).encode(), np.uint8)
    content: dict[str, Any] = {**arrays, "state": text, "sha256": digest}
    write(path, lambda file: np.savez(file, **content), "wb")


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read the arrays and the state of a checkpoint file.

    Raises:
        ValueError: if the file is damaged.
        FileNotFoundError: if the file does not exist.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        text, digest = arrays.pop("state"), arrays.pop("sha256")
    except FileNotFoundError:
        raise
    except (*_DAMAGE, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: the file is damaged ({error})") from error
    if digest.tobytes().decode("ascii", "replace") != _digest(arrays, text):
        raise ValueError(f"{path}: the file is damaged (its checksum is wrong)")
    return arrays, json.loads(text.tobytes())


def _digest(arrays: dict[str, np.ndarray], text: np.ndarray) -> str:
    digest = hashlib.sha256(text.tobytes())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def newest(
    run: Path, say: Callable[[str], None], finite: bool = True
) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Read the newest intact checkpoint of a run directory; None if there is no checkpoint.

    Temporary files of a killed process are removed, so the directory must be locked.

    Args:
        run: run directory.
        say: function called with a message if the newest checkpoint cannot be used.
        finite: whether a checkpoint with NaN or infinite weights counts as damaged.

    Raises:
        ValueError: if all checkpoints are damaged.
    """
    for leftover in (*run.glob(".*.npz.*"), *run.glob(".model.*.keras")):  # of an earlier version
        leftover.unlink()
    damaged: Exception | None = None
    newer: list[Path] = []
    for file in files(run):
        try:
            found = read(file)
            if finite:
                require_finite(found[0], of=str(file))
            for each in newer:  # otherwise they would take the places of intact ones
                each.unlink()
            return found
        except ValueError as error:
            damaged = error
            newer.append(file)
            say(f"{error}; trying the previous checkpoint")
    if damaged is not None:
        if isinstance(damaged, NotFiniteError):
            raise ValueError(
                f"run={str(run)!r}: the weights in all checkpoints are NaN or infinite, because the"
                " training diverged; use a lower lr and another --run, or continue anyway with"
                " --stop_on_nan=False"
            )
        raise ValueError(
            f"run={str(run)!r}: all checkpoints are damaged; delete the directory to start again"
        )
    return None


class NotFiniteError(ValueError):
    """A checkpoint contains NaN or infinite weights."""


def require_finite(arrays: dict[str, np.ndarray], of: str) -> None:
    """Check the weights in a checkpoint.

    Raises:
        NotFiniteError: if one is NaN or infinite; `of` names the checkpoint in the message.
    """
    # An optimizer's variables may be infinite while the weights are finite.
    for name, array in arrays.items():
        if name.startswith(("model/", "average/")) and not np.isfinite(array).all():
            raise NotFiniteError(
                f"{of}: {name.split('/', 2)[-1]!r} is NaN or infinite, because the training"
                " diverged"
            )


def assign(targets: dict[str, keras.Variable], arrays: dict[str, np.ndarray], of: str) -> None:
    """Assign arrays to variables. Nothing is assigned unless all names and shapes match.

    Raises:
        ValueError: if they do not match; `of` names the origin of the arrays in the message.
    """
    wrong = [f"{n} is missing in the file" for n in targets if n not in arrays]
    wrong += [f"{n} is not in the network" for n in arrays if n.split("@")[0] not in targets]
    wrong += [
        f"{n} has shape {arrays[n].shape} in the file, {tuple(v.shape)} in the network"
        for n, v in targets.items()
        if n in arrays and arrays[n].shape != tuple(v.shape)
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ValueError(f"{of}: belongs to another network: {'; '.join(wrong[:5])}{more}")
    for name, variable in targets.items():
        _assign(variable, of_replicas(name, arrays))


def files(run: Path) -> list[Path]:
    """Return the checkpoints of a run directory, the newest first."""
    number = {file: _PLACE.fullmatch(file.name) for file in run.glob("checkpoint*.npz")}
    found = {
        file: 0 if file.name == NEWEST else int(match[1] or 1)
        for file, match in number.items()
        if match
    }
    return sorted(found, key=found.__getitem__)


def rotate(run: Path, keep: int = 2) -> None:
    """Make the newest checkpoint the previous one, and delete all but `keep` - 1 of them."""
    present = files(run)
    for file in present[max(keep - 1, 1) :]:
        file.unlink()
    if keep == 1:
        return  # the next one replaces it
    for place, file in reversed([*enumerate(present[: keep - 1], 1)]):
        target = run / (PREVIOUS if place == 1 else f"checkpoint.previous{place}.npz")
        if file != target:
            os.replace(file, target)


def split(arrays: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the arrays of a checkpoint without those of the metrics, and those of the metrics."""
    own = {name: each for name, each in arrays.items() if name.startswith("metric/")}
    return {name: each for name, each in arrays.items() if name not in own}, own


def arrays_of(targets: dict[str, keras.Variable]) -> dict[str, np.ndarray]:
    """Return the values of variables as NumPy arrays.

    If the replicas of a strategy hold different values, as those of plain batch norm, all of them
    are returned, with the names of `by_replica`.
    """
    found: dict[str, np.ndarray] = {}
    for name, variable in targets.items():
        values = [np.asarray(each) for each in _components(variable)]
        same = all(each.tobytes() == values[0].tobytes() for each in values)
        found |= by_replica(name, values[:1] if same else values)
    return found


def by_replica(name: str, values: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Return a variable's values by name: "NAME" of replica 0, and "NAME@i" of replica i."""
    return {f"{name}@{i}" if i else name: value for i, value in enumerate(values)}


def of_replicas(name: str, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return a variable's values of all replicas, or the only one if they are the same."""
    found = [arrays[name]]
    while (key := f"{name}@{len(found)}") in arrays:
        found.append(arrays[key])
    return found


def _components(variable: keras.Variable) -> Sequence[Any]:
    """Return the variables of this process's replicas that a variable consists of."""
    return getattr(variable.value, "values", None) or (variable.value,)


def _assign(variable: keras.Variable, values: list[np.ndarray]) -> None:
    """Assign the values of the replicas, or of one replica for all, to a variable."""
    components = _components(variable)
    if not hasattr(variable.value, "values"):
        variable.assign(values[0])
        return
    if len(values) != len(components):
        values = values[:1] * len(components)
    for component, value in zip(components, values, strict=True):
        component.assign(value)


def has_selected(run: Path, recipe: Recipe) -> bool:
    """Return whether the weights of the epoch that a finished run keeps are still there."""
    return recipe.select == "last" or any(run.glob("best-*.npz"))


def clear(run: Path, recipe: Recipe, epoch: int) -> None:
    """Delete the files that a finished run no longer needs.

    The newest checkpoint and the weights of the selected epoch remain, so that a damaged
    model.keras can be written again.

    Args:
        run: run directory.
        recipe: its recipe.
        epoch: the epoch whose weights were selected.
    """
    kept = best_file(run, epoch) if recipe.select == "best" else None
    for file in (*files(run)[1:], *run.glob("best-*.npz")):
        if file != kept:
            file.unlink()


def best_file(run: Path, epoch: int) -> Path:
    """Return the file with the model's variables after a best epoch (from 1)."""
    return run / f"best-{epoch:04d}.npz"


def kept_best(run: Path, epoch: int) -> int:
    """Return the best epoch whose weights were kept: `epoch`, or else the last one kept.

    They differ in runs of an earlier version, which kept the first of several equal epochs.
    """
    if best_file(run, epoch).exists():
        return epoch
    kept = sorted(run.glob("best-*.npz"))
    return int(kept[-1].stem.removeprefix("best-")) if kept else epoch
