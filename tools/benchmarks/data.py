"""tools/bench data: compare the speed of input pipelines, in images per second and core.

The pipelines decode JPEG photos to 224 x 224: decoding alone; crop, flip and normalization; the
same with color jitter; the same with RandAugment. They are ours, those of keras.layers and, in its
own environment, those of torchvision. In each round, all pipelines run in turn on the same photos.
The result is the median over the rounds of images per second of CPU time, of all its processes,
which is reliable even on a busy machine.
"""

import io
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from records import WHERE, Parser, where, write

ROOT = Path(__file__).parents[2]
PHOTOS = ROOT.parent / "shared" / "data" / "photos.tar"
TORCH = ROOT / ".venv-torch" / "bin" / "python"
SIZE, BATCH, WORKERS = 224, 50, 2
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
DECODING = "decode and crop alone"
OURS = (  # those that run in this Python, in the order of `ours`
    DECODING,
    "decode and crop, random crops sampled",
    "ours: crop, flip, normalize",
    "ours: the same, antialiased as Pillow",
    "ours: color jitter",
    "ours: RandAugment",
    "ours: RandAugment, antialiased",
    "keras flip",
    "keras color jitter",
    "keras RandAugment",
)
TORCHVISION = {  # pipeline -> its name in torch_data.py
    "torchvision: crop, flip, normalize": "plain",
    "torchvision: color jitter": "jitter",
    "torchvision: RandAugment": "rand",
}
COLUMNS = (
    "pipeline", "images_per_s_core", "images_per_s", "of_decoding", "photos", "rounds", *WHERE,
)  # fmt: skip


def main(argv: list[str]) -> int:
    parser = Parser(prog="tools/bench data", description=__doc__)
    parser.add_argument("--photos", type=Path, help="Tar file or folder. (default: random images)")
    parser.add_argument("--torch", type=Path, help="Python with torchvision.")
    parser.add_argument(
        "--images", type=int, default=400, help=f"Images per round, multiple of {BATCH}"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--only", nargs="+", default=[""], help="Parts of the names of pipelines to run."
    )
    parser.add_argument("--csv", type=Path, default=Path("build/bench/data.csv"))
    args = parser.parse_args(argv)
    if args.images < 1 or args.images % BATCH:
        parser.error(f"--images={args.images}: must be a positive multiple of {BATCH}")
    if args.rounds < 1:
        parser.error(f"--rounds={args.rounds}: must be at least 1")
    if args.torch and not args.torch.exists():
        parser.error(f"--torch={args.torch}: file not found; pass a Python with torchvision")
    torch = args.torch or (TORCH if TORCH.exists() else None)
    try:
        names = selected([*OURS, *(TORCHVISION if torch else ())], args.only)
    except ValueError as error:
        parser.error(str(error))
    source = args.photos or (PHOTOS if PHOTOS.exists() else None)
    photos = read(source) if source else made_up()
    print(f"{len(photos)} photos, {source or 'random'}; {args.rounds} rounds")
    server = Torch(torch, photos) if torch else None
    pipelines = ours(photos) | (server.pipelines() if server else {})
    pipelines = {name: pipelines[name] for name in names}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in pipelines}
    for number in range(args.rounds + 1):
        for name, run in pipelines.items():
            # Keras's RandAugment is so slow that it is measured on fewer images.
            count = BATCH if "keras RandAugment" in name else args.images
            used = tuple(second / count for second in run(count))
            if number:  # the first round traces and warms up
                seconds[name].append(used)
    measured_at = {"photos": len(photos), "rounds": args.rounds}
    measured_at |= where(server.versions if server else {}, WORKERS)
    write(args.csv, COLUMNS, [row | measured_at for row in table(seconds)])
    print(f"written to {args.csv}")
    if server:
        server.close()
    return 0


def selected(names: list[str], words: list[str]) -> list[str]:
    """Return the names that contain one of the words, and decoding, which the others refer to.

    Raises:
        ValueError: no name contains a word.
    """
    for word in words:
        if not any(word in name for name in names):
            raise ValueError(
                f"--only={word!r}: no pipeline has this in its name; valid are {'; '.join(names)}"
            )
    return [n for n in names if n == DECODING or any(word in n for word in words)]


def table(seconds: dict[str, list[tuple[float, float]]]) -> list[dict[str, object]]:
    """Print and return the rows, without hardware and versions."""
    rows = []
    print(f"{'median of the rounds':<40}{'img/s/core':>12}{'img/s':>8}{'of decoding':>13}")
    for name, used in seconds.items():
        share = statistics.median(a[0] / b[0] for a, b in zip(seconds[DECODING], used, strict=True))
        core, wall = (1 / statistics.median(s) for s in zip(*used, strict=True))
        found = (name, round(core, 1), round(wall, 1), round(share, 3))
        rows.append(dict(zip(COLUMNS, found, strict=False)))
        print(f"{name:<40}{core:>12.0f}{wall:>8.0f}{share:>13.2f}", flush=True)
    return rows


