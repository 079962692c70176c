"""Degradation: deeper plain networks train worse, and residual connections repair it.

Claims: a plain network of 56 layers has a higher training and test error than one of 20, so the
cause is optimization and not overfitting; a deeper network could copy the shallow one and make its
other layers the identity (CS231n 2025, lecture 6; CS 4644 / 7643, lecture 9). Residual networks do
not degrade, and deeper ones reach a lower training error (CS 4644 / 7643, lecture 9).
Setup: plain and residual networks of 20 and 56 layers (He et al. 2015) on 10,000 images of CIFAR-10
of 16x16 pixels, with flips, for 25 epochs at a learning rate of 0.1 that is divided by 10 at epochs
15 and 20; 2 seeds, which also choose the images. These are 1,875 steps, where the paper has 64,000:
a network that only learns more slowly counts as worse here. Training errors are those of the
trained network in inference mode, without flips. 2,000 other images give the validation error of
each epoch, which nothing is chosen by; test errors are measured once. `zoo.deepen` then adds 6
blocks to each stage of both trained networks of 20 layers, which makes 56. The outputs of a network
and its deepened copy are compared in inference mode and in training mode, where batch norm uses the
statistics of the batch.
Figure: training errors are thin lines, validation errors bold ones, test errors diamonds. The
learning rate falls at epochs 15 and 20.
Cost: about 35 minutes on 2 CPU cores.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.augment import Flip, Resize
from recipes.drawing import BLUE, GREY, INK, RED
from recipes.studying import Claim, Evidence, Lab, above, below

BOTH = "CS231n 2025, lecture 6; CS 4644 / 7643, lecture 9"
ONE = "CS 4644 / 7643, lecture 9"
GAP = "error of 56 layers minus that of 20, in points"
SETS = ("training", "test")
MODES = ("inference", "training")
FAMILIES = ("plain", "resnet")
CLAIMS = {
    "degrades": Claim(
        "A plain network of 56 layers has a higher error than one of 20, on both sets.",
        BOTH, f"plain networks: {GAP}", above(0.0), SETS, unit=" points",
    ),
    "repaired": Claim(
        "Residual networks do not degrade.",
        ONE, f"residual networks: {GAP}", below(1.0), SETS, unit=" points",
    ),
    "lower": Claim(
        "Deeper residual networks reach a lower training error.",
        ONE, f"residual networks: training {GAP}", below(0.0), unit=" points",
    ),
    "copied": Claim(
        "A deeper network that copies a shallower one and adds identity layers computes the same.",
        BOTH, "largest difference of a logit, in all networks, over the logits' standard deviation",
        below(0.01), tuple(f"{family}, {mode}" for family in FAMILIES for mode in MODES),
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Train the networks, and deepen the shallow ones."""
    epochs = lab.choose(25, quick=1)
    for seed in lab.seeds(2):
        for family in FAMILIES:
            for depth in (20, 56):
                name = f"{family}{depth}"
                lab.cell(f"{name}/seed{seed}", train, model=name, seed=seed, epochs=epochs)
            lab.cell(f"deepened/{family}/seed{seed}", deepen, family=family, seed=seed)


def train(lab: Lab, model: str, seed: int, epochs: int) -> dict[str, Any]:
    """Train one network, and return its errors in percent."""
    import recipes
    from recipes.training.stopping import DivergedError

    small = {"options": {"depths": (1, 1, 1) if model.endswith("20") else (2, 2, 2)}}
    try:
        done = lab.train(
            "cifar10/resnet20", f"{model}/seed{seed}", model=model, data=lab.cifar10, seed=seed,
            epochs=epochs, images=lab.choose(10_000, quick=128), validation=0.04, batch_size=128,
            augment=(Resize(16), Flip()), eval_ops=(Resize(16),), lr=0.1, schedule="step",
            schedule_unit="epochs", milestones=(15, 20), gamma=0.1, stats_every=0,
            stop_at_loss=None, **lab.choose({}, quick=small),
        )  # fmt: skip
    except DivergedError:
        return {"run": None, "training": math.nan, "test": math.nan, "curves": {}}
    whole = recipes.evaluate(done["run"], split="train")
    metrics = done["metrics"]
    return {
        "run": done["run"],
        "training": 100 * (1 - whole["top1"]),
        "test": 100 * (1 - done["result"]["top1"]),
        "curves": {
            "training": [100 * (1 - value) for value in metrics["accuracy"]],
            "validation": [100 * (1 - value) for value in metrics["val_accuracy"]],
        },
    }


