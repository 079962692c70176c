"""tools/bench accelerator: compare the speed of our networks on a GPU, with Keras's JAX backend.

Each network is timed alternately with the same network of keras.applications (also on JAX), and
then with that of torchvision (PyTorch, channels_last, eager and compiled by torch.compile), in one
process, on one batch of noise that stays in the GPU's memory. Ours is built with the options that
make it equal to the other one. The order is A B C, C B A, ... The ratio of a row is the median over
the rounds of (their time / our time): above 1, ours is faster. Libraries that are not installed are
left out.

train     forward, cross-entropy, backward, SGD with momentum; compiled by jax.jit
predict   compute the logits of a batch, ours after zoo.fold_batchnorm

This needs JAX with GPU support. `tools/bench page CSV` adds the rows to docs/speed.md.
"""

import argparse
import contextlib
import datetime
import gc
import importlib.metadata
import importlib.util
import os
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).parent)]

import jax  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
from pairs import PAIRS  # noqa: E402
from records import Parser, write  # noqa: E402

import zoo  # noqa: E402

AGAINST = ["keras.applications", "torchvision"]
COLUMNS = (
    "network", "measure", "side", "batch", "size", "dtype", "ms", "images_s",
    "ratio", "ratio_q1", "ratio_q3", "first_step_s",
    "device", "jax", "keras", "torch", "torchvision", "commit", "date",
)  # fmt: skip


def jax_step(model, batch, size, measure):
    """Return a function that runs a number of steps, and returns when the last one is complete."""
    rng = np.random.default_rng(0)
    x = jax.device_put(rng.normal(size=(batch, size, size, 3)).astype("float32"))
    y = jax.device_put(np.arange(batch) % 10)
    trainable = [v.value for v in model.trainable_variables]
    others = [v.value for v in model.non_trainable_variables]
    if measure == "predict":
        run = jax.jit(lambda t, n, x: model.stateless_call(t, n, x, training=False)[0])

        def timed(steps):
            for _ in range(steps):
                logits = run(trainable, others, x)
            jax.block_until_ready(logits)

        return timed
    optimizer = keras.optimizers.SGD(1e-3, momentum=0.9)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def loss(t, n, x, y):
        logits, n = model.stateless_call(t, n, x, training=True)
        return loss_of(y, logits), n

    def step(t, n, o, x, y):
        (value, n), slopes = jax.value_and_grad(loss, has_aux=True)(t, n, x, y)
        t, o = optimizer.stateless_apply(o, slopes, t)
        return t, n, o, value

    compiled = jax.jit(step, donate_argnums=(0, 1, 2))
    state = [trainable, others, [v.value for v in optimizer.variables]]

    def timed(steps):
        for _ in range(steps):
            *state[:], value = compiled(*state, x, y)
        jax.block_until_ready(value)

    return timed


def torch_step(name, batch, size, measure, dtype, compiled):
    import torch
    import torchvision

    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = getattr(torchvision.models, name)(weights=None)
    network = network.to(device, memory_format=torch.channels_last)
    x = torch.randn(batch, 3, size, size, device=device).to(memory_format=torch.channels_last)
    y = torch.arange(batch, device=device) % 10
    cast = torch.autocast(device, torch.bfloat16, enabled=dtype == "mixed_bfloat16")
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    optimizer = torch.optim.SGD(network.parameters(), 0.001, momentum=0.9)
    network.train(measure == "train")
    called = torch.compile(network) if compiled else network

    def train():
        optimizer.zero_grad()
        with cast:
            loss = torch.nn.functional.cross_entropy(called(x).float(), y)
        loss.backward()
        optimizer.step()

    def predict():
        with torch.inference_mode(), cast:
            called(x)

    run = train if measure == "train" else predict

    def timed(steps):
        for _ in range(steps):
            run()
        wait()

    return timed


