"""Processes that train, forked from this one after its imports, which saves most of their time."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import fcntl
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from tests.faults.injection import Fault, Injector, set_clock_back, write_counts

SECONDS = 300  # limit of one process
_NEW_MOUNTS, _READ_ONLY, _REMOUNT, _BIND, _PRIVATE = 0x20000, 1, 32, 4096, 1 << 18 | 16384


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What is wrong around a process.

    Attributes:
        largest: the size that no file can exceed, in bytes; None for no limit.
        read_only: whether the run directory is on a read-only file system.
        days_back: by how many days the clock is behind.
    """

    largest: int | None = None
    read_only: bool = False
    days_back: int = 0


@dataclasses.dataclass
class Ended:
    """A process that has ended: its exit code (negative: a signal) and what it printed."""

    code: int
    text: str

    @property
    def last_line(self) -> str:
        return (self.text.strip().splitlines() or [""])[-1]


class Process:
    """A process that runs `recipes ARGUMENTS`.

    Args:
        arguments: the command line.
        run: the run directory, in which the points of faults are counted.
        log: file for the output.
        fault: a fault in the process, or None.
        around: what is wrong around it.
        counts: file for the numbers of points, or None.
    """

    def __init__(
        self,
        arguments: list[str],
        run: Path,
        log: Path,
        fault: Fault | None = None,
        around: Surroundings = Surroundings(),
        counts: Path | None = None,
    ):
        self.log = log
        prepare()
        sys.stdout.flush()
        sys.stderr.flush()
        # A pipe, because the size of files may be limited
        self.output, output = os.pipe()
        fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, 1 << 20)
        os.set_blocking(self.output, False)
        self.printed = b""
        self.pid = os.fork()
        if self.pid:
            os.close(output)
        else:
            code = 1
            try:
                code = _train(arguments, run, output, fault, around, counts)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the process."""
        os.kill(self.pid, number)

    def wait(self) -> Ended:
        """Wait for the end of the process; kill it if it takes too long."""
        end = time.monotonic() + SECONDS
        while not (found := os.waitpid(self.pid, os.WNOHANG))[0]:
            if time.monotonic() > end:
                self.kill()
            time.sleep(0.02)
            self._read()
        self._read()
        os.close(self.output)
        self.log.write_bytes(self.printed)
        return Ended(os.waitstatus_to_exitcode(found[1]), self.printed.decode(errors="replace"))

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self.output, 1 << 16):
                self.printed += part


def prepare() -> None:
    """Import what a training needs, without starting TensorFlow's threads.

    A process with such threads cannot be forked.
    """
    from zoo.quiet import import_keras

    import_keras()
    from tensorflow.python.eager import context

    import recipes.cli.main
    import recipes.training.loop  # noqa: F401

    if context.context()._context_handle is not None:
        raise RuntimeError("TensorFlow is initialized in this process, so it cannot be forked")


def _train(arguments, run, output, fault, around, counts) -> int:
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, closefd=False) for n in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if around.read_only:
        make_read_only(run)
    if around.days_back:
        set_clock_back(around.days_back)
    injector = Injector(run, fault)
    injector.install()
    if around.largest is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (around.largest, resource.RLIM_INFINITY))
    from recipes.cli.main import run as run_command

    code = run_command(arguments)
    if counts is not None:
        write_counts(injector, counts)
    return code


def can_make_read_only() -> bool:
    """Return whether this user can mount a directory read-only."""
    return (
        os.geteuid() == 0
        and not subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode
    )


def make_read_only(path: Path) -> None:
    """Mount a directory over itself as read-only, visible in this process only."""
    libc = ctypes.CDLL(None, use_errno=True)
    name = os.fsencode(path)
    calls = (
        lambda: libc.unshare(_NEW_MOUNTS),
        lambda: libc.mount(b"none", b"/", None, _PRIVATE, None),
        lambda: libc.mount(name, name, None, _BIND, None),
        lambda: libc.mount(name, name, None, _BIND | _REMOUNT | _READ_ONLY, None),
    )
    for call in calls:
        if call():
            raise OSError(ctypes.get_errno(), f"cannot mount {path} read-only")
