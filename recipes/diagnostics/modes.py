"""The network does in inference what it does in training, but for dropout.

After the short training, without dropout and at fixed weights, training batches pass in training
mode until the moving statistics of the norms could have converged to 1 % (their momentum says how
many it takes), but not more of them than the recipe has steps. Then the same batch goes through
the network in both modes.

Fails: the statistics of a norm do not move, though its weights are trained or it still has the
first ones; an image's logits in inference depend on the other images; a norm's momentum keeps
more than half of its first statistics to the end of the recipe's training; the loss in inference
is higher by more than half of that in training, or lower by it, and by more than a tenth of chance.
"""

import math
import time

import keras
import numpy as np

from recipes.diagnostics.context import Context, cross_entropy, logits
from recipes.diagnostics.plots import panels
from recipes.diagnostics.results import Finding
from recipes.diagnostics.short_training import trained
from recipes.drawing import BLUE, GREY, INK, ORANGE, say
from zoo.graph import layers_of

LEFT = 0.01  # of the first statistics, when they count as converged
HALF = 0.5
SHARE, TENTH = 0.5, 0.1
SAME = 1e-3  # relative difference of logits that rounding explains


def judge(context: Context) -> Finding:
    """See the module."""
    done = trained(context)
    if done.exploded:
        figure = f"not judged: the loss exploded in {len(done.losses)} steps"
        return Finding("modes", "note", figure, "see rates")
    model = context.network(context.plain)
    done.give(model)
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
        verdict, why = "fail", "the logits are not finite: see first_loss and rates"
    elif still:
        verdict = "fail"
        why = (
            f"the statistics of {still[0]} ({len(still)} of {len(norms)} norms) do not move in"
            " training mode: a frozen norm at its first statistics, or a lost training flag"
        )
    elif not depends <= SAME:
        verdict = "fail"
        why = (
            f"in inference the logits of an image change by {depends:.1%} with the other images:"
            " a layer is in training mode there"
        )
    elif _is_slow(context, norms, total):
        verdict = "fail"
        why = (
            f"a norm's momentum of {_momentum(norms):g} needs {wanted:,} steps, and the recipe has"
            f" {total:,}: give options.norm_momentum a smaller value"
        )
    elif wide:
        verdict, why = "fail", "dropout is off, so it does not explain the gap: look at the norms"
        if passes < min(wanted, total):
            verdict = "note"
            why = f"{passes} of {wanted:,} passes in {context.seconds:g} s: the norms may settle"
    explained = f"; {passes} passes for {len(norms)} norms" if norms else "; no batch norms"
    figure = (
        f"loss {losses['training']:.3g} in training mode, {losses['inference']:.3g} in inference"
        f" mode, the same {len(images)} images{explained}"
    )
    values = {
        "losses": {k: v if math.isfinite(v) else None for k, v in losses.items()},
        "passes": passes, "wanted": wanted, "norms": len(norms), "still": still,
        "depends": depends if math.isfinite(depends) else None,
    }  # fmt: skip
    return Finding(
        "modes", verdict, figure, why, values,
        lambda part: _draw(part, training, inference, losses),
    )  # fmt: skip


def _momentum(norms: list) -> float:
    return max(norm.momentum for norm in norms)


def _passes(context: Context, norms: list) -> int:
    """How many batches bring the moving statistics to LEFT of their way."""
    if not norms:
        return 0
    momentum = _momentum(norms)
    return math.ceil(math.log(LEFT) / math.log(momentum)) if momentum > 0 else 1


def _is_slow(context: Context, norms: list, total: int) -> bool:
    """Whether more than half of fresh statistics is left when the training ends."""
    return bool(norms) and context.recipe.weights is None and _momentum(norms) ** total > HALF


def _total(context: Context) -> int:
    """The steps of the recipe's whole training."""
    return context.recipe.epochs * (context.data.train.count // context.recipe.batch)


def _statistics(norms: list) -> list[np.ndarray]:
    return [np.stack([np.array(x.moving_mean), np.array(x.moving_variance)]) for x in norms]


def _is_new(statistics: np.ndarray) -> bool:
    """Whether they are those of a fresh norm: means 0, variances 1."""
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
