"""tools/bench scale: measure training on several processes and replicas, and calculate many hosts.

Measured on this machine, with the same global batch: the time of a training step in 1, 2 and 4
processes (MultiWorkerMirroredStrategy over loopback) and on 1, 2 and 4 virtual CPU devices of one
process (MirroredStrategy). They share the cores, so that no number of them can be faster than one
process; efficiency is the time of one process divided by theirs, and shows the cost of
distribution. The CPU time of all processes together for a step is reliable on a busy machine, too.

Calculated, not measured: the time of a step and the efficiency on 1 to 1,024 hosts with the same
batch per host, from the time of a step on one host, the bytes of all gradients, and the bandwidth
and latency of the network. A ring all-reduce of B bytes on N hosts takes
2 (N - 1) (latency + B / N / bandwidth). There is one for the gradients, one for the metrics, and
one for the statistics of each batch norm, whose latencies add up. Nothing overlaps.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from records import WHERE, Parser, where, write

ROOT = Path(__file__).parents[2]
COUNTS = (1, 2, 4)
SKIPPED = 4
MEASURED = ("model", "batch", "way", "count", "step_ms", "images_s", "efficiency", "cpu_ms", *WHERE)
CALCULATED = (
    "model",
    "megabytes",
    "norms",
    "gbit_s",
    "latency_us",
    "hosts",
    "step_ms",
    "efficiency",
)
HOSTS = tuple(2**k for k in range(11))


def main(argv: list[str]) -> int:
    parser = Parser(
        prog="tools/bench scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="resnet20", metavar="NAME")
    parser.add_argument("--size", type=int, default=32, help="Side of the images. (default: 32)")
    parser.add_argument("--batch", type=int, default=64, help="Global batch. (default: 64)")
    parser.add_argument("--steps", type=int, default=20, help="Measured steps. (default: 20)")
    parser.add_argument(
        "--host_model", default="resnet50", metavar="NAME", help="Network of the calculation."
    )
    parser.add_argument(
        "--step_ms", type=float, default=250.0,
        help="Time of its step on one host, for the calculation. (default: 250)",
    )  # fmt: skip
    parser.add_argument(
        "--gbit_s", type=float, nargs="+", default=[10.0, 100.0],
        help="Bandwidths of the network. (default: 10 100)",
    )  # fmt: skip
    parser.add_argument("--latency_us", type=float, default=30.0, help="(default: 30)")
    parser.add_argument("--only", choices=("measure", "calculate"))
    parser.add_argument("--csv", type=Path, default=Path("build/bench"), metavar="FOLDER")
    parser.add_argument("--one", metavar="STRATEGY", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.one:
        print(json.dumps(step_times(args)))
        return 0
    sys.path.insert(0, str(ROOT))
    import zoo

    for name in (args.model, args.host_model):
        try:
            zoo.describe(name)
        except ValueError as error:
            parser.error(str(error))
    if args.batch % max(COUNTS):
        parser.error(f"--batch={args.batch}: must be divisible by {max(COUNTS)}")
    if args.only != "calculate":
        measure(args)
    if args.only != "measure":
        calculate(args)
    return 0


def measure(args) -> None:
    """Measure all ways, print a table and write scale.csv."""
    rows: list[dict[str, object]] = []
    environment = where({}, len(os.sched_getaffinity(0)))
    print(f"measured: {args.model}, {args.size}x{args.size}, global batch {args.batch}")
    print(f"{'way':<12}{'count':>6}{'step ms':>10}{'images/s':>10}{'efficiency':>12}{'CPU ms':>10}")
    alone = None
    for way, count in [("processes", 1), *((w, n) for n in COUNTS[1:] for w in WAYS)]:
        seconds, cpu = WAYS[way](args, count)
        alone = alone or seconds
        row = {
            "model": args.model, "batch": args.batch, "way": way, "count": count,
            "step_ms": round(1000 * seconds, 2), "images_s": round(args.batch / seconds, 1),
            "efficiency": round(alone / seconds, 3), "cpu_ms": round(1000 * cpu, 2),
        }  # fmt: skip
        rows.append(row | environment)
        print(
            f"{way:<12}{count:>6}{row['step_ms']:>10}{row['images_s']:>10}{row['efficiency']:>12}"
            f"{row['cpu_ms']:>10}",
            flush=True,
        )
    write(args.csv / "scale.csv", MEASURED, rows)


def processes(args, count: int) -> tuple[float, float]:
    """Return the seconds and CPU seconds of a step in several processes of one worker each."""
    from recipes.distribution.cluster import tf_config
    from recipes.distribution.launch import free_ports

    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(count))
    strategy = "multiworker" if count > 1 else "one"
    started = [
        _start(args, strategy, {"TF_CONFIG": tf_config(addresses, index)}) for index in range(count)
    ]
    times, cpu = zip(*(_result(each) for each in started), strict=True)
    return statistics.median(times), sum(cpu)


def replicas(args, count: int) -> tuple[float, float]:
    """Return the seconds and CPU seconds of a step on virtual devices of one process."""
    return _result(_start(args, f"mirrored:{count}", {}))


WAYS = {"processes": processes, "replicas": replicas}


def _start(args, strategy: str, more: dict[str, str]) -> subprocess.Popen:
    command = [
        sys.executable, __file__, f"--one={strategy}", f"--model={args.model}",
        f"--size={args.size}", f"--batch={args.batch}", f"--steps={args.steps}",
    ]  # fmt: skip
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | more
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def _result(process: subprocess.Popen) -> tuple[float, float]:
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"bench scale: a process failed with code {process.returncode}")
    seconds, cpu = json.loads(out.splitlines()[-1])
    return seconds, cpu


def step_times(args) -> tuple[float, float]:
    """Train in this process; return the median time and mean CPU time of a step in seconds."""
    sys.path.insert(0, str(ROOT))
    from zoo.quiet import import_keras

    import_keras()
    import keras
    import tensorflow as tf

    import zoo
    from recipes.distribution.team import Team

    team = Team(args.one)
    strategy = team.strategy  # before TensorFlow is initialized
    rows = args.batch // team.count
    images = tf.zeros([rows, args.size, args.size, 3])
    labels = tf.one_hot(tf.range(rows) % 10, 10)
    batches = tf.data.Dataset.from_tensors((images, labels)).repeat(args.steps + SKIPPED + 2)
    with strategy.scope():
        model = zoo.build(args.model, num_classes=10, input_shape=(args.size, args.size, 3))
        model.compile(
            keras.optimizers.SGD(0.01, momentum=0.9),
            keras.losses.CategoricalCrossentropy(from_logits=True),
        )
    times: list[float] = []
    cpu: list[float] = []

    class Times(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.started = time.monotonic()
            cpu.append(time.process_time())

        def on_train_batch_end(self, batch, logs=None):
            float(logs["loss"])  # waits for the step
            times.append(time.monotonic() - self.started)

    model.fit(
        team.distributed(batches, endless=True), shuffle=False, verbose=0,
        steps_per_epoch=args.steps + SKIPPED, callbacks=[Times()],
    )  # fmt: skip
    # The first steps trace and warm up.
    seconds = statistics.median(times[SKIPPED:])
    return seconds, (time.process_time() - cpu[SKIPPED]) / len(times[SKIPPED:])


def calculate(args) -> None:
    """Calculate the cost of many hosts, print tables and write scale-calculated.csv."""
    import keras

    import zoo
    from zoo.graph import layers_of

    model = zoo.build(args.host_model)
    size = 4 * int(zoo.profile(model).loc["total", "parameters"])
    norms = [
        8 * int(layer.moving_mean.shape[0])  # bytes of mean and variance
        for layer in layers_of(model)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    rows: list[dict[str, object]] = []
    for gbit in args.gbit_s:
        print(
            f"\ncalculated, not measured: {args.host_model}, {size / 1e6:.1f} MB of gradients,"
            f" {len(norms)} batch norms, {args.step_ms:g} ms a step on one host, {gbit:g} Gbit/s,"
            f" {args.latency_us:g} us"
        )
        print(f"{'hosts':>6}{'step ms':>10}{'efficiency':>12}{'speed-up':>10}")
        for hosts in HOSTS:
            more = 1000 * sum(
                ring_seconds(each, hosts, gbit, args.latency_us) for each in (size, 16, *norms)
            )
            efficiency = args.step_ms / (args.step_ms + more)
            rows.append(
                {
                    "model": args.host_model, "megabytes": round(size / 1e6, 2),
                    "norms": len(norms), "gbit_s": gbit,
                    "latency_us": args.latency_us, "hosts": hosts,
                    "step_ms": round(args.step_ms + more, 2), "efficiency": round(efficiency, 4),
                }
            )  # fmt: skip
            print(
                f"{hosts:>6}{args.step_ms + more:>10.1f}{efficiency:>12.3f}"
                f"{hosts * efficiency:>10.1f}"
            )
    write(args.csv / "scale-calculated.csv", CALCULATED, rows)


def ring_seconds(size: float, hosts: int, gbit_s: float, latency_us: float) -> float:
    """Return the time of a ring all-reduce: 2 (N - 1) messages of B / N bytes, one after another.

    Args:
        size: B, the bytes to sum up.
        hosts: N.
        gbit_s: bandwidth of each host's link, in gigabits per second.
        latency_us: time of an empty message, in microseconds.
    """
    return 2 * (hosts - 1) * (latency_us * 1e-6 + size / hosts / (gbit_s * 1e9 / 8))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
