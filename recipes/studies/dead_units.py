"""Dead units: how many ReLUs die at which learning rate, and what does not.

Claims: ReLUs die, so be careful with learning rates; a bias of 0.01 helps (CS231n 2021, lecture 7;
CS231n 2016, lecture 5; a student's note: not often used). Leaky ReLU, ELU and maxout do not die.
Setup: digits, one and two layers of 100 units, batches of 64, momentum 0.9, 10 epochs, learning
rates from 0.03 to 3, 5 seeds. A unit is dead if it is negative for all training images at the end
of a training whose loss stayed finite. Kernels start with Kaiming initialization, and before maxout
with Xavier: the larger of two values with mean zero has the mean square of one of them, so that no
factor of 2 is needed. Leaky ReLU and ELU have a slope below zero, so a unit that is negative for
all images may still learn; they are therefore compared by their test accuracy, at the lowest
learning rate at which half of the ReLUs are dead, which is chosen on the dead units alone.
Figure: on the left, the share of units that are negative for all training images, on the right the
accuracy, for one and two hidden layers. Units die at learning rates at which the accuracy falls,
too: dead units are a sign of a learning rate that is too high.
Cost: about 1 minute on 2 CPU cores.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import GREY, INK, SERIES
from recipes.studying import Claim, Evidence, Lab, above, below, correct_images, paired

L2021, L2016 = "CS231n 2021, lecture 7", "CS231n 2016, lecture 5"
ALL = f"{L2021}; {L2016}; CS 4644 / 7643, lecture 9"
ARMS: dict[str, dict[str, Any]] = {
    "ReLU": {"act": "relu"},
    "ReLU, bias 0.01": {"act": "relu", "options.bias_init": "constant:0.01"},
    "leaky ReLU": {"act": "leaky_relu"},
    "ELU": {"act": "elu"},
    "maxout": {"act": "maxout", "init": "xavier"},
}
RATES = (0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 3.0)
DEPTHS = {"1 hidden layer": (100,), "2 hidden layers": (100, 100)}
SURVIVORS = ("leaky ReLU", "ELU", "maxout")
CLAIMS = {
    "dies": Claim(
        "ReLUs die if the learning rate is high.", ALL, "largest share of dead units", above(50.0),
        tuple(DEPTHS), unit=" %",
    ),
    "care": Claim(
        "At a good learning rate, few ReLUs die.", f"{L2021}; {L2016}",
        "share of dead units at the best learning rate", below(10.0), tuple(DEPTHS), unit=" %",
    ),
    "bias": Claim(
        "A bias of 0.01 helps.", f"{L2021}; {L2016}",
        "share of dead units with the bias minus that without, mean over learning rates",
        below(0.0), tuple(DEPTHS), unit=" points",
    ),
    "survive": Claim(
        "Where ReLUs die, leaky ReLU, ELU and maxout still learn.", ALL,
        "test accuracy minus that of ReLU where half of its units are dead", above(0.0),
        tuple(f"{act}, {depth}" for depth in DEPTHS for act in SURVIVORS), unit=" points",
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Train all networks at all learning rates."""
    for depth in DEPTHS:
        for arm in ARMS:
            for seed in lab.seeds(5):
                lab.cell(f"{depth}/{arm}/seed{seed}", dying, depth=depth, arm=arm, seed=seed,
                         rates=lab.choose(RATES, quick=RATES[::3]),
                         epochs=lab.choose(10, quick=1))  # fmt: skip


def dying(
    depth: str, arm: str, seed: int, rates: tuple[float, ...], epochs: int
) -> list[dict[str, Any]]:
    """Return for each learning rate the share of dead units, in %, and the errors on test images.

    The share is None if the loss did not stay finite.
    """
    many, before = _shallow(depth, arm, epochs)
    found = []
    for lr in rates:
        done = many.run(seed=seed, lr=lr)
        dead = None
        if not done.diverged:
            many.assign(done.weights)
            dead = 100 * float(np.mean(_negative(before, many.images("train")[0], arm)))
        found.append({
            "lr": lr, "dead": dead, "wrong": np.flatnonzero(~done.test.right),
            "val_accuracy": done.val_accuracy,
        })  # fmt: skip
    return found


def _negative(before: Any, images: np.ndarray, arm: str) -> np.ndarray:
    """Return which units are negative for all images, of all hidden layers."""
    import keras

    found = []
    for values in keras.tree.flatten(before(images)):
        shut = (np.asarray(values) <= 0).all(0)
        found.append(shut.reshape(-1, 2).all(1) if arm == "maxout" else shut)
    return np.concatenate(found)


