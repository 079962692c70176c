"""A small sample is learned by heart: accuracy 1.0, without regularization and augmentation.

The recipe's optimizer at the recipe's rate, then at safer ones, for the question is what the
network can hold, not its rate. Fails: at no rate is the accuracy 1.0, both as training records
it and as it is computed from the logits in training mode.
"""

import math
import time

import numpy as np

from recipes.diagnostics.context import Context, logits
from recipes.diagnostics.plots import panels
from recipes.diagnostics.results import Finding
from recipes.diagnostics.short_training import Steps, exploded
from recipes.drawing import BLUE, GREY, INK, ORANGE, curve, say

IMAGES = 32
MOST_STEPS = 200
SMALL_LOSS = 0.1  # of chance: "very small loss"
SAFE = (1e-2, 1e-3, 1e-1)


def judge(context: Context) -> Finding:
    """See the module."""
    count = min(IMAGES, context.data.train.count, max(context.batch, 8))
    images, labels = context.sample(count)
    steps = Steps(context, context.plain)
    lr = context.recipe.lr
    tried: dict[float, tuple[list[float], list[float]]] = {}
    steps.step(images, labels, lr)  # compiles, which takes longer than many steps
    started = time.monotonic()
    for rate in dict.fromkeys((lr, *SAFE)):
        steps.restart()
        end = started + context.seconds * (0.5 if rate == lr else 1)
        tried[rate] = _fitted(context, steps, images, labels, rate, end)
        computed = _accuracy(steps, images, labels)
        if tried[rate][1][-1] == computed == 1.0 or time.monotonic() - started > context.seconds:
            break
    losses, accuracies = tried[rate]
    recorded = accuracies[-1]

    held = recorded == computed == 1.0
    best = max(max(each) for _, each in tried.values())
    others = "" if len(tried) == 1 else f" (at rate {', '.join(f'{r:g}' for r in tried)})"
    figure = (
        f"{count} images: accuracy {recorded:.4g} and loss {losses[-1]:.2g} after"
        f" {len(losses)} steps at rate {rate:g}"
    )
    why = ""
    if not held:
        figure = f"{count} images: accuracy {best:.4g} at the best{others}"
        why = (
            "the network does not learn a few images by heart: look for dead or zero layers,"
            " gradients that do not arrive, labels that contradict each other, or no capacity"
        )
        if recorded == 1.0:
            why = f"training records accuracy 1.0, and the logits in training mode give {computed}"
        elif time.monotonic() - started > context.seconds:
            why = (
                f"{len(losses)} of {MOST_STEPS} steps at rate {rate:g} are all that"
                f" --seconds={context.seconds:g} allowed, and the accuracy has not come to 1: give"
                " more, and a machine that does nothing else"
            )
    values = {
        "images": count, "rate": rate, "steps": len(losses), "accuracy": recorded,
        "computed": computed, "loss": losses[-1] if math.isfinite(losses[-1]) else None,
        "best": best, "rates": list(tried),
    }  # fmt: skip
    return Finding(
        "overfitting", "pass" if held else "fail", figure, why, values,
        lambda part: _draw(part, losses, accuracies, rate),
    )  # fmt: skip


def _fitted(context, steps: Steps, images, labels, rate: float, end: float):
    """Losses and accuracies of full-batch steps until all is known by heart, or no more is."""
    losses: list[float] = []
    accuracies: list[float] = []
    for _ in range(MOST_STEPS):
        loss, accuracy = steps.step(images, labels, rate)
        losses.append(loss)
        accuracies.append(accuracy)
        done = accuracy == 1.0 and loss < SMALL_LOSS * context.chance
        if done and _accuracy(steps, images, labels) == 1.0:
            break
        if exploded(losses) or time.monotonic() > end:
            break
    return losses, accuracies


def _accuracy(steps: Steps, images, labels) -> float:
    """By the logits in training mode."""
    found = logits(steps.network, images, training=True, batch=len(images))
    return float(np.mean(found.argmax(axis=1) == labels.argmax(axis=1)))


def _draw(part, losses: list[float], accuracies: list[float], rate: float) -> None:
    left, right = panels(part, [f"loss (lr={rate:g})", "accuracy"], whole=True)
    steps = np.arange(1, len(losses) + 1)
    curve(left, steps, losses, color=BLUE, lw=2)
    curve(right, steps, accuracies, color=ORANGE, lw=2)
    if not np.isfinite(losses).any():
        say(left, "no loss is finite")
    right.axhline(1.0, color=INK, lw=0.8, ls=":")
    right.set_ylim(0, 1.05)
    left.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlabel("step", color=GREY)