def deepen(lab: Lab, family: str, seed: int) -> dict[str, float]:
    """Add identity blocks to a trained network of 20 layers, and compare the outputs."""
    import recipes
    import zoo
    from recipes.data import evaluation_batches, open_for

    path = lab.cells[f"{family}20/seed{seed}"]["run"]
    if path is None:
        return dict.fromkeys(MODES, math.nan)
    run = recipes.open(path)
    split = open_for(run.recipe).open_test()
    batches = evaluation_batches(split, classes=10, batch=256, ops=run.recipe.eval_ops)
    images, _ = next(batches.as_numpy_iterator())
    blocks = lab.choose({"stage1": 6, "stage2": 6, "stage3": 6}, quick={"stage1": 1})
    deeper = zoo.deepen(run.model, **blocks)
    found = {}
    for mode in MODES:
        one, two = (
            np.asarray(model(images, training=mode == "training")) for model in (run.model, deeper)
        )
        found[mode] = float(np.abs(two - one).max() / one.std())
    return found


def _of(lab: Lab, name: str, key: str) -> np.ndarray:
    return np.array([cell[key] for cell in lab.group(f"{name}/seed")])


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compare 56 with 20 layers by seed."""

    def gap(family: str, errors: str) -> Evidence:
        values = {each: _of(lab, f"{each}56", errors) - _of(lab, f"{each}20", errors)
                  for each in FAMILIES}  # fmt: skip
        deep, shallow = (float(_of(lab, f"{family}{n}", errors).mean()) for n in (56, 20))
        noisy = errors == "test"
        return Evidence(
            values[family], pooled=[*values.values()],
            accuracies=(deep / 100, shallow / 100) if noisy else (),
            images=10_000 if noisy else 0, scale=100.0,
            says=f"{deep:.1f} against {shallow:.1f} %",
        )  # fmt: skip

    return {
        "degrades": {errors: gap("plain", errors) for errors in SETS},
        "repaired": {errors: gap("resnet", errors) for errors in SETS},
        "lower": {"": gap("resnet", "training")},
        "copied": {
            f"{family}, {mode}": Evidence([_of(lab, f"deepened/{family}", mode).max()], exact=True)
            for family in FAMILIES
            for mode in MODES
        },
    }


def picture(lab: Lab, path: Path) -> None:
    """Draw the errors by epoch: training thin, validation bold, test as a point."""
    figure = drawing.figure((10, 4.4))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, family, title in zip(panels, FAMILIES, ("plain", "residual"), strict=True):
        for depth, color in ((20, BLUE), (56, RED)):
            cells = lab.group(f"{family}{depth}/seed")
            if not (cells := [cell for cell in cells if cell["curves"]]):
                continue  # all diverged
            for key, width in (("training", 1.2), ("validation", 2.6)):
                curves = np.array([cell["curves"][key] for cell in cells])
                epochs = np.arange(1, curves.shape[-1] + 1)
                for each in curves if key == "training" else ():
                    drawing.curve(axes, epochs, each, color=color, lw=0.6, alpha=0.5)
                drawing.curve(
                    axes, epochs, curves.mean(axis=0), color=color, lw=width,
                    label=f"{depth} layers" if key == "validation" else None,
                )  # fmt: skip
            tests = [cell["test"] for cell in cells]
            axes.plot([epochs[-1] + 0.6] * len(tests), tests, "D", ms=5, color=color)
        axes.set_title(f"{title} networks", loc="left", color=INK)
        axes.set_xlabel("epoch", color=GREY)
        drawing.plain(axes)
    panels[0].set_ylabel("error (%)", color=GREY)
    panels[0].legend(frameon=False, labelcolor=INK)
    figure.suptitle(
        "20 and 56 layers: training error thin, validation error bold, test error ◆", x=0.01,
        ha="left", color=INK, weight="bold",
    )  # fmt: skip
    drawing.save(figure, path)
