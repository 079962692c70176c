"""Lottery tickets: pruned networks trained from their original weights, and from other ones.

Claims: the lectures list the paper only (Frankle and Carbin 2019; CS231n 2021, lecture 7; CS 4644 /
7643, lecture 9): a dense network contains a sparse one that trains as well from its original
weights, but not from new ones.
Setup: digits, hidden layers of 300 and 100 units (50,200 weights), learning rate 0.05, batches of
64, 20 epochs of 16 steps. 15 rounds remove 20 % of each layer's remaining weights by magnitude, of
the last layer 10 %, and train the rest from the original weights. In each round, two other networks
are trained: new weights under the same mask, and the original weights under a mask with the same
number of weights per layer at random places. 8 seeds; the networks of a seed see the images in the
same order. Accuracy is that on the 719 images of the validation and test sets together, because
nothing is chosen on them.
Figure: accuracy and training steps against the share of the weights that is left; pruning proceeds
from left to right. A line ends where not all seeds reach 95 %.
Cost: about 3 minutes on 2 CPU cores.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import BLUE, GREY, INK, ORANGE, RED
from recipes.studying import Claim, Evidence, Lab, above, correct_images, paired

LECTURE = "CS231n 2021, lecture 7; CS 4644 / 7643, lecture 9"
ARMS = {
    "rewound": "original weights",
    "new": "new weights, same mask",
    "shuffled": "original weights, shuffled mask",
}
ROUNDS = {"17 %": 8, "9 %": 11, "6 %": 13, "4 %": 15}  # share of the weights left -> round
IMAGES = 719
STEPS = 320  # of a training
CLAIMS = {
    "dense": Claim(
        "A network pruned by magnitude trains as well from its original weights as the dense one.",
        LECTURE, "accuracy of the pruned network minus that of the dense one", above(-1.0),
        tuple(ROUNDS), unit=" points",
    ),
    "new": Claim(
        "A pruned network trains better from its original weights than from new ones.",
        LECTURE, "accuracy from the original weights minus that from new ones", above(0.0),
        tuple(ROUNDS), unit=" points",
    ),
    "shuffled": Claim(
        "A pruned network trains better than one with as many weights at random places.",
        LECTURE, "accuracy with the mask minus that with the shuffled mask", above(0.0),
        tuple(ROUNDS), unit=" points",
    ),
    "faster": Claim(
        "A pruned network trains faster from its original weights than from new ones.",
        LECTURE, "steps to 95 % of the training images, from new weights over original ones",
        above(1.0), tuple(ROUNDS), log=True,
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Prune and train one network for each seed."""
    for seed in lab.seeds(8):
        lab.cell(f"seed{seed}", prune, seed=seed, rounds=15, epochs=lab.choose(20, quick=1))


def prune(seed: int, rounds: int, epochs: int) -> list[dict[str, Any]]:
    """Prune in rounds, and return for each the share of weights left and each arm's training."""
    from recipes.trainings import masks

    many = trainings(epochs)
    original, other = many.initial(seed=seed), many.initial(seed=seed + 1000)
    kept = masks.everything(original)
    found = []
    for number in range(rounds + 1):
        arms = {"rewound": many.run(seed=seed, weights=original, masks=kept)}
        if number:
            mixed = masks.shuffled(kept, seed=1000 * number + seed)
            arms["new"] = many.run(seed=seed, weights=other, masks=kept)
            arms["shuffled"] = many.run(seed=seed, weights=original, masks=mixed)
        found.append({
            "left": masks.share_left(kept),
            "wrong": {arm: wrong(done) for arm, done in arms.items()},
            "steps": {arm: steps_to(done, 0.95) for arm, done in arms.items()},
        })  # fmt: skip
        kept = masks.prune(arms["rewound"].weights, kept, 0.2, {"head_dense/kernel": 0.1})
    return found


@functools.lru_cache(maxsize=1)
def trainings(epochs: int):
    """Return the trainings of the network, which is compiled once."""
    import recipes

    return recipes.Trainings(
        "digits/mlp", validation=0.25, init="kaiming", options={"hidden": (300, 100)}, lr=0.05,
        batch_size=64, schedule="constant", weight_decay=0.0, epochs=epochs,
    )  # fmt: skip


def wrong(done: Any) -> np.ndarray:
    """Return which of the validation and test images are classified wrongly."""
    return np.flatnonzero(~np.concatenate([done.measure(s).right for s in ("validation", "test")]))


def steps_to(done: Any, least: float) -> int | None:
    """Return the steps until the batches of an epoch have a mean accuracy, or None."""
    means = np.convolve(done.accuracies, np.ones(16) / 16, "valid")
    return int(np.argmax(means >= least)) + 16 if (means >= least).any() else None


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compare the arms at four shares of the weights, by seed."""

    cells = list(lab.cells.values())

    def correct(arm: str, number: int) -> np.ndarray:
        return correct_images([cell[number]["wrong"][arm] for cell in cells], IMAGES)

    def against(other: str) -> dict[str, Evidence]:
        dense = correct("rewound", 0)
        return {
            share: paired(correct("rewound", n), dense if other == "dense" else correct(other, n))
            for share, n in ROUNDS.items()
        }

    def slower(number: int) -> Evidence:
        steps = [cell[number]["steps"] for cell in cells]
        new, rewound = (
            np.array([each[arm] or STEPS for each in steps]) for arm in ("new", "rewound")
        )
        return Evidence(
            new / rewound, at_least=any(each["new"] is None for each in steps),
            says=f"{new.mean():.0f} over {rewound.mean():.0f} steps",
        )  # fmt: skip

    found = {name: against(name) for name in ("dense", "new", "shuffled")}
    return {**found, "faster": {share: slower(n) for share, n in ROUNDS.items()}}


def picture(lab: Lab, path: Path) -> None:
    """Draw accuracy and steps to 95 % against the share of the weights that is left."""
    figure = drawing.figure((11, 4.4))
    panels = figure.subplots(1, 2)
    cells = list(lab.cells.values())
    left = 100 * np.mean([[each["left"] for each in cell] for cell in cells], axis=0)
    for arm, color in zip(ARMS, (BLUE, ORANGE, RED), strict=True):
        start = 0 if arm == "rewound" else 1
        accuracies = [
            [100 - 100 * len(each["wrong"][arm]) / IMAGES for each in cell[start:]]
            for cell in cells
        ]
        steps = [[each["steps"][arm] or np.nan for each in cell[start:]] for cell in cells]
        for axes, found in zip(panels, (accuracies, steps), strict=True):
            whole = np.isfinite(found).all(axis=0)  # where all seeds arrive
            x, y = left[start:][whole], np.array(found, float)[:, whole]
            axes.fill_between(x, y.min(0), y.max(0), color=color, alpha=0.15, lw=0)
            axes.plot(x, y.mean(0), "o-", ms=3.5, lw=2, color=color, label=ARMS[arm])
    for axes, title in zip(
        panels,
        ("accuracy (%); bands: all seeds", "training steps to an accuracy of 95 %"),
        strict=True,
    ):
        axes.set_xscale("log")
        axes.set_xlim(115, 3.3)
        axes.set_xticks([100, 50, 20, 10, 5], ["100", "50", "20", "10", "5"])
        axes.minorticks_off()
        axes.set_xlabel("weights left (%)", color=GREY)
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        drawing.plain(axes)
    panels[0].legend(frameon=False, labelcolor=INK, loc="lower left")
    figure.suptitle("A pruned network, trained from its original weights and from others", x=0.01,
                    ha="left", color=INK, weight="bold")  # fmt: skip
    drawing.save(figure, path)
