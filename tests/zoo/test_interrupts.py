"""Ctrl-C is never lost in a library, and interrupted objects print no errors."""

import contextlib
import signal
import sys
import threading

import pytest

from zoo.exporting.staging import written_whole
from zoo.interrupts import freed, remembered

pytestmark = pytest.mark.quick


def suppressed():
    """Suppress Ctrl-C, as some of TensorFlow's code does."""
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@remembered()
def converted():
    """Turn Ctrl-C into the error that Python raises for a failed call of C code."""
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt as stop:
        raise SystemError("bad argument to internal function") from stop


@remembered()
def failing():
    raise SystemError("of another cause")


def test_a_suppressed_ctrl_c_is_raised_again_on_request():
    with remembered() as check:
        check()  # Ctrl-C was not pressed
        suppressed()
        with pytest.raises(KeyboardInterrupt):
            check()


def test_an_error_caused_by_ctrl_c_is_raised_as_ctrl_c():
    with pytest.raises(KeyboardInterrupt):
        converted()
    with pytest.raises(SystemError, match="of another cause"):
        failing()


def test_nested_contexts_both_remember_ctrl_c():
    with remembered() as outer:
        with remembered() as inner:
            suppressed()
        for check in (inner, outer):
            with pytest.raises(KeyboardInterrupt):
                check()


@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.SIG_DFL, signal.default_int_handler])
def test_the_signal_handler_is_restored(before):
    was = signal.signal(signal.SIGINT, before)
    try:
        with remembered():
            kept = signal.getsignal(signal.SIGINT) is before
            assert kept == (before is not signal.default_int_handler)
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGINT, was)


def test_threads_without_signals_run_unchanged():
    done = []

    @remembered()
    def work():
        done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done


def test_no_file_is_written_after_a_suppressed_ctrl_c(tmp_path):
    def write():
        with written_whole(tmp_path / "it.onnx") as place:
            suppressed()
            place.write_bytes(b"a network")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert not list(tmp_path.iterdir())


def test_errors_of_half_initialized_objects_are_not_printed(monkeypatch):
    class Half:
        def __del__(self):
            gone.append(True)
            raise AttributeError("half made")

    def work():
        half = Half()
        raise KeyboardInterrupt(half is None)

    printed, gone = [], []
    monkeypatch.setattr(sys, "unraisablehook", printed.append)
    try:
        work()
    except KeyboardInterrupt as stop:
        freed(stop)
    assert gone
    assert not printed
