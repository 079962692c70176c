"""Deep networks without batch norm: SELU and initialization, on plain and residual networks.

Claims: SELU keeps activations at mean zero and unit variance, and trains deep networks without
batch norm (CS231n 2021, lecture 7; CS 4644 / 7643, lecture 9: under certain conditions). With ReLU,
activations collapse with Xavier's initialization (all but CS231n 2025). The lectures list the
papers of orthogonal (Saxe et al. 2013), data-dependent (Krähenbühl et al. 2015), LSUV (Mishkin and
Matas 2015) and Fixup initialization (Zhang et al. 2019), all of which train deep networks.
Setup: digits, multilayer perceptrons of 4 to 64 hidden layers with 64 units, batches of 64, 3
seeds. 30 epochs of 16 steps, because in less time the study would compare speeds, and not which
networks can be trained. Orthogonal kernels have a gain of sqrt(2), for ReLU. The best of five
learning rates is chosen by the mean accuracy on 359 validation images, and its accuracy is that on
the 360 test images. Data-dependent initialization is fitted to 128 training images, and the
statistics by layer are those on 256 images: on others than the fitted ones, the activations of deep
networks grow. Fixup needs residual branches: CIFAR ResNets of 8, 20 and 56 layers with 8, 16
and 32 channels on the 8x8 images, with Fixup, with Kaiming initialization and no norm, and with
batch norm, 15 epochs at the best of three learning rates.
Figure: above left, accuracy against depth: SELU is ahead from 32 layers on. Above right, residual
networks: without a norm, Fixup trains the deepest one, and Kaiming initialization does not. Below,
the statistics by layer of the deepest networks before training: a straight line on the logarithmic
axis is a constant factor per layer.
Cost: about 15 minutes on 2 CPU cores, half of it compilation.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import GREY, INK, SERIES
from recipes.studying import Claim, Evidence, Lab, above, below, correct_images, paired, within

LECTURE_7 = "CS231n 2021, lecture 7"
BOTH = f"{LECTURE_7}; CS 4644 / 7643, lecture 9"
DEPTHS = (4, 8, 16, 32, 64)
RATES = (0.0003, 0.001, 0.003, 0.01, 0.03)
# Arm -> the network, and what only changes its initial weights
PLAIN: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "SELU, LeCun": ({"act": "selu"}, {"init": "lecun_normal"}),
    "ReLU, Kaiming": ({"act": "relu"}, {"init": "kaiming"}),
    "ReLU, Xavier": ({"act": "relu"}, {"init": "xavier"}),
    "ReLU, orthogonal": ({"act": "relu"}, {"init": "orthogonal:1.4142"}),
    "ReLU, LSUV": ({"act": "relu"}, {"data_init": "lsuv"}),
    "ReLU, data-dependent": ({"act": "relu"}, {"data_init": "data_dependent"}),
    "ReLU, batch norm": ({"act": "relu", "norm": "batch"}, {"init": "kaiming"}),
    "tanh, Xavier": ({"act": "tanh"}, {"init": "xavier"}),
}
BLOCKS = (1, 3, 9)  # in each of the three stages of a ResNet: 8, 20 and 56 layers
RESIDUAL = {
    "Fixup": {"norm": "none", "init": "fixup"},
    "Kaiming, no norm": {"norm": "none", "init": "kaiming"},
    "batch norm": {"norm": "batch", "init": "kaiming"},
}
INITS = ("ReLU, orthogonal", "ReLU, LSUV", "ReLU, data-dependent")
DEPTH = "greatest depth, of 4 to 64 layers, within 2 points of the accuracy at 4 layers"
CLAIMS = {
    "variance": Claim(
        "SELU keeps the variance of activations.",
        BOTH, "standard deviation of the last of 64 layers over that of the first",
        within(1 / 3, 3), log=True,
    ),
    "mean": Claim(
        "SELU keeps the mean of activations at zero.",
        BOTH, "absolute mean of the activations of the last of 64 layers", below(0.3),
    ),
    "selu": Claim(
        "SELU trains deep networks without batch norm.", BOTH, DEPTH, above(31), log=True,
    ),
    "inits": Claim(
        "Orthogonal, LSUV and data-dependent initialization train deep networks.",
        f"CS231n 2016, lecture 5; {BOTH}", DEPTH, above(31), INITS, log=True,
    ),
    "xavier": Claim(
        "Xavier's initialization does not train deep networks with ReLU.",
        f"CS231n 2016, lecture 5; {BOTH}", DEPTH, below(32), log=True,
    ),
    "fixup": Claim(
        "Fixup trains a residual network of 56 layers as well as batch norm.",
        BOTH, "test accuracy with Fixup minus that with batch norm", above(-2.0),
        unit=" points",
    ),
    "no norm": Claim(
        "Fixup trains a residual network of 56 layers better than Kaiming initialization without a"
        " norm.",
        BOTH, "difference of test accuracy", above(0.0), unit=" points",
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Train all networks at all learning rates; the initialized ones are compiled once."""
    depths = lab.choose(DEPTHS, quick=DEPTHS[:1])
    for depth in depths:
        for arm in PLAIN:
            for seed in lab.seeds(3):
                lab.cell(
                    f"plain/{arm}/{depth}/seed{seed}", plain, arm=arm, depth=depth, seed=seed,
                    epochs=lab.choose(30, quick=1), rates=lab.choose(RATES, quick=RATES[3:]),
                    statistics=depth == max(depths),
                )  # fmt: skip
    for blocks in lab.choose(BLOCKS, quick=BLOCKS[:1]):
        for arm in RESIDUAL:
            for seed in lab.seeds(3):
                lab.cell(
                    f"residual/{arm}/{blocks}/seed{seed}", residual, arm=arm, blocks=blocks,
                    seed=seed, epochs=lab.choose(15, quick=1),
                    rates=lab.choose((0.01, 0.03, 0.1), quick=(0.03,)),
                )  # fmt: skip


