"""tools/bench memory: the peak memory of a training step, with and without recomputed blocks.

Each figure is of a process of its own: the most resident memory (getrusage) of three training
steps above what the built model took. The step's time is the least of the three.
"""

import argparse
import csv
import resource
import subprocess
import sys
import time
from pathlib import Path

COLUMNS = ("model", "size", "batch", "recompute", "peak_mb", "step_s")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tools/bench memory", description=__doc__)
    parser.add_argument("--models", nargs="+", default=["densenet121"], metavar="NAME")
    parser.add_argument("--batch", type=int, nargs="+", default=[32, 96])
    parser.add_argument("--size", type=int, default=128, help="height and width of the images")
    parser.add_argument("--csv", type=Path, default=Path("build/bench/memory.csv"))
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--recompute", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.one:
        print(*measured(args.models[0], args.size, args.batch[0], args.recompute))
        return 0

    import zoo

    for name in args.models:
        zoo.resolve(name, input_shape=(args.size, args.size, 3))
    rows = []
    for name in args.models:
        for batch in args.batch:
            pair = [in_a_process(name, args.size, batch, again) for again in (False, True)]
            rows += pair
            (_, *_, plain, fast), (_, *_, least, slow) = pair
            print(
                f"{name}  {args.size}x{args.size}, batch {batch}: {plain:,.0f} MB, recomputed "
                f"{least:,.0f} MB ({least / plain:.2f}), time {slow / fast:.2f}",
                flush=True,
            )
    args.csv.parent.mkdir(parents=True, exist_ok=True)
    with args.csv.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    print(f"written to {args.csv}")
    return 0


def in_a_process(name: str, size: int, batch: int, recompute: bool) -> tuple:
    command = [sys.executable, "-c", "import sys; from memory import main; main(sys.argv[1:])"]
    flags = ["--one", f"--models={name}", f"--size={size}", f"--batch={batch}"]
    flags += ["--recompute"] if recompute else []
    here = Path(__file__).parent
    done = subprocess.run(
        [*command, *flags], cwd=here, check=True, stdout=subprocess.PIPE, text=True
    )
    peak, seconds = map(float, done.stdout.split()[-2:])
    return name, size, batch, recompute, peak, seconds


def measured(name: str, size: int, batch: int, recompute: bool) -> tuple[float, float]:
    """(megabytes of the peak above the built model, seconds of a step)."""
    import keras
    import numpy as np

    import zoo

    model = zoo.build(name, seed=0, recompute=recompute, input_shape=(size, size, 3))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss, jit_compile=False)
    random = np.random.default_rng(0)
    images = random.normal(size=(batch, size, size, 3)).astype("float32")
    labels = np.arange(batch) % model.output.shape[-1]
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
