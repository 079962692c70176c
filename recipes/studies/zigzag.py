"""Zigzag: positive inputs, the signs of gradients, and the path of SGD.

Claims: with positive inputs, all weight gradients of a unit have one sign, and the path zigzags
(CS231n 2021, lecture 7; CS231n 2016, lecture 5; CS 4644 / 7643, lecture 9); minibatches help.
Zero-mean data helps the first layer only (a student's note in CS231n 2021, lecture 7);
zero-centered activations help (CS 4644 / 7643, lecture 9).
Setup: (a) one logistic unit with two weights, whose target has one positive and one negative
weight, 300 steps of SGD, 20 seeds. (b) mlp with two layers of 100 units before training, on digits
and CIFAR-10: the share of a unit's weight gradients with the majority sign, in batches of 1, 8 and
128, 3 seeds. Random signs give a share of 0.55 for 64 inputs, 0.54 for 100 and 0.51 for the 3,072
of CIFAR-10; the excess of a share is what it has more than that. Zero-mean data is standardized
data here; the figure has the shares with centered data, too.
Figure: above, the path of two weights. With single images, positive inputs only allow steps to the
upper right or the lower left, but the goal is at the lower right. Below, the share of the majority
sign among the weight gradients of a unit, by preprocessing and activation function: behind tanh, it
is that of random signs.
Cost: about 10 minutes on 2 CPU cores.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.augment import Resize
from recipes.drawing import AMBER, BLUE, GREY, INK, ORANGE, SERIES
from recipes.studying import Claim, Evidence, Lab, above, below

L2021, L2016, L4644 = (
    "CS231n 2021, lecture 7", "CS231n 2016, lecture 5", "CS 4644 / 7643, lecture 9"
)  # fmt: skip
ALL = f"{L2021}; {L2016}; {L4644}"
BATCHES = (1, 8, 128)
INPUTS = {"x / 255": "unit_interval", "centered": "center_image", "standardized": "standardize"}
ACTS = ("sigmoid", "tanh", "relu")
DATA = ("digits", "CIFAR-10")
PLACES = ("first layer", "behind sigmoids")
BOTH = tuple(f"{data}, {place}" for data in DATA for place in PLACES)
CLAIMS = {
    "one sign": Claim(
        "With positive inputs, all weight gradients of a unit have one sign.", ALL,
        "share of the majority sign for one image", above(0.99), BOTH,
    ),
    "longer": Claim(
        "With positive inputs, the path of SGD is a zigzag.", ALL,
        "length of the path over the distance, positive over centered inputs", above(1.1),
        tuple(f"batches of {n}" for n in BATCHES), log=True,
    ),
    "minibatches": Claim(
        "Minibatches help against gradients of one sign.", L2021,
        "excess of the majority share in batches of 128 over that for one image", below(0.5), BOTH,
    ),
    "first only": Claim(
        "Zero-mean data helps the first layer only.", L2021,
        "decrease of the share behind sigmoids over that in the first layer, from x / 255 to"
        " standardized data, batches of 8",
        below(0.2), DATA,
    ),
    "activations": Claim(
        "Zero-centered activations help.", L4644,
        "share of the majority sign behind sigmoids minus that behind tanh, batches of 8",
        above(0.1), DATA,
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Measure paths and signs."""
    for kind in ("positive", "centered"):
        for batch in BATCHES:
            lab.cell(f"path/{kind}/{batch}", paths, kind=kind, batch=batch,
                     seeds=lab.choose(20, quick=2))  # fmt: skip
    for data in DATA:
        for act in lab.choose(ACTS, quick=ACTS[:2]):
            for inputs in lab.choose(tuple(INPUTS), quick=("x / 255", "standardized")):
                for seed in lab.seeds(3):
                    lab.cell(f"signs/{data}/{act}/{inputs}/seed{seed}", signs, data=data, act=act,
                             inputs=inputs, seed=seed, count=lab.choose(128, quick=2))  # fmt: skip


