"""Check that 100 training steps improve predictions for unseen images.

A network can memorize wrong labels, and its training loss falls, but it cannot predict such labels
for images it has not seen. The check compares the log-probabilities of the true labels of unseen
images with those of randomly permuted labels. The mean and standard deviation over all
permutations are known in closed form (Hoeffding 1951, A Combinatorial Central Limit Theorem). This
needs no accuracy above chance, which 100 steps do not reach with 1,000 classes.

The check fails if the true labels fit less than 4 standard deviations better than permuted ones.
Perfect predictions for n images in C equally large classes fit sqrt((n - 1) (C - 1)) standard
deviations better. If that is less than 8, even a mostly correct network could fail, so that the
verdict is "note" instead.
"""

import math

import numpy as np

from recipes.diagnostics.context import Context, logits
from recipes.diagnostics.plots import panels
from recipes.diagnostics.results import CheckResult
from recipes.diagnostics.short_training import trained
from recipes.drawing import BLUE, GREEN, GREY, INK, RED, say
from recipes.evaluation.metrics import log_probabilities
from zoo.terminal import plural

IMAGES = 512
ENOUGH = 4.0
MOST = 2 * ENOUGH  # what perfect predictions must reach for a verdict of "fail"
FEWEST = 20  # steps needed for a verdict of "fail"


def check(context: Context) -> CheckResult:
    """Run the check; the module's docstring describes it."""
    done = trained(context)
    if done.exploded:
        figure = f"not checked: the loss exploded within {plural(len(done.losses), 'step')}"
        return CheckResult("generalization", "note", figure, "see learning_rate")
    images, labels = context.unseen(IMAGES)
    model = context.network(context.plain)
    done.copy_weights_to(model)
    found = logits(model, images, training=True, batch=max(context.batch, 2))
    score, expected, deviation = fit(found, labels)
    z = (score - expected) / deviation if deviation > 0 else 0.0
    right = float(np.mean(found.argmax(axis=1) == labels.argmax(axis=1)))
    needed = _needed(labels)
    chance = float(np.bincount(labels.argmax(axis=1)).max() / len(labels))
    figure = (
        f"true labels fit {z:.1f} standard deviations better than permuted ones; accuracy"
        f" {right:.3f}, most frequent class {chance:.3f} ({plural(len(labels), 'unseen image')},"
        f" {plural(len(done.losses), 'step')})"
    )
    verdict, why = "pass", ""
    if not z >= ENOUGH:
        verdict = "fail"
        why = (
            "training does not generalize: look for labels that do not belong to their images, a"
            " validation set of a different kind, or a learning rate at which nothing is learned"
        )
        if len(done.losses) < FEWEST:
            verdict, why = "note", f"too few steps for a verdict: {len(done.losses)}"
        elif len(labels) < needed:
            verdict = "note"
            why = (
                f"too few unseen images for a verdict: {len(labels)}; at least {needed} are needed,"
                " so increase --validation"
            )
    values = {
        "z": z, "accuracy": right, "chance": chance, "images": len(labels), "needed": needed,
        "steps": len(done.losses),
    }  # fmt: skip
    return CheckResult(
        "generalization", verdict, figure, why, values,
        lambda part: _draw(part, score, expected, deviation),
    )  # fmt: skip


def fit(found: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """Return the mean log-probability of the labels, and its mean and std over permutations.

    Args:
        found: logits [N, C].
        labels: one-hot [N, C].
    """
    scores = log_probabilities(found)
    pairs = scores @ np.asarray(labels, np.float64).T  # [image, label of any image]
    n = len(pairs)
    centered = pairs - pairs.mean(0) - pairs.mean(1)[:, None] + pairs.mean()
    # Hoeffding's theorem 2 gives the variance of the sum; this is the deviation of the mean.
    deviation = np.sqrt(np.sum(np.square(centered)) / (n - 1)) / n if n > 1 else 0.0
    return float(np.mean(np.diag(pairs))), float(pairs.mean()), float(deviation)


def perfect(labels: np.ndarray) -> float:
    """Return how many standard deviations perfect predictions reach; 0 for a single class."""
    score, expected, deviation = fit(100.0 * labels, labels)
    return (score - expected) / deviation if deviation > 0 else 0.0


def _needed(labels: np.ndarray) -> int:
    """Return how many images with such labels perfect predictions need to reach MOST."""
    n, classes = labels.shape
    z = perfect(labels)
    # z grows with sqrt(n - 1). If all labels are of one class, assume balanced classes.
    each = z**2 / (n - 1) if z else max(classes - 1, 1)
    return max(math.ceil(1 + MOST**2 / each - 1e-6), 0 if z else n + 1)


def _draw(part, score: float, expected: float, deviation: float) -> None:
    (axes,) = panels(part, ["mean log-probability of the labels of unseen images"])
    axes.set_yticks([])
    if not np.isfinite([score, expected, deviation]).all():
        say(axes, "the scores are not finite")
        return
    width = max(deviation, 1e-12)
    ends = (min(expected, score) - 4 * width, max(expected, score) + 4 * width)
    x = np.linspace(*ends, 600)
    axes.fill_between(
        x, np.exp(-0.5 * ((x - expected) / width) ** 2), color=GREY, alpha=0.45, lw=0,
        label="permuted labels",
    )  # fmt: skip
    good = score - expected >= ENOUGH * width
    axes.axvline(
        expected + ENOUGH * width, color=BLUE, lw=1, ls=":", label="4 standard deviations above"
    )
    axes.axvline(score, color=GREEN if good else RED, lw=3, label="true labels")
    axes.set_ylim(0, 1.25)
    axes.legend(
        facecolor="white", edgecolor="none", framealpha=1, labelcolor=INK, fontsize=9, ncols=3,
        loc="upper center",
    )  # fmt: skip
