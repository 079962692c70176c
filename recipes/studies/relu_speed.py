"""ReLU and the speed of learning: epochs to 25 % training error with four activations.

Claims: ReLU converges much faster than sigmoid and tanh in practice, "e.g. 6x" (CS231n 2016,
lecture 5; CS231n 2021, lecture 7; CS 4644 / 7643, lecture 9), or than sigmoid (CS231n 2025, lecture
6); leaky ReLU does, too. The source is figure 1 of Krizhevsky et al. 2012: a convolutional network
of four layers reaches 25 % training error on CIFAR-10 six times faster with ReLU than with tanh,
without regularization, with the learning rate chosen for each network to train as fast as possible.
Setup: three 3x3 convolutions (32, 32 and 64 channels), each followed by pooling, and a classifier
(38,890 parameters) on 10,000 images of CIFAR-10, without augmentation, norm or weight decay;
momentum 0.9, batches of 128, constant learning rate. ReLU and leaky ReLU start with Kaiming's
weights, tanh and sigmoid with Xavier's. The best of five learning rates has the lowest training
error in the third epoch, with a seed that is not used again; the range is extended if the best one
is at its edge. Where no rate has reached 80 % by then, as with the long plateau of a sigmoid, the
twelfth epoch decides. Then 3 seeds, for at most 40 epochs. Training error is that of as many
batches as an epoch has, each before its update; the time to 25 % ends in the middle of the first
such batches whose mean error is at most 25 %. A network that has not reached 25 % after 40 epochs
counts with 40, so that its ratio is a lower bound. The setup was developed with seed 0, which is
one of the three.
Figure: the training error of each seed until it reaches 25 % (dots).
Cost: about 13 minutes on 2 CPU cores.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import GREY, INK, SERIES
from recipes.studying import Claim, Evidence, Lab, above, equals

SLIDES = "CS231n 2016, lecture 5; CS231n 2021, lecture 7; CS 4644 / 7643, lecture 9"
ARMS = {"relu": "kaiming", "leaky_relu": "kaiming", "tanh": "xavier", "sigmoid": "xavier"}
RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
STEP = 10**0.5  # between learning rates
LONGEST = 40  # epochs
SLOW = ("tanh", "sigmoid")
RATIO = "epochs to 25 % training error over those of"
# Claim -> the network that is faster, and the other one
FASTER = {f"faster than {slow}": ("relu", slow) for slow in SLOW}
SIX_TIMES = {
    f"{fast}, six times faster than {slow}": (fast, slow)
    for fast in ("relu", "leaky_relu")
    for slow in SLOW
}
NAMES = {"relu": "ReLU", "leaky_relu": "leaky ReLU"}
CLAIMS = {
    **{
        key: Claim(
            f"A network with {NAMES[fast]} converges faster than with {slow}.",
            f"{SLIDES}; CS231n 2025, lecture 6" if slow == "sigmoid" else SLIDES,
            f"{RATIO} {NAMES[fast]}", above(1.0), log=True,
        )
        for key, (fast, slow) in FASTER.items()
    },
    **{
        key: Claim(
            f"A network with {NAMES[fast]} converges six times faster than with {slow}.", SLIDES,
            f"{RATIO} {NAMES[fast]}", equals(6, rather_than=3), log=True,
        )
        for key, (fast, slow) in SIX_TIMES.items()
    },
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Choose a learning rate for each activation, then train until 25 % training error."""
    for act in ARMS:
        rate = best_rate(lab, act, lab.choose(3, quick=1))
        for seed in lab.seeds(3):
            longest = lab.choose(LONGEST, quick=2)
            lab.cell(f"{act}/seed{seed}", arrive, act=act, lr=rate, seed=seed, epochs=longest)


def best_rate(lab: Lab, act: str, epochs: int) -> float:
    """Return the learning rate with the lowest training error in the last of some epochs."""

    def error(rate: float) -> float:
        settings = {"act": act, "lr": rate, "seed": 100, "epochs": epochs}
        return lab.cell(f"rates/{act}/{epochs} epochs/{rate}", train, **settings)["errors"][-1]

    errors = {rate: error(rate) for rate in lab.choose(RATES, quick=RATES[2:3])}
    for _ in range(lab.choose(2, quick=0)):
        best = min(errors, key=errors.__getitem__)
        if best == min(errors):
            errors[float(f"{best / STEP:.1g}")] = error(float(f"{best / STEP:.1g}"))
        elif best == max(errors):
            errors[float(f"{best * STEP:.1g}")] = error(float(f"{best * STEP:.1g}"))
    if min(errors.values()) > 0.8 and epochs == 3:
        return best_rate(lab, act, 12)
    return min(errors, key=errors.__getitem__)


