"""Check that at initialization the signal reaches the last layer and few units are dead.

For each activation layer, on a batch in training mode without dropout, compute the mean; the
standard deviation of a unit over images and positions, because a unit that is the same for all
images carries no information; the fraction of units that are zero for the whole batch (dead); and
the fraction of values near the limits of tanh, sigmoid or ReLU6 (saturated).

The check fails if more than half of a layer's units are dead or of its values saturated, or if the
standard deviations of two layers differ by a factor of more than 1,000. The lectures' examples
show what to expect: ReLU with Xavier initialization loses a factor of 30 to 60 in 10 layers, tanh
with weights of 0.01 a factor of 10 in each layer.
"""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from recipes.diagnostics.context import Context
from recipes.diagnostics.plots import legend, panels
from recipes.diagnostics.results import CheckResult
from recipes.drawing import BLUE, GREY, INK, ORANGE, RED, curve, say
from zoo.graph import unwrapped
from zoo.surgery import stage_of

MOST_IMAGES = 64
MOST_VALUES = 1 << 27  # limit on the size of all activations together
SHARE = 0.5
APART = 1e3

# The limits of bounded activation functions.
LIMITS: dict[str, tuple[float | None, float | None]] = {
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "relu6": (None, 6.0),
}
NEAR = 0.01  # fraction of the distance between the limits


@dataclass(frozen=True)
class Layer:
    """An activation layer at initialization, with its statistics."""

    name: str
    stage: str
    mean: float
    deviation: float
    dead: float
    saturated: float


def check(context: Context) -> CheckResult:
    """Run the check; the module's docstring describes it."""
    model = unwrapped(context.network(context.plain))
    found, images = measured(context, model)
    if not found:
        figure = "no activation layers: a linear network has no hidden units"
        return CheckResult("activations", "pass", figure, "", {"layers": []}, _nothing)
    dead = max(found, key=lambda x: x.dead)
    saturated = max(found, key=lambda x: x.saturated)
    deviations = np.array([x.deviation for x in found])
    low, high = int(deviations.argmin()), int(deviations.argmax())
    whole = bool(np.isfinite(deviations).all())
    apart = deviations[high] / deviations[low] if deviations[low] > 0 else float("inf")

    why = ""
    if not whole:
        why = "the activations are not finite: the initial weights or the images are far too large"
    elif deviations[high] == 0:
        why = "all activations are the same for every image: no signal reaches the first layer"
    elif apart > APART and low > high:
        why = (
            f"the signal vanishes before {found[low].name}: the weights are too small for this"
            " activation; use a different init, or a norm"
        )
    elif apart > APART:
        why = (
            f"the signal explodes before {found[high].name}: the weights are too large; use a"
            " different init, or a norm"
        )
    elif dead.dead > SHARE:
        why = f"{dead.dead:.0%} of the units of {dead.name} are dead: they are zero for all images"
    elif saturated.saturated > SHARE:
        why = f"{saturated.saturated:.0%} of the values of {saturated.name} are saturated"
    figure = (
        f"standard deviation {deviations[0]:.2g} in the first layer, {deviations[-1]:.2g} in the"
        f" last, {deviations[low]:.2g} to {deviations[high]:.2g} in all {len(found)};"
        f" at most {dead.dead:.0%} dead, {saturated.saturated:.0%} saturated"
    )
    values = {"layers": [vars(x) for x in found], "stages": _stages(found), "images": images}
    return CheckResult(
        "activations", "fail" if why else "pass", figure, why, values,
        lambda part: _draw(part, found),
    )  # fmt: skip


