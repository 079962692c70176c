"""Batch norm: learning rates, initialization, speed, regularization and dropout.

Claims: networks with batch norm allow higher learning rates, converge faster, are more robust to
initialization, and batch norm regularizes them (CS231n 2021, lecture 7; CS231n 2016, lecture 5). It
"maybe" reduces the need for dropout (CS231n 2016, lecture 5).
Setup: (a) digits, 6 hidden layers of 64 tanh units with and without batch norm, four
initializations, eight learning rates from 1e-3 to 3, batches of 64, 8 epochs of 16 steps, 3 seeds;
accuracies are those on 359 validation images. The time to 0.9 is counted in steps, because epochs
are too coarse, with the mean accuracy of the last 16 training batches. (b) cifar10/mlp with two
hidden layers of 200 units and without augmentation, with and without batch norm and dropout, 10
epochs, 3 seeds.
Figure: the accuracy after 8 epochs for each initialization and learning rate, without and with
batch norm, which makes far more combinations work. On the right, the accuracy on the training and
the test images of CIFAR-10; dots are seeds.
Cost: about 12 minutes on 2 CPU cores.
"""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import BLUE, GREY, INK, ORANGE
from recipes.studying import Claim, Evidence, Lab, above, correct_images, paired

LECTURES = "CS231n 2021, lecture 7; CS231n 2016, lecture 5"
LECTURE_5 = "CS231n 2016, lecture 5"
NORMS = ("none", "batch")
INITS = ("normal:0.01", "normal:0.05", "xavier", "normal:1")
RATES = (1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
LEARNED = 0.9
STEPS = 128  # of a training on digits
DIGITS, CIFAR10 = "digits", "CIFAR-10"
GAP = "training minus test accuracy without batch norm, minus that with it"
CLAIMS = {
    "rates": Claim(
        "Batch norm allows higher learning rates.",
        LECTURES, "highest learning rate that reaches 0.9 with batch norm over that without",
        above(1.0), log=True,
    ),
    "faster": Claim(
        "Networks with batch norm converge faster.",
        LECTURES, "steps to 0.9 at the fastest learning rate, without batch norm over with it",
        above(1.0), log=True,
    ),
    "robust": Claim(
        "Networks with batch norm are more robust to initialization.",
        LECTURES, "pairs of initialization and learning rate, of 32, that reach 0.9, with batch"
        " norm minus without", above(0.0),
    ),
    "regularizes": Claim(
        "Batch norm regularizes.", LECTURES, GAP, above(0.0), (DIGITS, CIFAR10), unit=" points",
    ),
    "dropout": Claim(
        "Batch norm reduces the need for dropout.",
        LECTURE_5, "gain of dropout 0.5 in test accuracy without batch norm, minus that with it",
        above(0.0), unit=" points",
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Train on digits with each initialization, and on CIFAR-10 with and without dropout."""
    epochs = lab.choose(8, quick=1)
    for norm in NORMS:
        for seed in lab.seeds(3):
            for init in INITS:
                lab.cell(
                    f"digits/{norm}/{init}/seed{seed}", rates, norm=norm, init=init, seed=seed,
                    epochs=epochs,
                )  # fmt: skip
    for norm in NORMS:
        for dropout in (0.0, 0.5):
            for seed in lab.seeds(3):
                lab.cell(
                    f"cifar10/{norm}/dropout{dropout}/seed{seed}", cifar10, norm=norm,
                    dropout=dropout, seed=seed, epochs=lab.choose(10, quick=1),
                )  # fmt: skip


def rates(norm: str, init: str, seed: int, epochs: int) -> dict[str, list]:
    """Train at each learning rate, and return the results as columns."""
    many = trainings(
        "digits/mlp", act="tanh", norm=norm, options=((64,) * 6), epochs=epochs, validation=0.25,
        batch_size=64, schedule="constant", weight_decay=0.0,
    )  # fmt: skip
    done = [many.run(seed=seed, init=init, lr=lr) for lr in RATES]
    return {
        "val": [each.val_accuracy for each in done],
        "train": [each.train_accuracy for each in done],
        "steps": [steps_to(each, LEARNED) for each in done],
    }


def cifar10(lab: Lab, norm: str, dropout: float, seed: int, epochs: int) -> dict[str, Any]:
    """Train on CIFAR-10, and return the training accuracy and the errors on the test set."""
    many = trainings(
        "cifar10/mlp", data=lab.cifar10, norm=norm, dropout=dropout, options=(200, 200),
        epochs=epochs, augment=(),
    )  # fmt: skip
    done = many.run(seed=seed)
    return {
        "train": done.train_accuracy,
        "wrong": np.flatnonzero(~done.test.right),
        "images": len(done.test.right),
    }


@functools.lru_cache(maxsize=1)
def trainings(recipe: str, options: tuple[int, ...], **changes: Any):
    """Return the trainings of a network, which is compiled once for its initial weights."""
    import recipes

    return recipes.Trainings(recipe, options={"hidden": options}, **changes)


def steps_to(done: Any, least: float) -> int | None:
    """Return the steps until the last 16 batches have a mean accuracy, or None."""
    means = np.convolve(done.accuracies, np.ones(16) / 16, "valid")
    return int(np.argmax(means >= least)) + 16 if (means >= least).any() else None


def _grid(lab: Lab, norm: str, key: str) -> np.ndarray:
    """Return the values on digits, [initializations, seeds, learning rates]; None is NaN."""
    return np.array([
        [cell[key] for cell in lab.group(f"digits/{norm}/{init}/")]
        for init in INITS
    ], float)  # fmt: skip


def _right(lab: Lab, norm: str, dropout: float) -> np.ndarray:
    """Return which test images of CIFAR-10 are classified correctly, [seeds, images]."""
    cells = lab.group(f"cifar10/{norm}/dropout{dropout}/")
    return correct_images([cell["wrong"] for cell in cells], cells[0]["images"])


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compare the networks with and without batch norm, by seed."""
    xavier = INITS.index("xavier")
    learns = {norm: _grid(lab, norm, "val") >= LEARNED for norm in NORMS}
    # Where no learning rate reaches 0.9, the next lower one that was not tried.
    highest = {
        norm: np.array([max([3e-4, *np.array(RATES)[own]]) for own in learns[norm][xavier]])
        for norm in NORMS
    }
    steps = {norm: np.nan_to_num(_grid(lab, norm, "steps")[xavier], nan=STEPS) for norm in NORMS}
    fastest = {norm: int(steps[norm].mean(0).argmin()) for norm in NORMS}
    time = {norm: steps[norm][:, fastest[norm]] for norm in NORMS}
    counts = {norm: learns[norm].sum((0, 2)) for norm in NORMS}

    gaps = {}
    for norm in NORMS:
        train, val = (_grid(lab, norm, key)[xavier][:, fastest[norm]] for key in ("train", "val"))
        gaps[norm] = 100 * (train - val), val.mean()
    images = {(n, d): _right(lab, n, d) for n in NORMS for d in (0.0, 0.5)}
    own = {norm: 100 * (_train(lab, norm) - images[norm, 0.0].mean(1)) for norm in NORMS}
    gain = {norm: 100 * (images[norm, 0.5] - images[norm, 0.0]).mean() for norm in NORMS}
    dropout = paired(
        images["none", 0.5] + images["batch", 0.0], images["none", 0.0] + images["batch", 0.5]
    )
    return {
        "rates": {"": Evidence(
            highest["batch"] / highest["none"],
            says=f"{highest['batch'].max():g} against {highest['none'].max():g}, with Xavier",
        )},
        "faster": {"": Evidence(
            time["none"] / time["batch"],
            says=f"{time['none'].mean():.0f} steps at {RATES[fastest['none']]:g} against"
            f" {time['batch'].mean():.0f} at {RATES[fastest['batch']]:g}",
        )},
        "robust": {"": Evidence(
            counts["batch"] - counts["none"],
            says=f"{counts['batch'].mean():.1f} against {counts['none'].mean():.1f}",
        )},
        "regularizes": {
            DIGITS: Evidence(
                gaps["none"][0] - gaps["batch"][0], accuracies=(gaps["none"][1], gaps["batch"][1]),
                images=359, scale=100,
                says=f"{gaps['none'][0].mean():.1f} against {gaps['batch'][0].mean():.1f} points",
            ),
            CIFAR10: Evidence(
                own["none"] - own["batch"],
                image_error=paired(images["batch", 0.0], images["none", 0.0]).image_error,
                says=f"{own['none'].mean():.1f} against {own['batch'].mean():.1f} points",
            ),
        },
        "dropout": {"": dataclasses.replace(
            dropout, says=f"gains of {gain['none']:.1f} and {gain['batch']:.1f} points"
        )},
    }  # fmt: skip


def _train(lab: Lab, norm: str, dropout: float = 0.0) -> np.ndarray:
    prefix = f"cifar10/{norm}/dropout{dropout}/"
    return np.array([c["train"] for name, c in lab.cells.items() if name.startswith(prefix)])


def picture(lab: Lab, path: Path) -> None:
    """Draw a map of learning rates and initializations for each, and bars for CIFAR-10."""
    figure = drawing.figure((14, 3.9))
    *maps, bars = figure.subplots(1, 3, width_ratios=(1.2, 1.2, 0.9))
    for axes, norm, title in zip(maps, NORMS, ("no norm", "batch norm"), strict=True):
        mean = 100 * _grid(lab, norm, "val").mean(1)
        axes.imshow(mean, vmin=0, vmax=100, cmap="viridis", aspect="auto")
        for (row, column), value in np.ndenumerate(mean):
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=9,
                      color="white" if value < 60 else INK)  # fmt: skip
        axes.set_xticks(range(len(RATES)), [f"{rate:g}" for rate in RATES])
        axes.set_yticks(range(len(INITS)), INITS)
        axes.set_xlabel("learning rate", color=GREY)
        axes.tick_params(colors=GREY, length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.set_title(f"{title}: validation accuracy on digits (%)", loc="left", fontsize=10,
                       color=INK)  # fmt: skip
    arms = [(norm, dropout) for norm in NORMS for dropout in (0.0, 0.5)]
    for place, (norm, dropout) in enumerate(arms):
        for shift, color, label, values in (
            (-0.2, ORANGE, "training", _train(lab, norm, dropout)),
            (0.2, BLUE, "test", _right(lab, norm, dropout).mean(1)),
        ):
            bars.bar(place + shift, 100 * values.mean(), 0.36, color=color,
                     label=label if place == 0 else None)  # fmt: skip
            bars.plot([place + shift] * len(values), 100 * values, ".", color=INK, ms=4)
    names = [f"{'batch' if n == 'batch' else 'no'} norm\ndropout {d:g}" for n, d in arms]
    bars.set_xticks(range(4), names, fontsize=8)
    drawing.plain(bars)
    bars.legend(frameon=False, labelcolor=INK, ncols=2, fontsize=8, loc="upper right")
    bars.set_ylim(0, 1.2 * bars.get_ylim()[1])
    bars.set_title("accuracy on CIFAR-10 (%)", loc="left", fontsize=10, color=INK)
    drawing.save(figure, path)
