"""Stop on Ctrl-C and SIGTERM: at once, or at a point where the work can be continued.

TensorFlow drops some KeyboardInterrupts while it traces or converts, so they are remembered.
"""

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Terminated(KeyboardInterrupt):
    """The process was asked to end by SIGTERM, as batch systems and containers do."""


def exit_code(stop: KeyboardInterrupt) -> int:
    """Return the exit code of a process that was stopped: 143 after SIGTERM, 130 after Ctrl-C."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


class _Postponed:
    """Whether signals wait for the next call of a check."""

    active = False


_postponed = _Postponed()


@contextmanager
def postponed() -> Iterator[None]:
    """Postpone the exceptions of Ctrl-C and SIGTERM in the block.

    They are raised by the function that `remembered` yields around the block, which is called
    where stopping loses nothing.
    """
    before, _postponed.active = _postponed.active, True
    try:
        yield
    finally:
        _postponed.active = before


@contextmanager
def remembered(second_exits: bool = False) -> Iterator[Callable[[], None]]:
    """Raise KeyboardInterrupt on Ctrl-C, and Terminated on SIGTERM, or remember that they came.

    Yields a function that raises it again if a library dropped it, or if it was `postponed`; a
    second signal is not postponed. If a library turned it into another error, it is raised as
    KeyboardInterrupt again. Nothing changes outside the main thread, for Ctrl-C if it is ignored
    or has a handler in C, and for SIGTERM if it is ignored or has a handler.

    Args:
        second_exits: whether a second signal ends the process at once, whatever it does.
    """
    pressed: list[int] = []

    def check() -> None:
        if pressed:
            raise _error(pressed[0])

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before: dict[int, Any] = {number: signal.getsignal(number) for number in numbers}

    def handler(number, frame):
        pressed.append(number)
        if getattr(before[number], "remembers", False):  # of a context around this one
            before[number](number, frame)
        elif not _postponed.active or len(pressed) > 1:
            raise _error(number)

    def unraisable(error) -> None:
        if not isinstance(error.exc_value, KeyboardInterrupt):  # remembered, so not lost
            hook(error)

    hook, sys.unraisablehook = sys.unraisablehook, unraisable
    handler.remembers = True  # type: ignore[attr-defined]
    if callable(before[signal.SIGINT]):
        signal.signal(signal.SIGINT, handler)
    if before[signal.SIGTERM] == signal.SIG_DFL or hasattr(before[signal.SIGTERM], "remembers"):
        signal.signal(signal.SIGTERM, handler)
    try:
        with _second_exits() if second_exits else contextlib.nullcontext():
            yield check
    except Exception as error:
        if pressed:
            raise _error(pressed[0]) from error
        raise
    finally:
        if sys.unraisablehook is unraisable:
            sys.unraisablehook = hook
        for number, its in before.items():
            if its is not None:  # a handler in C, which Python cannot restore
                signal.signal(number, its)


def _error(number: int) -> KeyboardInterrupt:
    return Terminated() if number == signal.SIGTERM else KeyboardInterrupt()


@contextmanager
def _second_exits() -> Iterator[None]:
    """End the process at the second signal, even while the main thread is busy in a library.

    Python calls its handlers in the main thread only, between two of its instructions.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)

    def watch():
        count = 0
        while received := os.read(reader, 1):
            count += received[0] in (signal.SIGINT, signal.SIGTERM)
            if count == 2:
                os._exit(128 + received[0])
        os.close(reader)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writer)


def freed(stop: KeyboardInterrupt) -> None:
    """Release the interrupted frames and suppress errors from half-initialized objects."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        error: BaseException | None = stop
        while error is not None:
            traceback.clear_frames(error.__traceback__)
            error = error.__cause__ or error.__context__
    finally:
        sys.unraisablehook = hook
