"""Make Ctrl-C reliable: TensorFlow drops some KeyboardInterrupts while it traces or converts."""

import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def remembered() -> Iterator[Callable[[], None]]:
    """Handle Ctrl-C as usual, and yield a function that raises it again if a library dropped it.

    If a library turned the KeyboardInterrupt into another error, it is raised as KeyboardInterrupt
    again. Nothing changes outside the main thread, or if Ctrl-C is ignored or has a handler in C.
    """
    pressed = threading.Event()

    def check() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield check
        return

    def handler(number, frame):
        pressed.set()
        before(number, frame)

    signal.signal(signal.SIGINT, handler)
    try:
        yield check
    except Exception as error:
        if pressed.is_set():
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)


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