def paths(kind: str, batch: int, seeds: int) -> dict[str, Any]:
    """Train a logistic unit, and return the relative length of its path and its first steps."""
    ratios, shares = [], []
    shown: list = []
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        x = random.uniform(0, 1, (200, 2))
        y = (x[:, 0] > x[:, 1]).astype(float)
        if kind == "centered":
            x = x - x.mean(0)
        w, path = np.zeros(2), [np.zeros(2)]
        for _ in range(300):
            some = random.choice(200, batch, replace=False)
            error = 1 / (1 + np.exp(-x[some] @ w)) - y[some]
            w = w - 1.0 * x[some].T @ error / batch
            path.append(w)
        steps = np.diff(path, axis=0)
        ratios.append(np.linalg.norm(steps, axis=1).sum() / np.linalg.norm(w))
        shares.append(np.mean(np.prod(steps, axis=1) > 0))
        shown = shown or np.array(path).tolist()
    return {"ratios": ratios, "one sign": shares, "path": shown}


def _data(lab: Lab, data: str) -> dict[str, Any]:
    """Return the fields of a recipe for a data set, with less of it in a quick run."""
    if data == "digits":
        return {"recipe": "digits/mlp"}
    small = (Resize(4),) if lab.quick else ()
    return {"recipe": "cifar10/mlp", "data": lab.cifar10, "images": lab.choose(20_000, quick=256),
            "augment": small, "eval_ops": small}  # fmt: skip


