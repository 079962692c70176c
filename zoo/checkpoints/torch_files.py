"""Read torch's checkpoints without torch: the zip format, and the one before torch 1.6.

A file's pickle is read as data (unpickling.py). Its tensors are records of where their numbers
are; the numbers are read only of those tensors that are asked for.
"""

import io
import math
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from zoo.checkpoints import unpickling
from zoo.checkpoints.unpickling import Global, Inert

# The magic number at the beginning of the older format, as any protocol of pickle writes it.
_MAGIC = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"
START = 32  # bytes that show a file's format
LARGEST_PICKLE = 1 << 26  # bytes; numbers are not in it

# torch.FloatStorage, torch.float32, ... -> NumPy's type
_TYPES: dict[str, Any] = {
    **dict.fromkeys(("FloatStorage", "float32"), np.float32),
    **dict.fromkeys(("DoubleStorage", "float64"), np.float64),
    **dict.fromkeys(("HalfStorage", "float16"), np.float16),
    **dict.fromkeys(("BFloat16Storage", "bfloat16"), ml_dtypes.bfloat16),
    **dict.fromkeys(("LongStorage", "int64"), np.int64),
    **dict.fromkeys(("IntStorage", "int32"), np.int32),
    **dict.fromkeys(("ShortStorage", "int16"), np.int16),
    **dict.fromkeys(("CharStorage", "int8"), np.int8),
    **dict.fromkeys(("ByteStorage", "UntypedStorage", "uint8"), np.uint8),
    **dict.fromkeys(("BoolStorage", "bool"), np.bool_),
}
# The sizes of elements that are not read, but have to be passed over in the older format.
_SIZES = {"ComplexFloatStorage": 8, "ComplexDoubleStorage": 16, "QInt32Storage": 4}


@dataclass(frozen=True)
class Storage:
    """A row of numbers in a file.

    Attributes:
        key: its name in the file.
        kind: "FloatStorage", "float32", ...
        count: the number of elements.
        first: the element of the file's row at which this one begins.
    """

    key: str
    kind: str
    count: int
    first: int = 0


@dataclass(frozen=True)
class Stored:
    """A tensor in a file, whose numbers have not been read."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    numbers: Callable[[Storage], np.ndarray] = field(repr=False)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def array(self) -> np.ndarray:
        """The tensor's values as float32.

        Raises:
            ValueError: the file does not have all of them.
        """
        whole = all(type(n) is int and n >= 0 for n in (self.offset, *self.shape, *self.stride))
        if not whole or len(self.shape) != len(self.stride) or len(self.shape) > 16:
            raise ValueError(
                f"a tensor has an invalid shape {self.shape}, strides {self.stride} or offset "
                f"{self.offset!r}"
            )
        count = math.prod(self.shape)
        last = self.offset + sum(
            (n - 1) * step for n, step in zip(self.shape, self.stride, strict=True)
        )
        if count and (last >= self.storage.count or count > self.storage.count):
            raise ValueError(
                f"a tensor of shape {self.shape} reaches beyond its storage of "
                f"{self.storage.count} elements"
            )
        numbers = self.numbers(self.storage)
        if not count:
            return np.zeros(self.shape, "float32")
        steps = [step * numbers.itemsize for step in self.stride]
        view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, steps)
        return np.ascontiguousarray(view, "float32").reshape(self.shape)


def is_legacy(start: bytes) -> bool:
    """Whether a file that begins like this is of the format before torch 1.6."""
    return start.startswith(b"\x80") and _MAGIC in start[:START]


def read(path: Path) -> tuple[dict[str, dict[str, Stored]], str]:
    """The dicts of tensors in a checkpoint, by the keys that lead to them, and its architecture.

    "" is the key of the checkpoint itself; the dict in `{"ema": {"model": {...}}}` is "ema.model".
    The architecture is what timm and others note as "arch"; "" if there is none.

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
    """Dicts of tensors in dicts. They are named by str."""
    tensors = {k: v for k, v in found.items() if isinstance(k, str) and isinstance(v, Stored)}
    if tensors:
        yield place, tensors
    for key, value in found.items():
        if isinstance(value, dict) and isinstance(key, str) and depth:
            yield from _entries(value, f"{place}.{key}" if place else key, depth - 1)


