"""Check that at initialization the signal reaches the last layer and few units are dead.

The statistics of each hidden layer are those of `recipes.layer_statistics`, on a batch in training
mode without dropout. The picture shows the histogram of the activations of each layer, as the
lectures draw it, and the standard deviations, dead and saturated shares and gradients by layer.

The check fails if more than half of a layer's units are dead (zero for all images) or of its values
saturated, or if the standard deviations of two layers differ by a factor of more than 1,000; the
standard deviation is that of a unit over images and positions, because a unit that is the same for
all images carries no information. The verdict is "note" if the standard deviations shrink or grow
at every layer and by a factor of 10 in all, or if the gradients do so from the last layer back to
the first and by a factor of 1,000. The lectures' examples show what to expect: ReLU with Xavier
initialization loses a factor of 30 to 60 in 10 layers, tanh with weights of 0.01 a factor of 10 in
each layer.
"""

import itertools

import keras
import numpy as np
import pandas as pd

from recipes import optimize
from recipes.diagnostics.activation_pictures import draw, draw_nothing
from recipes.diagnostics.by_layer import layer_statistics, trend
from recipes.diagnostics.context import Context
from recipes.diagnostics.hidden_kernels import is_activation
from recipes.diagnostics.results import CheckResult
from zoo.graph import unwrapped

MOST_IMAGES = 64
MOST_VALUES = 1 << 27  # limit on the size of all activations together
SHARE = 0.5
APART = 1e3
SHRINKS = 10.0

# Histograms have 40 bins from -x to x. All x are counted in one pass, and one of them is drawn.
RANGES = [digit * 10.0**power for power in range(-2, 3) for digit in (1, 2, 5)]
BINS = 40
EDGES = np.unique([np.linspace(-x, x, BINS + 1, dtype=np.float32) for x in RANGES])


def check(context: Context) -> CheckResult:
    """Run the check; the module's docstring describes it."""
    table, images = measured(context, context.network(context.plain))
    # A shortcut and the branch that it is added to have the same activation.
    found = table[table["act"] != ""].drop_duplicates("act", ignore_index=True)
    if found.empty:
        figure = "no activation layers: a linear network has no hidden units"
        return CheckResult("activations", "pass", figure, "", {"layers": []}, draw_nothing)
    deviations = found["unit_sd"].to_numpy()
    dead, saturated = (
        found.iloc[int(found[name].to_numpy().argmax())] for name in ("dead", "saturated")
    )
    low, high = int(deviations.argmin()), int(deviations.argmax())
    gradients = found["weight_gradient"].to_numpy()
    figure = (
        f"standard deviation {deviations[0]:.2g} in the first layer, {deviations[-1]:.2g} in the"
        f" last, {deviations[low]:.2g} to {deviations[high]:.2g} in all {len(found)};"
        f" at most {dead['dead']:.0%} dead, {saturated['saturated']:.0%} saturated;"
        f" gradients |dL/dW| {gradients[0]:.2g} in the first, {gradients[-1]:.2g} in the last"
    )
    why = _fault(found, dead, saturated)
    note = "" if why else _note(found)
    edges, shown = _histograms(found)
    values = {
        "layers": _rows(table),
        "stages": _stages(found),
        "trend": trend(deviations),
        "images": images,
        "edges": edges.tolist(),
        "histograms": dict(zip(found["layer"], [h.tolist() for h in shown], strict=True)),
    }
    return CheckResult(
        "activations", "fail" if why else "note" if note else "pass", figure, why or note, values,
        lambda part: draw(part, found, table, edges, shown, SHARE),
    )  # fmt: skip


