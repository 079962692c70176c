"""100 steps tell something about images that were not seen: labels belong to their images.

A network learns shifted labels by heart, and its training loss falls; what it cannot do is
guess others. The scores of unseen images' own labels, log p(label), are compared with those of
the same labels dealt out anew: mean and deviation over all permutations are known in closed form
(Hoeffding 1951, A Combinatorial Central Limit Theorem). It needs no accuracy above
chance, which 100 steps do not reach with 1,000 classes.

Fails: the own labels fit less than 4 deviations better than dealt ones. Of n images in C classes
of one size perfect scores make sqrt((n - 1) (C - 1)) deviations: where that is less than 8, so
that a network which is right most of the time would fail, it is a note.
"""

import math

import numpy as np

from recipes.diagnostics.context import Context, logits
from recipes.diagnostics.plots import panels
from recipes.diagnostics.results import Finding
from recipes.diagnostics.short_training import trained
from recipes.drawing import BLUE, GREEN, GREY, INK, RED, say
from recipes.evaluation.metrics import log_probabilities

IMAGES = 512
ENOUGH = 4.0
MOST = 2 * ENOUGH  # that perfect scores must be able to make
FEWEST = 20  # steps, below which it is a note


def judge(context: Context) -> Finding:
    """See the module."""
    done = trained(context)
    if done.exploded:
        figure = f"not judged: the loss exploded in {len(done.losses)} steps"
        return Finding("learning", "note", figure, "see rates")
    images, labels = context.unseen(IMAGES)
    model = context.network(context.plain)
    done.give(model)
    found = logits(model, images, training=True, batch=max(context.batch, 2))
    score, expected, deviation = fit(found, labels)
    z = (score - expected) / deviation if deviation > 0 else 0.0
    right = float(np.mean(found.argmax(axis=1) == labels.argmax(axis=1)))
    needed = _needed(labels)
    chance = float(np.bincount(labels.argmax(axis=1)).max() / len(labels))
    figure = (
        f"unseen images: own labels fit {z:.1f} deviations better than dealt ones; accuracy"
        f" {right:.3f}, the most frequent class has {chance:.3f} ({len(labels)} images,"
        f" {len(done.losses)} steps)"
    )
    verdict, why = "pass", ""
    if not z >= ENOUGH:
        verdict = "fail"
        why = (
            "what was learned does not hold for other images: labels that do not belong to their"
            " images, a validation set of another kind, or a rate at which nothing is learned"
        )
        if len(done.losses) < FEWEST:
            verdict, why = "note", f"{len(done.losses)} steps are too few to tell"
        elif len(labels) < needed:
            verdict = "note"
            why = (
                f"too few unseen images to tell: {len(labels)}, of at least {needed}; a larger"
                " --validation sets more of them aside"
            )
    values = {
        "z": z, "accuracy": right, "chance": chance, "images": len(labels), "needed": needed,
        "steps": len(done.losses),
    }  # fmt: skip
    return Finding(
        "learning", verdict, figure, why, values,
        lambda part: _draw(part, score, expected, deviation),
    )  # fmt: skip


def fit(found: np.ndarray, labels: np.ndarray) -> tuple[float, float, float]:
    """The mean log-probability of the labels; its mean and deviation over their permutations.

    Args:
        found: logits [N, C].
        labels: one-hot [N, C].
    """
    scores = log_probabilities(found)
    dealt = scores @ np.asarray(labels, np.float64).T  # [image, the label of another]
    n = len(dealt)
    centred = dealt - dealt.mean(0) - dealt.mean(1)[:, None] + dealt.mean()
    # Of the mean over n images: the sum's variance is that of Hoeffding's theorem 2.
    deviation = np.sqrt(np.sum(np.square(centred)) / (n - 1)) / n if n > 1 else 0.0
    return float(np.mean(np.diag(dealt))), float(dealt.mean()), float(deviation)


def perfect(labels: np.ndarray) -> float:
    """The deviations that perfect scores for the labels [N, C] would make; 0 for one class."""
    score, expected, deviation = fit(100.0 * labels, labels)
    return (score - expected) / deviation if deviation > 0 else 0.0


def _needed(labels: np.ndarray) -> int:
    """How many images with such labels perfect scores need for MOST."""
    n, classes = labels.shape
    z = perfect(labels)
    # It grows with sqrt(n - 1). Of labels of one class no number does: more, of all classes.
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
