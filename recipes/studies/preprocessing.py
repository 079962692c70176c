"""Preprocessing: sensitivity to the weights, and training with centered and whitened images.

Claims: normalized data makes the loss less sensitive to the weights (CS231n 2021, lecture 7; CS
4644 / 7643, lecture 9). Zero-mean data trains faster, centering is enough, and whitening is rare
(CS231n 2021, lecture 7; CS231n 2016, lecture 5).
Setup: (a) digits, one layer of 100 units, trained by plain SGD to a loss of 0.3: the increase of
the loss after noise on the first kernel, 5 seeds. (b) cifar10/mlp without augmentation on 20,000
images, 5 epochs, the best of 3 learning rates on the validation set, 3 seeds. Each kind is compared
with one of the same scale: centered and decorrelated images are in pixels, with learning rates for
pixels, standardized and whitened ones have unit variance. Centered pixels that are not scaled are
learned more slowly than standardized ones, which is not among these comparisons.
Figure: above, two pixels of 300 images, or the first two coordinates after decorrelation. Below
left, the increase of the loss after noise on the weights; a line ends where the noise did not raise
the mean loss. Below right, the validation accuracy by epoch.
Cost: about 12 minutes on 2 CPU cores.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.augment import Resize
from recipes.drawing import BLUE, GREY, INK, SERIES
from recipes.studying import Claim, Evidence, Lab, above, below, correct_images, paired

L2021, L2016, L4644 = (
    "CS231n 2021, lecture 7", "CS231n 2016, lecture 5", "CS 4644 / 7643, lecture 9"
)  # fmt: skip
ALL = f"{L2021}; {L2016}; {L4644}"
NOISE = (0.001, 0.003, 0.01, 0.03, 0.1)
UNIT, PIXELS = (1e-2, 3e-2, 0.1), (1e-4, 3e-4, 1e-3)
TRAINED = {
    "unit_interval": UNIT, "center_image": PIXELS, "pca": PIXELS, "standardize": UNIT,
    "whiten": UNIT,
}  # fmt: skip
# preprocessing -> learning rate of the plain SGD after which noise is added
NOISY = {"0 to 255": ("none", 2e-6), "x / 255": ("unit_interval", 0.05),
         "standardized": ("standardize", 0.015)}  # fmt: skip
ENOUGH = {
    "decorrelated minus centered": ("pca", "center_image"),
    "whitened minus standardized": ("whiten", "standardize"),
}
SHOWN = {
    "unit_interval": "x / 255", "center_image": "centered", "pca": "decorrelated",
    "standardize": "standardized", "whiten": "whitened",
}  # fmt: skip
CLAIMS = {
    "sensitive": Claim(
        "With normalized data, the loss is less sensitive to the weights.", f"{L2021}; {L4644}",
        "increase of the loss after 10 % of noise on the first kernel, over that with standardized"
        " data", above(1.0), ("0 to 255", "x / 255"), log=True,
    ),
    "helps": Claim(
        "Centered and scaled data trains faster than x / 255.", ALL,
        "test accuracy after 5 epochs, standardized minus x / 255", above(0.0), unit=" points",
    ),
    "enough": Claim(
        "Centering is enough: decorrelating or whitening adds little.", f"{L2021}; {L2016}",
        "difference of test accuracy after 5 epochs", below(1.0), tuple(ENOUGH), unit=" points",
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Measure sensitivity, trainings, and two pixels after each step of preprocessing."""
    for inputs in NOISY:
        for seed in lab.seeds(5):
            lab.cell(f"noise/{inputs}/seed{seed}", sensitivity, inputs=inputs, seed=seed,
                     repeats=lab.choose(20, quick=1), most=lab.choose(400, quick=1))  # fmt: skip
    for kind, rates in TRAINED.items():
        for lr in rates:
            for seed in lab.seeds(3):
                lab.cell(f"trained/{kind}/{lr:g}/seed{seed}", train, kind=kind, lr=lr, seed=seed,
                         epochs=lab.choose(5, quick=1))  # fmt: skip
    lab.cell("clouds", clouds)


def sensitivity(inputs: str, seed: int, repeats: int, most: int) -> dict[str, Any]:
    """Train to a loss of 0.3, and return the increase of the loss by noise on the first kernel."""
    import recipes
    from recipes.evaluation.noise import Noise, noisy_weights

    kind, lr = NOISY[inputs]
    many = recipes.Trainings(
        "digits/mlp", preprocess=kind, options={"hidden": (100,)}, momentum=0.0,
        weight_decay=0.0, schedule="constant", epochs=1, seed=seed,
    )  # fmt: skip
    weights: Any = many.initial()
    loss, epochs = np.inf, 0
    while loss > 0.3 and epochs < most:  # steps of an epoch, until the loss is the same for all
        done = many.run(lr=lr, weights=weights)
        weights, loss, epochs = done.weights, done.train.loss, epochs + 1
    increases = {}
    for share in NOISE:
        losses = []
        for repeat in range(repeats):
            many.assign(weights)
            with noisy_weights(many.network, Noise(share, "fc_*"), 1000 * seed + repeat):
                noisy = {v.path: np.array(v) for v in many.network.weights}
            losses.append(many.evaluate(noisy, "train").loss)
        increases[str(share)] = float(np.mean(losses) - loss)
    return {"loss": loss, "epochs": epochs, "increase": increases}


def train(lab: Lab, kind: str, lr: float, seed: int, epochs: int) -> dict[str, Any]:
    """Train on CIFAR-10, and return the validation accuracies and the errors on the test set."""
    done = _trained(kind, epochs, **_cifar10(lab)).run(lr=lr, seed=seed)
    return {
        "val": done.val_accuracies, "wrong": np.flatnonzero(~done.test.right),
        "images": len(done.test.right),
    }  # fmt: skip


