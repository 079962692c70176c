"""The tensors of a PyTorch checkpoint: descriptions in its pickle, whose values are read later."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

from zoo.checkpoints import unpickling
from zoo.checkpoints.unpickling import Global

# The name of a type in a checkpoint, such as torch.FloatStorage or torch.float32 -> NumPy's type.
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
# Bytes per element of types that are not supported: the older format cannot be read without them.
_SIZES = {"ComplexFloatStorage": 8, "ComplexDoubleStorage": 16, "QInt32Storage": 4}


@dataclass(frozen=True)
class Storage:
    """A one-dimensional array of values in a file, which one or more tensors share.

    Attributes:
        key: its name in the file.
        kind: the name of its type: "FloatStorage", "float32", ...
        count: the number of elements.
        first: where it begins in the file's array of this name, in elements.
    """

    key: str
    kind: str
    count: int
    first: int = 0


@dataclass(frozen=True)
class Stored:
    """A tensor in a file whose values have not been read yet.

    Attributes:
        storage: where its values are.
        offset: its first element in the storage.
        shape: its shape.
        stride: the distance between neighbors along each axis, in elements.
        values: a function that reads the values of a storage.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    values: Callable[[Storage], np.ndarray] = field(repr=False)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def array(self) -> np.ndarray:
        """Read the tensor's values, and return them as float32.

        Raises:
            ValueError: the file does not contain all of them.
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
        values = self.values(self.storage)
        if not count:
            return np.zeros(self.shape, "float32")
        steps = [step * values.itemsize for step in self.stride]
        view = np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, steps)
        return np.ascontiguousarray(view, "float32").reshape(self.shape)


def dtype_of(storage: Storage) -> Any:
    """Return NumPy's type of a storage's elements.

    Raises:
        ValueError: it is a type that is not supported, such as complex numbers.
    """
    if storage.kind not in _TYPES:
        raise ValueError(f"tensors of type torch.{storage.kind} are not supported")
    return _TYPES[storage.kind]


def item_size(kind: str) -> int:
    """Return the bytes per element of a type, also if it is not supported; 1 if it is unknown."""
    return _SIZES.get(kind, np.dtype(_TYPES.get(kind, np.uint8)).itemsize)


def storage_of(identifier: Any) -> Any:
    """Return the Storage that a persistent identifier of a pickle stands for.

    The identifier is ("storage", type, key, device, count). In the older format, a part of it may
    follow: (name, first, count). That format also has ("module", class, source file, source code)
    for the classes of modules; then return the class.

    Raises:
        ValueError: it is something else.
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


def rebuilders(values: Callable[[Storage], np.ndarray]) -> dict[str, Callable[..., Any]]:
    """Return replacements for the functions of torch that rebuild tensors, by their names.

    Args:
        values: a function that reads the values of a storage.
    """

    def tensor(storage, offset, shape, stride, *_):
        if not isinstance(storage, Storage):
            raise ValueError("a tensor without data")
        return Stored(storage, offset, tuple(shape), tuple(stride), values)

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
