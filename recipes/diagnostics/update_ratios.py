"""Check the ratio |update| / |weights| of each stage's kernels, which should be near 1e-3.

The ratio is the median over the last 10 steps of the short training, at the recipe's peak learning
rate. The lectures recommend about 1e-3 and accept about 1e-2. Learning rates of 0.1 with batch
normalization, which makes the scale of a kernel irrelevant, reach 1e-2 and more.

The check fails outside 1e-5 to 1e-1; the verdict is "note" outside 1e-4 to 1e-2. Stages whose
learning rate multiplier is 0 are skipped.
"""

import math

import numpy as np

from recipes.diagnostics.context import Context
from recipes.diagnostics.plots import panels
from recipes.diagnostics.results import CheckResult
from recipes.diagnostics.short_training import trained
from recipes.drawing import GREEN, GREY, INK, RED, SERIES, curve, say
from zoo.terminal import plural

LAST = 10
NOTED, FAILS = (1e-4, 1e-2), (1e-5, 1e-1)
WANTED = 1e-3


def check(context: Context) -> CheckResult:
    """Run the check; the module's docstring describes it."""
    done = trained(context)
    ratios = {
        stage: own
        for stage, own in done.ratios.items()
        if context.recipe.lr_multipliers.get(stage, 1.0)
    }
    if not ratios:
        return CheckResult("update_ratios", "note", "no stage is trained", "every kernel is frozen")
    usual = {stage: _usual(own) for stage, own in ratios.items()}
    wrong = {stage: _verdict(ratio) for stage, ratio in usual.items()}
    verdict = next((v for v in ("fail", "note") if v in wrong.values()), "pass")
    stages = [stage for stage in usual if wrong[stage] == verdict]
    worst = max(stages, key=lambda stage: _distance(usual[stage]))
    why = ""
    if verdict != "pass":
        small = usual[worst] < WANTED
        why = (
            f"{', '.join(stages)}: the updates are {'small' if small else 'large'} relative to the"
            f" weights; {'increase' if small else 'decrease'} lr, or this stage's entry in"
            " lr_multipliers" + (" if this persists" if verdict == "note" else "")
        )
        if usual[worst] == 0:
            why = f"{', '.join(stages)}: the weights do not change because the gradient is zero"
    figure = ", ".join(f"{stage} {ratio:.1e}" for stage, ratio in usual.items())
    figure += f" after {plural(len(done.losses), 'step')} at lr={context.recipe.lr:g}"
    values = {
        "ratios": {s: r if math.isfinite(r) else None for s, r in usual.items()},
        "steps": len(done.losses),
    }  # fmt: skip
    return CheckResult(
        "update_ratios", verdict, figure, why, values, lambda part: _draw(part, ratios)
    )


def _usual(ratios: list[float]) -> float:
    finite = [r for r in ratios[-LAST:] if not math.isnan(r)]
    return float(np.median(finite)) if finite else math.inf


def _verdict(ratio: float) -> str:
    if not FAILS[0] <= ratio <= FAILS[1]:
        return "fail"
    return "pass" if NOTED[0] <= ratio <= NOTED[1] else "note"


def _distance(ratio: float) -> float:
    return abs(math.log(max(ratio, 1e-300) / WANTED))


def _draw(part, ratios: dict[str, list[float]]) -> None:
    (axes,) = panels(part, ["norm of the update / norm of the weights, by stage"])
    seen = [r for own in ratios.values() for r in own if math.isfinite(r) and r > 0]
    low, high = min([1e-6, *seen]) / 2, max([1.0, *seen]) * 2
    axes.axhspan(low, FAILS[0], color=RED, alpha=0.08, lw=0)
    axes.axhspan(FAILS[1], high, color=RED, alpha=0.08, lw=0)
    axes.axhspan(*NOTED, color=GREEN, alpha=0.10, lw=0)
    axes.axhline(WANTED, color=INK, lw=0.8, ls=":")
    for number, (stage, own) in enumerate(ratios.items()):
        shown = [r if math.isfinite(r) and r > 0 else np.nan for r in own]
        curve(
            axes, np.arange(1, len(own) + 1), shown, lw=1.8, color=SERIES[number % len(SERIES)],
            ls=("-", "--", ":", "-.")[number // len(SERIES) % 4], label=stage,
        )  # fmt: skip
    if not seen:
        updated = any(r != 0 for own in ratios.values() for r in own)
        say(axes, "no update is finite" if updated else "nothing is updated")
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.set_xlabel("step", color=GREY)
    many = len(ratios) > 10
    axes.legend(frameon=False, labelcolor=INK, fontsize=7 if many else 9, loc="center left",
                bbox_to_anchor=(1.0, 0.5), ncols=1 + len(ratios) // 14)  # fmt: skip
