"""Start the workers of a training on this machine, and end all of them if one fails."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from recipes import worker
from recipes.distribution.cluster import tf_config
from zoo.terminal import plural

# After a failure, the others find out by themselves that they cannot continue, and say why.
GRACE_SECONDS = 15.0
CAUSED_BY_ANOTHER = 75  # the exit code of multiworker.ClusterError
_THREADS = ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")


def launch(
    arguments: Sequence[str],
    workers: int,
    logs: Path | None = None,
    grace: float = GRACE_SECONDS,
) -> int:
    """Run a command of `recipes` in several processes that form a cluster on this machine.

    Each worker writes to a log file, and the chief also to this process's output. If a worker
    fails, the others end. SIGINT and SIGTERM are passed on to all workers.

    Args:
        arguments: the command and its arguments, such as ["train", "digits/resnet20"].
        workers: number of workers.
        logs: folder of the log files; the default is a temporary folder, which is kept if a worker
            fails.
        grace: seconds that the other workers have to end by themselves. Then they get SIGTERM, and
            after a third of this time, SIGKILL.

    Returns:
        0, or the exit code of the worker that failed first; 128 + N if signal N killed it.

    Raises:
        ValueError: if the number of workers or the folder is invalid.
    """
    if workers < 1:
        raise ValueError(f"workers={workers}: must be at least 1")
    if list(arguments[:1]) != ["train"]:
        raise ValueError(
            f"launch: {' '.join(arguments[:1]) or 'no command'!r} cannot run on several workers;"
            " write `recipes launch --workers=2 -- train RECIPE`"
        )
    folder = _folder(logs)
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(workers))
    files = [folder / f"worker-{index}.log" for index in range(workers)]
    processes: list[subprocess.Popen] = []
    copiers: list[threading.Thread] = []
    with (
        _passed_on(processes) as signals,
        # A worker that is killed leaves its private files there.
        tempfile.TemporaryDirectory(
            prefix="recipes-launch-", ignore_cleanup_errors=True
        ) as scratch,
    ):
        try:
            for index, file in enumerate(files):
                processes.append(_start(arguments, addresses, index, file, scratch))
                if index == 0:
                    copiers = _copiers(processes[0], file)
            code, failed = _watch(processes, signals, grace)
        finally:
            _end(processes, grace=0)
            for copier in copiers:
                copier.join(5)
    if failed is None:
        if logs is None and code == 0:
            for file in files:
                file.unlink(missing_ok=True)
            folder.rmdir()
        return code
    name = "the chief" if failed == 0 else f"worker {failed}"
    status = processes[failed].returncode
    how = f"was killed by {_signal_name(-status)}" if status < 0 else f"failed with code {status}"
    where = _last_line(files[failed])
    print(
        f"launch: {name} {how}, so all {plural(workers, 'worker')} ended"
        + (f": {where}" if where else "")
        + f"; logs: {folder}"
        + ("" if code == 2 else "; the same command continues from the last checkpoint"),
        file=sys.stderr,
    )
    return code


def _folder(logs: Path | None) -> Path:
    if logs is None:
        return Path(tempfile.mkdtemp(prefix="recipes-launch-"))
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"logs={str(logs)!r}: not a usable folder: {error.strerror}") from error
    return logs


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that no process uses."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            place = stack.enter_context(socket.socket())
            place.bind(("127.0.0.1", 0))
            ports.append(place.getsockname()[1])
        return ports


def _start(
    arguments: Sequence[str], addresses: tuple[str, ...], index: int, log: Path, scratch: str
) -> subprocess.Popen:
    environment = dict(os.environ, TF_CONFIG=tf_config(addresses, index), TMPDIR=scratch)
    threads = max(1, len(os.sched_getaffinity(0)) // len(addresses))
    if environment.get("TF_CPP_MIN_LOG_LEVEL") == "2":
        del environment["TF_CPP_MIN_LOG_LEVEL"]  # the default of this process
    for name in _THREADS:
        environment.setdefault(name, str(threads))
    command = command_of(arguments)
    log.unlink(missing_ok=True)
    with log.open("ab") as out:
        # In a session of their own, workers do not receive the Ctrl-C of a terminal in addition.
        process = subprocess.Popen(
            command, env=environment, start_new_session=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if index == 0 else out,
            stderr=subprocess.PIPE if index == 0 else out,
        )  # fmt: skip
        out.write(f"launch: worker {index} of {len(addresses)}, process {process.pid}\n".encode())
    return process


def _copiers(process: subprocess.Popen, log: Path) -> list[threading.Thread]:
    """Start the threads that copy the chief's output."""
    pairs = ((process.stdout, sys.stdout), (process.stderr, sys.stderr))
    found = [threading.Thread(target=_copy, args=(*pair, log), daemon=True) for pair in pairs]
    for each in found:
        each.start()
    return found


def _copy(source: Any, target: TextIO, log: Path) -> None:
    """Copy the output of a process to that of this one and to its log file."""
    with log.open("ab") as out:
        for line in source:
            out.write(line)
            out.flush()
            with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
                target.write(line.decode("utf-8", "replace"))
                target.flush()


def command_of(arguments: Sequence[str]) -> list[str]:
    """Return the command that runs `recipes` with these arguments, until this process ends."""
    return worker.command("recipes.__main__", *arguments)


@contextlib.contextmanager
def _passed_on(processes: list[subprocess.Popen]) -> Iterator[list[int]]:
    """Pass SIGINT and SIGTERM on to the processes, and yield the list of those received."""
    received: list[int] = []

    def handler(number, frame):
        received.append(number)
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield received
    finally:
        for number, its in before.items():
            signal.signal(number, its)


def _watch(
    processes: list[subprocess.Popen], signals: list[int], grace: float
) -> tuple[int, int | None]:
    """Wait until all processes have ended; return the exit code, and which one failed first."""
    last = 0.0
    while True:
        codes = [process.poll() for process in processes]
        # A killed process is the cause if others end because of it at the same time.
        failed = sorted((c for c in enumerate(codes) if c[1]), key=lambda c: c[1] or 0)
        if failed and not last:
            last = time.monotonic() + min(grace, 3)
        # A worker that ends because of another one may be the first to end.
        caused = bool(failed) and failed[0][1] == CAUSED_BY_ANOTHER
        if failed and not (caused and None in codes and time.monotonic() < last):
            index, code = failed[0]
            assert code is not None
            _end(processes, grace)
            status = 128 - code if code < 0 else code
            return (status, None) if signals and status in (130, 143) else (status, index)
        if None not in codes:
            return 0, None
        time.sleep(0.1)


def _end(processes: list[subprocess.Popen], grace: float) -> None:
    """Wait for all processes, then ask those to end that have not, then kill them."""
    for seconds, number in ((grace, signal.SIGTERM), (grace / 3, signal.SIGKILL), (5, None)):
        deadline = time.monotonic() + seconds
        for process in processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                if number is not None:
                    process.send_signal(number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_line(file: Path) -> str:
    lines = file.read_text("utf-8", "replace").strip().splitlines() if file.is_file() else []
    return lines[-1][:300] if lines[1:] else ""  # the first is ours
