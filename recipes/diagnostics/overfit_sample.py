"""Check that the network can overfit a small sample: accuracy 1.0 without regularization.

Train on a few images without augmentation, with the recipe's optimizer at its own learning rate
and then at more common ones, because the check is about capacity and not about the learning rate.
The check fails if no learning rate gives an accuracy of 1.0, both as recorded in training and as
computed from the logits in training mode.
"""

import math
import time

import numpy as np

from recipes.diagnostics.context import Context, logits
from recipes.diagnostics.plots import panels
from recipes.diagnostics.results import CheckResult
from recipes.diagnostics.short_training import Steps, exploded
from recipes.drawing import BLUE, GREY, INK, ORANGE, curve, say
from zoo.terminal import plural

IMAGES = 32
MOST_STEPS = 200
SMALL_LOSS = 0.1  # relative to ln(classes): the lectures' "very small loss"
SAFE = (1e-2, 1e-3, 1e-1)


def check(context: Context) -> CheckResult:
    """Run the check; the module's docstring describes it."""
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
    others = "" if len(tried) == 1 else f" (learning rates {', '.join(f'{r:g}' for r in tried)})"
    figure = (
        f"{plural(count, 'image')}: accuracy {recorded:.4g} and loss {losses[-1]:.2g} after"
        f" {plural(len(losses), 'step')} at lr={rate:g}"
    )
    why = ""
    if not held:
        figure = f"{plural(count, 'image')}: best accuracy {best:.4g}{others}"
        why = (
            "the network cannot overfit a few images: look for dead or zero layers, vanishing"
            " gradients, contradictory labels, or too little capacity"
        )
        if recorded == 1.0:
            why = (
                f"training reports an accuracy of 1.0, but the logits in training mode give"
                f" {computed}"
            )
        elif time.monotonic() - started > context.seconds:
            why = (
                f"--seconds={context.seconds:g} allowed only {len(losses)} of {MOST_STEPS} steps at"
                f" lr={rate:g}, and the accuracy is not 1 yet; increase --seconds, or use an idle"
                " machine"
            )
    values = {
        "images": count, "rate": rate, "steps": len(losses), "accuracy": recorded,
        "computed": computed, "loss": losses[-1] if math.isfinite(losses[-1]) else None,
        "best": best, "rates": list(tried),
    }  # fmt: skip
    return CheckResult(
        "overfit_sample", "pass" if held else "fail", figure, why, values,
        lambda part: _draw(part, losses, accuracies, rate),
    )  # fmt: skip


def _fitted(context, steps: Steps, images, labels, rate: float, end: float):
    """Train full-batch steps until all images are learned, the loss explodes or time is over.

    Returns:
        The loss and the accuracy of each step.
    """
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
    """Compute the accuracy from the logits in training mode."""
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