def arrive(lab: Lab, act: str, lr: float, seed: int, epochs: int) -> dict[str, Any]:
    """Train for a quarter of the epochs, or for all of them if 25 % error is not reached then."""
    short = train(lab, act, lr, seed, -(-epochs // 4))
    return short if short["arrived"] or short["diverged"] else train(lab, act, lr, seed, epochs)


def train(lab: Lab, act: str, lr: float, seed: int, epochs: int) -> dict[str, Any]:
    """Return the training error of each epoch, and the epochs to 25 % or None."""
    many = trainings(act, lab.cifar10, lab.choose(10_000, quick=256))
    done = many.run(seed=seed, lr=lr, steps=epochs * many.steps_per_epoch)
    steps = many.steps_per_epoch
    parts = np.split(done.accuracies, range(steps, len(done.accuracies), steps))
    whole = [float(1 - part.mean()) for part in parts]
    return {
        "arrived": None if done.diverged else epochs_to(0.25, done.accuracies, steps),
        "diverged": done.diverged,
        "errors": [*whole[:-1], 1.0] if done.diverged else whole,
    }


@functools.lru_cache(maxsize=1)
def trainings(act: str, data: str, images: int):
    """Return the trainings of the network with an activation, which is compiled once."""
    import recipes

    return recipes.Trainings(
        recipes.Recipe(
            model="vgg11", data=data, act=act, init=ARMS[act], images=images, validation=0.0,
            dropout=0.0, batch_size=128, epochs=LONGEST, momentum=0.9, weight_decay=0.0,
            preprocess="standardize", augment=(), stats_every=0,
            options={"depths": (1, 1, 1), "widths": (32, 32, 64), "hidden": (), "grid": 4},
        )
    )  # fmt: skip


def epochs_to(error: float, accuracies: Any, steps: int) -> float | None:
    """Return the epochs to the middle of the first `steps` batches with at most this mean error."""
    means = np.convolve(accuracies, np.ones(steps) / steps, "valid")
    good = np.flatnonzero(1 - means <= error + 1e-9)
    return float(good[0] / steps + 0.5) if good.size else None


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compare the epochs to 25 % training error, by seed."""
    cells = {act: lab.group(f"{act}/seed") for act in ARMS}

    def times(act: str) -> np.ndarray:
        """A network that does not arrive counts with all epochs, one that diverged with NaN."""
        found = [np.nan if c["diverged"] else c["arrived"] or len(c["errors"]) for c in cells[act]]
        return np.array(found, float)

    def against(fast: str, slow: str) -> dict[str, Evidence]:
        return {"": Evidence(
            (times(slow) / times(fast)).tolist(),
            at_least=any(cell["arrived"] is None for cell in cells[slow]),
            says=f"{times(slow).mean():.1f} over {times(fast).mean():.1f} epochs",
        )}  # fmt: skip

    return {key: against(*pair) for key, pair in {**FASTER, **SIX_TIMES}.items()}


def picture(lab: Lab, path: Path) -> None:
    """Draw the training error of each seed against epochs, until it has reached 25 %."""
    figure = drawing.figure((9, 5))
    axes = figure.subplots()
    for act, color in zip(ARMS, SERIES, strict=False):
        for number, cell in enumerate(lab.group(f"{act}/seed")):
            errors = 100 * np.array(cell["errors"])
            epochs = np.arange(len(errors)) + 0.5  # the middle of the batches of an epoch
            if arrived := cell["arrived"]:
                before = epochs < arrived
                epochs, errors = np.append(epochs[before], arrived), np.append(errors[before], 25)
                axes.plot(arrived, 25, "o", ms=7, color=color, mec=INK, zorder=3)
            elif cell["diverged"]:
                axes.plot(epochs[-1], errors[-1], "x", ms=9, mew=2, color=color)
            axes.plot(epochs, errors, color=color, lw=1.6, alpha=0.7,
                      label=None if number else act)  # fmt: skip
    axes.axhline(25, color=INK, lw=1, ls=":")
    axes.set_yscale("log")
    axes.set_yticks([20, 25, 30, 40, 50, 60, 80, 100], ["20", "25", "30", "40", "50", "60", "80",
                                                       "100"])  # fmt: skip
    axes.minorticks_off()
    axes.set_xlabel("epoch", color=GREY)
    axes.set_title(
        f"training error (%) on {lab.choose('10,000', quick='256')} images of CIFAR-10; one line"
        " for each seed", loc="left", color=INK, fontsize=11,
    )  # fmt: skip
    axes.legend(frameon=False, labelcolor=INK)
    drawing.plain(axes)
    drawing.save(figure, path)


def table(lab: Lab) -> list[dict[str, Any]]:
    """Return a row for each training."""
    return [
        {"training": name, "epochs to 25 %": cell["arrived"], "diverged": cell["diverged"],
         "last training error": cell["errors"][-1], "epochs": len(cell["errors"])}
        for name, cell in lab.cells.items()
    ]  # fmt: skip