def measured(context: Context, model: keras.Model) -> tuple[list[Layer], int]:
    """Return the statistics of each activation layer, first to last, and the number of images."""
    acts = [layer for layer in model.layers if is_activation(layer)]
    if not acts:
        return [], 0
    size = sum(int(np.prod([n or 1 for n in layer.output.shape[1:]])) for layer in acts)
    count = max(2, min(MOST_IMAGES, context.batch, MOST_VALUES // size))
    images, _ = context.sample(count)
    inside = keras.Model(model.inputs, [layer.output for layer in acts])

    @tf.function
    def statistics(x):
        # Computed in the graph, so that only the statistics are kept in memory.
        return [
            _statistics(y, act) for y, act in
            zip(keras.tree.flatten(inside(x, training=True)), acts, strict=True)
        ]  # fmt: skip

    rows = statistics(tf.constant(images))
    return [
        Layer(act.name, stage_of(act), *(float(value) for value in row))
        for act, row in zip(acts, rows, strict=True)
    ], len(images)


def is_activation(layer) -> bool:
    """Return whether a layer is an activation, by its class or by the names used in zoo."""
    return layer.name.endswith("_act") or isinstance(
        layer,
        (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.PReLU,
         keras.layers.ELU),
    )  # fmt: skip


def _statistics(y, layer):
    y = tf.reshape(tf.cast(y, tf.float32), (-1, y.shape[-1]))
    deviation = tf.sqrt(tf.reduce_mean(tf.math.reduce_variance(y, axis=0)))
    dead = tf.reduce_mean(tf.cast(tf.reduce_all(y == 0, axis=0), tf.float32))
    low, high = LIMITS.get(_function(layer), (None, None))
    margin = NEAR * ((high or 0) - (low or 0))
    at_limit = tf.zeros_like(y, bool)
    if low is not None:
        at_limit |= y < low + margin
    if high is not None:
        at_limit |= y > high - margin
    return tf.reduce_mean(y), deviation, dead, tf.reduce_mean(tf.cast(at_limit, tf.float32))


def _function(layer) -> str:
    return getattr(getattr(layer, "activation", None), "__name__", "")


def _stages(found: list[Layer]) -> dict[str, dict[str, float]]:
    """Return for each stage the means over its layers, and the most dead or saturated."""
    stages: dict[str, list[Layer]] = {}
    for layer in found:
        stages.setdefault(layer.stage, []).append(layer)
    return {
        stage: {
            "mean": float(np.mean([x.mean for x in own])),
            "deviation": float(np.mean([x.deviation for x in own])),
            "dead": max(x.dead for x in own),
            "saturated": max(x.saturated for x in own),
        }
        for stage, own in stages.items()
    }


def _draw(part, found: list[Layer]) -> None:
    left, right = panels(part, ["standard deviation of a unit's outputs", "fraction of units"])
    places = np.arange(1, len(found) + 1)
    marker = "o" if len(found) <= 60 else None
    deviations = np.array([x.deviation for x in found])
    shown = np.where(np.isfinite(deviations) & (deviations > 0), deviations, np.nan)
    curve(left, places, shown, color=BLUE, lw=2, marker=marker, ms=4)
    left.set_yscale("log")
    if not np.isfinite(deviations).any():
        say(left, "no standard deviation is finite")
    if np.isfinite(shown).any():
        middle = float(np.exp(np.nanmean(np.log(shown))))
        left.set_ylim(
            min(np.nanmin(shown) / 2, middle / 20), max(np.nanmax(shown) * 2, middle * 20)
        )
    for name, color, lw in (("dead", ORANGE, 3), ("saturated", RED, 1)):
        shares = [getattr(x, name) for x in found]  # the thinner line leaves the other visible
        curve(right, places, shares, color=color, lw=lw, marker=marker, ms=2 * lw, label=name)
    right.axhline(SHARE, color=INK, lw=0.8, ls=":")
    right.set_ylim(-0.03, 1.03)
    legend(right, 2)
    first = [i for i, x in enumerate(found) if i == 0 or x.stage != found[i - 1].stage]
    middles = [(i + j + 1) / 2 for i, j in zip(first, [*first[1:], len(found)], strict=True)]
    turn = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if len(first) > 4 else {}
    every = -(-len(first) // 10)  # more names would overlap
    for axes in (left, right):
        axes.set_xticks(middles[::every], [found[i].stage for i in first[::every]], **turn)
        axes.set_xlim(0.5, len(found) + 0.5)
        axes.set_xlabel("activation layers, first to last", color=GREY)
        for i in first[1:]:
            axes.axvline(i + 0.5, color="#e6e8ec", lw=0.8)


def _nothing(part) -> None:
    (axes,) = panels(part, [""])
    axes.set_axis_off()
    axes.text(0.5, 0.5, "no hidden units", ha="center", va="center", color=GREY, fontsize=12)
