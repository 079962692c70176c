"""Write checkpoints in both formats of torch.save, without torch: their pickles by hand."""

import math
import struct
import zipfile
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
KINDS = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
}


@dataclass
class Name:
    """A class or function, to which a pickle refers by name."""

    text: str

    def encoded(self) -> bytes:
        module, name = self.text.rsplit(".", 1)
        return f"c{module}\n{name}\n".encode()


@dataclass
class Call:
    """A call of a function (REDUCE), and the state to set on its result."""

    name: str
    arguments: tuple = ()
    state: Any = None
    operation: bytes = b"R"


def new(name: str, state: Any = None) -> Call:
    """An object created without its constructor (NEWOBJ)."""
    return Call(name, (), state, b"\x81")


@dataclass
class Tensor:
    """A tensor whose description (offset, shape, stride, count, key) may be wrong."""

    array: np.ndarray
    offset: Any = 0
    shape: Any = None
    stride: Any = None
    count: Any = None
    key: Any = None


@dataclass
class Writer:
    """Encodes values as a pickle of protocol 2, and collects the data of tensors."""

    storages: dict[str, np.ndarray] = field(default_factory=dict)

    def pickled(self, value: Any) -> bytes:
        return b"\x80\x02" + self.encoded(value) + b"."

    def encoded(self, value: Any) -> bytes:
        e = self.encoded
        match value:
            case bytes():
                return value  # opcodes
            case None:
                return b"N"
            case bool():
                return b"\x88" if value else b"\x89"
            case int() if -(2**31) <= value < 2**31:
                return b"J" + struct.pack("<i", value)
            case int():
                digits = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
                return b"\x8a" + bytes([len(digits)]) + digits
            case float():
                return b"G" + struct.pack(">d", value)
            case str():
                return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
            case tuple():
                return b"(" + b"".join(map(e, value)) + b"t"
            case list():
                return b"](" + b"".join(map(e, value)) + b"e"
            case dict():
                items = b"".join(e(k) + e(v) for k, v in value.items())
                return Name("collections.OrderedDict").encoded() + b")R(" + items + b"u"
            case Name():
                return value.encoded()
            case Call():
                made = Name(value.name).encoded() + e(value.arguments) + value.operation
                return made if value.state is None else made + e(value.state) + b"b"
            case np.ndarray():
                return e(Tensor(value))
            case Tensor():
                return self._tensor(value)
        raise TypeError(type(value))

    def _tensor(self, tensor: Tensor) -> bytes:
        array = np.ascontiguousarray(tensor.array)
        key = str(len(self.storages)) if tensor.key is None else tensor.key
        self.storages[str(len(self.storages))] = array
        shape = array.shape if tensor.shape is None else tensor.shape
        steps = [math.prod(array.shape[i + 1 :]) for i in range(array.ndim)]
        stride = tuple(steps) if tensor.stride is None else tensor.stride
        kind = Name(f"torch.{KINDS[array.dtype.name]}")
        count = array.size if tensor.count is None else tensor.count
        identifier = ("storage", kind, key, "cuda:0", count)
        return self.encoded(
            Call(
                "torch._utils._rebuild_tensor_v2",
                (self.encoded(identifier) + b"Q", tensor.offset, shape, stride, False, {}),
            )
        )


def save(value: Any, path, legacy: bool = False) -> None:
    """Write `value` as torch.save(value, path) does; arrays become tensors."""
    writer = Writer()
    pickled = writer.pickled(value)
    if not legacy:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickled)
            archive.writestr("archive/byteorder", "little")
            for key, array in writer.storages.items():
                archive.writestr(f"archive/data/{key}", array.tobytes())
        return
    about = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"long": 4}}
    parts = [writer.pickled(part) for part in (MAGIC, 1001, about)]
    parts += [pickled, writer.pickled(list(writer.storages))]
    for array in writer.storages.values():
        parts += [struct.pack("<q", array.size), array.tobytes()]
    path.write_bytes(b"".join(parts))


bfloat16 = ml_dtypes.bfloat16
