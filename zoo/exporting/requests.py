"""Check the options of `export` before anything is imported or built."""

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
        suffix: the suffix of the file name; "" for a folder.
        dtypes: the dtypes that the weights can have.
        needs: the required packages besides TensorFlow, by their import names.
    """

    suffix: str
    dtypes: tuple[str, ...]
    needs: tuple[str, ...] = ()


FLOATS = ("float32", "float16", "bfloat16")
DTYPES = (*FLOATS, "int8")
TARGETS = {
    "keras": Target(".keras", FLOATS),
    "saved_model": Target("", FLOATS),
    # onnxruntime has no convolution in bfloat16 on a CPU.
    "onnx": Target(".onnx", ("float32", "float16", "int8"), ("onnx", "onnxruntime", "tf2onnx")),
    "tflite": Target(".tflite", ("float32", "float16", "int8"), ("ai_edge_litert",)),
    "safetensors": Target(".safetensors", FLOATS),
}
# timm_legacy is for timm's legacy_* networks; efficientnet_pytorch is a package of EfficientNets.
NAMINGS = ("torchvision", "timm", "timm_legacy", "efficientnet_pytorch")
# What TensorFlow writes into a SavedModel's folder.
_SAVED_MODEL = {"saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra"}


@dataclass(frozen=True)
class Request:
    """A checked request. Its fields are the arguments of `export`."""

    path: Path
    to: str
    batch: int | None
    dtype: str
    naming: str | None
    calibration: Any = None


def checked(
    path: Any, *, to: Any, batch: Any, dtype: Any, naming: Any, calibration: Any = None
) -> Request:
    """Return a checked request, for the arguments of `export`.

    Raises:
        ValueError: an option is invalid, or something at `path` must not be replaced.
    """
    path = Path(path)
    to = _target(path, to)
    target = TARGETS[to]
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, target.dtypes)
    if dtype not in target.dtypes:
        raise ValueError(
            f"dtype={dtype!r}: not available for {to}; valid: {', '.join(target.dtypes)}"
        )
    if batch is not None and (type(batch) is not int or batch < 1):
        raise ValueError(
            f"batch={batch!r}: not a positive integer; pass one, or None for any batch size"
        )
    if batch is not None and to == "safetensors":
        raise ValueError(
            f"batch={batch!r}: does not apply to safetensors, which contains only weights; omit it"
        )
    if naming is not None and to != "safetensors":
        raise ValueError(f"naming={naming!r}: applies only to safetensors, not to {to}; omit it")
    if naming is not None and naming not in NAMINGS:
        raise unknown("naming", naming, NAMINGS)
    if dtype == "int8" and calibration is None:
        raise ValueError(
            "dtype='int8': needs calibration images, about a hundred like those to classify; pass "
            " calibration=IMAGES (on the command line: --calibrate PATH)"
        )
    if dtype != "int8" and calibration is not None:
        raise ValueError(f"calibration: applies only to dtype='int8', not {dtype!r}; omit it")
    _check_place(path, to)
    return Request(path, to, batch, dtype, naming, calibration)


def import_needs(to: str) -> None:
    """Import the packages that a target needs.

    Raises:
        ValueError: one is missing, or cannot be imported.
    """
    for name in TARGETS[to].needs:
        try:
            importlib.import_module(name)
        except ImportError as error:
            text = one_line(error)
            raise ValueError(
                f"to={to!r}: needs the package {name} ({text}); install it with "
                "pip install 'convnet-zoo[export]'"
            ) from error


def _target(path: Path, to: Any) -> str:
    by_suffix = {target.suffix: name for name, target in TARGETS.items() if target.suffix}
    named = by_suffix.get(path.suffix.lower())
    if to is None:
        if named is None and path.suffix:
            raise ValueError(
                f"path={str(path)!r}: unknown suffix; use one of {', '.join(by_suffix)}, or "
                "to='saved_model' for the folder of a SavedModel"
            )
        return named or "saved_model"
    if to not in TARGETS:
        raise unknown("target", to, TARGETS)
    if named is not None and named != to:
        raise ValueError(
            f"to={to!r}: {str(path)!r} has the suffix of {named} files; use to={named!r} or "
            "another suffix"
        )
    if named is None and to != "saved_model":
        raise ValueError(f"path={str(path)!r}: {to} files must end in {TARGETS[to].suffix}")
    return to


def _check_place(path: Path, to: str) -> None:
    """Raise an error if `path` exists and is not something that an export writes."""
    if to != "saved_model" and path.is_dir():
        raise ValueError(
            f"path={str(path)!r}: is a folder, but {to} writes a file; choose another path"
        )
    if to == "saved_model" and path.is_dir():
        inside = {file.name for file in path.iterdir()}
        if inside - _SAVED_MODEL or (inside and "saved_model.pb" not in inside):
            raise ValueError(
                f"path={str(path)!r}: the folder contains other things than a SavedModel and is "
                "not replaced; choose another path"
            )
    elif to == "saved_model" and path.exists():
        raise ValueError(
            f"path={str(path)!r}: is a file, but a SavedModel is a folder; choose another path"
        )
