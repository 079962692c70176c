"""diagnose: explain the learning curves of a run, read from its metrics.csv and steps.csv.

The rules follow CS231n 2016 and 2025, "Monitor and visualize the loss curve" and "the accuracy".
The lectures only show shapes; the thresholds are our own and are documented in each rule. "Chance"
is the loss of uniform predictions, ln(classes).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from recipes.diagnostics.results import CheckResult
from recipes.locking import is_locked
from recipes.run import Run, open_run
from recipes.training import stopping
from zoo.terminal import plural


class Curves(NamedTuple):
    """The metrics of a run, one value per epoch [N]; NaN where a metric is missing.

    Attributes:
        chance: loss of uniform predictions.
        mixing: op that mixes the labels of training batches, or "". Training accuracy is then that
            of mixed images, and by construction below the validation accuracy.
        stop: record of why the training stopped; see recipes.training.stopping.
        unit: what a value is of, an "epoch" or a "tenth" of the steps.
    """

    loss: np.ndarray
    accuracy: np.ndarray
    val_loss: np.ndarray
    val_accuracy: np.ndarray
    lr: np.ndarray
    chance: float
    mixing: str = ""
    stop: Mapping[str, Any] = MappingProxyType({})
    unit: str = "epoch"


class Rule(NamedTuple):
    """A rule for curves.

    Attributes:
        check: function (curves) -> (seen, evidence, what to do). `seen` is None if the curves
            are not sufficient; the evidence then gives the reason.
        epochs: number of epochs that the rule needs. In runs of fewer than 3 epochs, rules about
            the training loss use the losses of the steps, averaged over each tenth of them.
        validation: whether the rule needs a validation set.
    """

    check: Callable[[Curves], tuple[bool | None, str, str]]
    epochs: int
    validation: bool = False


def diagnose(run: str | Path | Run) -> list[CheckResult]:
    """Diagnose learning rate, initialization, capacity and training length from a run's curves.

    Args:
        run: run directory, or a Run; it need not be finished.

    Returns:
        A CheckResult "end" about whether training reached its last epoch ("seen" if it stopped
        early, with the reason and what to do), and one for each of RULES: "seen" with advice,
        "not seen", or "unknown" if there are too few epochs, there is no validation set, or
        the training accuracy is that of mixed images only.

    Raises:
        ValueError: if the directory is not a run.
    """
    run = run if isinstance(run, Run) else open_run(run)
    curves, tenths = _curves(run), _tenths(run)
    found = [ending(run)]
    for name, rule in RULES.items():
        chosen = curves if tenths is None or rule.validation else tenths
        found.append(_applied(name, rule, chosen))
    return found


def ending(run: Run) -> CheckResult:
    """Report whether the training of a run reached its last epoch, and if not, why it stopped."""
    done, wanted = len(run.metrics), run.recipe.epochs
    epochs = f"{done} of {plural(wanted, 'epoch')} finished"
    again = "the same command continues from the last finished epoch"
    if run.finished:
        result = run.result
        if not result.get("stopped_early"):
            return CheckResult("end", "not seen", f"trained to the end: {epochs}")
        by, best = run.recipe.select_by, result.get("best_epoch")
        figure = f"early stopping after epoch {done} of {wanted}"
        if best and by in run.metrics:
            figure += f"; {by} was best in epoch {best} ({run.metrics[by][best - 1]:.4g})"
        what = (
            f"stopped early because {by} no longer improved; for a longer training, increase"
            f" early_stopping (it was {run.recipe.early_stopping}) in another run"
        )
        return CheckResult("end", "seen", figure, what)
    stop = stopping.read(run.path)
    if is_locked(run.path):
        return CheckResult("end", "unknown", f"still training: {epochs}")
    if stop is None:
        if done >= wanted:
            what = "the training is complete, but its evaluation is not; run the same command again"
            return CheckResult("end", "seen", epochs, what)
        what = f"the process was killed or failed without leaving a reason; {again}"
        return CheckResult("end", "seen", f"not finished: {epochs}", what)
    where = f"in epoch {stop.get('epoch', done + 1)} of {wanted}"
    if stop["reason"] == "interrupted":
        what = f"stopped by Ctrl-C or a signal, not by the training itself; {again}"
        return CheckResult("end", "seen", f"interrupted {where}; {epochs}", what)
    return CheckResult("end", "seen", f"stopped {where}; {epochs}", str(stop.get("message", "")))


def rate_too_low(c: Curves) -> tuple[bool, str, str]:
    """Return whether the loss is above 0.8 of chance and fell by less than 10 % since epoch 1."""
    fall = 1 - c.loss[-1] / c.loss[0]
    seen = c.loss[-1] > 0.8 * c.chance and -0.02 < fall < 0.1 and not _jumps(c)
    what = (
        f"the loss barely moves: increase lr (it was {c.lr.max():.3g}); if `recipes check` finds no"
        " learning rate at which the loss falls, check the initialization"
    )
    return seen, f"{_from_to(c)} ({-fall:+.1%}), chance {c.chance:.4g}", what


def rate_too_high(c: Curves) -> tuple[bool, str, str]:
    """Return whether the loss diverged or ever exceeds 1.5 of chance or of its previous minimum.

    Losses below 0.1 of chance are not compared with the previous minimum.
    """
    if c.stop.get("reason") in ("nan", "loss"):
        first, value = c.stop.get("first_loss"), c.stop.get("value")
        figure = f"{c.stop.get('metric', 'loss')} was " + (
            "not a finite number" if value is None else f"{value:.4g}"
        )
        figure += f" in epoch {c.stop.get('epoch')}"
        if first:
            figure += f", {first:.4g} in the first step"
        rate = c.stop.get("lr")
        was = f" (it was {rate:.3g})" if rate else ""
        return True, figure, f"the loss diverged: decrease lr{was}, or use warmup or clip_norm"
    if not np.isfinite(c.loss).all():
        at = int(np.argmin(np.isfinite(c.loss))) + 1
        was = f"(it was {c.lr.max():.3g})"
        what = f"the loss diverged: decrease lr {was}, or use warmup or clip_norm"
        return True, f"the loss of {c.unit} {at} is not a finite number", what
    largest = float(np.max(c.loss))
    seen = _jumps(c)
    low = np.minimum.accumulate(c.loss)
    ratio = float(np.max(c.loss[1:] / np.maximum(low[:-1], 1e-12))) if len(c.loss) > 1 else 1.0
    figure = (
        f"highest loss {largest:.4g}, chance {c.chance:.4g}; at most {ratio:.2f} of the minimum"
    )
    return seen, figure, f"the loss jumps: decrease lr (it was {c.lr.max():.3g}), or use warmup"


def flat_start(c: Curves) -> tuple[bool, str, str]:
    """Return whether the loss stays near chance at first, and then falls.

    It stays within 5 % of the first epoch's for two epochs, or a tenth of all epochs if that is
    more, and later falls below 0.8 of it.
    """
    near = np.abs(c.loss / c.loss[0] - 1) < 0.05
    flat = int(np.argmin(near)) if not near.all() else len(near)
    late = float(c.loss[flat:].min()) if flat < len(c.loss) else float("inf")
    seen = (
        flat >= max(2, len(c.loss) / 10) and c.loss[0] > 0.9 * c.chance and late < 0.8 * c.loss[0]
    )
    figure = f"{plural(flat, c.unit)} within 5 % of the first loss"
    if late < float("inf"):
        figure += f", then {late:.4g}"
    what = "flat at first, then falling: poor initialization; use a different init, or a norm"
    return seen, figure, what


def gap(c: Curves) -> tuple[bool | None, str, str]:
    """Return whether the run overfits.

    The training accuracy exceeds the validation accuracy by 0.1, or the validation loss is 1.2
    times its minimum while the training loss is within 5 % of its own.
    """
    wide = c.accuracy[-1] - c.val_accuracy[-1]
    lowest = float(np.nanmin(c.val_loss))
    rises = c.val_loss[-1] > 1.2 * lowest and c.loss[-1] <= 1.05 * float(np.min(c.loss))
    figure = f"{_accuracies(c)}; validation loss {c.val_loss[-1]:.4g}, minimum {lowest:.4g}"
    what = (
        "overfitting: use weight_decay, dropout, augment or more data; select='best' keeps the best"
        " epoch"
    )
    if c.mixing and not rises:
        return None, _mixed(c), ""
    return bool(wide > 0.1 or rises), figure, what


def no_gap(c: Curves) -> tuple[bool | None, str, str]:
    """Return whether the network has too little capacity.

    The loss has fallen and converged, the accuracies differ by less than 0.05, and the training
    accuracy is below 0.97.
    """
    if c.mixing:
        return None, _mixed(c), ""
    wide = c.accuracy[-1] - c.val_accuracy[-1]
    learned = c.loss[-1] < 0.9 * c.chance and not still_falling(c)[0]
    seen = bool(learned and wide < 0.05 and c.accuracy[-1] < 0.97)
    what = "no gap: use more capacity (a deeper or wider network) or less dropout"
    return seen, _accuracies(c), what


def still_falling(c: Curves) -> tuple[bool, str, str]:
    """Return whether the loss still falls at the end.

    The mean training loss of the last eighth of the epochs is 5 % below that of the eighth before,
    and the validation loss 1 %.
    """
    k = max(1, len(c.loss) // 8)

    def change(values: np.ndarray) -> float:
        return float(np.mean(values[-k:]) / max(np.mean(values[-2 * k : -k]), 1e-12) - 1)

    parts = {"loss": change(c.loss)}
    seen = parts["loss"] < -0.05 and 0.01 * c.chance < c.loss[-1] < c.chance
    if np.isfinite(c.val_loss).all():
        parts["validation loss"] = change(c.val_loss)
        seen = seen and parts["validation loss"] < -0.01
    changes = ", ".join(f"{name} {value:+.1%}" for name, value in parts.items())
    epochs = c.unit if k == 1 else plural(k, c.unit)
    figure = f"last {epochs} compared with the same number before: {changes}"
    return bool(seen), figure, "train longer: increase epochs"


RULES = {
    "learning rate too low": Rule(rate_too_low, 2),
    "learning rate too high": Rule(rate_too_high, 1),
    "flat start": Rule(flat_start, 3),
    "gap": Rule(gap, 3, validation=True),
    "no gap": Rule(no_gap, 3, validation=True),
    "still falling": Rule(still_falling, 3),
}


def _applied(name: str, rule: Rule, curves: Curves) -> CheckResult:
    epochs = len(curves.loss)
    diverged = rule.check is rate_too_high and curves.stop.get("reason") in ("nan", "loss")
    if epochs < rule.epochs and not diverged:
        figure = f"needs {plural(rule.epochs, 'epoch')}; the run has {plural(epochs, 'epoch')}"
        return CheckResult(name, "unknown", figure)
    if rule.check is not rate_too_high and not np.isfinite(curves.loss).all():
        return CheckResult(name, "unknown", "a training loss is not a finite number")
    if rule.validation and not np.isfinite(curves.val_accuracy).all():
        return CheckResult(name, "unknown", "no validation set")
    if rule.validation and not np.isfinite(curves.val_loss).all():
        return CheckResult(name, "unknown", "a validation loss is not a finite number")
    seen, figure, what = rule.check(curves)
    verdict = {None: "unknown", True: "seen", False: "not seen"}[seen]
    return CheckResult(name, verdict, figure, what if seen else "")


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


def _tenths(run: Run) -> Curves | None:
    """Return the mean loss of each tenth of the steps of a short run.

    The result is None if the run has at least 3 epochs, or fewer than 30 recorded steps.
    """
    whole, table = _curves(run), run.steps
    if len(whole.loss) >= 3 or len(table) < 30:
        return None
    parts = np.array_split(np.arange(len(table)), 10)
    loss, lr = (
        np.array([table[name].to_numpy(float)[part].mean() for part in parts])
        for name in ("loss", "lr")
    )
    nothing = np.full(10, np.nan)
    return whole._replace(
        loss=loss, lr=lr, accuracy=nothing, val_loss=nothing, val_accuracy=nothing, unit="tenth"
    )


def _jumps(c: Curves) -> bool:
    """Return whether the loss ever exceeds 1.5 of chance or of its previous minimum."""
    low = np.minimum.accumulate(c.loss)
    bounces = (c.loss[1:] > 1.5 * low[:-1]) & (c.loss[1:] > 0.1 * c.chance)
    # An initialization may be worse than chance, which a first epoch hides, but not a tenth of it.
    least = c.chance if c.unit == "epoch" else max(c.chance, c.loss[0])
    wild = ~(c.loss <= 1.5 * least)  # NaN counts, too
    return bool(wild.any() or bounces.any())


def _from_to(c: Curves) -> str:
    return f"loss {c.loss[0]:.4g} to {c.loss[-1]:.4g} in {plural(len(c.loss), c.unit)}"


def _accuracies(c: Curves) -> str:
    return f"accuracy {c.accuracy[-1]:.3f} in training, {c.val_accuracy[-1]:.3f} in validation"


def _mixed(c: Curves) -> str:
    return (
        f"{c.mixing} mixes labels, so the training accuracy is that of mixed images;"
        " `evaluate --split=train` evaluates the unmixed images"
    )
