"""tools/bench tune: measure the overhead of a search over bare training, and several workers.

Three ways to train the same recipes, each as a command from its start to its end: `recipes tune`
with one worker, a Python process that calls `recipes.train` in a loop, and `recipes tune` with
several workers. `overhead` is the time of a way divided by that of the loop, minus 1. `trial` is
the time from the end of the first trial to the end of the last one, by trial after the first, so
without the start of TensorFlow. The CPU time of all processes together is reliable on a busy
machine, too.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from records import WHERE, Parser, where, write

ROOT = Path(__file__).parents[2]
COLUMNS = (
    "recipe", "epochs", "trials", "way", "workers", "seconds", "cpu_seconds", "trial_seconds",
    "overhead", "cpu_overhead", *WHERE,
)  # fmt: skip
LOOP = """
import json, sys
import recipes
from recipes.recipe import from_json
for index, file in enumerate(sys.argv[2:]):
    recipe = from_json(json.load(open(file))["recipe"])
    recipes.train(recipe, run=f"{sys.argv[1]}/{index}", test=False, verbose=False)
"""


def main(argv: list[str]) -> int:
    parser = Parser(
        prog="tools/bench tune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--recipe", default="digits/resnet20", metavar="RECIPE")
    parser.add_argument("--space", nargs="+", default=["lr=log:1e-2:0.5"], metavar="NAME=VALUES")
    parser.add_argument("--trials", type=int, default=4, help="(default: 4)")
    parser.add_argument("--epochs", type=int, default=30, help="Of each trial. (default: 30)")
    parser.add_argument("--workers", type=int, default=2, help="(default: 2)")
    parser.add_argument("--csv", type=Path, default=Path("build/bench"), metavar="FOLDER")
    args = parser.parse_args(argv)
    if args.trials < 2:
        parser.error(f"--trials={args.trials}: must be at least 2")
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory(prefix="bench-tune-") as folder:
        found = measure(args, Path(folder))
    environment = where({}, len(os.sched_getaffinity(0)))
    alone = next(row for row in found if row["way"] == "loop")
    print(f"{args.recipe}, {args.trials} trials of {args.epochs} epochs")
    print(f"{'way':<22}{'seconds':>9}{'CPU s':>9}{'s/trial':>9}{'overhead':>10}{'CPU':>9}")
    rows = []
    for row in found:
        for name, key in (("overhead", "seconds"), ("cpu_overhead", "cpu_seconds")):
            row[name] = round(row[key] / alone[key] - 1, 3)
        label = row["way"] + (f", {row['workers']} worker(s)" if row["way"] == "tune" else "")
        print(
            f"{label:<22}{row['seconds']:>9.1f}{row['cpu_seconds']:>9.1f}"
            f"{row['trial_seconds']:>9.2f}{row['overhead']:>+10.1%}{row['cpu_overhead']:>+9.1%}"
        )
        same = {"recipe": args.recipe, "epochs": args.epochs, "trials": args.trials}
        rows.append(same | row | environment)
    write(args.csv / "tune.csv", COLUMNS, rows)
    return 0


def measure(args, folder: Path) -> list[dict]:
    """Return a row for each way."""
    one = tune(args, folder / "one", 1)
    files = [str(folder / "one" / "trials" / f"{i}.json") for i in range(args.trials)]
    command = [sys.executable, "-c", LOOP, str(folder / "loop"), *files]
    runs = [folder / "loop" / str(index) for index in range(args.trials)]
    loop = {"way": "loop", "workers": 1} | timed(command, runs)
    return [loop, one, tune(args, folder / "several", args.workers)]


def tune(args, run: Path, workers: int) -> dict:
    """Return the row of a search."""
    command = [
        sys.executable, "-c", "from recipes.cli.main import main; main()", "tune", args.recipe,
        f"--run={run}", f"--trials={args.trials}", f"--epochs={args.epochs}",
        f"--workers={workers}", "--stop_early=false", "--space", *args.space,
    ]  # fmt: skip
    runs = [run / "trials" / str(index) for index in range(args.trials)]
    return {"way": "tune", "workers": workers} | timed(command, runs)


def timed(command: list[str], runs: list[Path]) -> dict:
    """Run a command; return its seconds and CPU seconds, and the seconds of a later trial."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    before, start = cpu_seconds(), time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    seconds = time.monotonic() - start
    if done.returncode:
        raise SystemExit(f"bench tune: {done.stderr.strip() or done.stdout.strip()}")
    ends = sorted((run / "result.json").stat().st_mtime for run in runs)
    for run in runs:
        assert json.loads((run / "result.json").read_text())["split"] == "validation"
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds() - before, 2),
        "trial_seconds": round((ends[-1] - ends[0]) / (len(ends) - 1), 3),
    }


def cpu_seconds() -> float:
    """Return the CPU seconds of all processes that have ended, and of their children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
