"""Width, depth and resolution: the best way to spend four times as many operations.

Claims: residual blocks matter, not depth, and width is the more efficient way to grow, because it
runs in parallel; scaling width, depth and resolution together beats scaling one of them (CS 4644 /
7643, lecture 9). On ImageNet, the catalog lists 78.47 % for wide_resnet50_2 and 78.31 % for
resnet152, at equal operations; that is not measured here.
Setup: a Wide ResNet of 3 blocks with 16 channels on images of 16x16 pixels (0.9 MMAC) and four
networks with four times its operations: deeper, wider, with more pixels, and all three together
(Tan and Le 2019). 10,000 images of CIFAR-10, crops and flips, 15 epochs with a cosine schedule. The
better of two learning rates is chosen on the validation set, with a seed that is not used again;
then 3 seeds. The time of a training step is measured in turns: a few steps of each network, again
and again. The compound network has 19 channels, which few libraries would choose, because
rounding to multiples of 8 would leave the 16 of the small one.
Figure: accuracy against operations, which are the same for the wider and the deeper network, and
against the time of a training step.
Cost: about 30 minutes on 2 CPU cores.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.augment import Flip, PadCrop, Resize
from recipes.drawing import GREY, INK, SERIES
from recipes.studying import Claim, Evidence, Lab, above

LECTURE = "CS 4644 / 7643, lecture 9"
POINTS = "test accuracy of compound scaling minus that of the other arm, in points"
ARMS: dict[str, dict[str, Any]] = {
    "base": {"depths": (1, 1, 1), "width": 16, "side": 16},
    "deeper": {"depths": (3, 4, 4), "width": 16, "side": 16},
    "wider": {"depths": (1, 1, 1), "width": 32, "side": 16},
    "more pixels": {"depths": (1, 1, 1), "width": 16, "side": 32},
    "compound": {"depths": (2, 2, 2), "width": 19, "side": 18},
}
RATES = (0.05, 0.2)
CLAIMS = {
    "compound": Claim(
        "Scaling width, depth and resolution together beats scaling one of them.",
        LECTURE, POINTS, above(0.0), ("deeper", "wider", "more pixels"), unit=" points",
    ),
    "width": Claim(
        "At equal operations, a wider network is more accurate than a deeper one.",
        LECTURE, "test accuracy of the wider network minus that of the deeper one, in points",
        above(0.0), unit=" points",
    ),
    "parallel": Claim(
        "At equal operations, a wider network trains faster than a deeper one.",
        LECTURE, "training time of the deeper network over that of the wider one",
        above(1.0), log=True,
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Choose a learning rate for each arm, and train it with three seeds."""
    epochs = lab.choose(15, quick=1)
    for arm in ARMS:
        found = {
            rate: lab.cell(f"{arm}/lr{rate}", train, arm=arm, lr=rate, seed=100, epochs=epochs)
            for rate in lab.choose(RATES, quick=())
        }
        best = max(found, key=lambda rate: found[rate]["val_accuracy"], default=RATES[0])
        for seed in lab.seeds(3):
            lab.cell(f"{arm}/seed{seed}", train, arm=arm, lr=best, seed=seed, epochs=epochs)
    timed = lab.choose(list(ARMS), quick=["deeper", "wider"])
    lab.cell("speed", time_steps, arms=timed, rounds=lab.choose(15, quick=2))


