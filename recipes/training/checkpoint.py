"""What a resume is: all of a training's state in one file, whole or not at all.

Every variable of the model (norm statistics and random seeds too) and of the optimizer, by
its order and path, and a JSON state, under one checksum. A file is written beside its
place and moved there; the one before it is kept, for when the newest is damaged.
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

from zoo.files import write

NEWEST, PREVIOUS = "checkpoint.npz", "checkpoint.previous.npz"
# What reading a damaged file raises; a RuntimeError where a bit of its headers is another.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError)


def variables(model: keras.Model, averages: Any = None) -> dict[str, keras.Variable]:
    """Every variable of a compiled model, of its built optimizer and of its averages
    (optimize.Averages), by order and path."""
    found = weights(model)
    if getattr(model, "optimizer", None) is not None:
        own = model.optimizer.variables
        found |= {f"optimizer/{i}/{_path(v)}": v for i, v in enumerate(own)}
    if averages is not None:
        found |= {f"average/{i}/{_path(v)}": v for i, v in enumerate(averages.variables)}
    return found


def weights(model: keras.Model, averages: Any = None) -> dict[str, keras.Variable]:
    """Every variable of a model, or in its place its average, by order and path."""
    chosen = averages.of(model.variables) if averages is not None else model.variables
    named = zip(model.variables, chosen, strict=True)
    return {f"model/{i}/{_path(v)}": average for i, (v, average) in enumerate(named)}


def _path(variable: keras.Variable) -> str:
    # Keras numbers these by what the process has built before.
    return re.sub(r"\bseed_generator_\d+", "seed_generator", variable.path)


def save(path: Path, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
    """Write one checkpoint file. The state must be of JSON's types."""
    text = np.frombuffer(json.dumps(state).encode(), np.uint8)
    digest = np.frombuffer(_digest(arrays, text).encode(), np.uint8)
    content: dict[str, Any] = {**arrays, "state": text, "sha256": digest}
    write(path, lambda file: np.savez(file, **content), "wb")


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the state of a checkpoint file.

    Raises:
        ValueError: the file is truncated or otherwise not as it was written.
        FileNotFoundError: there is none.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        text, digest = arrays.pop("state"), arrays.pop("sha256")
    except FileNotFoundError:
        raise
    except (*_DAMAGE, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error})") from error
    if digest.tobytes().decode("ascii", "replace") != _digest(arrays, text):
        raise ValueError(f"{path} is damaged (its checksum is wrong)")
    return arrays, json.loads(text.tobytes())


def _digest(arrays: dict[str, np.ndarray], text: np.ndarray) -> str:
    digest = hashlib.sha256(text.tobytes())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def newest(run: Path, say: Callable[[str], None]) -> tuple[dict, dict] | None:
    """What `read` gives of the newest whole checkpoint in a run directory, None without any.

    What a process that was killed left half-written is removed: the directory must be held.

    Raises:
        ValueError: there are some, but none is whole.
    """
    for left in (*run.glob(".*.npz.*"), *run.glob(".model.*.keras")):
        left.unlink()
    damaged: Exception | None = None
    for name in (NEWEST, PREVIOUS):
        try:
            found = read(run / name)
            if damaged is not None:  # or the next epoch would put it in the whole one's place
                (run / NEWEST).unlink()
            return found
        except FileNotFoundError:
            continue
        except ValueError as error:
            damaged = error
            say(f"{error}; looking for the one before it")
    if damaged is not None:
        raise ValueError(f"no whole checkpoint in {run}: delete {run} to start again")
    return None


def assign(targets: dict[str, keras.Variable], arrays: dict[str, np.ndarray], of: str) -> None:
    """Set the variables. Nothing is set unless names and shapes all fit.

    Raises:
        ValueError: they do not; `of` names what the arrays come from.
    """
    wrong = [f"{n} is missing in it" for n in targets if n not in arrays]
    wrong += [f"{n} is not in the network" for n in arrays if n not in targets]
    wrong += [
        f"{n} has shape {arrays[n].shape} in it, {tuple(v.shape)} in the network"
        for n, v in targets.items()
        if n in arrays and arrays[n].shape != tuple(v.shape)
    ]
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ValueError(f"{of} is of another network: {'; '.join(wrong[:5])}{more}")
    for name, variable in targets.items():
        variable.assign(arrays[name])


def rotate(run: Path) -> None:
    """Make the newest checkpoint the previous one."""
    if (run / NEWEST).exists():
        os.replace(run / NEWEST, run / PREVIOUS)


def arrays_of(targets: dict[str, keras.Variable]) -> dict[str, np.ndarray]:
    """The values of variables, as NumPy's."""
    return {name: np.asarray(keras.ops.convert_to_numpy(v)) for name, v in targets.items()}


def clear(run: Path) -> None:
    """Delete what a finished run has no more use for: all but the newest checkpoint."""
    for file in (run / PREVIOUS, *run.glob("best-*.npz")):
        file.unlink(missing_ok=True)


def best_file(run: Path, epoch: int) -> Path:
    """Where the model's variables after a best epoch (from 1) are kept."""
    return run / f"best-{epoch:04d}.npz"


def kept_best(run: Path, epoch: int) -> int:
    """The best epoch whose weights are kept: `epoch`, or the last one that was best before it.

    They differ in a run that an earlier version began, which kept the first of equal epochs.
    """
    if best_file(run, epoch).exists():
        return epoch
    kept = sorted(run.glob("best-*.npz"))
    return int(kept[-1].stem.removeprefix("best-")) if kept else epoch


class Checkpoint(keras.callbacks.Callback):
    """Writes a checkpoint after each epoch, and the best epoch's weights where asked.

    Args:
        run: the run directory.
        state: what to save beside the arrays; called at each epoch's end, of JSON's types,
            with "epoch" (finished ones) and "best" (the best one, from 1, or 0).
        keep_best: whether the best epoch's weights are kept in a file of their own.
        averages: optimize.Averages of the model, which then are what is best.
    """

    def __init__(
        self,
        run: Path,
        state: Callable[[], dict[str, Any]],
        keep_best: bool,
        averages: Any = None,
    ):
        super().__init__()
        self.run, self.state_of, self.keep_best = run, state, keep_best
        self.averages = averages
        self._best: list[int] = []

    def on_epoch_end(self, epoch, logs=None):
        state = self.state_of()
        arrays = arrays_of(variables(self.model, self.averages))
        if self.keep_best and state["best"] == state["epoch"]:
            model = arrays_of(weights(self.model, self.averages))
            save(best_file(self.run, state["best"]), model, {"epoch": state["epoch"]})
        rotate(self.run)
        save(self.run / NEWEST, arrays, state)
        # The previous checkpoint may still be needed, and with it its best.
        self._best = [*self._best[-1:], state["best"]]
        if len(self._best) == 2:
            kept = {best_file(self.run, best) for best in self._best if best}
            for path in self.run.glob("best-*.npz"):
                if path not in kept:
                    path.unlink()
