"""Checkpoints: the complete state of a training in one file, written atomically.

A checkpoint contains all variables of the model (including norm statistics and random seeds) and
of the optimizer, by their order and path, and a JSON state, with a checksum. The previous
checkpoint is kept in case the newest one is damaged.
"""

import hashlib
import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from recipes.recipe import Recipe
from zoo.files import write

NEWEST, PREVIOUS = "checkpoint.npz", "checkpoint.previous.npz"
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
    for leftover in (*run.glob(".*.npz.*"), *run.glob(".model.*.keras")):
        leftover.unlink()
    damaged: Exception | None = None
    for name in (NEWEST, PREVIOUS):
        try:
            found = read(run / name)
            if finite:
                _require_finite(run / name, found[0])
            if damaged is not None:
                # Otherwise, the next epoch would replace the intact checkpoint by the damaged one.
                (run / NEWEST).unlink()
            return found
        except FileNotFoundError:
            continue
        except ValueError as error:
            damaged = error
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


def _require_finite(path: Path, arrays: dict[str, np.ndarray]) -> None:
    # An optimizer's variables may be infinite while the weights are finite.
    for name, array in arrays.items():
        if name.startswith(("model/", "average/")) and not np.isfinite(array).all():
            raise NotFiniteError(
                f"{path}: {name.split('/', 2)[-1]!r} is NaN or infinite, because the training"
                " diverged"
            )


def assign(targets: dict[str, keras.Variable], arrays: dict[str, np.ndarray], of: str) -> None:
    """Assign arrays to variables. Nothing is assigned unless all names and shapes match.

    Raises:
        ValueError: if they do not match; `of` names the origin of the arrays in the message.
    """
    wrong = [f"{n} is missing in the file" for n in targets if n not in arrays]
    wrong += [f"{n} is not in the network" for n in arrays if n not in targets]
    wrong += [
        f"{n} has shape {arrays[n].shape} in the file, {tuple(v.shape)} in the network"
        for n, v in targets.items()
        if n in arrays and arrays[n].shape != tuple(v.shape)
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ValueError(f"{of}: belongs to another network: {'; '.join(wrong[:5])}{more}")
    for name, variable in targets.items():
        variable.assign(arrays[name])


def rotate(run: Path) -> None:
    """Make the newest checkpoint the previous one."""
    if (run / NEWEST).exists():
        os.replace(run / NEWEST, run / PREVIOUS)


def arrays_of(targets: dict[str, keras.Variable]) -> dict[str, np.ndarray]:
    """Return the values of variables as NumPy arrays."""
    return {name: np.asarray(keras.ops.convert_to_numpy(v)) for name, v in targets.items()}


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
    for file in (run / PREVIOUS, *run.glob("best-*.npz")):
        if file != kept and file.exists():
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


class Checkpoint(keras.callbacks.Callback):
    """Write a checkpoint after each epoch, and the best epoch's weights if requested.

    Args:
        run: run directory.
        state: function called at the end of each epoch that returns a JSON-serializable dict with
            "epoch" (number of finished epochs) and "best" (the best epoch from 1, or 0).
        keep_best: whether to keep the best epoch's weights in a separate file.
        averages: optimize.Averages of the model, which are then kept as the best weights.
        whole: compiled network, if only a part of it is fitted; the default is the fitted model.
    """

    def __init__(
        self,
        run: Path,
        state: Callable[[], dict[str, Any]],
        keep_best: bool,
        averages: Any = None,
        whole: keras.Model | None = None,
    ):
        super().__init__()
        self.run, self.state_of, self.keep_best = run, state, keep_best
        self.averages, self.whole = averages, whole
        self._best: list[int] = []

    def on_epoch_end(self, epoch, logs=None):
        state = self.state_of()
        whole = self.whole or self.model
        arrays = arrays_of(variables(whole, self.averages))
        if self.keep_best and state["best"] == state["epoch"]:
            model = arrays_of(weights(whole, self.averages))
            save(best_file(self.run, state["best"]), model, {"epoch": state["epoch"]})
        rotate(self.run)
        save(self.run / NEWEST, arrays, state)
        # The previous checkpoint may still be needed, and so may its best weights.
        self._best = [*self._best[-1:], state["best"]]
        if len(self._best) == 2:
            kept = {best_file(self.run, best) for best in self._best if best}
            for path in self.run.glob("best-*.npz"):
                if path not in kept:
                    path.unlink()
