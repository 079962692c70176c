"""tools/bench models: compare the speed of our networks with the same ones of other libraries.

Both are timed alternately (A B, B A, A B, ...), in the same minutes on the same machine, while the
other one is idle. The ratio of a row is the median over the rounds of (their time / our time),
with its quartiles: above 1, ours is faster. The ratio of CPU time is reliable even on a busy
machine.

build            build the network with initial weights, as its paper generates them
build_uniform    the same with keras.applications' own initializer
train            one training step: forward, cross-entropy, backward, SGD with momentum
predict          compute the logits of a batch, ours after zoo.fold_batchnorm

Networks are compared with keras.applications (an unequal number of parameters is an error); with
keras_groups, the same network built from keras.layers.Conv2D(groups=...), whose rounds are long;
with unfolded, our network before folding; and, with --torchvision, with torchvision in eager mode
and channels_last, in .venv-torch.

The goals are for float32, batch 16, 224 x 224, on 2 cores. To measure figures for publication, on
an idle machine: tools/bench models --torchvision --rounds 15
"""

import argparse
import logging
import math
import os
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from pairs import AGAINST, MEASURES, PAIRS, QUICK, Pair, Timer, forget, sides
from records import WHERE, Parser, where, write

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from zoo.options import unknown  # noqa: E402

COLUMNS = (
    "network", "measure", "against", "batch", "size", "rounds", "steps",
    "ours_ms", "theirs_ms", "ours_images_s", "theirs_images_s",
    "ratio", "ratio_q1", "ratio_q3", "cpu_ratio", "aim", "met",
    *WHERE,
)  # fmt: skip
HEAD = (
    f"{'':<17}{'':<14}{'against':<20}{'ours ms':>9}{'theirs':>9}{'img/s':>8}{'theirs':>8}"
    f"{'ratio':>8} {'quartiles':<12}{'of CPU':>7}{'aim':>7}  met"
)
# A round has enough steps for half a second. A row takes about ten minutes at most.
ROUND_S, ROW_S = 0.5, 600


@dataclass(frozen=True)
class Row:
    """One comparison: medians over the rounds of milliseconds per step, and of the ratios."""

    network: str
    measure: str
    against: str
    rounds: int
    steps: int
    ours: float
    theirs: float
    quartiles: tuple[float, float, float]
    cpu: float
    aim: float | None

    def speeds(self, batch: int) -> tuple[float | None, float | None]:
        """Return images per second, ours and theirs; None for measures without images."""
        if self.measure.startswith("build"):
            return None, None
        return batch / self.ours * 1000, batch / self.theirs * 1000

    @property
    def met(self) -> str:
        return "" if self.aim is None else "yes" if self.quartiles[1] >= self.aim else "no"


def main(argv: list[str]) -> int:
    parser = Parser(
        "tools/bench models", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--models", nargs="+", metavar="NAME", help=f"Networks to measure: {', '.join(PAIRS)}."
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="WORD",
        help="Measures and opponents to run, such as train torchvision.",
    )
    parser.add_argument("--batch", type=int, default=16, help="Images per batch.")
    parser.add_argument("--size", type=int, default=224, help="Height and width of the images.")
    parser.add_argument("--rounds", type=int, default=9, help="Number of rounds.")
    parser.add_argument("--threads", type=int, default=cores(), help="CPU threads of each library.")
    parser.add_argument("--quick", action="store_true", help="Small images, to try the tool.")
    parser.add_argument("--torchvision", action="store_true", help="Install torch in .venv-torch.")
    parser.add_argument("--torch", type=Path, metavar="PYTHON", help="Python with torchvision.")
    parser.add_argument("--csv", type=Path, default=Path("build/bench/models.csv"))
    args = parser.parse_args(argv)
    if args.quick:
        args.batch, args.size, args.rounds = 2, 32, 2
    try:
        names = chosen(args)
    except ValueError as error:
        parser.error(str(error))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    torch = None
    try:
        if args.torchvision or args.torch:
            from torch_process import Torch, environment

            torch = Torch(args.torch or environment(), args.threads)
        measured(names, args, torch)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"tools/bench models: {error}", file=sys.stderr)
        return 1
    finally:
        if torch:
            torch.close()
    return 0


