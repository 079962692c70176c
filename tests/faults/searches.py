"""Faults in a search for hyperparameters, whose trials are processes of their own."""

from __future__ import annotations

import functools
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from tests.faults.arena import Arena, Lost
from tests.faults.comparison import differences, end_of, table_without
from tests.faults.processes import Ended, Process

# Seconds until the trial of a killed search has saved its work and ended
GRACE = 60


def stopped(action: str, arena: Arena) -> None:
    """Send a signal to a search at a random time, and repeat its command to the end."""
    end, seconds = _undisturbed(arena.reference.recipe, arena.reference.place)
    wait = arena.random.uniform(0, seconds)
    arena.notes.append(f"{action} after {wait:.1f} s")
    process = _start(arena.reference.recipe, arena.run, arena.place)
    time.sleep(wait)
    process.kill(signal.Signals[action])
    ended = process.wait()
    number = signal.Signals[action]
    arena.expect(ended, -number if number == signal.SIGKILL else 128 + number, 0)
    stop = time.monotonic() + GRACE
    while True:
        ended = _start(arena.reference.recipe, arena.run, arena.place).wait()
        if "another process is using" not in ended.text or time.monotonic() > stop:
            break
        time.sleep(1)
    arena.expect(ended, 0)
    if found := differences(end, _end(arena.run)):
        raise Lost(f"the end differs in {', '.join(found[:5])}")


def _start(recipe: Path, run: Path, place: Path) -> Process:
    arguments = ["tune", str(recipe), f"--run={run}", "--trials=2", "--epochs=2"]
    arguments += ["--space=lr=0.01:0.05"]
    return Process(arguments, run, place / "search.txt")


@functools.cache
def _undisturbed(recipe: Path, place: Path) -> tuple[dict[str, Any], float]:
    begun = time.monotonic()
    ended: Ended = _start(recipe, place / "search", place).wait()
    if ended.code:
        raise Lost(f"an undisturbed search failed: {ended.text[-1000:]}")
    end = _end(place / "search")
    shutil.rmtree(place / "search")
    return end, time.monotonic() - begun


def _end(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = {"trials.csv": table_without(run / "trials.csv", "seconds", "run")}
    for trial in sorted((run / "trials").glob("*/result.json")):
        of = end_of(trial.parent)
        found |= {f"{trial.parent.name}/{name}": value for name, value in of.items()}
    found["best.py"] = (run / "best.py").read_text().split(" in ")[0]
    return found