def _objects(found: Any) -> str:
    """What a checkpoint without tensors holds, in words, and how to convert it."""
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
    """The value in a zip file of torch.save."""
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

    def numbers(storage: Storage) -> np.ndarray:
        kind = _type(storage)
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

    return unpickling.load(io.BytesIO(pickled), _calls(numbers), _storage)


def _record(path: Path, about: zipfile.ZipInfo, size: int) -> bytes:
    """A member of an archive, which is not opened again: it can have thousands of them.

    Torch does not compress, so none can be larger than the file.
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
    """The value in a file of the format before torch 1.6: pickles, then the numbers."""
    size = path.stat().st_size
    places: dict[str, int] = {}  # of the numbers of each storage
    counts: dict[str, int] = {}
    kinds: dict[str, str] = {}

    def storage(identifier: Any) -> Any:
        found = _storage(identifier)
        if isinstance(found, Storage):
            kinds[found.key] = found.kind
        return found

    def numbers(storage: Storage) -> np.ndarray:
        kind = _type(storage)
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
        found = unpickling.load(file, _calls(numbers), storage)
        keys = unpickling.load(file, {}, _no_storage)
        for key in map(str, keys if isinstance(keys, list) else ()):
            count = struct.unpack("<q" if little else ">q", file.read(8))[0]
            kind = kinds.get(key, "")
            length = count * _SIZES.get(kind, np.dtype(_TYPES.get(kind, np.uint8)).itemsize)
            if count < 0 or file.tell() + length > size:
                raise ValueError(f"the data of tensor storage {key!r} is truncated")
            places[key], counts[key] = file.tell(), count
            file.seek(length, io.SEEK_CUR)
    return found


def _type(storage: Storage) -> Any:
    if storage.kind not in _TYPES:
        raise ValueError(f"tensors of type torch.{storage.kind} are not supported")
    return _TYPES[storage.kind]


def _no_storage(identifier: Any) -> Any:
    raise ValueError(f"a tensor where none is expected: {str(identifier)[:80]}")


def _storage(identifier: Any) -> Any:
    """From ("storage", type, key, device, count); in the older format a view of it may follow.

    That format has classes of modules with their source code, too: ("module", class, ...).
    """
    if isinstance(identifier, tuple) and len(identifier) > 1 and identifier[0] == "module":
        return identifier[1]
    if not isinstance(identifier, tuple) or len(identifier) < 5 or identifier[0] != "storage":
        raise ValueError("it contains persistent objects that are not tensors")
    _, kind, key, _, count, *view = identifier
    if not isinstance(kind, Global) or kind.module not in ("torch", "torch.cuda", "torch.storage"):
        raise ValueError(f"tensors of type {kind} are not supported")
    first = 0
    if view and view[0] is not None:
        _, first, count = view[0]
    if not (type(count) is int and type(first) is int and count >= 0 and first >= 0):
        raise ValueError(f"a tensor storage of invalid size {count!r} or offset {first!r}")
    return Storage(str(key), kind.name, count, first)


def _calls(numbers: Callable[[Storage], np.ndarray]) -> dict[str, Callable[..., Any]]:
    """What stands for the functions with which torch rebuilds tensors."""

    def tensor(storage, offset, shape, stride, *_):
        if not isinstance(storage, Storage):
            raise ValueError("a tensor without data")
        return Stored(storage, offset, tuple(shape), tuple(stride), numbers)

    def typed(storage, offset, shape, stride, requires_grad, hooks, kind, *_):
        item = np.dtype(_TYPES.get(getattr(kind, "name", ""), np.uint8)).itemsize
        whole = Storage(storage.key, kind.name, storage.count // item, storage.first)
        return tensor(whole, offset, shape, stride)

    def again(function, kind, arguments, state):
        found = calls.get(str(function))
        if found is None:
            raise unpickling.UnsafeError(
                f"it calls {function}, which could run code; nothing in it was executed"
            )
        return found(*arguments)

    calls: dict[str, Callable[..., Any]] = {
        "torch._utils._rebuild_tensor": tensor,
        "torch._utils._rebuild_tensor_v2": tensor,
        "torch._utils._rebuild_tensor_v3": typed,
        "torch._utils._rebuild_parameter": lambda data, *_: data,
        "torch._utils._rebuild_parameter_with_state": lambda data, *_: data,
        "torch._tensor._rebuild_from_type_v2": again,
        "torch.nn.parameter.Buffer": lambda data, *_: data,
    }
    return calls