def plain(
    arm: str, depth: int, seed: int, epochs: int, rates: list[float], statistics: bool
) -> dict[str, Any]:
    """Train a multilayer perceptron; also return mean and sd by layer at the start."""
    import recipes

    network, start = PLAIN[arm]
    many = trainings("digits/mlp", epochs, hidden=(64,) * depth, **network)
    weights = many.initial(seed=seed, **start)
    found = trained(many, weights, seed, rates)
    if statistics:
        many.assign(weights)
        table = recipes.layer_statistics(many.network, many.images()[0][:256])
        found |= {"mean": table["mean"].tolist(), "sd": table["sd"].tolist()}
    return found


def residual(arm: str, blocks: int, seed: int, epochs: int, rates: list[float]) -> dict[str, Any]:
    """Train a residual network."""
    many = trainings(
        "digits/resnet20", epochs, depths=(blocks,) * 3, width=8, augment=(), eval_ops=(),
        warmup=0.0, **RESIDUAL[arm],
    )  # fmt: skip
    return trained(many, many.initial(seed=seed), seed, rates)


def trained(many: Any, weights: Any, seed: int, rates: list[float]) -> dict[str, Any]:
    """Train at each learning rate; return validation accuracies and errors on the test set."""
    done = [many.run(seed=seed, weights=weights, lr=lr) for lr in rates]
    return {
        "val": [each.val_accuracy for each in done],
        "wrong": [np.flatnonzero(~each.test.right) for each in done],
    }


@functools.lru_cache(maxsize=4)
def trainings(recipe: str, epochs: int, **changes: Any):
    """Return the trainings of a network, which is compiled once for its initial weights."""
    import recipes

    sizes = ("hidden", "depths", "width")
    return recipes.Trainings(
        recipe, validation=0.25, batch_size=64, schedule="constant", weight_decay=0.0,
        epochs=epochs, options={name: changes[name] for name in sizes if name in changes},
        **{name: value for name, value in changes.items() if name not in sizes},
    )  # fmt: skip


def _cells(lab: Lab, arm: str) -> dict[int, list[dict[str, Any]]]:
    """Return the cells of an arm, by depth or number of blocks: one for each seed."""
    found: dict[int, list] = {}
    for name, cell in lab.cells.items():
        kind, own, size, _ = name.split("/")
        if own == arm and kind == ("plain" if arm in PLAIN else "residual"):
            found.setdefault(int(size), []).append(cell)
    return found


def _right(cells: list[dict[str, Any]]) -> np.ndarray:
    """Return which test images are classified correctly at the best learning rate, by seed."""
    best = int(np.mean([cell["val"] for cell in cells], axis=0).argmax())
    return correct_images([cell["wrong"][best] for cell in cells], 360)


def _accuracies(lab: Lab, arm: str) -> dict[int, np.ndarray]:
    return {size: 100 * _right(cells).mean(1) for size, cells in _cells(lab, arm).items()}


