"""Inject random faults into trainings and print a table: `python -m tests.faults --help`."""

import argparse
import fnmatch
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests.faults.arena import Arena, Lost, Reference
from tests.faults.catalog import FAULTS
from tests.faults.experiments import EXPERIMENTS


def main() -> int:
    """Inject the faults and return 1 if any was not survived."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=30, help="number of faults (default: 30)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument(
        "--only", default="*", help="patterns of faults' names, separated by commas (default: *)"
    )
    parser.add_argument("--experiment", choices=EXPERIMENTS, help="recipe (default: all in turn)")
    parser.add_argument("--first", type=int, default=0, help="number of the first fault")
    parser.add_argument("--keep", action="store_true", help="keep the directories of lost runs")
    chosen = parser.parse_args()
    patterns = chosen.only.split(",")
    names = [name for name in FAULTS if any(fnmatch.fnmatch(name, each) for each in patterns)]
    if not names:
        parser.error(f"--only={chosen.only}: no such fault; one of: {'; '.join(FAULTS)}")
    room = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        lost = inject(chosen, names, room)
    finally:
        if not (chosen.keep and any(room.glob("fault-*"))):
            shutil.rmtree(room, ignore_errors=True)
    return 1 if lost else 0


def inject(chosen: argparse.Namespace, names: list[str], room: Path) -> int:
    """Inject the chosen number of faults, print the table, and return how many were lost."""
    references: dict[str, Reference] = {}
    counts = {name: [0, 0] for name in names}
    experiments = [chosen.experiment] if chosen.experiment else list(EXPERIMENTS)
    for number in range(chosen.first, chosen.first + chosen.faults):
        seed = f"{chosen.seed}/{number}"
        # Each fault in turn, so that every one is injected equally often
        name = names[number % len(names)]
        experiment = random.Random(f"experiment {seed}").choice(experiments)
        if experiment not in references:
            references[experiment] = Reference(experiment, room / experiment)
        arena = Arena(references[experiment], room / f"fault-{number}", seed)
        problem = None
        try:
            FAULTS[name](arena)
        except Lost as error:
            problem = str(error)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        counts[name][problem is not None] += 1
        if problem is None or not chosen.keep:
            shutil.rmtree(arena.place)
        what = f"{number} {experiment}: {name} ({'; '.join(arena.notes)})"
        print(f"{what}: {'survived' if problem is None else f'LOST: {problem}'}", flush=True)
    width = max(map(len, names))
    print(f"\n{'fault':<{width}}  injected  survived  lost")
    for name, (survived, lost) in [
        *counts.items(),
        ("all", map(sum, zip(*counts.values(), strict=True))),
    ]:
        print(f"{name:<{width}}  {survived + lost:8}  {survived:8}  {lost:4}")
    return sum(lost for _, lost in counts.values())


if __name__ == "__main__":
    sys.exit(main())
