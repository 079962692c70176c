"""The worker processes of this machine: start them, and start them again after they have died."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from recipes import worker
from recipes.search.workers import devices

AGAIN = 75  # exit code of a worker that wants to be replaced by a new process
BROKEN = 78  # exit code of a worker that cannot work; the last line of its log says why
# A worker that is killed so often before it asks for a trial is not started again.
ATTEMPTS = 3
END_SECONDS = 60.0  # that workers have to save their trials


class Pool:
    """Worker processes.

    Args:
        folder: directory of the search. What workers print outside of trials is in its subfolder
            workers.
        names: name of each worker.
        address: "HOST:PORT" of the chief.
        strategy: devices of each trial.
        died: function that is called with the name and the exit code of a worker that has died,
            and returns whether it had asked for a trial before.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        address: str,
        strategy: str,
        died: Callable[[str, int], bool] = lambda name, code: True,
    ):
        self.folder, self.address, self.strategy, self.died = folder, address, strategy, died
        shares = devices.shares(len(names), devices.gpus(), len(os.sched_getaffinity(0)))
        self.environments = dict(zip(names, shares, strict=True))
        self.processes: dict[str, subprocess.Popen] = {}
        self.restarts = dict.fromkeys(names, 0)
        self.failures = dict.fromkeys(names, 0)  # in a row

    def start(self) -> None:
        """Start all workers."""
        (self.folder / "workers").mkdir(exist_ok=True)
        for name in self.environments:
            self._start(name)

    def _start(self, name: str) -> None:
        command = worker.command(
            "recipes.search.workers.process", str(self.folder), name, self.address, self.strategy
        )
        with self.log(name).open("ab") as log:
            # In its own session, it does not receive the Ctrl-C of a terminal in addition.
            self.processes[name] = subprocess.Popen(
                command, env=self.environments[name], stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def log(self, name: str) -> Path:
        """Return the file with what a worker has printed outside of trials."""
        return self.folder / "workers" / f"{name}.log"

    def tend(self) -> bool:
        """Replace workers that have died; return whether any is still working.

        Raises:
            ValueError: if a worker cannot work.
        """
        for name, process in list(self.processes.items()):
            code = process.poll()
            if code is None:
                continue
            if code == 0:
                del self.processes[name]
                continue
            if code == BROKEN:
                raise ValueError(self._last_line(name))
            asked = self.died(name, code)
            self.failures[name] = 0 if asked or code == AGAIN else self.failures[name] + 1
            if self.failures[name] == ATTEMPTS:
                ended = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
                raise ValueError(
                    f"{name} {ended} before it could train, {ATTEMPTS} times; its log:"
                    f" {self.log(name)}"
                )
            self.restarts[name] += 1
            self._start(name)
        return bool(self.processes)

    def _last_line(self, name: str) -> str:
        lines = self.log(name).read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else f"{name} ended with code {BROKEN}"

    def kill(self, name: str) -> None:
        """Kill a worker that does not respond; `tend` starts it again."""
        if (process := self.processes.get(name)) is not None:
            process.kill()

    def end(self, number: int = signal.SIGINT, seconds: float = END_SECONDS) -> None:
        """Ask all workers to save their trials and to end, and kill those that do not."""
        for process in self.processes.values():
            process.send_signal(number)
        deadline = time.monotonic() + seconds
        try:
            for process in self.processes.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
        finally:  # after a second Ctrl-C, too
            for process in self.processes.values():
                if process.poll() is None:
                    process.kill()
                    process.wait()
            self.processes.clear()
