"""The first loss is ln(classes) without regularization, and higher with a penalty on weights.

Fails: it is more than a tenth off, or a label is not one of the classes, or the penalty does not
raise it (there are no weights, then). Where a hundredth of the classifier's kernel brings the
loss back, its scale is the reason, and the line says so. With weights from elsewhere it may be
lower.
"""

import keras
import numpy as np

from recipes.diagnostics.context import Context, cross_entropy, logits
from recipes.diagnostics.plots import panels
from recipes.diagnostics.results import Finding
from recipes.drawing import AMBER, BLUE, GREEN, GREY, INK, RED
from zoo.graph import layers_of

IMAGES = 256
TOLERANCE = 0.1
SMALLER = 0.01
DECAY = 1e-4  # of a recipe that has none


def judge(context: Context) -> Finding:
    """See the module."""
    images, labels = context.sample(min(IMAGES, max(context.batch, 64)))
    model = context.network(context.plain)
    loss = _loss(context, model, images, labels)
    chance = context.chance
    off = abs(loss / chance - 1) if np.isfinite(loss) else float("inf")
    learned = context.recipe.weights is not None and loss < chance
    decay = context.recipe.weight_decay or DECAY
    penalty = decay / 2 * _squares(_decayed(context, model))
    strays = int(np.sum(~np.isclose(labels.sum(axis=1), 1)))
    scale = None

    what = "ln 2" if context.recipe.loss == "bce" else f"ln {context.classes}"
    apart = f" ({percent(off)} off)" if np.isfinite(off) else ""
    figure = (
        f"{loss:.4g}, {what} is {chance:.4g}{apart}; with a decay of {decay:g} {loss + penalty:.4g}"
    )
    verdict, why = "pass", ""
    if strays:
        verdict = "fail"
        why = (
            f"{strays} of {len(labels)} labels are none of the {context.classes} classes:"
            " their rows of zeros or more than one add nothing true to the loss"
        )
    elif off > TOLERANCE and not learned:
        verdict, scale = "fail", _with_a_smaller_head(context, model, images, labels)
        why = (
            "neither the classifier's scale nor chance explains it: look at loss, labels and"
            " preprocessing"
        )
        if not np.isfinite(loss):
            why = "it is no finite number: the weights or the images are far too large"
        if scale is not None and abs(scale / chance - 1) <= TOLERANCE:
            why = (
                f"the classifier's scale: with {SMALLER:g} of its kernel the loss is {scale:.4g};"
                " give head_init a smaller deviation, or images a smaller scale"
            )
    elif not penalty > 0:
        verdict, why = "fail", "a penalty does not raise it: all weights are zero"
    values = {
        "loss": loss, "chance": chance, "penalty": penalty, "decay": decay,
        "strays": strays, "smaller_head": scale, "images": len(images),
    }  # fmt: skip
    bars = {
        f"chance ({what})": chance, "first loss": loss,
        f"with weight decay {decay:g}": loss + penalty,
    }  # fmt: skip
    if scale is not None:
        bars[f"head scaled by {SMALLER:g}"] = scale
    return Finding("first_loss", verdict, figure, why, values, lambda part: _draw(part, bars))


def percent(share: float) -> str:
    """A share in percent; of a large one the order alone."""
    return f"{share:.1%}" if share < 10 else f"{100 * share:.2g}%"


def _squares(variables: list) -> float:
    """The sum of all squares, in float64: the squares of large weights are no float32."""
    return sum(float(np.sum(np.square(np.asarray(v, np.float64)))) for v in variables)


def _loss(context: Context, model: keras.Model, images, labels) -> float:
    found = logits(model, images, training=True)
    return float(np.mean(cross_entropy(context, found, labels)))


def _decayed(context: Context, model: keras.Model) -> list:
    """What the decay is on."""
    every = context.recipe.decay_norms
    return [v for v in model.trainable_variables if every or v.path.endswith("kernel")]


def _with_a_smaller_head(context: Context, model, images, labels) -> float | None:
    heads = [x for x in layers_of(model) if isinstance(x, keras.layers.Dense)]
    if not heads:
        return None
    kept = np.array(heads[-1].kernel)
    heads[-1].kernel.assign(kept * SMALLER)
    loss = _loss(context, model, images, labels)
    heads[-1].kernel.assign(kept)
    return loss


def _draw(part, bars: dict[str, float]) -> None:
    (axes,) = panels(part, ["loss (green band: within 10% of chance)"])
    names, heights = list(bars), np.array(list(bars.values()))
    chance = heights[0]
    good = abs(heights[1] / chance - 1) <= TOLERANCE
    colours = [GREY, GREEN if good else RED, BLUE, AMBER][: len(names)]
    shown = np.where(np.isfinite(heights), heights, 0)  # the number stands beside it
    axes.barh(names, shown, color=colours, height=0.55)
    axes.axvspan(
        chance * (1 - TOLERANCE), chance * (1 + TOLERANCE), color=GREEN, alpha=0.15, lw=0,
    )  # fmt: skip
    for place, height in enumerate(heights):
        axes.annotate(f" {height:.4g}", (shown[place], place), va="center", color=INK, fontsize=10)
    axes.set_xlim(0, 1.15 * max(shown.max(), chance * 1.2))
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.tick_params(axis="y", colors=INK)