def signs(lab: Lab, data: str, act: str, inputs: str, seed: int, count: int) -> dict[str, Any]:
    """Return the share of the majority sign in each layer, for each batch size."""
    import recipes

    many = _initial(act, INPUTS[inputs], **_data(lab, data))
    many.assign(many.initial(seed=seed))
    images, labels = many.images("train")
    order = np.random.default_rng(seed).permutation(len(images))
    found: dict[str, Any] = {}
    for batch in BATCHES:
        number = max(1, min(count, 2048 // batch))
        parts = [order[batch * i : batch * (i + 1)] for i in range(number)]
        table = recipes.layer_statistics(
            many.network, [(images[part], labels[part]) for part in parts if len(part) == batch]
        )
        found[str(batch)] = table["sign_share"].tolist()
    return found | {"coins": [_coin(int(n)) for n in table["fan_in"]]}


@functools.lru_cache(maxsize=1)
def _initial(act: str, kind: str, recipe: str, **changes: Any):
    import recipes

    return recipes.Trainings(
        recipe, act=act, preprocess=kind, init="xavier", options={"hidden": (100, 100)}, **changes
    )


def _coin(count: int) -> float:
    """Return the expected share of the majority among fair coins."""
    from scipy.stats import binom

    heads = np.arange(count + 1)
    return float(np.sum(binom.pmf(heads, count, 0.5) * np.maximum(heads, count - heads)) / count)


def _shares(lab: Lab, data: str, act: str, inputs: str, batch: int, layer: int) -> np.ndarray:
    cells = lab.group(f"signs/{data}/{act}/{inputs}/seed")
    return np.array([cell[str(batch)][layer] for cell in cells])


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compute the numbers of all claims."""
    found: dict[str, dict[str, Evidence]] = {name: {} for name in CLAIMS}
    for batch in BATCHES:
        long, short = (
            np.array(lab.cells[f"path/{kind}/{batch}"]["ratios"])
            for kind in ("positive", "centered")
        )
        found["longer"][f"batches of {batch}"] = Evidence(
            (long / short).tolist(), says=f"{long.mean():.2f} over {short.mean():.2f}"
        )
    for data in DATA:
        coins = lab.group(f"signs/{data}/sigmoid/x / 255/seed")[0]["coins"]
        for layer, place in enumerate(PLACES):
            one, eight, many = (
                _shares(lab, data, "sigmoid", "x / 255", batch, layer) for batch in BATCHES
            )
            found["one sign"][f"{data}, {place}"] = Evidence(one.tolist())
            excess = (many - coins[layer]) / np.maximum(one - coins[layer], 1e-9)
            found["minibatches"][f"{data}, {place}"] = Evidence(
                excess.tolist(),
                says=f"shares of {one.mean():.2f}, {eight.mean():.2f} and {many.mean():.2f} in"
                f" batches of 1, 8 and 128; random signs {coins[layer]:.2f}",
            )
        falls = [
            _shares(lab, data, "sigmoid", "x / 255", 8, layer)
            - _shares(lab, data, "sigmoid", "standardized", 8, layer)
            for layer in (0, 1)
        ]
        found["first only"][data] = Evidence(
            (falls[1] / np.maximum(falls[0], 1e-9)).tolist(),
            says=f"decreases of {falls[1].mean():.2f} and {falls[0].mean():.2f}",
        )
        sigmoid, tanh = (
            _shares(lab, data, act, "standardized", 8, 1) for act in ("sigmoid", "tanh")
        )
        found["activations"][data] = Evidence(
            (sigmoid - tanh).tolist(), says=f"{sigmoid.mean():.2f} against {tanh.mean():.2f}"
        )
    return found


def picture(lab: Lab, path: Path) -> None:
    """Draw paths, and shares of signs."""
    figure = drawing.figure((15, 7.4))
    first, second = figure.subfigures(2, 1)
    _draw_paths(first.subplots(1, 3), lab)
    _draw_signs(second.subplots(1, 4, sharey=True, width_ratios=(1, 2.4, 1, 2.4)), lab)
    drawing.save(figure, path)


def _draw_paths(panels: Any, lab: Lab) -> None:
    for axes, batch in zip(panels, BATCHES, strict=True):
        for kind, color in (("centered", BLUE), ("positive", ORANGE)):
            walk = np.array(lab.cells[f"path/{kind}/{batch}"]["path"])
            axes.plot(*walk.T, color=color, lw=1, marker="o", ms=1.5, label=f"{kind} inputs")
        low, high = axes.get_xlim(), axes.get_ylim()
        axes.fill_between([0, high[1] + 99], 0, 99, color=AMBER, alpha=0.12, lw=0)
        axes.fill_between([-99, 0], -99, 0, color=AMBER, alpha=0.12, lw=0)
        axes.set(xlim=low, ylim=high)
        axes.set_title(f"path of two weights, batches of {batch}", loc="left", color=INK,
                       fontsize=10)  # fmt: skip
        drawing.plain(axes)
    panels[0].legend(frameon=False, labelcolor=INK, fontsize=8, loc="upper right")
    panels[0].set_xlabel("shaded: directions that positive inputs allow for one image",
                         color=GREY, fontsize=8)  # fmt: skip


def _draw_signs(panels: Any, lab: Lab) -> None:
    places = [(data, layer) for data in DATA for layer in (0, 1)]
    for axes, (data, layer) in zip(panels, places, strict=True):
        groups = [(a, i) for a in (ACTS if layer else ACTS[:1]) for i in INPUTS
                  if lab.group(f"signs/{data}/{a}/{i}/seed")]  # fmt: skip
        for number, batch in enumerate(BATCHES):
            heights = [_shares(lab, data, a, i, batch, layer).mean() for a, i in groups]
            at = np.arange(len(groups)) + 0.27 * (number - 1)
            axes.bar(at, heights, width=0.25, color=SERIES[number], label=f"batches of {batch}")
        coin = lab.group(f"signs/{data}/sigmoid/x / 255/seed")[0]["coins"][layer]
        axes.axhline(coin, color=INK, lw=0.9, ls=":")
        names = [f"{i}, {a}" if layer else i for a, i in groups]
        axes.set_xticks(range(len(groups)), names, rotation=40, ha="right", fontsize=8)
        axes.set_ylim(0.5, 1.02)
        what = "second layer" if layer else "first layer"
        axes.set_title(f"{data}, {what}", loc="left", color=INK, fontsize=9)
        drawing.plain(axes)
    panels[0].set_ylabel("share of the majority sign\n(dotted: random signs)", color=GREY)
    panels[0].legend(frameon=False, labelcolor=INK, fontsize=7)
