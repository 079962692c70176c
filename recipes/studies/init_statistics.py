"""Initial weights: activations and gradients of deep networks before training.

Claims: with tanh and weights of standard deviation 0.01, activations shrink to zero and all
gradients are zero; with 0.05, all activations saturate and all local gradients are zero (CS231n
2021, lecture 7), or gradients explode (CS 4644 / 7643, lecture 9). Xavier initialization, 1 /
sqrt(Din), keeps the scale for tanh but collapses with ReLU, so that nothing is learned; Kaiming
initialization, sqrt(2 / Din), keeps it. ReLU with 0.05 blows up (CS231n 2025, lecture 6). In ten
layers of 500 units, 0.01 gives zeros and 1.0 saturates (CS231n 2016, lecture 5). With equal
weights, all units compute the same.
Setup: 16 inputs from N(0, 1) and random labels; networks of 6 layers of 4,096 units, 10 of 500 and
50 of 512. 3 seeds. "To zero" means that the standard deviation falls at every layer and by a factor
of 10 in all; "keeps" means within a factor of 3; gradients are "zero" below 1/1,000 of those with
Xavier initialization. "Nothing is learned" means that none of the learning rates 0.001, 0.01, 0.1
and 1 lowers the training loss of 5 epochs on digits by 2 %. These networks have 512 units in each
layer: Xavier initialization adapts to the width, so that its effect is the same at any width.
Figure: above, the histograms of activations by layer, as on the slides. Below, the gradients by
layer: small activations need not have small gradients (0.01 in six wide layers), and saturated ones
may have exploding gradients (1 in ten layers).
Cost: about 7 minutes on 2 CPU cores.
"""

from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import GREY, INK, SERIES
from recipes.studying import Claim, Evidence, Lab, above, below, within

