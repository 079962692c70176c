"""Random search against a grid, linear against log scales, and abandoning runs that explode.

Claims: random search finds better hyperparameters than a grid if one of them matters and another
does not (CS231n 2016, lecture 5; CS231n 2025, lecture 6). Learning rates are sampled in log space,
and a run whose cost exceeds three times the first is abandoned early (CS231n 2016, lecture 5).
Setup: networks on digits, 5 epochs with batches of 64 and a momentum of 0.9; learning rates from
1e-4 to 10 and weight decays from 1e-7 to 1e-3. A search has 25 trials: a grid of 5 x 5 at a random
offset, random in log space, or random in linear space. 32 repetitions, in which the three searches
share the initial weights: the differences are small and the trainings cheap. The second network is
expected to have fewer good learning rates. A trial is chosen on 359 validation images, and its
accuracy is that on the 360 test images. All 4,800 trials are trained to their end, so that the
study can see what an abandoned one would have become.
Figure: for both networks, one grid and one random search with the accuracy along each axis: the
weight decay hardly matters, so the grid tries five learning rates only. On the right, the best
validation accuracy so far.
Cost: about 12 minutes on 2 CPU cores.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import BLUE, GREY, INK, ORANGE, RED
from recipes.studying import Claim, Evidence, Lab, above, below, correct_images, paired

LECTURE_5 = "CS231n 2016, lecture 5"
BOTH = f"{LECTURE_5}; CS231n 2025, lecture 6"
SHALLOW, DEEP = "1 hidden layer, ReLU", "10 hidden layers, tanh"
NETWORKS: dict[str, dict[str, Any]] = {
    SHALLOW: {"act": "relu", "init": "kaiming", "options": {"hidden": (50,)}},
    DEEP: {"act": "tanh", "init": "xavier", "options": {"hidden": (100,) * 10}},
}
SEARCHES = {"grid": "grid", "random": "random, log scale", "linear": "random, linear scale"}
RANGES = ((1e-4, 10.0), (1e-7, 1e-3))  # of the learning rate and the weight decay
GOOD = 0.02  # an abandoned run that ends this close to the best was abandoned wrongly
CLAIMS = {
    "random": Claim(
        "Random search finds better hyperparameters than a grid.",
        BOTH, "test accuracy of the best of 25 trials, random minus grid", above(0.0),
        (SHALLOW, DEEP), unit=" points",
    ),
    "log": Claim(
        "Search for learning rates in log space.",
        LECTURE_5, "test accuracy of the best of 25 random trials, log minus linear scale",
        above(0.0), (SHALLOW, DEEP), unit=" points",
    ),
    "abandon": Claim(
        "A run whose loss exceeds 3 times its first can be abandoned.",
        LECTURE_5, "number of such runs that end within 2 points of the best accuracy", below(1.0),
        (SHALLOW, DEEP),
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Run the three searches of each repetition on both networks."""
    side, epochs = lab.choose(5, quick=2), lab.choose(5, quick=1)
    for network in NETWORKS:
        for seed in lab.seeds(32):
            for kind in SEARCHES:
                lab.cell(
                    f"{network}/{kind}/seed{seed}", search, network=network, kind=kind, seed=seed,
                    side=side, epochs=epochs,
                )  # fmt: skip


def search(network: str, kind: str, seed: int, side: int, epochs: int) -> dict[str, Any]:
    """Train side * side trials; return their results as columns, and the errors of the best."""
    many = trainings(network, epochs)
    trials = points(kind, seed, side)
    done = [many.run(seed=seed, lr=lr, weight_decay=decay) for lr, decay in trials]
    best = max(done, key=lambda each: each.val_accuracy)
    return {
        "lr": [lr for lr, _ in trials],
        "decay": [decay for _, decay in trials],
        "val": [each.val_accuracy for each in done],
        "exploded": [each.exploded for each in done],
        "wrong": np.flatnonzero(~best.test.right),
    }


@functools.lru_cache(maxsize=1)
def trainings(network: str, epochs: int):
    """Return the trainings of a network, which is compiled once for all searches."""
    import recipes

    return recipes.Trainings(
        "digits/mlp", validation=0.25, batch_size=64, momentum=0.9, schedule="constant",
        epochs=epochs, **NETWORKS[network],
    )  # fmt: skip


def points(kind: str, seed: int, side: int) -> list[tuple[float, float]]:
    """Return the learning rates and weight decays of a search, in the order of its trials."""
    draw = np.random.default_rng([seed, list(SEARCHES).index(kind)])
    count = side * side
    if kind == "linear":
        low, high = np.array(RANGES).T
        return [tuple(pair) for pair in draw.uniform(low, high, (count, 2)).tolist()]
    places = draw.uniform(size=(count, 2))
    if kind == "grid":
        steps = (np.arange(side)[:, None] + draw.uniform(size=2)) / side
        places = np.array([(x, y) for x in steps[:, 0] for y in steps[:, 1]])
        draw.shuffle(places)  # the order only matters for the best so far
    low, high = np.log10(RANGES).T
    return [tuple(pair) for pair in (10 ** (low + places * (high - low))).tolist()]


