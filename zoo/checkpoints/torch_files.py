"""Read PyTorch checkpoints without PyTorch: the zip format, and the one before PyTorch 1.6.

The pickle in a file is read as data, without running code (unpickling.py). It only describes where
each tensor's values are. The values of a tensor are read when they are needed.
"""

import io
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zoo.checkpoints import unpickling
from zoo.checkpoints.torch_tensors import (
    Storage,
    Stored,
    dtype_of,
    item_size,
    rebuilders,
    storage_of,
)
from zoo.checkpoints.unpickling import Inert

# The magic number at the beginning of the older format, as every pickle protocol writes it.
_MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
START = 32  # bytes at the beginning of a file that show its format
LARGEST_PICKLE = 1 << 26  # bytes; the values of tensors are stored outside of the pickle


def is_legacy(start: bytes) -> bool:
    """Return whether a file with these first bytes has the format before PyTorch 1.6."""
    return start.startswith(b"\x80") and _MAGIC in start[:START]


def read(path: Path) -> tuple[dict[str, dict[str, Stored]], str]:
    """Return the dicts of tensors in a checkpoint by their place in it, and its architecture.

    The place of the dict in `{"ema": {"model": {...}}}` is "ema.model"; that of the checkpoint
    itself is "". The architecture is the entry "arch", which timm and others write; "" if there is
    none.

    Raises:
        ValueError: the file would run code, is damaged, or has no tensors.
    """
    with path.open("rb") as file:
        legacy = is_legacy(file.read(START))
    if not legacy and not zipfile.is_zipfile(path):
        raise ValueError(
            "it was not written by torch.save: it is neither a zip archive nor in the older format "
            "of torch.save"
        )
    found = _legacy(path) if legacy else _archive(path)
    entries = dict(_entries(found)) if isinstance(found, dict) else {}
    if not entries:
        raise ValueError(f"it contains no dict of tensors, but {_objects(found)}")
    name = found.get("arch")
    return entries, name if isinstance(name, str) else ""


def _entries(found: dict, place: str = "", depth: int = 3) -> Iterator[tuple[str, dict]]:
    """Yield the dicts of tensors within nested dicts, with their places; their keys are str."""
    tensors = {k: v for k, v in found.items() if isinstance(k, str) and isinstance(v, Stored)}
    if tensors:
        yield place, tensors
    for key, value in found.items():
        if isinstance(value, dict) and isinstance(key, str) and depth:
            yield from _entries(value, f"{place}.{key}" if place else key, depth - 1)


def _objects(found: Any) -> str:
    """Describe what a checkpoint without tensors contains, and how to convert it."""
    objects = {"": found} if isinstance(found, Inert) else {}
    if isinstance(found, dict):
        objects = {f"[{key!r}]": value for key, value in found.items() if isinstance(value, Inert)}
    if not objects:
        kind = "a single tensor" if isinstance(found, Stored) else f"a {type(found).__name__}"
        return "only numbers and strings" if isinstance(found, dict) else kind
    kinds = ", ".join(dict.fromkeys(f"an object of {value.of}" for value in objects.values()))
    modules = [key for key, value in objects.items() if not unpickling.CALLED.fullmatch(value.of)]
    if not modules:
        return kinds
    place = next((key for key in modules if "model" in key), modules[0])
    return (
        f"{kinds}; if you trust the file, convert it where torch is installed: "
        f"torch.save(torch.load(FILE, weights_only=False){place}.state_dict(), NEW)"
    )


