"""Faults inside a training process, at the n-th time that it reaches a point.

A process counts how often it reaches each point, so that a fault can be placed at random. It is
installed by hooks of Python and Keras; the code under test does not know about it.
"""

from __future__ import annotations

import builtins
import dataclasses
import datetime
import errno
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

POINTS = {
    "data": "the data set is opened",
    "compile": "a model is compiled",
    "trace": "the training step is traced",
    "step": "a training step has ended",
    "validation": "a batch has been evaluated during the training",
    "file": "a file in the run directory is opened, renamed or removed",
    "sync": "a file is flushed to the disk",
}


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault in a process.

    Attributes:
        point: one of POINTS.
        number: which time the process reaches the point, from 1.
        action: "SIGKILL", "SIGTERM" or "SIGINT", sent to the process itself; "twice": SIGTERM, and
            again at the next point; "full": from then on, no file in the run directory can be
            opened for writing, as on a full disk; "gone": the run directory is removed; "torn":
            the file that is flushed loses its end, and the process is killed, as without power.
    """

    point: str
    number: int
    action: str

    def __str__(self) -> str:
        return f"{self.action} at {self.point} {self.number}"


class Injector:
    """Count the points that this process reaches in `run`, and inject the fault, if any."""

    def __init__(self, run: Path, fault: Fault | None):
        self.run, self.fault = str(run), fault
        self.counts: Counter[str] = Counter()
        self.full = self.again = self.inside = False

    def reached(self, point: str, file: str | None = None) -> None:
        """Count a point, and inject the fault if it is the one."""
        if self.inside:
            return
        self.counts[point] += 1
        if self.again and point != "file":
            self.again = False
            os.kill(os.getpid(), signal.SIGTERM)
        fault = self.fault
        if fault is None or (point, self.counts[point]) != (fault.point, fault.number):
            return
        self.inside = True
        try:
            self._inject(fault.action, file)
        finally:
            self.inside = False

    def _inject(self, action: str, file: str | None) -> None:
        if action == "full":
            self.full = True
        elif action == "gone":
            shutil.rmtree(self.run, ignore_errors=True)
        elif action == "torn":
            os.truncate(file, os.path.getsize(file) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            self.again = action == "twice"
            os.kill(os.getpid(), signal.SIGTERM if self.again else signal.Signals[action])

    def install(self) -> None:
        """Install the hooks. They cannot be removed."""
        import keras

        from recipes.data import batches
        from recipes.optimize.train_step import TrainingModel

        self._before(batches, "open_data", "data")
        self._before(keras.Model, "compile", "compile")
        self._before(keras.Model, "train_step", "trace")
        self._before(TrainingModel, "train_step", "trace")
        self._before(keras.callbacks.CallbackList, "on_test_batch_end", "validation")
        self._before(keras.callbacks.CallbackList, "on_train_batch_end", "step", after=True)
        flush = os.fsync

        def fsync(descriptor):
            flush(descriptor)
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            if os.path.isfile(path):
                self.reached("sync", path)

        os.fsync = fsync
        sys.addaudithook(self._audit)

    def _before(self, owner, name: str, point: str, after: bool = False) -> None:
        function = getattr(owner, name)

        def counted(*args, **settings):
            if not after:
                self.reached(point)
            result = function(*args, **settings)
            if after:
                self.reached(point)
            return result

        setattr(owner, name, counted)

    def _audit(self, event: str, args: tuple) -> None:
        if self.inside or event not in ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"):
            return
        path = args[0]
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        path = os.fsdecode(path)
        if not path.startswith(self.run):
            return
        self.reached("file")
        writes = event == "os.mkdir" or (event == "open" and (args[2] or 0) & os.O_ACCMODE)
        if self.full and writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


def set_clock_back(days: int) -> None:
    """Let Python's clocks show an earlier time in this process."""
    offset, now, nanoseconds = days * 86400, time.time, time.time_ns

    class Earlier(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return super().now(tz) - datetime.timedelta(days=days)

    time.time = lambda: now() - offset
    time.time_ns = lambda: nanoseconds() - offset * 10**9
    datetime.datetime = Earlier


def write_counts(injector: Injector, file: Path) -> None:
    """Write how often the points were reached, as JSON."""
    with builtins.open(file, "w") as out:
        json.dump(injector.counts, out)