def read(source: Path) -> list[bytes]:
    """Return the JPEG files in a tar file or a folder."""
    if source.is_dir():
        paths = sorted(p for p in source.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
        found = [path.read_bytes() for path in paths]
    else:
        with tarfile.open(source) as tar:
            files = [tar.extractfile(member) for member in tar if member.isfile()]
            found = [file.read() for file in files if file]
    return [data for data in found if data[:3] == b"\xff\xd8\xff"]


def made_up(count: int = 50) -> list[bytes]:
    """Return random smooth images with noise, of 500 x 375 pixels like photos in ImageNet."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    found = []
    for _ in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), np.uint8))
        smooth = np.asarray(coarse.resize((500, 375), Image.Resampling.BICUBIC), float)
        grained = np.clip(smooth + random.normal(0, 8, smooth.shape), 0, 255)
        file = io.BytesIO()
        Image.fromarray(grained.astype(np.uint8)).save(file, "JPEG", quality=90)
        found.append(file.getvalue())
    return found


def ours(photos: list[bytes]) -> dict[str, Callable[[int], tuple[float, float]]]:
    """Return pipelines in TensorFlow: name -> a function that runs a number of images."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(ROOT))
    import keras
    import tensorflow as tf

    from recipes.augment import ColorJitter, Flip, RandAugment, RandomResizedCrop, apply

    data = tf.constant(photos)
    fold = tf.random.experimental.stateless_fold_in
    crop = RandomResizedCrop(SIZE)
    boxes = [crop._box(tf.io.extract_jpeg_shape(p), (0, i)) for i, p in enumerate(photos)]
    boxes = tf.constant([[int(number) for number in box] for box in boxes])

    def decode(number):
        part = tf.image.decode_and_crop_jpeg(data[number], boxes[number], channels=3)
        return part[:1, :1]  # crops of different sizes cannot form a batch

    def draw_and_decode(number):
        box = crop._box(tf.io.extract_jpeg_shape(data[number]), fold((0, 1), number))
        return tf.image.decode_and_crop_jpeg(data[number], tf.stack(box), channels=3)[:1, :1]

    @tf.function(jit_compile=True)  # one pass
    def normalized(batch):
        return (tf.cast(batch, tf.float32) - MEAN) / DEVIATION

    def augmented(*ops):
        return lambda number: apply(ops, data[number], True, fold((0, 1), number))

    def run(element, finish):
        numbers = tf.data.Dataset.range(1 << 40).map(lambda n: n % len(photos))
        # Without prefetching, which would continue while other pipelines are timed.
        batches = numbers.map(element, WORKERS, deterministic=True).batch(BATCH).map(finish)
        options = tf.data.Options()
        options.threading.max_intra_op_parallelism = 1
        options.threading.private_threadpool_size = WORKERS
        options.autotune.enabled = False
        options.experimental_optimization.apply_default_optimizations = False
        opened = []

        def go(count):
            if not opened:
                opened.append(iter(batches.with_options(options)))
            return measured(lambda: [next(opened[0]) is None for _ in range(count // BATCH)])

        return go

    def keras_layers(*layers):
        def finish(batch):
            for layer in layers:
                batch = layer(batch, training=True)
            return normalized(batch)

        return finish

    plain, area = (crop, Flip()), (RandomResizedCrop(SIZE, method="area"), Flip())
    in_keras = {"value_range": (0, 255)}
    runs = (
        run(decode, lambda x: x),
        run(draw_and_decode, lambda x: x),
        run(augmented(*area), normalized),
        run(augmented(*plain), normalized),
        run(augmented(*area, ColorJitter(hue=0.1)), normalized),
        run(augmented(*area, RandAugment()), normalized),
        run(augmented(*plain, RandAugment()), normalized),
        run(augmented(area[0]), keras_layers(keras.layers.RandomFlip("horizontal"))),
        run(
            augmented(*area),
            keras_layers(
                keras.layers.RandomColorJitter(
                    brightness_factor=0.4, contrast_factor=0.4, saturation_factor=(0.3, 0.7),
                    hue_factor=0.1, **in_keras,
                )
            ),
        ),
        run(augmented(*area), keras_layers(keras.layers.RandAugment(num_ops=2, **in_keras))),
    )  # fmt: skip
    return dict(zip(OURS, runs, strict=True))


def measured(run: Callable[[], object]) -> tuple[float, float]:
    """Return seconds of CPU time, including child processes that ended, and of wall time."""
    started = _cpu(), time.perf_counter()
    run()
    return _cpu() - started[0], time.perf_counter() - started[1]


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


class Torch:
    """A process of another Python that runs torchvision's DataLoader on request."""

    def __init__(self, python: Path, photos: list[bytes]):
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        for number, photo in enumerate(photos):
            (Path(self.folder.name) / f"{number:04}.jpg").write_bytes(photo)
        self.process = subprocess.Popen(
            [python, Path(__file__).with_name("torch_data.py"), self.folder.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout
        found = self.process.stdout.readline().split()
        self.versions = dict(zip(("torch", "torchvision"), found, strict=True))

    def pipelines(self) -> dict[str, Callable[[int], tuple[float, float]]]:
        return {
            name: lambda count, key=key: self.ask(key, count) for name, key in TORCHVISION.items()
        }

    def ask(self, key: str, count: int) -> tuple[float, float]:
        assert self.process.stdin
        assert self.process.stdout
        print(key, count, file=self.process.stdin, flush=True)
        core, wall = self.process.stdout.readline().split()
        return float(core), float(wall)

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
