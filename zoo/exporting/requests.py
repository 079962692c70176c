"""What `export` is asked for, checked before anything is imported or built."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.files import one_line
from zoo.options import unknown


@dataclass(frozen=True)
class Target:
    """A kind of file.

    Attributes:
        suffix: of its name; "" for a folder.
        dtypes: that its weights can have.
        needs: packages beside TensorFlow, by the names they are imported by.
    """

    suffix: str
    dtypes: tuple[str, ...]
    needs: tuple[str, ...] = ()


HALVES = ("float32", "float16", "bfloat16")
TARGETS = {
    "keras": Target(".keras", HALVES),
    "saved_model": Target("", HALVES),
    # onnxruntime has no convolution in bfloat16 on a CPU.
    "onnx": Target(".onnx", ("float32", "float16"), ("onnx", "onnxruntime", "tf2onnx")),
    "tflite": Target(".tflite", ("float32", "float16"), ("ai_edge_litert",)),
    "safetensors": Target(".safetensors", HALVES),
}
NAMINGS = ("torchvision", "timm", "timm_legacy")  # the last: timm's legacy_* networks
# What TensorFlow writes into a SavedModel's folder.
_SAVED_MODEL = {"saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra"}


@dataclass(frozen=True)
class Request:
    """A checked request: the fields are export's."""

    path: Path
    to: str
    batch: int | None
    dtype: str
    naming: str | None


def checked(path: Any, *, to: Any, batch: Any, dtype: Any, naming: Any) -> Request:
    """Raises a ValueError that names what is valid, also where `path` may not be replaced."""
    path = Path(path)
    to = _target(path, to)
    target = TARGETS[to]
    if dtype not in HALVES:
        raise unknown("dtype", dtype, target.dtypes)
    if dtype not in target.dtypes:
        raise ValueError(f"{to} has no dtype={dtype!r} (valid: {', '.join(target.dtypes)})")
    if batch is not None and (type(batch) is not int or batch < 1):
        raise ValueError(f"batch={batch!r} is not a whole number from 1, or None for any")
    if batch is not None and to == "safetensors":
        raise ValueError("batch has no meaning in safetensors: it holds weights alone")
    if naming is not None and to != "safetensors":
        raise ValueError(f"naming has no meaning in {to}: it is of safetensors")
    if naming is not None and naming not in NAMINGS:
        raise unknown("naming", naming, NAMINGS)
    _check_place(path, to)
    return Request(path, to, batch, dtype, naming)


def import_needs(to: str) -> None:
    """Imports the packages of a target.

    Raises:
        ValueError: one is missing, or cannot be imported.
    """
    for name in TARGETS[to].needs:
        try:
            importlib.import_module(name)
        except ImportError as error:
            text = one_line(error)
            raise ValueError(
                f"{to} needs {name} ({text}): pip install 'convnet-zoo[export]'"
            ) from error


def _target(path: Path, to: Any) -> str:
    by_suffix = {target.suffix: name for name, target in TARGETS.items() if target.suffix}
    named = by_suffix.get(path.suffix.lower())
    if to is None:
        if named is None and path.suffix:
            raise ValueError(
                f"{str(path)!r} does not say what to write: it ends in none of "
                f"{', '.join(by_suffix)} (a SavedModel's folder: to='saved_model')"
            )
        return named or "saved_model"
    if to not in TARGETS:
        raise unknown("target", to, TARGETS)
    if named is not None and named != to:
        raise ValueError(f"{str(path)!r} is the name of a {named} file, and to={to!r}")
    if named is None and to != "saved_model":
        raise ValueError(f"{str(path)!r} does not end in {TARGETS[to].suffix}, as {to} files do")
    return to


def _check_place(path: Path, to: str) -> None:
    """Only what an export may have written is replaced."""
    if to != "saved_model" and path.is_dir():
        raise ValueError(f"{str(path)!r} is a folder, and {to} is a file")
    if to == "saved_model" and path.is_dir():
        inside = {file.name for file in path.iterdir()}
        if inside - _SAVED_MODEL or (inside and "saved_model.pb" not in inside):
            raise ValueError(
                f"{str(path)!r} holds other things than a SavedModel: it is not replaced"
            )
    elif to == "saved_model" and path.exists():
        raise ValueError(f"{str(path)!r} is a file, and a SavedModel is a folder")
