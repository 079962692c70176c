"""Check that the initial loss is ln(classes), and that weight decay increases it.

The loss is computed without regularization. The check fails if the loss differs from ln(classes)
by more than 10 %, if a label is not one of the classes, or if weight decay does not increase the
loss (then all weights are zero). If scaling the classifier's kernel by 0.01 corrects the loss, the
explanation names that scale as the cause. With pretrained weights the loss may be lower.
"""

import keras
import numpy as np

from recipes.diagnostics.context import Context, cross_entropy, logits
from recipes.diagnostics.plots import panels
from recipes.diagnostics.results import CheckResult
from recipes.drawing import AMBER, BLUE, GREEN, GREY, INK, RED
from zoo.graph import layers_of
from zoo.terminal import plural

IMAGES = 256
TOLERANCE = 0.1
SMALLER = 0.01
DECAY = 1e-4  # used if the recipe has no weight decay


def check(context: Context) -> CheckResult:
    """Run the check; the module's docstring describes it."""
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
    penalized = f"with weight decay {decay:g}: {loss + penalty:.4g}"
    figure = f"{loss:.4g}; {what} = {chance:.4g}{apart}; {penalized}"
    verdict, why = "pass", ""
    if strays:
        verdict = "fail"
        why = (
            f"{strays} of {plural(len(labels), 'label')} {'is' if strays == 1 else 'are'} not among"
            f" the {plural(context.classes, 'class', 'classes')}, so the loss means nothing; check"
            " the labels and the number of classes"
        )
    elif off > TOLERANCE and not learned:
        verdict, scale = "fail", _with_a_smaller_head(context, model, images, labels)
        why = (
            "the loss is not that of uniform predictions, and the classifier's scale is not the"
            " cause; check the loss function, labels and preprocessing"
        )
        if not np.isfinite(loss):
            why = "the loss is not a finite number: the weights or the images are far too large"
        if scale is not None and abs(scale / chance - 1) <= TOLERANCE:
            why = (
                f"the classifier's scale is too large: with {SMALLER:g} of its kernel the loss is"
                f" {scale:.4g}; use a smaller standard deviation in head_init, or scale the images"
            )
    elif not penalty > 0:
        verdict, why = "fail", "weight decay does not increase the loss: all weights are zero"
    values = {
        "loss": loss, "chance": chance, "penalty": penalty, "decay": decay,
        "strays": strays, "smaller_head": scale, "images": len(images),
    }  # fmt: skip
    bars = {
        f"chance ({what})": chance, "initial loss": loss,
        f"with weight decay {decay:g}": loss + penalty,
    }  # fmt: skip
    if scale is not None:
        bars[f"head scaled by {SMALLER:g}"] = scale
    return CheckResult("initial_loss", verdict, figure, why, values, lambda part: _draw(part, bars))


def percent(share: float) -> str:
    """Format a fraction as a percentage; large ones with two digits only."""
    return f"{share:.1%}" if share < 10 else f"{100 * share:.2g}%"


def _squares(variables: list) -> float:
    """Sum all squares in float64, because the squares of large weights overflow float32."""
    return sum(float(np.sum(np.square(np.asarray(v, np.float64)))) for v in variables)


def _loss(context: Context, model: keras.Model, images, labels) -> float:
    outputs = logits(model, images, training=True)
    return float(np.mean(cross_entropy(context, outputs, labels)))


def _decayed(context: Context, model: keras.Model) -> list:
    """Return the variables to which weight decay applies."""
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
    colors = [GREY, GREEN if good else RED, BLUE, AMBER][: len(names)]
    shown = np.where(np.isfinite(heights), heights, 0)  # the label shows the number
    axes.barh(names, shown, color=colors, height=0.55)
    axes.axvspan(
        chance * (1 - TOLERANCE), chance * (1 + TOLERANCE), color=GREEN, alpha=0.15, lw=0,
    )  # fmt: skip
    for place, height in enumerate(heights):
        axes.annotate(f" {height:.4g}", (shown[place], place), va="center", color=INK, fontsize=10)
    axes.set_xlim(0, 1.15 * max(shown.max(), chance * 1.2))
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.tick_params(axis="y", colors=INK)
