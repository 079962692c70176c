"""What the lectures read off curves: a run's metrics.csv in words, a line each.

CS231n 2016 and 2025, "Monitor and visualize the loss curve" and "the accuracy". The lectures
draw shapes; the thresholds are ours, and stand with each rule. Chance is ln(classes).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from recipes.diagnostics.results import Finding
from recipes.run import Run, is_locked
from recipes.run import open as open_run
from recipes.training import stopping


class Curves(NamedTuple):
    """A run's figures, an epoch each [N]; NaN where there are none.

    `mixing` is the op that mixes the labels of training batches, "" without one: accuracy is
    then of mixed images, and below validation's by construction.
    `stop` is the record of recipes.training.stopping.
    """

    loss: np.ndarray
    accuracy: np.ndarray
    val_loss: np.ndarray
    val_accuracy: np.ndarray
    lr: np.ndarray
    chance: float
    mixing: str = ""
    stop: Mapping[str, Any] = MappingProxyType({})


class Rule(NamedTuple):
    """A rule: the epochs that it needs, and (curves) -> (seen, evidence, what to do).

    Seen is None where the curves cannot tell; the evidence then says why.
    """

    judge: Callable[[Curves], tuple[bool | None, str, str]]
    epochs: int
    validation: bool = False


def diagnose(run: str | Path | Run) -> list[Finding]:
    """Read the learning rate, start, capacity and length off the curves of a run, finished or not.

    Returns:
        A Finding "end" that tells whether the training reached its last epoch ("seen" if it was
        stopped, with the reason and what to do), and one for each rule of RULES: "seen" with
        what to do, "not seen", or "unknown" where there are too few epochs, no validation set, or
        no accuracy of training images that are not mixed.

    Raises:
        ValueError: the directory is not a run.
    """
    run = run if isinstance(run, Run) else open_run(run)
    curves = _curves(run)
    return [ending(run), *(_applied(name, rule, curves) for name, rule in RULES.items())]


def ending(run: Run) -> Finding:
    """Tell whether the training of a run reached its last epoch, and what stopped it if not."""
    done, wanted = len(run.metrics), run.recipe.epochs
    epochs = f"{done} of {wanted} {'epoch is' if wanted == 1 else 'epochs are'} finished"
    again = "the same command continues from the last finished epoch"
    if run.finished:
        result = run.result
        if not result.get("stopped_early"):
            return Finding("end", "not seen", f"trained to the end: {epochs}")
        by, best = run.recipe.select_by, result.get("best_epoch")
        figure = f"early stopping after epoch {done} of {wanted}"
        if best and by in run.metrics:
            figure += f"; {by} was best in epoch {best} ({run.metrics[by][best - 1]:.4g})"
        what = (
            f"stopped early because {by} no longer improved; for a longer training, increase"
            f" early_stopping (it was {run.recipe.early_stopping}) in another run"
        )
        return Finding("end", "seen", figure, what)
    stop = stopping.read(run.path)
    if is_locked(run.path):
        return Finding("end", "unknown", f"still training: {epochs}")
    if stop is None:
        if done >= wanted:
            what = "the training ended, but the evaluation did not: run the same command again"
            return Finding("end", "seen", epochs, what)
        what = f"the process was killed, or failed without a record; {again}"
        return Finding("end", "seen", f"not finished: {epochs}", what)
    where = f"in epoch {stop.get('epoch', done + 1)} of {wanted}"
    if stop["reason"] == "interrupted":
        what = f"stopped by Ctrl-C or a signal, not by the training itself; {again}"
        return Finding("end", "seen", f"interrupted {where}; {epochs}", what)
    return Finding("end", "seen", f"stopped {where}; {epochs}", str(stop.get("message", "")))


def rate_too_low(c: Curves) -> tuple[bool, str, str]:
    """The loss is above 0.8 of chance and has fallen by less than 10 % since the first epoch."""
    fall = 1 - c.loss[-1] / c.loss[0]
    seen = c.loss[-1] > 0.8 * c.chance and -0.02 < fall < 0.1 and not _jumps(c)
    what = (
        f"the loss barely moves: raise lr (it was {c.lr.max():.3g}); if `recipes check` finds no"
        " falling rate, look at the start"
    )
    return seen, f"{_from_to(c.loss)} ({-fall:+.1%}), chance {c.chance:.4g}", what


def rate_too_high(c: Curves) -> tuple[bool, str, str]:
    """The loss diverged, or an epoch's is over 1.5 of chance or of the lowest before it.

    Of the last, losses under 0.1 of chance do not count.
    """
    if c.stop.get("reason") in ("nan", "loss"):
        first, value = c.stop.get("first_loss"), c.stop.get("value")
        figure = f"{c.stop.get('metric', 'loss')} was " + (
            "not a finite number" if value is None else f"{value:.4g}"
        )
        figure += f" in epoch {c.stop.get('epoch')}" + (f", {first:.4g} at first" if first else "")
        rate = c.stop.get("lr")
        was = f" (it was {rate:.3g})" if rate else ""
        return True, figure, f"the loss diverged: lower lr{was}, or use a warmup or clip_norm"
    if not np.isfinite(c.loss).all():
        epoch = int(np.argmin(np.isfinite(c.loss))) + 1
        was = f"(it was {c.lr.max():.3g})"
        what = f"the loss diverged: lower lr {was}, or use a warmup or clip_norm"
        return True, f"the loss of epoch {epoch} is not a finite number", what
    largest = float(np.max(c.loss))
    seen = _jumps(c)
    low = np.minimum.accumulate(c.loss)
    ratio = float(np.max(c.loss[1:] / np.maximum(low[:-1], 1e-12))) if len(c.loss) > 1 else 1.0
    figure = f"highest loss {largest:.4g}, chance {c.chance:.4g}; at most {ratio:.2f} of the lowest"
    return seen, figure, f"the loss jumps: lower lr (it was {c.lr.max():.3g}), or use a warmup"


def flat_start(c: Curves) -> tuple[bool, str, str]:
    """Two epochs or a tenth within 5 % of the first loss, near chance; then below 0.8 of it."""
    near = np.abs(c.loss / c.loss[0] - 1) < 0.05
    flat = int(np.argmin(near)) if not near.all() else len(near)
    late = float(c.loss[flat:].min()) if flat < len(c.loss) else float("inf")
    seen = (
        flat >= max(2, len(c.loss) / 10) and c.loss[0] > 0.9 * c.chance and late < 0.8 * c.loss[0]
    )
    figure = f"{flat} {'epoch' if flat == 1 else 'epochs'} within 5 % of the first loss"
    if late < float("inf"):
        figure += f", then {late:.4g}"
    return seen, figure, "flat, then falling: a poor initialization; give another init, or a norm"


def gap(c: Curves) -> tuple[bool | None, str, str]:
    """Training accuracy over validation's by 0.1, or validation loss 1.2 of its lowest."""
    wide = c.accuracy[-1] - c.val_accuracy[-1]
    lowest = float(np.nanmin(c.val_loss))
    rises = c.val_loss[-1] > 1.2 * lowest and c.loss[-1] <= 1.05 * float(np.min(c.loss))
    figure = f"{_accuracies(c)}; validation loss {c.val_loss[-1]:.4g}, at its lowest {lowest:.4g}"
    what = "regularize: weight_decay, dropout, augment, or more data; select='best' stops early"
    if c.mixing and not rises:
        return None, _mixed(c), ""
    return bool(wide > 0.1 or rises), figure, what


