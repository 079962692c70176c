"""Read pickles as data: an interpreter of pickle's opcodes that never calls what a file names.

PyTorch saves checkpoints as pickles, and Python's own unpickler calls any function a pickle names.
This interpreter builds dicts, lists, tuples, numbers and strings. It calls only functions from a
table that the caller provides. Objects of other classes become inert placeholders, and a call of
any other function is an error.
"""

import pickletools
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

LARGEST = 10_000_000  # opcodes; a checkpoint with 10,000 tensors has about 500,000

# Names of the standard library that occur in checkpoints and only make data. Any other one, such
# as os.system or builtins.getattr, makes a file unsafe even if the file never calls it.
_DATA = r"""
argparse\.Namespace|types\.SimpleNamespace|typing\.\w+|enum\.\w+|uuid\.\w+|functools\.partial
collections\.(OrderedDict|defaultdict|Counter|deque)
(builtins|__builtin__)\.(set|frozenset|list|dict|tuple|bytearray|bytes|complex|slice|range|object)
(builtins|__builtin__)\.(int|long|float|bool|str|unicode)
pathlib(\._local)?\.\w*Path|datetime\.\w+|decimal\.Decimal|fractions\.Fraction
_codecs\.encode|(copyreg|copy_reg)\._reconstructor
"""
# Functions of other packages whose results are also only data.
_VALUES = r"""
numpy\.(core|_core)\.(multiarray|numeric)\.(scalar|_reconstruct|_frombuffer)
numpy\.(dtype|ndarray)|numpy\.dtypes\.\w+
numpy\.random\.(_pickle\.\w+|\w+\.__pyx_unpickle_\w+)
torch\.(Size|device|dtype|memory_format)|torch\.serialization\._get_layout
"""
_STANDARD = sys.stdlib_module_names | {"__builtin__", "copy_reg"}


def _any(patterns: str) -> re.Pattern:
    return re.compile("|".join(patterns.split()))


DATA, CALLED = _any(_DATA), _any(_DATA + _VALUES)


class UnsafeError(ValueError):
    """Raised for a pickle that would run code if it were unpickled."""


@dataclass(frozen=True)
class Global:
    """A class or function that a pickle names. It is never imported."""

    module: str
    name: str

    def __str__(self):
        return f"{self.module}.{self.name}"


class Inert:
    """A placeholder for an object whose class is not supported.

    Attributes:
        of: the name of the class.
    """

    def __init__(self, of: object):
        self.of = str(of)


Calls = Mapping[str, Callable[..., Any]]


def load(stream: BinaryIO, calls: Calls, persistent: Callable[[Any], Any]) -> Any:
    """Return the value of the pickle at the stream's position, and move the stream to its end.

    Args:
        calls: the functions that a pickle may call: "module.name" -> our replacement.
        persistent: a function from the identifier of a persistent object to the object.

    Raises:
        UnsafeError: the pickle calls another function.
        ValueError: the pickle is damaged.
    """
    machine = _Machine({**_CALLS, **calls}, persistent)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count > LARGEST:
                raise ValueError(f"its pickle has more than {LARGEST:,} operations")
            machine.step(opcode.name, argument)
        return machine.pop()
    except (IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"its pickle is damaged ({type(error).__name__}: {error})") from error


def _dict(*pairs: Any) -> dict:
    """Return a dict for OrderedDict(), OrderedDict([(key, value), ...]) or Counter({...})."""
    if not pairs:
        return {}
    items = pairs[0].items() if isinstance(pairs[0], dict) else pairs[0]
    return {_key(key): value for key, value in items}


_CALLS: Calls = {
    "collections.OrderedDict": _dict,
    "collections.Counter": _dict,
    "collections.defaultdict": lambda *factory: {},
}


def _key(value: Any) -> Any:
    """Return a safe key for a dict. Hashing deeply nested tuples could exhaust the C stack."""
    plain = (str, int, float, bytes, type(None), Global, Inert)
    return value if isinstance(value, plain) else Inert("a key")


