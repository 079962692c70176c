"""Check the learning rate as the lectures do: train 100 steps at each of 1e-1 to 1e-5.

At each learning rate the loss barely moves, falls or explodes. The check also runs the learning
rate range test (Smith 2017, Cyclical Learning Rates, section 3.3): one training in which the
learning rate increases at every step.

The check fails if the recipe's own learning rate barely moves the loss (the mean over the last 10
steps is within 2 % of the initial loss of the same batches) or makes it explode (it is not finite,
more than 3 times the first loss, or higher at the end). If there was only time for a few steps,
the verdict is "note".
"""

import math

import numpy as np

from recipes.diagnostics.context import STEPS, Context
from recipes.diagnostics.plots import legend, panels
from recipes.diagnostics.results import CheckResult
from recipes.diagnostics.short_training import Steps, exploded, rate_at, trained
from recipes.drawing import AMBER, BLUE, GREEN, GREY, INK, RED, curve, say
from zoo.terminal import plural

GRID = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
BARELY = 0.02
LAST = 10
FEWEST = 20  # steps needed for a verdict
RANGE = (1e-6, 1e1)

COLORS = {"barely moves": AMBER, "falls": GREEN, "explodes": RED}


def check(context: Context) -> CheckResult:
    """Run the check; the module's docstring describes it."""
    lr = context.recipe.lr
    own = trained(context)
    steps = own.steps
    count = len(own.losses)
    base = _base(context, steps, count)
    rates = {lr: own.losses}
    others = [rate for rate in GRID if not math.isclose(rate, lr)]
    # Divide the remaining time equally among the other learning rates and the range test.
    most = int(context.seconds / max(own.seconds, 1e-6) / (len(others) + 1))
    most = max(1, min(STEPS, most))
    for rate in others:
        steps.restart()
        losses: list[float] = []
        for number in range(most):
            batch = context.batch_at(number)
            losses.append(steps.step(*batch, rate_at(context.recipe, number, rate))[0])
            if exploded(losses):
                break
        rates[rate] = losses
    base_others = base if most == count else _base(context, steps, most)
    ranged = _range_test(context, steps, most)

    readings = {
        rate: reading(losses, base if rate == lr else base_others) for rate, losses in rates.items()
    }
    verdict, why = "pass", ""
    if readings[lr] == "barely moves":
        verdict, why = "fail", f"lr={lr:g} barely moves the loss; it is too low"
        if base < 0.5 * context.chance:
            verdict, why = "note", "the pretrained weights have already learned this"
        elif count < FEWEST:
            verdict = "note"
            why = f"too few steps for a verdict: {count} in {context.seconds:g} s"
    elif readings[lr] == "explodes":
        verdict, why = "fail", f"the loss explodes at lr={lr:g}; it is too high"
        if not math.isfinite(base):
            why = "the loss is not finite even before the first update; see initial_loss"
    falling = sorted(rate for rate in GRID if readings.get(rate) == "falls")
    if verdict == "fail" and falling:
        why += f"; the loss falls at {', '.join(f'{rate:g}' for rate in falling)}"
    elif verdict == "fail" and math.isfinite(base):
        why += "; the loss does not fall at any learning rate from 1e-05 to 0.1"
    cut = (
        ""
        if context.batch == context.recipe.batch_size
        else f" times {context.batch} / {context.recipe.batch_size}"
    )
    others_read = [f"{r:g} {readings[r]}" for r in sorted(readings, reverse=True) if r != lr]
    figure = (
        f"lr={lr:g}{cut} {readings[lr]}: {base:.4g} to {_end(own.losses):.4g} in"
        f" {plural(count, 'step')} of {plural(len(context.batch_at(0)[0]), 'image')};"
        f" {', '.join(others_read)} ({plural(most, 'step')})"
    )
    values = {
        "readings": {f"{r:g}": text for r, text in readings.items()},
        "losses": {f"{r:g}": [_plain(x) for x in own] for r, own in rates.items()},
        "range": [[rate, _plain(loss)] for rate, loss in ranged],
        "steps": count, "first": base,
    }  # fmt: skip
    return CheckResult(
        "learning_rate", verdict, figure, why, values,
        lambda part: _draw(part, lr, rates, readings, ranged, base),
    )  # fmt: skip