@functools.lru_cache(maxsize=1)
def _shallow(depth: str, arm: str, epochs: int):
    """Return the trainings of a network, and a model of its pre-activations."""
    import keras

    import recipes
    from zoo.flattening import nodes

    many = recipes.Trainings(
        "digits/mlp", **{"init": "kaiming", "options.hidden": DEPTHS[depth]} | ARMS[arm],
        batch_size=64, momentum=0.9, schedule="constant", weight_decay=0.0, epochs=epochs,
    )  # fmt: skip
    acts = [node for node in nodes(many.network) if node.operation.name.endswith("_act")]
    return many, keras.Model(many.network.input, [node.input_tensors[0] for node in acts])


def _dead(lab: Lab, depth: str, arm: str) -> np.ndarray:
    """Return the share of dead units, [seeds, learning rates]; NaN where the loss diverged."""
    cells = lab.group(f"{depth}/{arm}/seed")
    return np.array([[np.nan if r["dead"] is None else r["dead"] for r in c] for c in cells])


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compute the shares of dead units, and compare accuracies where half of the ReLUs are dead."""
    found: dict[str, dict[str, Evidence]] = {name: {} for name in CLAIMS}
    for depth in DEPTHS:
        _judge_depth(lab, depth, found)
    return found


def _judge_depth(lab: Lab, depth: str, found: dict[str, dict[str, Evidence]]) -> None:
    rates = [each["lr"] for each in lab.group(f"{depth}/ReLU/seed")[0]]
    dead, biased = _dead(lab, depth, "ReLU"), _dead(lab, depth, "ReLU, bias 0.01")
    finite = np.isfinite(dead).all(0)
    means = np.where(finite, np.where(finite, dead, 0).mean(0), -1)
    half = int(np.argmax(means >= 50)) if (means >= 50).any() else int(means.argmax())
    at = int(means.argmax())
    found["dies"][depth] = Evidence(
        dead[:, at].tolist(),
        says=f"at the learning rate {rates[at]:g}; half are dead at {rates[half]:g}",
    )
    scores = [[each["val_accuracy"] for each in cell] for cell in lab.group(f"{depth}/ReLU/seed")]
    best = int(np.mean(scores, axis=0).argmax())
    found["care"][depth] = Evidence(
        dead[:, best].tolist(), says=f"at the learning rate {rates[best]:g}"
    )
    both = finite & np.isfinite(biased).all(0)
    found["bias"][depth] = Evidence(
        (biased - dead)[:, both].mean(1) if both.any() else [np.nan],
        says=f"{biased[:, both].mean():.0f} against {dead[:, both].mean():.0f} %",
    )
    for arm in SURVIVORS:
        right, other = (
            correct_images([cell[half]["wrong"] for cell in lab.group(f"{depth}/{each}/seed")], 360)
            for each in (arm, "ReLU")
        )  # fmt: skip
        diverged = not np.isfinite(_dead(lab, depth, arm)[:, half]).all()
        found["survive"][f"{arm}, {depth}"] = (
            Evidence([np.nan], says=f"at the learning rate {rates[half]:g}")
            if diverged
            else paired(right, other)
        )


def picture(lab: Lab, path: Path) -> None:
    """Draw dead units and accuracy by learning rate."""
    figure = drawing.figure((12, 7))
    grid = figure.subplots(2, 2, sharex=True)
    for row, depth in zip(grid, DEPTHS, strict=True):
        for arm, color in zip(ARMS, SERIES, strict=False):
            cells = lab.group(f"{depth}/{arm}/seed")
            rates = [each["lr"] for each in cells[0]]
            dead = _dead(lab, depth, arm)
            whole = np.isfinite(dead).all(0)
            accuracy = 100 - 100 / 360 * np.mean([[len(r["wrong"]) for r in c] for c in cells], 0)
            for axes, y in ((row[0], np.where(whole, np.nan_to_num(dead).mean(0), np.nan)),
                            (row[1], accuracy)):  # fmt: skip
                drawing.curve(axes, rates, y, color=color, label=arm, lw=1.8)
            beside = 1.05 ** (list(ARMS).index(arm) - 2)  # crosses must not cover each other
            row[1].plot(np.array(rates)[~whole] * beside, accuracy[~whole], "x", ms=8, mew=2,
                        color=color)  # fmt: skip
        row[0].set_ylabel(depth, color=INK)
    for axes, title in zip(
        grid[0],
        ("units negative for all images (%), where all losses stayed finite",
         "test accuracy (%); x: the loss of a training did not stay finite"),
        strict=True,
    ):  # fmt: skip
        axes.set_title(title, loc="left", color=INK, fontsize=10)
    for axes in grid.ravel():
        axes.set_xscale("log")
        axes.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
        axes.minorticks_off()
        drawing.plain(axes)
    grid[0][0].legend(frameon=False, labelcolor=INK, fontsize=8)
    for axes in grid[1]:
        axes.set_xlabel("learning rate", color=GREY)
    drawing.save(figure, path)