class _Machine:
    """The stack machine of the pickle format; `step` executes one opcode."""

    def __init__(self, calls: Calls, persistent: Callable[[Any], Any]):
        self.calls, self.persistent = calls, persistent
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []  # the stacks below each mark
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in _LITERALS:
            self.push(argument)
        elif name in _CONSTANTS:
            self.push(_CONSTANTS[name]())
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name not in ("PROTO", "FRAME", "STOP"):
            raise UnsafeError(f"its pickle contains the operation {name}, which is not supported")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        return self.stack.pop()

    def mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def extend(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def update(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise ValueError("its pickle is damaged: a key without a value")
        if isinstance(self.stack[-1], dict):
            self.stack[-1].update(zip(map(_key, items[::2]), items[1::2], strict=True))

    def named(self, module: Any, name: Any) -> None:
        found = Global(str(module), str(name))
        if found.module.split(".")[0] in _STANDARD and not DATA.fullmatch(str(found)):
            raise UnsafeError(f"it names {found}, which could run code; nothing in it was executed")
        self.push(found)

    def call(self, function: Any, arguments: Any) -> None:
        """Push the result of a call: by our replacement, or a placeholder; else raise an error."""
        if isinstance(function, Global) and str(function) in self.calls:
            self.push(self.calls[str(function)](*arguments))
        elif isinstance(function, Global) and CALLED.fullmatch(str(function)):
            self.push(Inert(function))
        else:
            of = function if isinstance(function, Global) else "an object"
            raise UnsafeError(f"it calls {of}, which could run code; nothing in it was executed")

    def new(self, arguments: int) -> None:
        """Push a new object that a class would create without calling its constructor."""
        del self.stack[len(self.stack) - arguments :]
        kind = self.pop()
        if isinstance(kind, Global) and str(kind) in self.calls:
            self.push(self.calls[str(kind)]())
        else:
            self.push(Inert(kind))

    def build(self) -> None:
        """Drop the state of an object: no attribute is set and no method is called."""
        self.pop()
        if not self.stack:
            raise ValueError("its pickle is damaged: a state without an object")


_LITERALS = frozenset(
    """INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING
    UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8
    BYTEARRAY8""".split()  # noqa: SIM905
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_SET": lambda: Inert("set"),
}


def _tuple(count: int) -> Callable[[_Machine, Any], None]:
    def step(machine: _Machine, _: Any) -> None:
        items = [machine.pop() for _ in range(count)]
        machine.push(tuple(reversed(items)))

    return step


def _put(machine: _Machine, index: Any) -> None:
    machine.memo[int(index)] = machine.stack[-1]


def _get(machine: _Machine, index: Any) -> None:
    machine.push(machine.memo[int(index)])


def _pop(machine: _Machine, _: Any) -> None:
    if machine.stack:
        machine.pop()
    else:
        machine.pop_mark()


def _reduce(machine: _Machine, _: Any) -> None:
    arguments, function = machine.pop(), machine.pop()
    machine.call(function, arguments)


def _instance(machine: _Machine, name: Any) -> None:
    arguments = machine.pop_mark()
    machine.named(*name.split(" ", 1))
    machine.call(machine.pop(), arguments)


def _object(machine: _Machine, _: Any) -> None:
    kind, *arguments = machine.pop_mark()
    machine.call(kind, arguments)


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    machine.named(module, name)


def _new_dict(machine: _Machine, _: Any) -> None:
    items = machine.pop_mark()
    machine.push({})
    machine.update(items)


def _frozen_set(machine: _Machine, _: Any) -> None:
    machine.pop_mark()
    machine.push(Inert("frozenset"))


def _set_item(machine: _Machine, _: Any) -> None:
    value, key = machine.pop(), machine.pop()
    machine.update([key, value])


_STEPS: dict[str, Callable[[_Machine, Any], Any]] = {
    "MARK": lambda m, _: m.mark(),
    "POP": _pop,
    "POP_MARK": lambda m, _: m.pop_mark(),
    "DUP": lambda m, _: m.push(m.stack[-1]),
    "APPEND": lambda m, _: m.extend([m.pop()]),
    "APPENDS": lambda m, _: m.extend(m.pop_mark()),
    "LIST": lambda m, _: m.push(m.pop_mark()),
    "TUPLE": lambda m, _: m.push(tuple(m.pop_mark())),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "DICT": _new_dict,
    "SETITEM": _set_item,
    "SETITEMS": lambda m, _: m.update(m.pop_mark()),
    "ADDITEMS": lambda m, _: m.pop_mark(),
    "FROZENSET": _frozen_set,
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": lambda m, _: _put(m, len(m.memo)),
    "GET": _get,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "GLOBAL": lambda m, name: m.named(*name.split(" ", 1)),
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "INST": _instance,
    "OBJ": _object,
    "NEWOBJ": lambda m, _: m.new(1),
    "NEWOBJ_EX": lambda m, _: m.new(2),
    "BUILD": lambda m, _: m.build(),
    "BINPERSID": lambda m, _: m.push(m.persistent(m.pop())),
    "PERSID": lambda m, name: m.push(m.persistent(name)),
}
