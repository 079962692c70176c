"""Read weights files as name -> array. Code in a file is never run.

Keras's `.keras` files are not read, because they can also contain code: see SECURITY.md.
"""

import importlib
import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.checkpoints import keras_files, torch_files
from zoo.checkpoints.torch_tensors import Stored
from zoo.files import one_line
from zoo.stand_ins import explanation

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Contents:
    """What a weights file contains.

    Attributes:
        path: the file.
        kind: the form of its names: "torch" for "conv1.weight", "keras" for "conv1/kernel", and
            "numbered" for "layers/conv2d_1/vars/0", as in the `.weights.h5` files of Keras 3.
        entries: the dicts of tensors by their place in the file, such as "state_dict"; "" is the
            outermost dict. A tensor is an array, or a `Stored` whose values are not read yet.
        architecture: the architecture that the file names, as timm's training script does, or "".
        ours: whether the file was written from a network of this library.
        layers: for "numbered" files, the numbered layer -> its name, if the file has names.
        chosen: the entry or prefix that the caller asks for, or None.
    """

    path: Path
    kind: str
    entries: Mapping[str, Mapping[str, Any]]
    architecture: str = ""
    ours: bool = False
    layers: Mapping[str, str] = field(default_factory=dict)
    chosen: str | None = None


def read(path: Path) -> Arrays:
    """Return the tensors of a file by name; of its largest entry, if it has several.

    Raises:
        ValueError: the file does not exist, is not a weights file, is unsafe, or is damaged.
    """
    found = contents(path)
    largest = max(found.entries.values(), key=len)
    return {name: numbers(path, name, tensor) for name, tensor in largest.items()}


def numbers(path: Path, name: str, tensor: Any) -> np.ndarray:
    """Return the values of a tensor of Contents.

    Args:
        path, name: the file and the tensor's name in it, for the error.
        tensor: an array, which is returned as it is, or a `Stored`.

    Raises:
        ValueError: the file does not contain all of them.
    """
    if not isinstance(tensor, Stored):
        return tensor
    try:
        return tensor.array()
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise unreadable(path, ValueError(f"{name}: {error}")) from error


def contents(path: Path, chosen: str | None = None) -> Contents:
    """Read a weights file. Of PyTorch's files, read only names and shapes.

    Args:
        path: the file.
        chosen: the entry or prefix to load later, such as "state_dict_ema".

    Raises:
        ValueError: the file does not exist, is not a weights file, is unsafe, or is damaged.
    """
    if not path.is_file():
        raise ValueError(f"weights={str(path)!r}: there is no such file; check the path")
    with path.open("rb") as file:
        start = file.read(100)
    if reason := explanation(start):
        raise unreadable(path, ValueError(reason))
    kind = _kind(path)
    try:
        if kind == "keras":
            raise ValueError(
                "a .keras file can contain code and is therefore never read as weights; if you "
                "trust it, open it with Keras and call model.save_weights('NAME.weights.h5')"
            )
        found = {"safetensors": _safetensors, "hdf5": _hdf5, "torch": _torch}[kind](path)
    except Exception as error:
        # The readers raise errors of many kinds on a damaged file.
        if isinstance(error, (KeyboardInterrupt, MemoryError)):
            raise
        raise unreadable(path, error) from error
    if not any(found.entries.values()):
        raise ValueError(f"weights={str(path)!r}: the file contains no tensors")
    return replace(found, chosen=chosen)


def unreadable(path: Path, error: Exception) -> ValueError:
    """Return a reader's error as one line that names the file."""
    text = one_line(error, 500)
    return ValueError(f"weights={str(path)!r}: cannot read the file: {text}")


def _kind(path: Path) -> str:
    """Return the format of a file by its first bytes, or by its suffix if they are not enough."""
    with path.open("rb") as file:
        start = file.read(torch_files.START)
    if start.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if torch_files.is_legacy(start):
        return "torch"
    if start[8:9] == b"{" and b'"' in start[9:]:  # a JSON header after its length
        return "safetensors"
    ending = path.suffix.lower()
    if ending == ".keras":
        return "keras"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        return "keras" if "config.json" in names or "metadata.json" in names else "torch"
    endings = {".safetensors": "safetensors", ".h5": "hdf5", ".hdf5": "hdf5"}
    endings |= dict.fromkeys((".pth", ".pt", ".ckpt", ".bin", ".tar"), "torch")
    if ending not in endings:
        valid = ".safetensors, .h5, .weights.h5, .pth, .pt, .ckpt, .bin or .tar"
        raise ValueError(f"weights={str(path)!r}: unknown file type; the name must end in {valid}")
    return endings[ending]


def _counter(name: str) -> bool:
    """Return whether a tensor is PyTorch's count of batches, which inference does not use."""
    return name.endswith("num_batches_tracked")


def _safetensors(path: Path) -> Contents:
    importlib.import_module("ml_dtypes")  # adds bfloat16 to NumPy
    found = importlib.import_module("safetensors.numpy").load_file(path)
    with path.open("rb") as file:
        about = json.loads(file.read(struct.unpack("<Q", file.read(8))[0])).get("__metadata__")
    arrays = {
        name: array.astype("float32") if array.dtype.itemsize == 2 else array
        for name, array in found.items()
        if not _counter(name)
    }
    kind = "keras" if all("/" in name for name in arrays) else "torch"
    return Contents(path, kind, {"": arrays}, ours={"network", "naming"} <= set(about or {}))


def _torch(path: Path) -> Contents:
    entries, architecture = torch_files.read(path)
    found = {
        place: {name: tensor for name, tensor in tensors.items() if not _counter(name)}
        for place, tensors in entries.items()
    }
    return Contents(path, "torch", found, architecture)


def _hdf5(path: Path) -> Contents:
    entries, layers = keras_files.read(path)
    if not any(name.startswith("layers/") for arrays in entries.values() for name in arrays):
        return Contents(path, "keras", entries)
    return Contents(path, "numbered", entries, ours=keras_files.ours(layers), layers=layers)
