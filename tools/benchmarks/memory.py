"""tools/bench memory: measure the peak memory of a training step.

The step is plain, with recomputed blocks, or with the batch in parts. Each is measured in its own
process: the peak resident memory (getrusage) of three training steps beyond that of the built
model, and the time of the fastest of the three.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from records import WHERE, Parser, where, write

ROOT = Path(__file__).parents[2]
PARTS = 4
WAYS = {
    "plain": "plain",
    "recompute": "recomputed blocks (zoo.build(recompute=True))",
    "accumulate": f"batch in {PARTS} parts (accumulate={PARTS} in a recipe)",
}
COLUMNS = ("model", "size", "batch", "way", "peak_mb", "step_s", *WHERE)


def main(argv: list[str]) -> int:
    parser = Parser(prog="tools/bench memory", description=__doc__)
    parser.add_argument("--models", nargs="+", default=["densenet121"], metavar="NAME")
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 96])
    parser.add_argument("--size", type=int, default=128, help="Height and width of the images.")
    parser.add_argument("--csv", type=Path, default=Path("build/bench/memory.csv"))
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.one:
        print(*measured(args.models[0], args.size, args.batch[0], args.way))
        return 0

    sys.path.insert(0, str(ROOT))
    import zoo

    for name in args.models:
        try:
            zoo.resolve(name, input_shape=(args.size, args.size, 3))
        except ValueError as error:
            parser.error(str(error))
    for batch in args.batch:
        if batch % PARTS:
            parser.error(
                f"--batch={batch}: cannot be split into {PARTS} equal parts; "
                f"choose a multiple of {PARTS}"
            )
    rows: list[dict[str, object]] = []
    measured_at = where({}, os.cpu_count() or 1)
    for name in args.models:
        for batch in args.batch:
            print(f"{name}, {args.size}x{args.size}, batch {batch}", flush=True)
            first = None
            for way, words in WAYS.items():
                peak, seconds = in_a_process(name, args.size, batch, way)
                found = (name, args.size, batch, way, peak, seconds)
                rows.append(dict(zip(COLUMNS, found, strict=False)) | measured_at)
                plain, fast = first = first or (peak, seconds)
                print(
                    f"  {words:<42} {peak:>8,.0f} MB ({peak / plain:.2f}),"
                    f" time {seconds / fast:.2f}",
                    flush=True,
                )
    write(args.csv, COLUMNS, rows)
    print(f"written to {args.csv}")
    return 0


def in_a_process(name: str, size: int, batch: int, way: str) -> tuple[float, float]:
    """Return the result of `measured` in a process of its own."""
    command = [sys.executable, "-c", "import sys; from memory import main; main(sys.argv[1:])"]
    flags = ["--one", f"--models={name}", f"--size={size}", f"--batch={batch}", f"--way={way}"]
    here = Path(__file__).parent
    done = subprocess.run(
        [*command, *flags], cwd=here, check=True, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    peak, seconds = map(float, done.stdout.split()[-2:])
    return peak, seconds


def measured(name: str, size: int, batch: int, way: str) -> tuple[float, float]:
    """Return the peak memory above that of the built model in MB, and the seconds of a step."""
    import numpy as np

    import zoo
    from recipes import Recipe, optimize

    model = zoo.build(name, seed=0, recompute=way == "recompute", input_shape=(size, size, 3))
    parts = PARTS if way == "accumulate" else 1
    recipe = Recipe(
        model=name, data="made_up", batch_size=batch, accumulate=parts, lr=0.01, stats_every=0
    )
    classes = model.output.shape[-1]
    model = optimize.training_model(recipe, model)
    optimizer = optimize.optimizer(recipe, optimize.schedule(recipe, 3))
    model.compile(optimizer, optimize.loss(recipe), jit_compile=False)
    random = np.random.default_rng(0)
    images = random.normal(size=(batch, size, size, 3)).astype("float32")
    labels = np.eye(classes, dtype="float32")[np.arange(batch) % classes]
    before, times = peak_mb(), []
    for _ in range(3):
        start = time.perf_counter()
        model.train_on_batch(images, labels)
        times.append(time.perf_counter() - start)
    return round(peak_mb() - before, 1), round(min(times), 3)


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
