"""Cutout and other augmentation, on a small and on a larger part of CIFAR-10.

Claims: cutout works very well on small data sets such as CIFAR and is less common on large ones;
augmentation adds randomness to the training, which improves the accuracy on the test set (CS231n
2025, lecture 6).
Setup: a residual network of 8 layers (3 blocks, 12.2 MMAC) with the settings of cifar10/resnet20
and a cosine schedule. Without augmentation, with flips, with crops and flips, with cutout of 16x16
pixels alone, and with all three; on 5,000 images of CIFAR-10 for 30 epochs (3 seeds) and on 20,000
for 15 (2 seeds). Each seed chooses its images, which all arms share. Nothing is chosen by results,
so there is no validation set. Trainings compute in bfloat16, which takes about two thirds of the
time of float32. The trainings are short, and a network that still underfits has less use for
augmentation. The two sizes also differ in the number of steps.
Figure: the accuracy of each kind of augmentation on both numbers of images, above on the test set
and below on the training set, with two standard errors; circles are seeds. Where the training
accuracy is close to the test accuracy, more augmentation cannot help.
Cost: about 35 minutes on 2 CPU cores.
"""

from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.augment import Cutout, Flip, PadCrop
from recipes.drawing import GREY, INK, SERIES
from recipes.studying import Claim, Evidence, Lab, above
from recipes.studying.verdicts import pooled_deviation

