"""The faults that are injected: each is a function of an arena and ends with `arena.finish`."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults import searches
from tests.faults.arena import Arena, Lost
from tests.faults.injection import Fault
from tests.faults.processes import Surroundings, can_make_read_only

CODES = {"SIGKILL": -signal.SIGKILL, "SIGTERM": 143, "SIGINT": 130, "torn": -signal.SIGKILL}
INSIDE = ("data", "compile", "trace", "step", "validation", "file", "sync")


def signaled(action: str, *points: str) -> Callable[[Arena], None]:
    """Return a fault that sends a signal at a random time of one of the points."""

    def inject(arena: Arena) -> None:
        ended = arena.train(arena.somewhere(action, *points))
        # A signal may arrive when the run is complete.
        complete = (arena.run / "result.json").exists()
        arena.expect(ended, CODES[action], *([0] if complete else []))
        if ended.code > 0 and "same command" not in ended.text:
            raise Lost(f"no line explains how to continue: {ended.last_line[:300]}")
        arena.finish()

    return inject


def five_kills(arena: Arena) -> None:
    """Kill a run five times, each time at a random place."""
    for _ in range(5):
        fault = arena.somewhere("SIGKILL", *INSIDE)
        fault = Fault(fault.point, arena.random.randint(1, fault.number), fault.action)
        arena.expect(arena.train(fault), CODES["SIGKILL"], 0)
    arena.finish()


def killed_any_time(arena: Arena) -> None:
    """Kill a process from outside after a random time."""
    seconds = arena.random.uniform(0, 4)
    arena.notes.append(f"SIGKILL after {seconds:.2f} s")
    process = arena.start()
    time.sleep(seconds)
    process.kill()
    arena.expect(process.wait(), CODES["SIGKILL"], 0)
    arena.finish()


def second_signal(arena: Arena) -> None:
    """Send SIGTERM, and once more at the next point."""
    ended = arena.train(arena.somewhere("twice", "step", "validation"))
    if ended.code not in (143, -signal.SIGTERM):
        raise Lost(f"exit code {ended.code}: {ended.last_line[:300]}")
    arena.finish()


def damaged(kind: str, names: tuple[str, ...], when: str) -> Callable[[Arena], None]:
    """Return a fault that damages a file between two processes.

    Args:
        kind: "cut" or "flip" (one bit).
        names: the files, of which one that exists is chosen.
        when: "killed" or "finished", the state of the run.
    """

    def inject(arena: Arena) -> None:
        if when == "finished":
            arena.expect(arena.train(), 0)
        else:
            steps = arena.reference.counts["step"]
            first = steps // 3 + 1  # the first epoch has ended
            arena.train(Fault("step", arena.random.randint(first, steps), "SIGKILL"))
        files = [arena.run / name for name in names if (arena.run / name).exists()]
        if not files:
            raise Lost("there is no file to damage")
        damage(arena, kind, arena.random.choice(files))
        arena.finish(repair=True)

    return inject


def damage(arena: Arena, kind: str, file: Path) -> None:
    """Cut a file at a random place, or flip a random bit."""
    content = bytearray(file.read_bytes())
    at, size = arena.random.randrange(len(content)), len(content)
    if kind == "cut":
        del content[at:]
    else:
        content[at] ^= 1 << arena.random.randrange(8)
    file.write_bytes(content)
    arena.notes.append(f"{kind} {file.name} at byte {at} of {size}")


def full_disk(arena: Arena) -> None:
    """Let the disk be full from a random time on."""
    ended = arena.train(arena.somewhere("full", "file"))
    arena.expect(ended, 2, *([0] if (arena.run / "result.json").exists() else []))
    arena.finish()


def small_files(arena: Arena) -> None:
    """Let no file exceed a random size, so that a write fails in the middle of a file."""
    largest = int(arena.random.choice((0, 300, 3000, 30_000, 100_000)) * arena.random.random())
    arena.notes.append(f"files of up to {largest} bytes")
    ended = arena.train(None, Surroundings(largest=largest))
    arena.expect(ended, 2, *([0] if (arena.run / "result.json").exists() else []))
    arena.finish()


def read_only(arena: Arena) -> None:
    """Continue a run on a read-only file system, then on a writable one."""
    if not can_make_read_only():
        arena.notes.append("skipped: needs a mount namespace")
        return
    steps = arena.reference.counts["step"]
    arena.train(Fault("step", arena.random.randint(1, steps), "SIGKILL"))
    arena.expect(arena.train(None, Surroundings(read_only=True)), 2)
    arena.finish()
    ended = arena.train(None, Surroundings(read_only=True))
    arena.expect(ended, 0)
    if "already finished" not in ended.text:
        raise Lost(f"a finished run is not recognized: {ended.last_line[:300]}")


def removed(arena: Arena) -> None:
    """Remove the run directory while the process trains."""
    arena.expect(arena.train(arena.somewhere("gone", "step", "validation", "sync")), 2)
    arena.finish()


def two_at_once(arena: Arena) -> None:
    """Start two processes at about the same time; one of them must give way."""
    first = arena.start()
    time.sleep(arena.random.choice((0, 0, 0.5, 2)))
    ended = [each.wait() for each in (arena.start(), first)]
    codes = sorted(each.code for each in ended)
    if codes != [0, 2] and codes != [0, 0]:  # the second one may find a finished run
        raise Lost(f"exit codes {codes}: {ended[0].last_line[:200]}; {ended[1].last_line[:200]}")
    arena.finish()


def clock_back(arena: Arena) -> None:
    """Continue a run while the clock shows a time before its start."""
    arena.train(arena.somewhere("SIGKILL", "step"))
    around = Surroundings(days_back=arena.random.randint(1, 400))
    arena.expect(arena.train(arena.somewhere("SIGKILL", "step"), around), CODES["SIGKILL"], 0)
    arena.finish()


def leftovers(arena: Arena) -> None:
    """Continue a run whose directory contains what killed processes left in it."""
    arena.train(arena.somewhere("SIGKILL", "step"))
    for name in (".zoo-abc/checkpoint.npz", ".zoo-def/model.keras", ".recipe.json.17"):
        (arena.run / name).parent.mkdir(exist_ok=True)
        (arena.run / name).write_bytes(os.urandom(100))
    arena.finish()


def moved(arena: Arena) -> None:
    """Copy a stopped run to another place, as to another disk, and continue it there."""
    arena.train(arena.somewhere("SIGKILL", "step"))
    shutil.copytree(arena.run, arena.place / "copy")
    shutil.rmtree(arena.run)
    arena.run = arena.place / "copy"
    arena.finish()


CHECKPOINTS = ("checkpoint.npz", "checkpoint.previous.npz")
OTHERS = ("recipe.json", "metrics.csv")
RESULTS = ("model.keras", "inference.json", "result.json", "metrics.csv", "recipe.json")
FAULTS: dict[str, Callable[[Arena], None]] = {
    "SIGKILL at a step": signaled("SIGKILL", "step"),
    "SIGTERM at a step": signaled("SIGTERM", "step"),
    "SIGINT at a step": signaled("SIGINT", "step"),
    "SIGKILL in validation": signaled("SIGKILL", "validation"),
    "SIGTERM in validation": signaled("SIGTERM", "validation"),
    "SIGINT in validation": signaled("SIGINT", "validation"),
    "SIGKILL in compilation or data": signaled("SIGKILL", "trace", "compile", "data"),
    "SIGTERM in compilation or data": signaled("SIGTERM", "trace", "compile", "data"),
    "SIGINT in compilation or data": signaled("SIGINT", "trace", "compile", "data"),
    "SIGKILL inside a write": signaled("SIGKILL", "file", "sync"),
    "SIGTERM inside a write": signaled("SIGTERM", "file", "sync"),
    "SIGINT inside a write": signaled("SIGINT", "file", "sync"),
    "a write cut by a power failure": signaled("torn", "sync"),
    "SIGKILL at any time": killed_any_time,
    "five kills in one run": five_kills,
    "a second SIGTERM": second_signal,
    "a checkpoint cut off": damaged("cut", CHECKPOINTS, "killed"),
    "a bit of a checkpoint flipped": damaged("flip", CHECKPOINTS, "killed"),
    "recipe.json or metrics.csv cut off": damaged("cut", OTHERS, "killed"),
    "a bit of recipe.json or metrics.csv flipped": damaged("flip", OTHERS, "killed"),
    "a file of a finished run cut off": damaged("cut", RESULTS, "finished"),
    "a bit of a finished run flipped": damaged("flip", RESULTS, "finished"),
    "a full disk": full_disk,
    "a limited size of files": small_files,
    "a read-only file system": read_only,
    "the run directory removed": removed,
    "two processes at once": two_at_once,
    "a clock set back": clock_back,
    "leftover temporary files": leftovers,
    "a run moved to another directory": moved,
    "a search, SIGKILL": functools.partial(searches.stopped, "SIGKILL"),
    "a search, SIGTERM": functools.partial(searches.stopped, "SIGTERM"),
}