def no_gap(c: Curves) -> tuple[bool | None, str, str]:
    """Less than 0.05 between the accuracies, training's below 0.97, a loss that fell and ended."""
    if c.mixing:
        return None, _mixed(c), ""
    wide = c.accuracy[-1] - c.val_accuracy[-1]
    learned = c.loss[-1] < 0.9 * c.chance and not still_falling(c)[0]
    seen = bool(learned and wide < 0.05 and c.accuracy[-1] < 0.97)
    return seen, _accuracies(c), "no gap: more capacity (a deeper or wider network), less dropout"


def still_falling(c: Curves) -> tuple[bool, str, str]:
    """The last eighth's mean loss is 5 % below that of the eighth before, validation's 1 %."""
    k = max(1, len(c.loss) // 8)

    def change(values: np.ndarray) -> float:
        return float(np.mean(values[-k:]) / max(np.mean(values[-2 * k : -k]), 1e-12) - 1)

    parts = {"loss": change(c.loss)}
    seen = parts["loss"] < -0.05 and 0.01 * c.chance < c.loss[-1] < c.chance
    if np.isfinite(c.val_loss).all():
        parts["validation loss"] = change(c.val_loss)
        seen = seen and parts["validation loss"] < -0.01
    said = ", ".join(f"{name} {value:+.1%}" for name, value in parts.items())
    epochs = "epoch" if k == 1 else f"{k} epochs"
    return bool(seen), f"last {epochs} beside those before: {said}", "train longer: more epochs"


RULES = {
    "learning rate too low": Rule(rate_too_low, 2),
    "learning rate too high": Rule(rate_too_high, 1),
    "flat start": Rule(flat_start, 3),
    "gap": Rule(gap, 3, validation=True),
    "no gap": Rule(no_gap, 3, validation=True),
    "still falling": Rule(still_falling, 3),
}


def _applied(name: str, rule: Rule, curves: Curves) -> Finding:
    epochs = len(curves.loss)
    diverged = rule.judge is rate_too_high and curves.stop.get("reason") in ("nan", "loss")
    if epochs < rule.epochs and not diverged:
        count = "1 finished epoch" if epochs == 1 else f"{epochs} finished epochs"
        return Finding(name, "unknown", f"{count}, it takes {rule.epochs}")
    if rule.judge is not rate_too_high and not np.isfinite(curves.loss).all():
        return Finding(name, "unknown", "a training loss is not a finite number")
    if rule.validation and not np.isfinite(curves.val_accuracy).all():
        return Finding(name, "unknown", "no validation set")
    if rule.validation and not np.isfinite(curves.val_loss).all():
        return Finding(name, "unknown", "a validation loss is no number")
    seen, figure, what = rule.judge(curves)
    verdict = {None: "unknown", True: "seen", False: "not seen"}[seen]
    return Finding(name, verdict, figure, what if seen else "")


def _curves(run: Run) -> Curves:
    table = run.metrics
    nothing = np.full(len(table), np.nan)

    def column(name: str) -> np.ndarray:
        return table[name].to_numpy(float) if name in table else nothing

    return Curves(
        loss=column("loss"),
        accuracy=column("accuracy"),
        val_loss=column("val_loss"),
        val_accuracy=column("val_accuracy"),
        lr=column("lr"),
        chance=float(np.log(2 if run.recipe.loss == "bce" else len(run.classes))),
        stop=stopping.read(run.path) or {},
        mixing=next((repr(each) for each in run.recipe.augment if hasattr(each, "batch")), ""),
    )


def _jumps(c: Curves) -> bool:
    """Whether the loss is ever over 1.5 of chance, or of the lowest before, and no small one."""
    low = np.minimum.accumulate(c.loss)
    bounces = (c.loss[1:] > 1.5 * low[:-1]) & (c.loss[1:] > 0.1 * c.chance)
    wild = ~(c.loss <= 1.5 * c.chance)  # or no number
    return bool(wild.any() or bounces.any())


def _from_to(values: np.ndarray) -> str:
    return f"loss {values[0]:.4g} to {values[-1]:.4g} in {len(values)} epochs"


def _accuracies(c: Curves) -> str:
    return f"accuracy {c.accuracy[-1]:.3f} in training, {c.val_accuracy[-1]:.3f} in validation"


def _mixed(c: Curves) -> str:
    return (
        f"{c.mixing} mixes labels, so that training accuracy is of mixed images:"
        " `evaluate --split=train` judges them as they are"
    )
