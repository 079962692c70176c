"""Ctrl-C is never lost in a library, and interrupted objects print no errors."""

import contextlib
import signal
import subprocess
import sys
import threading

import pytest

from zoo.exporting.staging import written_whole
from zoo.interrupts import Terminated, exit_code, freed, postponed, remembered

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


def test_sigterm_is_raised_with_its_exit_code():
    with pytest.raises(Terminated) as stop, remembered():
        signal.raise_signal(signal.SIGTERM)
    assert exit_code(stop.value) == 143
    assert exit_code(KeyboardInterrupt()) == 130
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_an_interrupt_in_a_destructor_is_remembered_and_not_printed(capsys):
    class Busy:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    with remembered() as check:
        Busy()
        with pytest.raises(Terminated):
            check()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_postponed_signal_waits_for_the_check_but_a_second_one_does_not(number):
    with remembered() as outer, remembered() as check:
        with postponed():
            signal.raise_signal(number)
            with pytest.raises(KeyboardInterrupt) as stop:
                check()
            assert isinstance(stop.value, Terminated) == (number == signal.SIGTERM)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            outer()


BUSY = """
import hashlib
from zoo.interrupts import postponed, remembered

with remembered(second_exits=True), postponed():
    print("ready", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)  # in C, where Python runs no handler
"""


def test_a_second_signal_ends_a_busy_process_at_once():
    process = subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    process.stdout.close()


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