def _cifar10(lab: Lab) -> dict[str, Any]:
    """Return the fields of the recipe on CIFAR-10, with small images in a quick run."""
    small = (Resize(4),) if lab.quick else ()
    return {"data": lab.cifar10, "images": lab.choose(20_000, quick=256), "augment": small,
            "eval_ops": small}  # fmt: skip


@functools.lru_cache(maxsize=1)
def _trained(kind: str, epochs: int, **changes: Any):
    import recipes

    return recipes.Trainings("cifar10/mlp", preprocess=kind, epochs=epochs, **changes)


def clouds(lab: Lab) -> dict[str, Any]:
    """Return two dimensions of CIFAR-10 after each step of preprocessing."""
    import recipes
    from recipes.data.batches import open_for
    from recipes.data.preprocess_sheet import cloud, pixel_pair, preprocessed

    recipe = recipes.replace(recipes.load("cifar10/mlp"), **_cifar10(lab))
    rows = [row for row in preprocessed(recipe, open_for(recipe), 300) if row.images is not None]
    assert rows[0].images is not None
    pair = pixel_pair(rows[0].images)
    return {row.name: [np.asarray(each).tolist() for each in cloud(row, pair)[:2]] for row in rows}


def _best(lab: Lab, kind: str) -> float:
    """Return the learning rate with the best mean validation accuracy."""
    return max(
        TRAINED[kind],
        key=lambda lr: np.mean([c["val"][-1] for c in lab.group(f"trained/{kind}/{lr:g}/seed")]),
    )


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compute the numbers of all claims."""
    found: dict[str, dict[str, Evidence]] = {name: {} for name in CLAIMS}
    last = str(NOISE[-1])
    increase = {
        inputs: np.array([c["increase"][last] for c in lab.group(f"noise/{inputs}/seed")])
        for inputs in NOISY
    }
    standard = increase["standardized"]
    for inputs in CLAIMS["sensitive"].conditions:
        ratio = np.maximum(increase[inputs], 1e-9) / np.maximum(standard, 1e-9)
        found["sensitive"][inputs] = Evidence(
            ratio.tolist(), says=f"{increase[inputs].mean():.2g} over {standard.mean():.2g}"
        )
    right = {kind: _right(lab, kind) for kind in TRAINED}
    found["helps"][""] = paired(right["standardize"], right["unit_interval"])
    for name, (kind, other) in ENOUGH.items():
        found["enough"][name] = paired(right[kind], right[other])
    return found


def _right(lab: Lab, kind: str) -> np.ndarray:
    cells = lab.group(f"trained/{kind}/{_best(lab, kind):g}/seed")
    return correct_images([cell["wrong"] for cell in cells], cells[0]["images"])


def picture(lab: Lab, path: Path) -> None:
    """Draw two pixels after each step of preprocessing, sensitivity and trainings."""
    figure = drawing.figure((15, 7.4))
    first, second = figure.subfigures(2, 1, height_ratios=(1, 1.1))
    names = ("raw", "centered", "scaled", "decorrelated", "whitened")
    known = [name for name in names if name in lab.cells["clouds"]]
    for axes, name in zip(first.subplots(1, len(known), squeeze=False)[0], known, strict=True):
        x, y = np.array(lab.cells["clouds"][name])
        reach = 1.1 * float(np.abs([x, y]).max())
        axes.axhline(0, color=GREY, lw=0.7)
        axes.axvline(0, color=GREY, lw=0.7)
        axes.plot(x, y, "o", ms=2.5, color=BLUE, alpha=0.5, mew=0)
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axes.set_title(name, color=INK, fontsize=10)
        axes.locator_params(nbins=5)
        drawing.plain(axes)
    first.suptitle("two pixels, or the first two coordinates", x=0.01, ha="left", color=INK,
                   weight="bold")  # fmt: skip
    _draw_trainings(second.subplots(1, 2), lab)
    drawing.save(figure, path)


def _draw_trainings(panels: Any, lab: Lab) -> None:
    left, right = panels
    for inputs, color in zip(NOISY, SERIES, strict=False):
        cells = lab.group(f"noise/{inputs}/seed")
        y = np.mean([[c["increase"][str(n)] for n in NOISE] for c in cells], axis=0)
        # A loss that noise does not raise has no place on a logarithmic axis.
        left.plot([100 * n for n in NOISE], np.where(y > 0, y, np.nan), "o-", color=color,
                  label=inputs)  # fmt: skip
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_xticks([100 * n for n in NOISE], [f"{100 * n:g}" for n in NOISE])
    left.minorticks_off()
    left.set_xlabel("noise on the first kernel (%)", color=GREY)
    left.set_title("increase of the loss, from 0.3 (digits)", loc="left", color=INK, fontsize=10)
    for kind, color in zip(TRAINED, SERIES, strict=False):
        cells = lab.group(f"trained/{kind}/{_best(lab, kind):g}/seed")
        y = 100 * np.mean([cell["val"] for cell in cells], axis=0)
        right.plot(np.arange(1, len(y) + 1), y, "o-", color=color,
                   label=f"{SHOWN[kind]}, learning rate {_best(lab, kind):g}")  # fmt: skip
    right.set_xticks(np.arange(1, len(y) + 1))
    right.set_xlabel("epoch", color=GREY)
    right.set_title("validation accuracy (%), CIFAR-10", loc="left", color=INK, fontsize=10)
    for axes in panels:
        axes.legend(frameon=False, labelcolor=INK, fontsize=8)
        drawing.plain(axes)
