"""Ctrl-C is never lost in a library, and says nothing of what it left half made."""

import contextlib
import signal
import sys
import threading

import pytest

from zoo.exporting.staging import written_whole
from zoo.interrupts import freed, remembered

pytestmark = pytest.mark.quick


def dropped():
    """What some of TensorFlow's code does with Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@remembered()
def of_another_kind():
    """What other code of it does: the error that Python makes of a failed call in C."""
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt as stop:
        raise SystemError("bad argument to internal function") from stop


@remembered()
def unpressed():
    raise SystemError("of another cause")


def test_a_dropped_one_is_raised_again_when_asked():
    with remembered() as check:
        check()  # nothing was pressed
        dropped()
        with pytest.raises(KeyboardInterrupt):
            check()


def test_an_error_made_of_it_is_ctrl_c_again():
    with pytest.raises(KeyboardInterrupt):
        of_another_kind()
    with pytest.raises(SystemError, match="of another cause"):
        unpressed()


def test_one_inside_another():
    with remembered() as outer:
        with remembered() as inner:
            dropped()
        for check in (inner, outer):
            with pytest.raises(KeyboardInterrupt):
                check()


@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.SIG_DFL, signal.default_int_handler])
def test_the_handler_is_as_before(before):
    was = signal.signal(signal.SIGINT, before)
    try:
        with remembered():
            kept = signal.getsignal(signal.SIGINT) is before
            assert kept == (before is not signal.default_int_handler)
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGINT, was)


def test_another_thread_has_no_signals_and_does_without():
    done = []

    @remembered()
    def work():
        done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done


def test_no_file_where_it_was_dropped(tmp_path):
    def write():
        with written_whole(tmp_path / "it.onnx") as place:
            dropped()
            place.write_bytes(b"a network")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert not list(tmp_path.iterdir())


def test_what_was_half_made_goes_in_silence(monkeypatch):
    class Half:
        def __del__(self):
            gone.append(True)
            raise AttributeError("half made")

    def work():
        half = Half()
        raise KeyboardInterrupt(half is None)

    said, gone = [], []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    try:
        work()
    except KeyboardInterrupt as stop:
        freed(stop)
    assert gone
    assert not said