def _cells(lab: Lab, network: str, kind: str) -> list[dict[str, Any]]:
    return lab.group(f"{network}/{kind}/")


def _right(cells: list[dict[str, Any]]) -> np.ndarray:
    """Return which of the 360 test images the best trial of each search classifies correctly."""
    return correct_images([cell["wrong"] for cell in cells], 360)


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compare the best trials of each repetition, and count the abandoned runs."""
    found: dict[str, dict[str, Evidence]] = {name: {} for name in CLAIMS}
    for network in NETWORKS:
        right = {kind: _right(_cells(lab, network, kind)) for kind in SEARCHES}
        found["random"][network] = paired(right["random"], right["grid"])
        found["log"][network] = paired(right["random"], right["linear"])
        abandoned, good, ends = 0, 0, [0.0]
        for cells in zip(*(_cells(lab, network, kind) for kind in SEARCHES), strict=True):
            most = max(max(cell["val"]) for cell in cells)
            for cell in cells:
                own = [v for v, flag in zip(cell["val"], cell["exploded"], strict=True) if flag]
                abandoned += len(own)
                good += sum(value > most - GOOD for value in own)
                ends += own
        # Of fewer than 30 abandoned runs, none would say little: up to a tenth could be good.
        found["abandon"][network] = Evidence(
            [good], exact=abandoned >= 30,
            says=f"of {abandoned} runs, the best of which ended at {100 * max(ends):.0f} %",
        )  # fmt: skip
    return found


def picture(lab: Lab, path: Path) -> None:
    """Draw a grid and a random search with the accuracy along each axis, and the best so far."""
    figure = drawing.figure((13, 9.4))
    rows = figure.subfigures(2, 1, hspace=0.07)
    for part, network in zip(rows, NETWORKS, strict=True):
        part.suptitle(network, x=0.01, ha="left", color=INK, weight="bold")
        left, middle, right = part.subfigures(1, 3, width_ratios=(1, 1, 1.15))
        for place, kind in ((left, "grid"), (middle, "random")):
            _square(place, _cells(lab, network, kind)[0], SEARCHES[kind])
        _so_far(right.subplots(), {k: _cells(lab, network, k) for k in SEARCHES})
    drawing.save(figure, path)


def _square(part: Any, cell: dict[str, Any], title: str) -> None:
    axes = part.subplots(2, 2, width_ratios=(4, 1), height_ratios=(1, 4), sharex="col",
                         sharey="row")  # fmt: skip
    x, y, value = np.log10(cell["lr"]), np.log10(cell["decay"]), 100 * np.array(cell["val"])
    points = axes[1][0].scatter(
        x, y, c=value, cmap="viridis", s=45, vmin=10, vmax=100, edgecolors="white", lw=0.6
    )
    axes[1][0].set_xlabel("log10 of the learning rate", color=GREY)
    axes[1][0].set_ylabel("log10 of the weight decay", color=GREY)
    axes[1][0].set_xlim(np.log10(RANGES[0]))
    axes[1][0].set_ylim(np.log10(RANGES[1]))
    axes[0][0].vlines(x, 0, value, color=BLUE, lw=1.2)
    axes[1][1].hlines(y, 0, value, color=BLUE, lw=1.2)
    axes[0][0].set_ylim(0, 105)
    axes[1][1].set_xlim(0, 105)
    axes[0][0].set_title(f"{title} (accuracy in %)", loc="left", fontsize=10, color=INK)
    axes[0][1].axis("off")
    part.colorbar(points, ax=axes[0][1], fraction=1, aspect=6)
    for each in (axes[0][0], axes[1][0], axes[1][1]):
        drawing.plain(each)


def _so_far(axes: Any, cells: dict[str, list[dict[str, Any]]]) -> None:
    for (kind, own), color in zip(cells.items(), (ORANGE, BLUE, RED), strict=True):
        best = 100 * np.maximum.accumulate([cell["val"] for cell in own], axis=1)
        trials = np.arange(1, best.shape[1] + 1)
        low, high = np.quantile(best, (0.25, 0.75), axis=0)
        axes.fill_between(trials, low, high, color=color, alpha=0.15, lw=0)
        axes.plot(trials, best.mean(0), color=color, lw=2, label=SEARCHES[kind])
    axes.set_ylim(50, 100)
    axes.set_xlabel("trials", color=GREY)
    axes.set_title(
        f"best validation accuracy so far (%)\nmean and middle half of {len(own)} searches",
        loc="left", fontsize=10, color=INK,
    )  # fmt: skip
    axes.legend(frameon=False, labelcolor=INK, fontsize=8, ncols=3, loc="upper left",
                bbox_to_anchor=(-0.05, -0.13))  # fmt: skip
    drawing.plain(axes)