def chosen(args) -> dict[str, Pair]:
    """Return the pairs to run.

    Raises:
        ValueError: a name, a measure or a number is not valid.
    """
    known = PAIRS | QUICK
    names = args.models or list(QUICK if args.quick else PAIRS)
    for name in names:
        if name not in known:
            raise unknown("model", name, known)
    for word in args.only or ():
        if word not in MEASURES + AGAINST:
            raise unknown("measure", word, MEASURES + AGAINST)
    for flag, least in (("batch", 1), ("size", 32), ("rounds", 2), ("threads", 1)):
        if getattr(args, flag) < least:
            raise ValueError(f"--{flag}={getattr(args, flag)}: must be at least {least}")
    return {name: known[name] for name in names}


def measured(names: dict[str, Pair], args, torch) -> None:
    """Measure, print and write the rows. The file is complete after each row."""
    from zoo.quiet import import_keras

    import_keras()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    logging.getLogger("zoo.folding").setLevel(logging.ERROR)  # no warnings of norms that stay
    place = where(torch.versions if torch else {}, args.threads)
    print(", ".join(f"{key} {value}" for key, value in place.items() if value))
    print(f"batch {args.batch}, {args.size} x {args.size}, float32\n{HEAD}", flush=True)
    rows: list[dict] = []
    for name, pair in names.items():
        for measure, against in pair.rows(torch is not None):
            if not wanted(args.only, measure, against):
                continue
            both = sides(name, pair, measure, against, args.batch, args.size, torch)
            ours, theirs = (side.timer(measure) for side in both)
            del both
            row = compared(ours, theirs, args.rounds, name, measure, against, pair)
            del ours, theirs
            forget()
            print(line(row, args.batch), flush=True)
            rows.append(record(row, args) | place)
            write(args.csv, COLUMNS, rows)
    print(f"written to {args.csv}")


def wanted(only: list[str] | None, measure: str, against: str) -> bool:
    """Return whether --only selects this measure and this opponent."""
    words = set(only or ())
    return all(
        not words & set(kinds) or kind in words
        for kinds, kind in ((MEASURES, measure), (AGAINST, against))
    )


def compared(
    ours: Timer, theirs: Timer, rounds: int, name: str, measure: str, against: str, pair: Pair
) -> Row:
    """Time both sides alternately, and return the comparison."""
    for timed in (ours, theirs):
        timed(1)  # trace and warm up
    once = ours(1)[0], theirs(1)[0]
    building = measure.startswith("build")
    steps = 1 if building else min(50, math.ceil(ROUND_S / max(once)))
    rounds = min(rounds, max(3, int(ROW_S / (steps * sum(once)))))
    found = []
    for number in range(rounds):
        if number % 2 == 0:
            found.append((ours(steps), theirs(steps)))
        else:
            found.append((theirs(steps), ours(steps))[::-1])
    ratios = [b[0] / a[0] for a, b in found]
    quartiles = statistics.quantiles(ratios, n=4, method="inclusive")
    return Row(
        name,
        measure,
        against,
        rounds,
        steps,
        statistics.median(a[0] for a, _ in found) / steps * 1000,
        statistics.median(b[0] for _, b in found) / steps * 1000,
        (quartiles[0], quartiles[1], quartiles[2]),
        statistics.median(b[1] / a[1] for a, b in found),
        pair.aims.get((measure, against)),
    )


def line(row: Row, batch: int) -> str:
    q1, ratio, q3 = row.quartiles
    speeds = "".join(f"{'' if v is None else f'{v:.1f}':>8}" for v in row.speeds(batch))
    aim = "" if row.aim is None else f"{row.aim:g}"
    return (
        f"{row.network:<17}{row.measure:<14}{row.against:<20}{row.ours:>9.1f}{row.theirs:>9.1f}"
        f"{speeds}{ratio:>8.2f} {f'{q1:.2f}-{q3:.2f}':<12}{row.cpu:>7.2f}{aim:>7}  {row.met}"
    )


def record(row: Row, args) -> dict:
    """Return a row of the CSV file, without hardware and versions."""
    q1, ratio, q3 = (round(q, 4) for q in row.quartiles)
    speeds = [None if v is None else round(v, 2) for v in row.speeds(args.batch)]
    values = (
        row.network, row.measure, row.against, args.batch, args.size, row.rounds, row.steps,
        round(row.ours, 2), round(row.theirs, 2), *speeds,
        ratio, q1, q3, round(row.cpu, 4), row.aim, row.met,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=False))


def cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