LECTURE = "CS231n 2025, lecture 6"
ARMS: dict[str, tuple[Any, ...]] = {
    "none": (),
    "flips": (Flip(),),
    "crops and flips": (PadCrop(4), Flip()),
    "cutout": (Cutout(16),),
    "all three": (PadCrop(4), Flip(), Cutout(16)),
}
SIZES = {5_000: {"epochs": 30, "seeds": 3}, 20_000: {"epochs": 15, "seeds": 2}}
GAINS = {"alone": ("cutout", "none"), "with crops and flips": ("all three", "crops and flips")}
OF = {size: f"{size:,} images, {about['epochs']} epochs" for size, about in SIZES.items()}
CLAIMS = {
    "cutout": Claim(
        "Cutout works very well on small data sets such as CIFAR.",
        LECTURE, "test accuracy with cutout minus that without it, in points", above(0.0),
        tuple(f"{how}, {OF[size]}" for size in SIZES for how in GAINS), unit=" points",
    ),
    "size": Claim(
        "Cutout gains more on a small data set than on a large one.",
        LECTURE, "gain of cutout on 5,000 images minus that on 20,000, in points", above(0.0),
        tuple(GAINS), unit=" points",
    ),
    "augmentation": Claim(
        "Augmentation improves the test accuracy.",
        LECTURE, "test accuracy with augmentation minus that without any, in points", above(0.0),
        tuple(f"{arm}, {OF[size]}" for size in SIZES for arm in ("flips", "crops and flips")),
        unit=" points",
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Train each arm on each number of images."""
    for size, about in SIZES.items():
        images, epochs = (
            lab.choose(size, quick=128 + size // 200),
            lab.choose(about["epochs"], quick=1),
        )
        for seed in lab.seeds(about["seeds"]):
            for arm in ARMS:
                lab.cell(
                    f"{size}/{arm.replace(' ', '-')}/seed{seed}", train, arm=arm, images=images,
                    epochs=epochs, seed=seed,
                )  # fmt: skip


def train(lab: Lab, arm: str, images: int, epochs: int, seed: int) -> dict[str, float]:
    """Train one network, and return its accuracies in percent."""
    import recipes
    from recipes.training.stopping import DivergedError

    network: dict[str, Any] = {"options": {"depths": (1, 1, 1)}}
    try:
        done = lab.train(
            "cifar10/resnet20", f"{images}/{arm.replace(' ', '-')}/seed{seed}", data=lab.cifar10,
            seed=seed, epochs=epochs, images=images, augment=ARMS[arm], batch_size=128,
            schedule="cosine", lr=0.1, validation=0.0, stats_every=0, stop_at_loss=None,
            dtype="mixed_bfloat16",
            **lab.choose(network, quick={"model": "mlp"}),
        )  # fmt: skip
    except DivergedError:
        return {"test": float("nan"), "training": float("nan")}
    whole = recipes.evaluate(done["run"], split="train")
    return {"test": 100 * done["result"]["top1"], "training": 100 * whole["top1"]}


def _of(lab: Lab, size: int, arm: str, key: str = "test") -> np.ndarray:
    return np.array([cell[key] for cell in lab.group(f"{size}/{arm.replace(' ', '-')}/")])


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compare the arms by seed."""
    pairs = [(arm, "none") for arm in ARMS if arm != "none"] + [GAINS["with crops and flips"]]

    def gain(size: int, arm: str, base: str) -> Evidence:
        one, two = _of(lab, size, arm), _of(lab, size, base)
        return Evidence(
            one - two, pooled=[_of(lab, size, a) - _of(lab, size, b) for a, b in pairs],
            accuracies=(one.mean() / 100, two.mean() / 100), images=10_000, scale=100.0,
            says=f"{one.mean():.1f} against {two.mean():.1f} %",
        )  # fmt: skip

    def difference(how: str) -> Evidence:
        def by_size(arm: str, base: str) -> Any:
            small, large = (_of(lab, size, arm) - _of(lab, size, base) for size in SIZES)
            return small[: len(large)] - large

        four = tuple(_of(lab, size, arm).mean() / 100 for size in SIZES for arm in GAINS[how])
        return Evidence(
            by_size(*GAINS[how]), pooled=[by_size(*pair) for pair in pairs], accuracies=four,
            images=10_000, scale=100.0,
        )  # fmt: skip

    return {
        "cutout": {f"{how}, {OF[s]}": gain(s, *GAINS[how]) for s in SIZES for how in GAINS},
        "size": {how: difference(how) for how in GAINS},
        "augmentation": {
            f"{arm}, {OF[s]}": gain(s, arm, "none")
            for s in SIZES
            for arm in ("flips", "crops and flips")
        },
    }


def picture(lab: Lab, path: Path) -> None:
    """Draw the accuracies by arm and size, with two standard errors and a dot for each seed."""

    def noise(size: int, values: np.ndarray, key: str) -> float:
        """Return two standard errors of a mean."""
        deviation, _ = pooled_deviation([_of(lab, size, arm, key).tolist() for arm in ARMS])
        binomial = values.mean() * (100 - values.mean()) / 10_000 if key == "test" else 0.0
        return 2 * float(np.sqrt(np.nan_to_num(deviation) ** 2 / len(values) + binomial))

    figure = drawing.figure((10, 6))
    panels = figure.subplots(2, 1, sharex=True)
    for axes, key in zip(panels, ("test", "training"), strict=True):
        for group, size in enumerate(SIZES):
            for place, (arm, color) in enumerate(zip(ARMS, SERIES, strict=False)):
                values = _of(lab, size, arm, key)
                x = group * (len(ARMS) + 1) + place
                axes.bar(x, values.mean(), 0.85, color=color, label=None if group else arm)
                axes.errorbar(x, values.mean(), noise(size, values, key), color=INK, capsize=4)
                axes.plot([x] * len(values), values, "o", ms=3, color="white", mec=INK)
                axes.annotate(
                    f"{values.mean():.1f}", (x, 2), ha="center", color="white", weight="bold"
                )
        axes.set_ylabel(f"{key} accuracy (%)", color=GREY)
        drawing.plain(axes)
    middle = (len(ARMS) - 1) / 2
    panels[1].set_xticks([middle + group * (len(ARMS) + 1) for group in range(len(SIZES))])
    panels[1].set_xticklabels([OF[size] for size in SIZES])
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(ARMS),
        frameon=False, labelcolor=INK,
    )  # fmt: skip
    figure.suptitle(
        "What augmentation gains with few and with more images", x=0.01, ha="left", color=INK,
        weight="bold",
    )  # fmt: skip
    drawing.save(figure, path)