def greatest(accuracies: dict[int, np.ndarray]) -> list[int]:
    """Return for each seed the greatest depth up to which no accuracy is 2 points lower.

    Lower than the mean of the seeds at the smallest depth.
    """
    least = accuracies[min(accuracies)].mean() - 2
    depths = sorted(accuracies)
    found = []
    for seed in range(len(accuracies[depths[0]])):
        low = [i for i, depth in enumerate(depths[1:], 1) if accuracies[depth][seed] < least]
        found.append(depths[min(low, default=len(depths)) - 1])
    return found


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Report depths, the statistics of SELU's last layer, and compare the residual networks."""
    selu = _cells(lab, "SELU, LeCun")
    start = selu[max(selu)]

    def depth(arm: str, more: str = "") -> Evidence:
        accuracies = _accuracies(lab, arm)
        text = ", ".join(f"{each.mean():.1f}" for _, each in sorted(accuracies.items()))
        depths = greatest(accuracies)
        seeds = ", ".join(map(str, depths))
        return Evidence(depths, says=f"by seed {seeds}; mean accuracies by depth {text} %{more}")

    norm = _accuracies(lab, "ReLU, batch norm")
    normed = f"; ReLU with batch norm has {norm[max(norm)].mean():.1f} % at {max(norm)} layers"
    deepest = max(_cells(lab, "Fixup"))
    right = {arm: _right(_cells(lab, arm)[deepest]) for arm in RESIDUAL}
    return {
        "variance": {"": Evidence([cell["sd"][-1] / cell["sd"][0] for cell in start])},
        "mean": {"": Evidence(
            [abs(cell["mean"][-1]) for cell in start],
            says=f"at a standard deviation of {np.mean([c['sd'][-1] for c in start]):.2f}",
        )},
        "selu": {"": depth("SELU, LeCun", normed)},
        "inits": {arm: depth(arm) for arm in INITS},
        "xavier": {"": depth("ReLU, Xavier")},
        "fixup": {"": paired(right["Fixup"], right["batch norm"])},
        "no norm": {"": paired(right["Fixup"], right["Kaiming, no norm"])},
    }  # fmt: skip


def picture(lab: Lab, path: Path) -> None:
    """Draw accuracy against depth, and mean and sd by layer of the deepest networks."""
    figure = drawing.figure((14, 8))
    (plain_axes, residual_axes), (sd_axes, mean_axes) = figure.subplots(2, 2)
    for axes, arms, layers in (
        (plain_axes, PLAIN, lambda depth: depth),
        (residual_axes, RESIDUAL, lambda blocks: 6 * blocks + 2),
    ):
        for arm, color in zip(arms, SERIES, strict=False):
            accuracies = sorted(_accuracies(lab, arm).items())
            x = [layers(size) for size, _ in accuracies]
            y = np.array([own for _, own in accuracies])
            axes.fill_between(x, y.min(1), y.max(1), color=color, alpha=0.15, lw=0)
            axes.plot(x, y.mean(1), "o-", color=color, lw=2, ms=4, label=arm)
        axes.set_xscale("log")
        axes.set_xticks(x, [str(each) for each in x])
        axes.minorticks_off()
        axes.set_ylim(0, 102)
        axes.set_xlabel("layers", color=GREY)
    for arm, color in zip(PLAIN, SERIES, strict=True):
        cells = _cells(lab, arm)
        for axes, key in ((sd_axes, "sd"), (mean_axes, "mean")):
            values = np.mean([cell[key] for cell in cells[max(cells)]], axis=0)
            axes.plot(np.arange(1, len(values) + 1), values, color=color, lw=2, label=arm)
    sd_axes.set_yscale("log")
    for axes in (sd_axes, mean_axes):
        axes.set_xlabel("layer, before training", color=GREY)
    plain_axes.legend(frameon=False, labelcolor=INK, fontsize=9, loc="lower left")
    residual_axes.legend(frameon=False, labelcolor=INK, fontsize=9, loc="lower left")
    for axes, title in (
        (plain_axes, "test accuracy of multilayer perceptrons (%); bands: all seeds"),
        (residual_axes, "test accuracy of residual networks (%)"),
        (sd_axes, "standard deviation of the activations (colors as above)"),
        (mean_axes, "mean of the activations (colors as above)"),
    ):
        axes.set_title(title, loc="left", fontsize=10, color=INK)
        drawing.plain(axes)
    drawing.save(figure, path)