def _archive(path: Path) -> Any:
    """Return the value in a zip file that torch.save wrote."""
    size = path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        records = {about.filename: about for about in archive.infolist()}
        names = list(records)
        pickles = [name for name in names if name.split("/")[1:] == ["data.pkl"]]
        if len(pickles) != 1:
            raise ValueError("it is a zip archive without data.pkl: torch.save did not write it")
        root = pickles[0].removesuffix("data.pkl")
        if f"{root}constants.pkl" in names or any(n.startswith(f"{root}code/") for n in names):
            raise ValueError(
                "it contains a TorchScript program, which is never run; convert it where torch is "
                "installed: torch.save(torch.jit.load(FILE).state_dict(), NEW)"
            )
    if records[pickles[0]].file_size > LARGEST_PICKLE:
        raise ValueError(f"its pickle is larger than {LARGEST_PICKLE:,} bytes")
    pickled = _record(path, records[pickles[0]], size)
    order = records.get(f"{root}byteorder")
    swapped = order is not None and _record(path, order, size) != sys.byteorder.encode()
    used: dict[str, int] = {}

    def values(storage: Storage) -> np.ndarray:
        kind = dtype_of(storage)
        about = records.get(f"{root}data/{storage.key}")
        if about is None:
            raise ValueError(f"the data of tensor storage {storage.key!r} is missing")
        data = _record(path, about, size)
        used[storage.key] = len(data)
        if sum(used.values()) > size:
            raise ValueError("its tensors overlap in the file")
        if len(data) < storage.count * np.dtype(kind).itemsize:
            raise ValueError(f"the data of tensor storage {storage.key!r} is truncated")
        found = np.frombuffer(data, kind, storage.count)
        return found.byteswap() if swapped else found

    return unpickling.load(io.BytesIO(pickled), rebuilders(values), storage_of)


def _record(path: Path, about: zipfile.ZipInfo, size: int) -> bytes:
    """Return the bytes of a member of a zip archive.

    It is read without `zipfile`, which would read the list of members again for each of possibly
    thousands. torch.save does not compress, so no member can be larger than the file.
    """
    if about.compress_type != zipfile.ZIP_STORED or about.file_size > size:
        raise ValueError(
            f"{about.filename} is compressed, which torch.save never does; unpack the archive and "
            "zip it without compression"
        )
    with path.open("rb") as file:
        file.seek(about.header_offset)
        header = file.read(30)
        if not header.startswith(b"PK\x03\x04") or len(header) < 30:
            raise ValueError(f"{about.filename} is damaged")
        file.seek(sum(struct.unpack("<HH", header[26:])), io.SEEK_CUR)
        data = file.read(about.file_size)
    if len(data) < about.file_size or zlib.crc32(data) != about.CRC:
        raise ValueError(f"{about.filename} is damaged: its checksum differs")
    return data


def _legacy(path: Path) -> Any:
    """Return the value in a file of the format before PyTorch 1.6: pickles, then the values."""
    size = path.stat().st_size
    places: dict[str, int] = {}  # storage -> the position of its values in the file
    counts: dict[str, int] = {}
    kinds: dict[str, str] = {}

    def storage(identifier: Any) -> Any:
        found = storage_of(identifier)
        if isinstance(found, Storage):
            kinds[found.key] = found.kind
        return found

    def values(storage: Storage) -> np.ndarray:
        kind = dtype_of(storage)
        if storage.key not in places or storage.first + storage.count > counts[storage.key]:
            raise ValueError(f"the data of tensor storage {storage.key!r} is missing")
        first = places[storage.key] + storage.first * np.dtype(kind).itemsize
        with path.open("rb") as file:
            file.seek(first)
            data = file.read(storage.count * np.dtype(kind).itemsize)
        found = np.frombuffer(data, kind, storage.count)
        return found.byteswap() if swapped else found

    with path.open("rb") as file:
        _magic, _protocol, about = (unpickling.load(file, {}, _no_storage) for _ in range(3))
        little = not isinstance(about, dict) or about.get("little_endian", True)
        swapped = bool(little) != (sys.byteorder == "little")
        found = unpickling.load(file, rebuilders(values), storage)
        keys = unpickling.load(file, {}, _no_storage)
        for key in map(str, keys if isinstance(keys, list) else ()):
            count = struct.unpack("<q" if little else ">q", file.read(8))[0]
            length = count * item_size(kinds.get(key, ""))
            if count < 0 or file.tell() + length > size:
                raise ValueError(f"the data of tensor storage {key!r} is truncated")
            places[key], counts[key] = file.tell(), count
            file.seek(length, io.SEEK_CUR)
    return found


def _no_storage(identifier: Any) -> Any:
    raise ValueError(f"a tensor where none is expected: {str(identifier)[:80]}")