def _fault(found: pd.DataFrame, dead, saturated) -> str:
    """Return what is wrong, or ""."""
    deviations, names = found["unit_sd"].to_numpy(), found["layer"].tolist()
    low, high = int(deviations.argmin()), int(deviations.argmax())
    apart = deviations[high] / deviations[low] if deviations[low] > 0 else float("inf")
    if not np.isfinite(deviations).all():
        return "the activations are not finite: the initial weights or the images are far too large"
    if deviations[high] == 0:
        return "all activations are the same for every image: no signal reaches the first layer"
    if apart > APART and low > high:
        return (
            f"the signal vanishes: the standard deviation falls from {deviations[high]:.2g} in"
            f" {names[high]} to {deviations[low]:.2g} in {names[low]}; the weights are too small"
            " for this activation; use a different init, or a norm"
        )
    if apart > APART:
        return (
            f"the signal explodes: the standard deviation grows from {deviations[low]:.2g} in"
            f" {names[low]} to {deviations[high]:.2g} in {names[high]}; the weights are too large;"
            " use a different init, or a norm"
        )
    if dead["dead"] > SHARE:
        return (
            f"{dead['dead']:.0%} of the units of {dead['layer']} are dead: they are zero for all"
            " images"
        )
    if saturated["saturated"] > SHARE:
        return f"{saturated['saturated']:.0%} of the values of {saturated['layer']} are saturated"
    return ""


def _note(found: pd.DataFrame) -> str:
    """Return what is worth a look, or ""."""
    deviations = found["unit_sd"].to_numpy()
    how = trend(deviations, SHRINKS)
    if how in ("shrinks", "explodes"):
        word = "shrinks" if how == "shrinks" else "grows"
        each = (deviations[-1] / deviations[0]) ** (1 / (len(deviations) - 1))
        return (
            f"the signal {word} at every layer, by a factor of {max(each, 1 / each):.2g} per layer:"
            " deeper networks need a different init, or a norm"
        )
    backward = found["activation_gradient"].to_numpy()[::-1]
    how = trend(backward, APART)
    if how in ("shrinks", "explodes"):
        word = "vanish" if how == "shrinks" else "explode"
        return (
            f"the gradients {word}: |dL/da| is {backward[0]:.2g} in {found['layer'].iloc[-1]} and"
            f" {backward[-1]:.2g} in {found['layer'].iloc[0]}; use a different activation, or a"
            " norm"
        )
    return ""


def measured(context: Context, model: keras.Model) -> tuple[pd.DataFrame, int]:
    """Return the statistics of each hidden layer, first to last, and the number of images."""
    model = unwrapped(model)
    acts = [layer for layer in model.layers if is_activation(layer)]
    size = sum(int(np.prod([n or 1 for n in layer.output.shape[1:]])) for layer in acts)
    count = max(2, min(MOST_IMAGES, context.batch, MOST_VALUES // max(size, 1)))
    images, labels = context.sample(count)
    loss = optimize.loss(context.plain)
    return layer_statistics(model, (images, labels), loss=loss, edges=EDGES), len(images)


def _histograms(found: pd.DataFrame) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the edges to draw, and the counts of each layer.

    They contain 99 % of the first layer's values, and begin at 0 if no layer has negative ones.
    """
    counts = found["histogram"]
    inside = [counts[0][np.abs(EDGES[:-1] + EDGES[1:]) < 2 * x].sum() for x in RANGES]
    most = next((x for x, n in zip(RANGES, inside, strict=True) if n > 0.99 * inside[-1]), 1.0)
    edges = np.linspace(-most, most, BINS + 1, dtype=np.float32)
    if not any(each[EDGES[:-1] < 0].any() for each in counts):
        edges = edges[BINS // 2 :]
    places = np.searchsorted(EDGES, edges)
    return edges, [np.add.reduceat(each[: places[-1]], places[:-1]) for each in counts]


def _rows(table: pd.DataFrame) -> list[dict]:
    """Return the numbers of each layer, without arrays."""
    arrays = ["histogram", "pre_histogram", "sign_shares"]
    rows = table.drop(columns=arrays).to_dict("records")
    sds = table["unit_sd"].tolist()
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = [None, *(np.float64(b) / a for a, b in itertools.pairwise(sds))]
    return [
        {**row, "factor": None if factor is None else float(factor)}
        for row, factor in zip(rows, factors, strict=True)
    ]


def _stages(found: pd.DataFrame) -> dict:
    """Return for each stage the means over its layers, and the most dead or saturated."""
    columns = {"mean": "mean", "unit_sd": "mean", "dead": "max", "saturated": "max"}
    return found.groupby("stage", sort=False).agg(columns).to_dict("index")
