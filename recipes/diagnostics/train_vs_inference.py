"""Check that the network behaves alike in training and inference mode, except for dropout.

After the short training, without dropout and with fixed weights, run training batches in training
mode until the moving statistics of batch normalization have converged to 1 % (their momentum
determines how many batches that takes), but no more batches than the recipe has steps. Then
compare both modes on the same batch.

The check fails if
- the statistics of a norm do not change, although it is trainable or still has its initial ones;
- the logits of an image in inference mode depend on the other images of the batch;
- a norm's momentum is so high that more than half of the initial statistics would remain at the
  end of the recipe's training;
- the losses differ by more than half of the training-mode loss and by more than a tenth of
  ln(classes).
"""

import math
import time

import keras
import numpy as np

from recipes.diagnostics.context import Context, cross_entropy, logits
from recipes.diagnostics.plots import panels
from recipes.diagnostics.results import CheckResult
from recipes.diagnostics.short_training import trained
from recipes.drawing import BLUE, GREY, INK, ORANGE, say
from zoo.graph import layers_of
from zoo.terminal import plural

LEFT = 0.01  # share of the initial statistics that remains after convergence
HALF = 0.5
SHARE, TENTH = 0.5, 0.1
SAME = 1e-3  # relative difference of logits that rounding can explain


def check(context: Context) -> CheckResult:
    """Run the check; the module's docstring describes it."""
    done = trained(context)
    if done.exploded:
        figure = f"not checked: the loss exploded within {plural(len(done.losses), 'step')}"
        return CheckResult("train_vs_inference", "note", figure, "see learning_rate")
    model = context.network(context.plain)
    done.copy_weights_to(model)
    norms = [x for x in layers_of(model) if isinstance(x, keras.layers.BatchNormalization)]
    first = _statistics(norms)
    wanted, total, passes = _passes(context, norms), _total(context), 0
    end = time.monotonic() + context.seconds
    while passes < min(wanted, total) and (passes == 0 or time.monotonic() < end):
        model(context.batch_at(passes)[0], training=True)
        passes += 1
    still = [
        norm.name for norm, before, after in zip(norms, first, _statistics(norms), strict=True)
        if np.array_equal(before, after) and (norm.trainable or _is_new(before))
    ]  # fmt: skip

    images, labels = context.batch_at(0)
    # Inference comes first: the pass in training mode moves the statistics once more.
    alone = logits(model, images[:1], training=False)
    inference = logits(model, images, training=False, batch=len(images))
    training = logits(model, images, training=True, batch=len(images))
    losses = {
        "training": float(np.mean(cross_entropy(context, training, labels))),
        "inference": float(np.mean(cross_entropy(context, inference, labels))),
    }
    gap = losses["inference"] - losses["training"]
    wide = not abs(gap) <= max(SHARE * losses["training"], TENTH * context.chance)
    scale = max(float(np.abs(inference).max()), 1e-9)
    depends = float(np.abs(alone[0] - inference[0]).max()) / scale

    verdict, why = "pass", ""
    if not (np.isfinite(training).all() and np.isfinite(inference).all()):
        verdict, why = "fail", "the logits are not finite; see initial_loss and learning_rate"
    elif still:
        verdict = "fail"
        why = (
            f"the moving statistics of {still[0]} ({len(still)} of {plural(len(norms), 'norm')}) do"
            " not change in training mode: a frozen norm with its initial statistics, or a layer"
            " that ignores the training argument"
        )
    elif not depends <= SAME:
        verdict = "fail"
        why = (
            f"in inference mode, the logits of an image change by {depends:.1%} with the other"
            " images of the batch: a layer is still in training mode"
        )
    elif _is_slow(context, norms, total):
        verdict = "fail"
        why = (
            f"a norm's momentum of {_momentum(norms):g} needs {plural(wanted, 'step')}, but the"
            f" recipe has only {total:,}; decrease options.norm_momentum"
        )
    elif wide:
        verdict, why = "fail", "the losses differ although dropout is off; look at the norms"
        if passes < min(wanted, total):
            verdict = "note"
            why = (
                f"only {passes} of {plural(wanted, 'batch', 'batches')} ran in"
                f" {context.seconds:g} s; increase --seconds"
            )
    explained = "; no batch norms"
    if norms:
        explained = f"; {plural(passes, 'batch', 'batches')} for {plural(len(norms), 'norm')}"
    figure = (
        f"loss {losses['training']:.3g} in training mode, {losses['inference']:.3g} in inference"
        f" mode, on the same {plural(len(images), 'image')}{explained}"
    )
    values = {
        "losses": {k: v if math.isfinite(v) else None for k, v in losses.items()},
        "passes": passes, "wanted": wanted, "norms": len(norms), "still": still,
        "depends": depends if math.isfinite(depends) else None,
    }  # fmt: skip
    return CheckResult(
        "train_vs_inference", verdict, figure, why, values,
        lambda part: _draw(part, training, inference, losses),
    )  # fmt: skip


def _momentum(norms: list) -> float:
    return max(norm.momentum for norm in norms)


def _passes(context: Context, norms: list) -> int:
    """Return the number of batches after which LEFT of the initial statistics remains."""
    if not norms:
        return 0
    momentum = _momentum(norms)
    return math.ceil(math.log(LEFT) / math.log(momentum)) if momentum > 0 else 1


def _is_slow(context: Context, norms: list, total: int) -> bool:
    """Return whether more than half of the initial statistics remains after the training."""
    return bool(norms) and context.recipe.weights is None and _momentum(norms) ** total > HALF


def _total(context: Context) -> int:
    """Return the number of steps of the recipe's whole training."""
    return context.recipe.epochs * (context.data.train.count // context.recipe.batch_size)


def _statistics(norms: list) -> list[np.ndarray]:
    return [np.stack([np.array(x.moving_mean), np.array(x.moving_variance)]) for x in norms]


def _is_new(statistics: np.ndarray) -> bool:
    """Return whether the statistics are those of a new norm: mean 0, variance 1."""
    return not statistics[0].any() and bool((statistics[1] == 1).all())


def _draw(part, training, inference, losses: dict[str, float]) -> None:
    left, right = panels(part, ["logits of one batch", "loss of one batch"])
    both = np.concatenate([training.ravel(), inference.ravel()])
    both = both[np.isfinite(both)]
    ends = (both.min(), both.max()) if len(both) else (0, 1)
    left.plot(ends, ends, color=INK, lw=0.8, ls=":")
    left.scatter(training.ravel(), inference.ravel(), s=5, color=BLUE, alpha=0.4, lw=0)
    if not len(both):
        say(left, "no logit is finite")
    left.set_xlabel("training mode", color=GREY)
    left.set_ylabel("inference mode", color=GREY)
    heights = [value if math.isfinite(value) else 0 for value in losses.values()]
    right.bar(list(losses), heights, color=[BLUE, ORANGE], width=0.5)
    for place, value in enumerate(losses.values()):
        right.annotate(f"{value:.3g}", (place, heights[place]), (0, 3), va="bottom", ha="center",
                       textcoords="offset points", color=INK)  # fmt: skip
    right.yaxis.set_major_formatter("{x:.4g}")
    right.set_ylim(0, 1.2 * max(*heights, 1e-9))
    right.set_xlim(-0.6, 1.6)