L2021, L2016 = "CS231n 2021, lecture 7", "CS231n 2016, lecture 5"
L2025, L4644 = "CS231n 2025, lecture 6", "CS 4644 / 7643, lecture 9"
# width -> side lengths of the input, which has as many values
SIDES = {4096: (64, 64), 500: (25, 20), 512: (32, 16), 64: (8, 8)}
# name -> activation, initializer (a standard deviation or a name), layers, units
NETWORKS: dict[str, tuple[str, Any, int, int]] = {
    "tanh, 0.01": ("tanh", 0.01, 6, 4096),
    "tanh, 0.05": ("tanh", 0.05, 6, 4096),
    "tanh, Xavier": ("tanh", "xavier", 6, 4096),
    "ReLU, 0.05": ("relu", 0.05, 6, 4096),
    "ReLU, Xavier": ("relu", "xavier", 6, 4096),
    "ReLU, Kaiming": ("relu", "kaiming", 6, 4096),
    "tanh, 0.01, 10 x 500": ("tanh", 0.01, 10, 500),
    "tanh, 1, 10 x 500": ("tanh", 1.0, 10, 500),
    "tanh, Xavier, 10 x 500": ("tanh", "xavier", 10, 500),
    "tanh, Xavier, 50 x 512": ("tanh", "xavier", 50, 512),
    "ReLU, Xavier, 50 x 512": ("relu", "xavier", 50, 512),
    "ReLU, Kaiming, 50 x 512": ("relu", "kaiming", 50, 512),
}
EDGES = np.linspace(-1, 1, 41)
RATES = (1e-3, 1e-2, 0.1, 1.0)
SIX, TEN, FIFTY = "6 x 4096", "10 x 500", "50 x 512"
LEARNED = ("6 layers", "50 layers")
SHRINK = "standard deviation of the last layer over that of the first"
TO_XAVIER = "largest |dL/dW| of a layer, divided by that with Xavier initialization"
CLAIMS = {
    "shrinks": Claim(
        "With tanh and weights of 0.01, activations shrink to zero.",
        f"{L2021}; {L4644}; {L2016}", SHRINK, below(0.1), (SIX, TEN), log=True,
    ),
    "no gradients": Claim(
        "With tanh and weights of 0.01, all gradients are zero.",
        f"{L2021}; {L2016}; {L4644}", TO_XAVIER, below(1e-3), (SIX, TEN), log=True,
    ),
    "saturates": Claim(
        "With tanh and large weights, all activations saturate.",
        f"{L2021}; {L4644}; {L2016}", "share of the last layer beyond 0.99", above(0.5),
        ("0.05, " + SIX, "1, " + TEN),
    ),
    "no local gradients": Claim(
        "With tanh and large weights, all gradients are zero.",
        f"{L2021}; {L2016}", TO_XAVIER, below(1e-3), ("0.05, " + SIX, "1, " + TEN), log=True,
    ),
    "explodes": Claim(
        "With tanh and large weights, gradients explode.",
        L4644, "|dL/dW| of the first layer over that of the last", above(3.0),
        ("0.05, " + SIX, "1, " + TEN), log=True,
    ),
    "Xavier": Claim(
        "Xavier initialization keeps the scale of tanh activations.",
        f"{L2021}; {L4644}; {L2016}", SHRINK, within(1 / 3, 3.0), (SIX, TEN, FIFTY), log=True,
    ),
    "collapses": Claim(
        "With ReLU and Xavier initialization, activations collapse to zero.",
        f"{L2021}; {L2016}; {L4644}", SHRINK, below(0.1), (SIX, FIFTY), log=True,
    ),
    "no learning": Claim(
        "With ReLU and Xavier initialization, nothing is learned.",
        f"{L2021}; {L4644}", "largest decrease of the training loss, as a share of the loss",
        below(0.02), LEARNED,
    ),
    "Kaiming": Claim(
        "Kaiming initialization keeps the scale of ReLU activations.",
        f"{L2021}; {L2016}; {L2025}; {L4644}", SHRINK, within(1 / 3, 3.0), (SIX, FIFTY), log=True,
    ),
    "blows up": Claim(
        "With ReLU and weights of 0.05, activations blow up.", L2025, SHRINK, above(10.0), log=True
    ),
    "equal": Claim(
        "With equal initial weights, all units of a layer stay the same.",
        f"{L2021}; {L2016}; {L4644}", "largest difference between the weights of two units"
        " after 20 steps", below(1e-6),
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Measure all networks, and train those that should not learn."""
    for name, (act, init, depth, width) in NETWORKS.items():
        for seed in lab.seeds(3):
            lab.cell(
                f"{name}/seed{seed}", statistics, act=act, init=init, seed=seed,
                depth=lab.choose(depth, quick=2),
                width=lab.choose(width, quick=64), slide_width=width,
            )  # fmt: skip
    for condition, depth in zip(LEARNED, (6, 50), strict=True):
        for seed in lab.seeds(3):
            lab.cell(
                f"learning, {condition}/seed{seed}", learning, seed=seed,
                depth=lab.choose(depth, quick=1), width=lab.choose(512, quick=16),
                epochs=lab.choose(5, quick=1),
            )  # fmt: skip
    for seed in lab.seeds(3):
        lab.cell(f"equal/seed{seed}", equal, seed=seed)


def statistics(
    act: str, init: float | str, seed: int, depth: int, width: int, slide_width: int
) -> dict[str, list]:
    """Return statistics of each layer of a new network, as columns."""
    import recipes
    import zoo

    if isinstance(init, float):  # at another width, the gain stays that of the slide
        init = f"normal:{init * (slide_width / width) ** 0.5:g}"
    shape = (*SIDES[width], 1)
    model = zoo.build(
        "mlp", input_shape=shape, hidden=(width,) * depth, act=act, init=init, head_init="xavier",
        num_classes=10, seed=seed,
    )  # fmt: skip
    random = np.random.default_rng(seed)
    images, labels = random.normal(size=(16, *shape)), random.integers(0, 10, 16)
    table = recipes.layer_statistics(model, (images, labels), edges=EDGES)
    names = ("mean", "sd", "beyond_0.99", "weight_gradient", "histogram")
    return {name: [np.asarray(value).tolist() for value in table[name]] for name in names}


def learning(seed: int, depth: int, width: int, epochs: int) -> dict[str, float]:
    """Return the share by which each learning rate lowers the training loss; 0 if it diverges."""
    import recipes

    many = recipes.Trainings(
        "digits/mlp", act="relu", init="xavier", options={"hidden": (width,) * depth},
        weight_decay=0.0, schedule="constant", epochs=epochs, seed=seed,
    )  # fmt: skip
    before = many.evaluate(many.initial(), "train").loss
    after = {lr: many.run(lr=lr).train.loss for lr in RATES}
    falls = {lr: 1 - loss / before for lr, loss in after.items()}
    return {str(lr): fall if np.isfinite(fall) else 0.0 for lr, fall in falls.items()}


def equal(seed: int) -> dict[str, float]:
    """Return how far apart the units of a hidden layer are after 20 steps, and how far they moved.

    The kernel of the classifier is constant, too: its rows would otherwise tell the units apart.
    """
    import recipes

    many = recipes.Trainings(
        "digits/mlp", act="tanh", init="constant:0.01", seed=seed,
        options={"hidden": (64, 64), "head_init": "constant:0.01"}, schedule="constant",
    )  # fmt: skip
    start, done = many.initial(), many.run(steps=20)
    names = [name for name in start if name.startswith("fc_") and name.endswith("kernel")]
    return {
        "apart": max(float(np.ptp(done.weights[name], axis=1).max()) for name in names),
        "moved": max(float(np.abs(done.weights[name] - start[name]).max()) for name in names),
    }


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compute the numbers of all claims for each seed."""

    def scale(name: str) -> Evidence:
        sds = [cell["sd"] for cell in lab.group(f"{name}/seed")]
        first, last = (np.mean([each[i] for each in sds]) for i in (0, -1))
        return Evidence(
            [each[-1] / each[0] for each in sds], says=f"from {first:.2g} to {last:.2g}"
        )

    def shrinking(name: str) -> Evidence:
        """As `scale`, but at least the largest change from layer to layer, which must be a fall."""
        sds = [np.array(cell["sd"]) for cell in lab.group(f"{name}/seed")]
        values = [
            each[-1] / each[0] if (np.diff(each) < 0).all() else (each[1:] / each[:-1]).max()
            for each in sds
        ]
        return Evidence(values, says=scale(name).says)

    def of_xavier(name: str, xavier: str) -> Evidence:
        own, others = (
            np.array([cell["weight_gradient"] for cell in lab.group(f"{each}/seed")])
            for each in (name, xavier)
        )
        return Evidence(
            np.maximum(own / others, 1e-30).max(1),
            says=f"between {own.mean(0).min():.2g} and {own.mean(0).max():.2g}; with Xavier between"
            f" {others.mean(0).min():.2g} and {others.mean(0).max():.2g}",
        )

    def backward(name: str) -> Evidence:
        own = np.array([cell["weight_gradient"] for cell in lab.group(f"{name}/seed")])
        return Evidence(
            own[:, 0] / own[:, -1], says=f"{own[:, 0].mean():.2g} over {own[:, -1].mean():.2g}"
        )

    def saturated(name: str) -> Evidence:
        return Evidence([cell["beyond_0.99"][-1] for cell in lab.group(f"{name}/seed")])

    def learned(condition: str) -> Evidence:
        cells = lab.group(f"learning, {condition}/seed")
        best = max(cells[0], key=lambda lr: sum(cell[lr] for cell in cells))
        return Evidence([max(cell.values()) for cell in cells], says=f"learning rate {best}")

    small, large = ("tanh, 0.01", "tanh, 0.01, 10 x 500"), ("tanh, 0.05", "tanh, 1, 10 x 500")
    xavier = ("tanh, Xavier", "tanh, Xavier, 10 x 500", "tanh, Xavier, 50 x 512")
    relu = ("ReLU, Xavier", "ReLU, Xavier, 50 x 512")
    kaiming = ("ReLU, Kaiming", "ReLU, Kaiming, 50 x 512")
    both = list(zip(small, xavier[:2], strict=True)), list(zip(large, xavier[:2], strict=True))
    found = {
        "shrinks": map(shrinking, small),
        "no gradients": (of_xavier(*pair) for pair in both[0]),
        "saturates": map(saturated, large),
        "no local gradients": (of_xavier(*pair) for pair in both[1]),
        "explodes": map(backward, large),
        "Xavier": map(scale, xavier),
        "collapses": map(shrinking, relu),
        "no learning": map(learned, LEARNED),
        "Kaiming": map(scale, kaiming),
        "blows up": [scale("ReLU, 0.05")],
        "equal": [
            Evidence(
                [cell["apart"] for cell in lab.group("equal/seed")],
                says=f"the weights moved by {lab.group('equal/seed')[0]['moved']:.2g}",
            )
        ],
    }
    return {
        key: dict(zip(CLAIMS[key].conditions, values, strict=True)) for key, values in found.items()
    }


def picture(lab: Lab, path: Path) -> None:
    """Draw the slides' histograms, and the gradients of all networks by layer."""
    from recipes.diagnostics.activation_pictures import histogram

    rows = [name for name in NETWORKS if "50 x" not in name]
    figure = drawing.figure((14, 0.95 * len(rows) + 4.2), layout="constrained")
    above_, below_ = figure.subfigures(2, 1, height_ratios=(0.95 * len(rows), 4.2))
    grid = above_.subplots(len(rows), 11, width_ratios=(1.3, *[1] * 10))
    for line, name in zip(grid, rows, strict=True):
        cell = lab.group(f"{name}/seed")[0]
        cut = "\n(bar at 0 cut)" if "ReLU" in name else ""
        line[0].text(0, 0.5, name.replace(", 10 x", ",\n10 x") + cut, color=INK, fontsize=9,
                     weight="bold", va="center")  # fmt: skip
        line[0].set_axis_off()
        for layer, axes in enumerate(line[1:]):
            if layer >= len(cell["sd"]):
                axes.set_axis_off()
                continue
            numbers = f"mean {cell['mean'][layer]:.2g}\nsd {cell['sd'][layer]:.2g}"
            counts = np.array(cell["histogram"][layer])
            if "ReLU" in name:  # half of the values are 0
                counts = np.minimum(counts, max(1, 2 * np.sort(counts)[-2]))
            histogram(axes, EDGES, counts, numbers)
    _draw_gradients(below_.subplots(1, 3, sharey=True), lab)
    drawing.save(figure, path)


def _draw_gradients(panels: Any, lab: Lab) -> None:
    """Draw |dL/dW| by layer, in one panel for each size of a network."""
    kinds = list(dict.fromkeys(tuple(about[:2]) for about in NETWORKS.values()))
    for axes, size in zip(panels, (SIX, TEN, FIFTY), strict=True):
        for name, (act, init, depth, width) in NETWORKS.items():
            if f"{depth} x {width}" != size:
                continue
            cells = lab.group(f"{name}/seed")
            norms = np.mean([cell["weight_gradient"] for cell in cells], axis=0)
            axes.plot(np.arange(1, len(norms) + 1), norms, "o-", ms=3, lw=1.8,
                      color=SERIES[kinds.index((act, init))],
                      label=name.removesuffix(f", {size}"))  # fmt: skip
        axes.set_yscale("log")
        axes.set_xlabel("layer", color=GREY)
        axes.set_title(f"|dL/dW| in {size.replace(' x ', ' layers of ')} units", loc="left",
                       color=INK, fontsize=11)  # fmt: skip
        axes.legend(frameon=False, labelcolor=INK, fontsize=8)
        drawing.plain(axes)


def table(lab: Lab) -> list[dict[str, Any]]:
    """Return one row for each layer of each network, and one for each training."""
    rows: list[dict[str, Any]] = []
    for name, cell in lab.cells.items():
        if "sd" not in cell:
            rows.append({"cell": name} | cell)
            continue
        for layer, values in enumerate(
            zip(*(cell[key] for key in ("mean", "sd", "beyond_0.99", "weight_gradient")),
                strict=True)
        ):  # fmt: skip
            names = ("mean", "sd", "beyond_0.99", "weight_gradient")
            rows.append({"cell": name, "layer": layer + 1} | dict(zip(names, values, strict=True)))
    return rows
