"""Babysitting the learning process: the steps of the 2016 lecture, in their order.

Claims: the first loss is about 2.3 and rises with regularization; 20 images reach an accuracy of 1
with plain SGD; a low learning rate barely moves the loss, while the accuracy reaches 20 %; 1e6
gives NaN; 3e-3 explodes, so that the rates to search are 1e-3 to 1e-5; 50 hidden units reach 53 %,
with a best value at the edge of the range, which is worrying; updates should be about 1e-3 of the
weights (CS231n 2016, lecture 5). Good learning rates to try are 1e-1 to 1e-5 (CS231n 2025,
lecture 6).
Setup: cifar10/mlp with 50 ReLU units, SGD without momentum, batches of 128, no augmentation, and
weights of standard deviation 1e-4. Once with pixels minus the mean image, as in 2016, and once with
standardized pixels, 3 seeds each. 20 images for 200 steps at learning rates from 1e-5 to 1; 200
steps at 1e-6 to 1e6 and at 3e-3; 10 epochs at 1e-6, as on the slide. The search starts from the
highest of these rates that does not explode, and goes down to a thousandth of it: 12 trials of 5
epochs with learning rate and weight decay random in log space, then 4 trials of 10 epochs in the
ranges of the best quarter. A trial is chosen on the validation set; its accuracy is that on the
test set.
Figure: one row for each scale of the pixels. Left, the loss at all learning rates, of which few are
good. Middle, the 20 images: their accuracy rises before the loss falls visibly, because the initial
weights are tiny. Right, the two searches; the dashed box is the range of the fine one.
Cost: about 15 minutes on 2 CPU cores.
"""

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import AMBER, BLUE, GREEN, GREY, INK, ORANGE, RED
from recipes.studying import Claim, Evidence, Lab, above, below, within