def reading(losses: list[float], base: float) -> str:
    """Classify a loss curve. `base` is the initial loss of the batches at the end of the curve."""
    end = _end(losses)
    if not math.isfinite(end) or exploded(losses) or end > 1.05 * base:
        return "explodes"
    return "falls" if end < (1 - BARELY) * base else "barely moves"


def _end(losses: list[float]) -> float:
    """Return the mean loss of the last LAST steps, or of half of the steps if there are fewer."""
    return float(np.mean(losses[-min(LAST, max(1, len(losses) // 2)) :]))


def _base(context: Context, steps: Steps, count: int) -> float:
    """Return the mean loss at the initial weights of the last batches of `count` steps."""
    steps.restart()
    last = min(LAST, max(1, count // 2))
    losses = [
        steps.step(*context.batch_at(number), 0.0)[0] for number in range(count - last, count)
    ]
    return float(np.mean(losses))


def _range_test(context: Context, steps: Steps, count: int) -> list[tuple[float, float]]:
    """Return (learning rate, loss before the step) for rising rates, until the loss explodes."""
    steps.restart()
    low, high = min(RANGE[0], context.recipe.lr / 10), max(RANGE[1], context.recipe.lr * 10)
    rates = np.geomspace(low, high, count)
    found: list[tuple[float, float]] = []
    for number, rate in enumerate(rates):
        loss, _ = steps.step(*context.batch_at(number), float(rate))
        found.append((float(rate), loss))
        if exploded([each for _, each in found]):
            break
    return found


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _smooth(losses: list[float], share: float = 0.8) -> np.ndarray:
    """Return the exponential moving average, corrected for its bias toward zero."""
    made, held = [], 0.0
    for number, loss in enumerate(losses, 1):
        held = share * held + (1 - share) * loss
        made.append(held / (1 - share**number))
    return np.array(made)


def _draw(part, lr, rates, readings, ranged, base: float) -> None:
    left, right = panels(part, ["loss at constant learning rates", "learning rate range test"])
    finite = [x for own in rates.values() for x in own if math.isfinite(x)]
    start = base if math.isfinite(base) else max(finite, default=1.0)
    top, ends = 1.7 * start or 1.0, {}
    if not finite:
        say(left, "no loss is finite")
    for rate in sorted(rates, reverse=True):
        losses = np.array(rates[rate])
        own = rate == lr
        smooth = _smooth([x if math.isfinite(x) else 6 * top for x in losses])
        curve(
            left, np.arange(1, len(losses) + 1), smooth, color=COLORS[readings[rate]],
            lw=3 if own else 1.4, zorder=3 if own else 2,
        )  # fmt: skip
        inside = np.flatnonzero(smooth < top)
        if len(inside):
            ends[rate] = (int(inside[-1]) + 1, smooth[inside[-1]])
    below = -np.inf
    for rate, (step, height) in sorted(ends.items(), key=lambda item: item[1][1]):
        below = max(height, below + 0.09 * top)  # keep the labels apart
        left.annotate(
            f"{rate:g}", (step, below), (4, 0), textcoords="offset points", fontsize=8, color=INK,
            weight="bold" if rate == lr else "normal", va="center", annotation_clip=False,
        )  # fmt: skip
    left.set_ylim(0, 1.18 * top)  # room for the legend
    left.set_xlabel("step", color=GREY)
    for text, color in COLORS.items():
        if text in readings.values():
            left.plot([], [], color=color, lw=2, label=text)
    left.legend(facecolor="white", edgecolor="none", framealpha=0.9, labelcolor=INK, fontsize=8,
                loc="upper right", ncols=3, borderaxespad=0.1)  # fmt: skip
    seen = [(rate, loss) for rate, loss in ranged if math.isfinite(loss)]
    xs = [rate for rate, _ in seen]
    curve(right, xs, [min(loss, 3 * top) for _, loss in seen], color=GREY, lw=0.8, alpha=0.6)
    share = 0.8 if len(seen) > 60 else 0.5
    curve(right, xs, _smooth([loss for _, loss in seen], share), color=BLUE, lw=2)
    if not seen:
        say(right, "no loss is finite")
    right.set_xscale("log")
    right.set_ylim(0, top)
    right.axvline(lr, color=COLORS[readings[lr]], lw=2, ls="--")
    right.plot([], [], color=COLORS[readings[lr]], lw=2, ls="--", label=f"lr={lr:g}")
    legend(right, 1)
    right.set_xlabel("learning rate", color=GREY)