def train(lab: Lab, arm: str, lr: float, seed: int, epochs: int) -> dict[str, Any]:
    """Train one network, and return its operations and accuracies."""
    import recipes
    import zoo

    side, width, depths = (ARMS[arm][key] for key in ("side", "width", "depths"))
    resize = () if side == 32 else (Resize(side),)
    done = lab.train(
        "cifar10/wrn_28_10", f"{arm.replace(' ', '-')}/lr{lr}/seed{seed}",
        model="wrn_16_8", data=lab.cifar10, lr=lr, seed=seed, epochs=epochs, schedule="cosine",
        milestones=(), gamma=0.1, warmup=0.0, batch_size=128, validation=0.1, stats_every=0,
        images=lab.choose(10_000, quick=128), dropout=0.0, preprocess="standardize",
        augment=(*resize, PadCrop(side // 8), Flip()), eval_ops=resize,
        options={"depths": depths, "width": width, "stem_width": width,
                 "input_shape": (side, side, 3)},
    )  # fmt: skip
    return {
        "macs": zoo.profile(recipes.open(done["run"]).model).macs,
        "accuracy": done["result"]["top1"],
        "val_accuracy": done["result"]["val_accuracy"],
    }


def time_steps(arms: list[str], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of a training step of 128 images by arm, one value for each round."""
    import keras

    import zoo

    models = {}
    for arm in arms:
        size = ARMS[arm]
        shape, width = (size["side"], size["side"], 3), size["width"]
        model = zoo.build(
            "wrn_16_8", num_classes=10, input_shape=shape, depths=size["depths"], width=width,
            stem_width=width,
        )  # fmt: skip
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        images = np.random.default_rng(0).normal(size=(128, *shape)).astype("float32")
        models[arm] = (model, images, np.arange(128) % 10)
        model.train_on_batch(*models[arm][1:])
    seconds: dict[str, list[float]] = {arm: [] for arm in arms}
    for _ in range(rounds):
        for arm, (model, images, labels) in models.items():
            start = time.perf_counter()
            for _ in range(5):
                model.train_on_batch(images, labels)
            seconds[arm].append((time.perf_counter() - start) / 5)
    return seconds


def _of(lab: Lab, arm: str, key: str) -> np.ndarray:
    return np.array([cell[key] for cell in lab.group(f"{arm}/seed")])


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compare the arms by seed."""
    accuracy = {arm: _of(lab, arm, "accuracy") for arm in ARMS}

    def difference(one: str, other: str) -> Evidence:
        pairs = [("compound", arm) for arm in CLAIMS["compound"].conditions] + [("wider", "deeper")]
        return Evidence(
            100 * (accuracy[one] - accuracy[other]),
            pooled=[100 * (accuracy[a] - accuracy[b]) for a, b in pairs],
            accuracies=(accuracy[one].mean(), accuracy[other].mean()), images=10_000, scale=100,
            says=f"{100 * accuracy[one].mean():.1f} against {100 * accuracy[other].mean():.1f} %",
        )  # fmt: skip

    speed = {arm: np.array(seconds) for arm, seconds in lab.cells["speed"].items()}
    return {
        "compound": {arm: difference("compound", arm) for arm in CLAIMS["compound"].conditions},
        "width": {"": difference("wider", "deeper")},
        "parallel": {"": Evidence(speed["deeper"] / speed["wider"])},
    }


def picture(lab: Lab, path: Path) -> None:
    """Draw accuracy against operations and against time."""
    figure = drawing.figure((10, 4.2))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, key, label in zip(
        panels, ("macs", "speed"), ("million operations (MAC)", "milliseconds per training step"),
        strict=True,
    ):  # fmt: skip
        for arm, color in zip(ARMS, SERIES, strict=False):
            milliseconds = 1e3 * np.median(lab.cells["speed"].get(arm, 0))
            x = _of(lab, arm, key).mean() / 1e6 if key == "macs" else milliseconds
            y = 100 * _of(lab, arm, "accuracy")
            axes.plot([x] * len(y), y, "o", ms=4, color=color, alpha=0.5)
            axes.plot(x, y.mean(), "D", ms=8, color=color, label=arm)
        axes.set_xlabel(label, color=GREY)
        axes.margins(x=0.15)
        drawing.plain(axes)
    panels[0].set_ylabel("test accuracy (%)", color=GREY)
    panels[0].legend(frameon=False, labelcolor=INK)
    figure.suptitle(
        "Four times the operations of a small network, spent in four ways", x=0.01, ha="left",
        color=INK, weight="bold",
    )  # fmt: skip
    drawing.save(figure, path)