LECTURE_5, LECTURE_6 = "CS231n 2016, lecture 5", "CS231n 2025, lecture 6"
PIXELS, STANDARDIZED = "pixels minus the mean image", "standardized pixels"
KINDS = {PIXELS: "center_image", STANDARDIZED: "standardize"}
RATES = (*(10.0**power for power in range(-6, 7)), 3e-3)
FEW_RATES = (1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1.0)
LOWEST = RATES[0]
DECAYS = (1e-5, 1.0)
KERNEL = "fc_1_dense/kernel"
BOTH = tuple(KINDS)
CLAIMS = {
    "first": Claim(
        "The first loss is about 2.3.", LECTURE_5, "loss of the first batch", within(2.2, 2.4),
        BOTH,
    ),
    "regularization": Claim(
        "The first loss rises with regularization.",
        LECTURE_5, "first loss plus the penalty of a weight decay of 1000, over the first loss",
        above(1.0), BOTH, log=True,
    ),
    "few": Claim(
        "Plain SGD fits 20 images perfectly.",
        LECTURE_5, "accuracy on them after 200 steps at the best learning rate", above(99.9), BOTH,
        unit=" %",
    ),
    "barely": Claim(
        "A learning rate of 1e-6 barely moves the loss.",
        LECTURE_5, "fall of the training loss in 10 epochs", below(2.0), BOTH, unit=" %",
    ),
    "accuracy": Claim(
        "At this learning rate, the accuracy nevertheless reaches about 20 %.",
        LECTURE_5, "validation accuracy after 10 epochs", above(15.0), BOTH, unit=" %",
    ),
    "nan": Claim(
        "A learning rate of 1e6 gives NaN.",
        LECTURE_5, "share of the trainings whose loss is not finite within 200 steps", above(0.5),
        BOTH,
    ),
    "explodes": Claim(
        "A learning rate of 3e-3 explodes.",
        LECTURE_5, "highest loss of 200 steps over the first", above(3.0), BOTH, log=True,
    ),
    "range": Claim(
        "The best learning rate is between 1e-3 and 1e-5.",
        LECTURE_5, "power of ten with the lowest loss after 200 steps", within(5e-6, 2e-3), BOTH,
        log=True,
    ),
    "wide range": Claim(
        "Good learning rates to try are 1e-1, 1e-2, 1e-3, 1e-4 and 1e-5.",
        LECTURE_6, "power of ten with the lowest loss after 200 steps", within(5e-6, 0.2), BOTH,
        log=True,
    ),
    "search": Claim(
        "The search finds a network of 50 hidden units with 53 %.",
        LECTURE_5, "test accuracy of the best trial of both searches", above(52.5), BOTH,
        unit=" %",
    ),
    "edge": Claim(
        "The best learning rate of the fine search lies at the edge of its range.",
        LECTURE_5, "distance of the nearest edge, as a share of the range's logarithm", below(0.1),
        BOTH,
    ),
    "ratio": Claim(
        "Updates should be about 1e-3 of the weights.",
        LECTURE_5, "ratio in the runs within 1 point of the best", within(1 / 3000, 3e-3), BOTH,
        log=True,
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Follow the lecture, for both kinds of pixels and each seed."""
    steps, epochs = lab.choose(200, quick=3), lab.choose(10, quick=1)
    for kind in KINDS:
        for seed in lab.seeds(3):
            own: dict[str, Any] = {"kind": kind, "seed": seed}
            lab.cell(f"{kind}/few/seed{seed}", few, **own, steps=steps)
            swept = lab.cell(f"{kind}/rates/seed{seed}", sweep, **own, steps=steps, epochs=epochs)
            lab.cell(f"{kind}/lowest/seed{seed}", lowest, **own, epochs=epochs)
            calm = [rate for rate in RATES if not exploded(swept["losses"][str(rate)])]
            top = max(calm, default=LOWEST)
            coarse = lab.cell(
                f"{kind}/coarse/seed{seed}", search, **own, rates=[top / 1000, top],
                decays=list(DECAYS), trials=lab.choose(12, quick=4), epochs=epochs,
                own_epochs=lab.choose(5, quick=1),
            )  # fmt: skip
            lab.cell(
                f"{kind}/fine/seed{seed}", search, **own, rates=best_range(coarse, "lr"),
                decays=best_range(coarse, "decay"), trials=lab.choose(4, quick=1), epochs=epochs,
                own_epochs=epochs,
            )  # fmt: skip


def few(lab: Lab, kind: str, seed: int, steps: int) -> dict[str, dict[str, Any]]:
    """Train on 20 images; return losses and accuracies by step for each learning rate."""
    many = trainings(lab.cifar10, kind, steps, images=20, batch_size=20, validation=0.0)
    done = {rate: many.run(seed=seed, lr=rate, weight_decay=0.0) for rate in FEW_RATES}
    return {
        str(rate): {
            "loss": _plain(each.losses), "accuracy": _plain(each.accuracies),
            "final": each.train_accuracy,
        }
        for rate, each in done.items()
    }  # fmt: skip


def sweep(lab: Lab, kind: str, seed: int, steps: int, epochs: int) -> dict[str, Any]:
    """Train a few steps at each learning rate; return the losses and the size of the weights."""
    many = trainings(lab.cifar10, kind, epochs)
    start = many.initial(seed=seed)
    done = {
        rate: many.run(seed=seed, lr=rate, weight_decay=0.0, steps=steps, ratios=True)
        for rate in RATES
    }
    return {
        "losses": {str(rate): _plain(each.losses) for rate, each in done.items()},
        "squares": float(sum(np.sum(np.square(value)) for value in start.values())),
    }


def lowest(lab: Lab, kind: str, seed: int, epochs: int) -> dict[str, float]:
    """Train at the lowest learning rate; return the fall of the loss, and the accuracy."""
    many = trainings(lab.cifar10, kind, epochs)
    done = many.run(seed=seed, lr=LOWEST, weight_decay=0.0, ratios=True)
    last = done.losses[-many.steps_per_epoch :].mean()
    return {
        "fall": 100 * float(1 - last / done.losses[0]), "val": 100 * done.val_accuracy,
    }  # fmt: skip


def search(
    lab: Lab, kind: str, seed: int, rates: list[float], decays: list[float], trials: int,
    epochs: int, own_epochs: int,
) -> list[dict[str, float]]:  # fmt: skip
    """Train with random learning rates and weight decays, uniform in log space."""
    many = trainings(lab.cifar10, kind, epochs)
    draw = np.random.default_rng([seed, trials])
    found = []
    for _ in range(trials):
        lr, decay = (float(np.exp(draw.uniform(*np.log(each)))) for each in (rates, decays))
        done = many.run(
            seed=seed, lr=lr, weight_decay=decay, steps=own_epochs * many.steps_per_epoch,
            ratios=True,
        )  # fmt: skip
        ratios = done.ratios[KERNEL][len(done.losses) // 2 :]
        found.append({
            "lr": lr, "decay": decay, "val": 0.0 if done.diverged else done.val_accuracy,
            "test": done.test_accuracy, "ratio": float(np.exp(np.log(ratios).mean())),
        })  # fmt: skip
    return found


@functools.lru_cache(maxsize=1)
def trainings(data: str, kind: str, epochs: int, **changes: Any):
    """Return the trainings of the network on pixels of a kind, which is compiled once."""
    import recipes

    changes = {"batch_size": 128, "images": None, "validation": 0.1} | changes
    return recipes.Trainings(
        "cifar10/mlp", data=data, preprocess=KINDS[kind], epochs=epochs, augment=(), momentum=0.0,
        schedule="constant", init="normal:0.0001",
        options={"hidden": (50,), "head_init": "normal:0.0001"}, **changes,
    )  # fmt: skip


def exploded(losses: list[float | None]) -> bool:
    """Return whether a loss is not finite (None), or more than 3 times the first."""
    known = [loss for loss in losses if loss is not None]
    return len(known) < len(losses) or max(known) > 3 * known[0]


def best_range(trials: list[dict[str, float]], key: str) -> list[float]:
    """Return the range of a hyperparameter in the best quarter of the trials."""
    best = sorted(trials, key=lambda each: -each["val"])[: len(trials) // 4 or 1]
    return [min(each[key] for each in best), max(each[key] for each in best)]


def _plain(values: Any) -> list[float | None]:
    """Return numbers for JSON: None for those that are not finite."""
    return [float(value) if math.isfinite(value) else None for value in values]


def _cells(lab: Lab, kind: str, part: str) -> list[Any]:
    return lab.group(f"{kind}/{part}/")


def _end(losses: list[float | None]) -> float:
    """Return the mean of the last tenth of the losses; infinite if one is not finite."""
    last = losses[-max(1, len(losses) // 10) :]
    return float(np.mean([math.inf if loss is None else loss for loss in last]))


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Give one number for each step of the lecture and each kind of pixels."""
    found: dict[str, dict[str, Evidence]] = {name: {} for name in CLAIMS}
    for kind in KINDS:
        for name, evidence in _judge(lab, kind).items():
            found[name][kind] = evidence
    return found


def _judge(lab: Lab, kind: str) -> dict[str, Evidence]:
    swept, small = _cells(lab, kind, "rates"), _cells(lab, kind, "lowest")
    first = np.array([cell["losses"][str(LOWEST)][0] for cell in swept])
    penalty = np.array([0.5 * 1000 * cell["squares"] for cell in swept])
    few_best = [
        max(cell.values(), key=lambda each: each["final"]) for cell in _cells(lab, kind, "few")
    ]
    tens = [str(rate) for rate in RATES[:-1]]
    best_rate = [float(min(tens, key=lambda r: _end(cell["losses"][r]))) for cell in swept]
    three = [cell["losses"]["0.003"] for cell in swept]
    highest = [max(x for x in own if x is not None) / own[0] for own in three]
    high = [cell["losses"][str(1e6)] for cell in swept]
    searched = list(zip(_cells(lab, kind, "coarse"), _cells(lab, kind, "fine"), strict=True))
    trials = [[*coarse, *fine] for coarse, fine in searched]
    best = [max(own, key=lambda each: each["val"]) for own in trials]
    good = [
        [each["ratio"] for each in own if each["val"] >= top["val"] - 0.01]
        for own, top in zip(trials, best, strict=True)
    ]
    return {
        "first": Evidence(first.tolist()),
        "regularization": Evidence(
            (first + penalty) / first, says=f"{np.mean(first + penalty):.2f} over"
            f" {first.mean():.2f}",
        ),
        "few": Evidence([100 * each["final"] for each in few_best]),
        "barely": Evidence([cell["fall"] for cell in small]),
        "accuracy": Evidence([cell["val"] for cell in small]),
        "nan": Evidence([float(None in own) for own in high]),
        "explodes": Evidence(highest, says="NaN at last" if any(None in o for o in three) else ""),
        "range": Evidence(best_rate),
        "wide range": Evidence(best_rate),
        "search": Evidence(
            [100 * each["test"] for each in best],
            says="learning rates " + ", ".join(f"{each['lr']:.1e}" for each in best),
        ),
        "edge": Evidence([_edge(coarse, fine) for coarse, fine in searched]),
        "ratio": Evidence([float(np.exp(np.log(own).mean())) for own in good]),
    }  # fmt: skip


def _edge(coarse: list[dict[str, float]], fine: list[dict[str, float]]) -> float:
    """Return the distance of the fine search's best rate to an edge, as a share of its range."""
    low, high = np.log(best_range(coarse, "lr"))
    best = math.log(max(fine, key=lambda each: each["val"])["lr"])
    return float(min(best - low, high - best) / (high - low)) if high > low else 0.0


def picture(lab: Lab, path: Path) -> None:
    """Draw the losses at all learning rates, the 20 images, and the two searches."""
    figure = drawing.figure((14, 8.2))
    for row, kind in zip(figure.subfigures(2, 1, hspace=0.05), KINDS, strict=True):
        row.suptitle(kind, x=0.01, ha="left", color=INK, weight="bold")
        left, middle, right = row.subplots(1, 3)
        _curves(left, _cells(lab, kind, "rates")[0]["losses"])
        _few(middle, _cells(lab, kind, "few")[0])
        _searches(right, _cells(lab, kind, "coarse")[0], _cells(lab, kind, "fine")[0], row)
    drawing.save(figure, path)


def _curves(axes: Any, losses: dict[str, list[float | None]]) -> None:
    colors = {"low": AMBER, "good": GREEN, "high": RED}
    seen = set()
    ends: list[float] = []
    for rate in sorted(RATES):
        own = losses[str(rate)]
        first, end = own[0] or 0.0, _end(own)
        kind = "high" if exploded(own) or end > 1.05 * first else "good"
        kind = "low" if kind == "good" and end > 0.98 * first else kind
        y = np.array([np.nan if loss is None else min(loss, 10 * first) for loss in own])
        axes.plot(np.arange(1, len(y) + 1), y, color=colors[kind], lw=1.3,
                  label=None if kind in seen else kind)  # fmt: skip
        seen.add(kind)
        if kind == "good":
            lower = sum(abs(end - other) < 0.12 for other in ends)  # labels one above another
            ends.append(end)
            axes.annotate(f"{rate:g}", (len(y), end), (3, 10 * lower), textcoords="offset points",
                          fontsize=8, color=INK, va="center")  # fmt: skip
    axes.set_ylim(1.5, 3.5)
    axes.set_xlabel("step", color=GREY)
    axes.set_title("training loss at learning rates from 1e-6 to 1e6", loc="left", fontsize=10,
                   color=INK)  # fmt: skip
    axes.legend(frameon=False, labelcolor=INK, loc="upper right", title="learning rate")
    drawing.plain(axes)


def _few(axes: Any, cell: dict[str, dict[str, Any]]) -> None:
    rate = max(cell, key=lambda each: (cell[each]["final"], -float(each)))
    found = cell[rate]
    steps = np.arange(1, len(found["loss"]) + 1)
    loss = np.array([np.nan if value is None else value for value in found["loss"]])
    axes.plot(steps, loss, color=ORANGE, lw=2, label="loss")
    axes.plot(steps, found["accuracy"], color=BLUE, lw=2, label="accuracy")
    axes.set_xlabel("step", color=GREY)
    axes.set_title(f"loss and accuracy on 20 images, learning rate {float(rate):g}", loc="left",
                   fontsize=10, color=INK)  # fmt: skip
    axes.legend(frameon=False, labelcolor=INK, loc="center right")
    drawing.plain(axes)


def _searches(axes: Any, coarse: list[dict], fine: list[dict], figure: Any) -> None:
    from matplotlib.patches import Rectangle

    for own, marker, label in ((coarse, "o", "coarse"), (fine, "s", "fine")):
        values = [100 * each["val"] for each in own]
        points = axes.scatter(
            [each["lr"] for each in own], [each["decay"] for each in own], c=values, vmin=10,
            vmax=55, cmap="viridis", marker=marker, s=60, edgecolors=INK, lw=0.6, label=label,
        )  # fmt: skip
    (low, high), (bottom, top) = (best_range(coarse, key) for key in ("lr", "decay"))
    axes.add_patch(Rectangle((low, bottom), high - low, top - bottom, fill=False, ec=GREY, ls="--"))
    for scale, limits, key in (
        (axes.set_xscale, axes.set_xlim, "lr"), (axes.set_yscale, axes.set_ylim, "decay"),
    ):  # fmt: skip
        logs = np.log10([each[key] for each in coarse])
        scale("log")
        limits(10 ** math.floor(logs.min()), 10 ** math.ceil(logs.max()))
    axes.minorticks_off()
    axes.set_xlabel("learning rate", color=GREY)
    axes.set_ylabel("weight decay", color=GREY)
    axes.set_title("coarse and fine search", loc="left", fontsize=10, color=INK)
    axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    figure.colorbar(points, ax=axes, label="validation accuracy (%)")
    drawing.plain(axes)