def contests(name, args, measure):
    """Yield dicts of label -> timer to compare: ours first, then the same architecture elsewhere.

    Libraries build some architectures differently (the stride of ResNet-50's bottleneck, padding),
    so ours is built once for each of them.
    """
    pair = PAIRS[name]
    shape = (args.size, args.size, 3)

    def ours(**options):
        uniform = {"init": "glorot_uniform", "head_init": "glorot_uniform"}
        model = zoo.build(name, seed=0, input_shape=shape, **options, **uniform)
        model = zoo.fold_batchnorm(model) if measure == "predict" else model
        return jax_step(model, args.batch, args.size, measure)

    if pair.keras and "keras.applications" in args.against:
        options = {key: v(args.size) if callable(v) else v for key, v in pair.options.items()}
        theirs = getattr(keras.applications, pair.keras)(
            weights=None, input_shape=shape, classifier_activation=None
        )
        yield {
            "zoo, as keras.applications (JAX)": ours(**options),
            "keras.applications (JAX)": jax_step(theirs, args.batch, args.size, measure),
        }
    if pair.torch and "torchvision" in args.against and importlib.util.find_spec("torchvision"):
        timers = {"zoo, as torchvision (JAX)": ours()}
        for compiled in (False, True) if args.compile else (False,):
            label = "torchvision (compiled)" if compiled else "torchvision (eager)"
            timers[label] = torch_step(name, args.batch, args.size, measure, args.dtype, compiled)
        yield timers


def where():
    """Return the device, versions, commit and date of a measurement."""
    from recipes import provenance

    def version(name):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)

    return {
        "device": jax.devices()[0].device_kind,
        **{name: version(name) for name in ("jax", "keras", "torch", "torchvision")},
        "commit": provenance.commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
    }


def main():
    parser = Parser(
        "tools/bench accelerator",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument(
        "--models", nargs="+", default=list(PAIRS), choices=list(PAIRS), help="Networks."
    )
    parser.add_argument("--measures", nargs="+", default=["train", "predict"], help="Measures.")
    parser.add_argument("--against", nargs="+", default=AGAINST, choices=AGAINST, help="Libraries.")
    parser.add_argument("--batch", type=int, default=128, help="Images per batch.")
    parser.add_argument("--size", type=int, default=224, help="Height and width of the images.")
    parser.add_argument("--rounds", type=int, default=7, help="Number of rounds.")
    parser.add_argument("--dtype", default="mixed_bfloat16", help="Keras dtype policy.")
    parser.add_argument("--compile", action="store_true", help="Also time torch.compile.")
    parser.add_argument(
        "--csv", type=Path, default=Path("build/bench/accelerator.csv"), help="File to write."
    )
    args = parser.parse_args()
    keras.config.set_dtype_policy(args.dtype)
    place = where()
    print(", ".join(f"{key} {value}" for key, value in place.items() if value), flush=True)
    rows = []
    for name in args.models:
        for measure in args.measures:
            for timers in contests(name, args, measure):
                rows += [row | place for row in compared(name, measure, args, timers)]
                write(args.csv, COLUMNS, rows)
                del timers
                keras.utils.clear_session()
                jax.clear_caches()
                gc.collect()
    print(f"written to {args.csv}")


def compared(name, measure, args, timers):
    """Time the sides of a contest alternately; return a row for each, ours first."""
    first_step_s = {}
    for label, timed in timers.items():
        start = time.perf_counter()
        timed(1)
        first_step_s[label] = time.perf_counter() - start
        timed(2)
    once = {}
    for label, timed in timers.items():
        start = time.perf_counter()
        timed(3)
        once[label] = (time.perf_counter() - start) / 3
    steps = max(2, min(50, int(0.5 / min(once.values()))))
    found = {label: [] for label in timers}
    for number in range(args.rounds):
        order = list(timers) if number % 2 == 0 else list(timers)[::-1]
        for label in order:
            start = time.perf_counter()
            timers[label](steps)
            found[label].append((time.perf_counter() - start) / steps)
    ours = next(iter(found.values()))
    rows = []
    for label, times in found.items():
        ratios = [b / a for a, b in zip(ours, times, strict=True)]
        q1, ratio, q3 = statistics.quantiles(ratios, n=4, method="inclusive")
        ms = statistics.median(times) * 1000
        speed, first = args.batch / ms * 1000, first_step_s[label]
        values = (
            name, measure, label, args.batch, args.size, args.dtype, round(ms, 3), round(speed, 1),
            round(ratio, 4), round(q1, 4), round(q3, 4), round(first, 1),
        )  # fmt: skip
        rows.append(dict(zip(COLUMNS, values, strict=False)))
        print(
            f"{name:17}{measure:9}{label:33}{ms:9.2f} ms {speed:9.1f} images/s"
            f"  ratio {ratio:.3f} ({q1:.3f}-{q3:.3f})  first step {first:.1f} s",
            flush=True,
        )
    return rows


if __name__ == "__main__":
    main()
