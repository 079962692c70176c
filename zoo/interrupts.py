"""Ctrl-C that is not lost in a library: TensorFlow drops some while it traces or converts."""

import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def remembered() -> Iterator[Callable[[], None]]:
    """Ctrl-C as ever, and a function that raises it again if what ran inside dropped it.

    An error that a library made of it is raised as the KeyboardInterrupt that it was. Outside
    the main thread, or where Ctrl-C is ignored or has a handler in C, nothing is changed.
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
    """Frees what the stopped code held, without a word of what was only half made there."""
    said = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        error: BaseException | None = stop
        while error is not None:
            traceback.clear_frames(error.__traceback__)
            error = error.__cause__ or error.__context__
    finally:
        sys.unraisablehook = said
