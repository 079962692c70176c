"""Zero-centered data: signs of gradients, the zigzag path, sensitivity and preprocessing.

Claims: with positive inputs, all weight gradients of a unit have one sign, and the path zigzags
(CS231n 2021, lecture 7; CS231n 2016, lecture 5; CS 4644 / 7643, lecture 9); minibatches help.
Zero-mean data helps the first layer only (a student's note in CS231n 2021, lecture 7);
zero-centered activations help (CS 4644 / 7643, lecture 9). Normalized data makes the loss less
sensitive to the weights. Centering is enough, whitening is rare (CS231n 2021, lecture 7).
Setup: (a) one logistic unit with two weights, whose target has one positive and one negative
weight, 300 steps of SGD, 20 seeds. (b) mlp with two layers of 100 units at its start, on digits and
CIFAR-10: the share of a unit's weight gradients with the majority sign, in batches of 1, 8 and 128,
3 seeds. A fair coin gives 0.55 for 64 inputs and 0.54 for 100, which is subtracted where a share is
compared with it. (c) digits, one layer of 100 units, trained by plain SGD to a loss of 0.3: the
increase of the loss after noise on the first kernel, 5 seeds. (d) cifar10/mlp without augmentation
on 20,000 images, 5 epochs, the best of 3 learning rates on the validation set, 3 seeds.
center_image and pca are in pixels, and are compared with each other, at learning rates for pixels.
Cost: about 10 minutes on 2 CPU cores.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.augment import Resize
from recipes.drawing import AMBER, BLUE, GREY, INK, ORANGE, SERIES
from recipes.studying import Claim, Evidence, Lab, above, below, paired

L2021, L2016, L4644 = (
    "CS231n 2021, lecture 7", "CS231n 2016, lecture 5", "CS 4644 / 7643, lecture 9"
)  # fmt: skip
ALL = f"{L2021}; {L2016}; {L4644}"
BATCHES = (1, 8, 128)
INPUTS = {"x / 255": "unit_interval", "centered": "center_image", "standardized": "standardize"}
ACTS = ("sigmoid", "tanh", "relu")
DATA = ("digits", "CIFAR-10")
NOISE = (0.001, 0.003, 0.01, 0.03, 0.1)
UNIT, PIXELS = (1e-2, 3e-2, 0.1), (1e-4, 3e-4, 1e-3)
TRAINED = {
    "unit_interval": UNIT, "center_image": PIXELS, "pca": PIXELS, "standardize": UNIT,
    "whiten": UNIT,
}  # fmt: skip
# preprocessing -> learning rate of the plain SGD after which noise is added
NOISY = {"0 to 255": ("none", 2e-6), "x / 255": ("unit_interval", 0.05),
         "standardized": ("standardize", 0.015)}  # fmt: skip
ENOUGH = {"decorrelated": ("pca", "center_image"), "whitened": ("whiten", "standardize")}
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
        "excess over a coin in batches of 128, as a share of that for one image", below(0.5), BOTH,
    ),
    "first only": Claim(
        "Zero-mean data helps the first layer only.", L2021,
        "decrease of the share behind sigmoids over that in the first layer, batches of 8",
        below(0.2), DATA,
    ),
    "activations": Claim(
        "Zero-centered activations help.", L4644,
        "share of the majority sign behind sigmoids minus that behind tanh, batches of 8",
        above(0.1), DATA,
    ),
    "sensitive": Claim(
        "With normalized data, the loss is less sensitive to the weights.", f"{L2021}; {L4644}",
        "increase of the loss after 10 % of noise on the first kernel, over that with standardized"
        " data", above(1.0), ("0 to 255", "x / 255"), log=True,
    ),
    "helps": Claim(
        "Centered and scaled data trains faster than x / 255.", ALL,
        "test accuracy after 5 epochs, standardized minus x / 255", above(0.0), unit=" points",
    ),
    "enough": Claim(
        "Centering is enough: decorrelating or whitening adds little.", f"{L2021}; {L2016}",
        "test accuracy after 5 epochs minus that with centered data", below(1.0), tuple(ENOUGH),
        unit=" points",
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Measure paths, signs, sensitivity and trainings."""
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
    for inputs in NOISY:
        for seed in lab.seeds(5):
            lab.cell(f"noise/{inputs}/seed{seed}", sensitivity, inputs=inputs, seed=seed,
                     repeats=lab.choose(20, quick=1), most=lab.choose(400, quick=1))  # fmt: skip
    for kind, rates in TRAINED.items():
        for lr in rates:
            for seed in lab.seeds(3):
                lab.cell(f"trained/{kind}/{lr:g}/seed{seed}", train, kind=kind, lr=lr, seed=seed,
                         epochs=lab.choose(5, quick=1))  # fmt: skip
    lab.cell("clouds", clouds)


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


def sensitivity(inputs: str, seed: int, repeats: int, most: int) -> dict[str, Any]:
    """Train to a loss of 0.3, and return the increase of the loss by noise on the first kernel."""
    import recipes
    from recipes.evaluation.noise import Noise, noisy_weights

    kind, lr = NOISY[inputs]
    many = recipes.Trainings(
        "digits/mlp", preprocess=kind, options={"hidden": (100,)}, momentum=0.0,
        weight_decay=0.0, schedule="constant", epochs=1, seed=seed,
    )  # fmt: skip
    weights: Any = many.initial()
    loss, epochs = np.inf, 0
    while loss > 0.3 and epochs < most:  # steps of an epoch, until the loss is the same for all
        done = many.run(lr=lr, weights=weights)
        weights, loss, epochs = done.weights, done.train.loss, epochs + 1
    increases = {}
    for share in NOISE:
        losses = []
        for repeat in range(repeats):
            many.assign(weights)
            with noisy_weights(many.network, Noise(share, "fc_*"), 1000 * seed + repeat):
                noisy = {v.path: np.array(v) for v in many.network.weights}
            losses.append(many.evaluate(noisy, "train").loss)
        increases[str(share)] = float(np.mean(losses) - loss)
    return {"loss": loss, "epochs": epochs, "increase": increases}


def train(lab: Lab, kind: str, lr: float, seed: int, epochs: int) -> dict[str, Any]:
    """Train on CIFAR-10, and return the validation accuracies and the errors on the test set."""
    done = _trained(kind, epochs, **_data(lab, "CIFAR-10")).run(lr=lr, seed=seed)
    return {
        "val": done.val_accuracies, "wrong": np.flatnonzero(~done.test.right),
        "images": len(done.test.right),
    }  # fmt: skip


@functools.lru_cache(maxsize=1)
def _trained(kind: str, epochs: int, recipe: str, **changes: Any):
    import recipes

    return recipes.Trainings(recipe, preprocess=kind, epochs=epochs, **changes)


def clouds(lab: Lab) -> dict[str, Any]:
    """Return two dimensions of CIFAR-10 after each step of preprocessing."""
    import recipes
    from recipes.data.batches import open_for
    from recipes.data.preprocess_sheet import cloud, pixel_pair, preprocessed

    given = _data(lab, "CIFAR-10")
    recipe = recipes.replace(recipes.load(given.pop("recipe")), **given)
    rows = [row for row in preprocessed(recipe, open_for(recipe), 300) if row.images is not None]
    assert rows[0].images is not None
    pair = pixel_pair(rows[0].images)
    return {row.name: [np.asarray(each).tolist() for each in cloud(row, pair)[:2]] for row in rows}


def _cells(lab: Lab, name: str) -> list[Any]:
    return [cell for key, cell in lab.cells.items() if key.startswith(f"{name}/seed")]


def _shares(lab: Lab, data: str, act: str, inputs: str, batch: int, layer: int) -> np.ndarray:
    cells = _cells(lab, f"signs/{data}/{act}/{inputs}")
    return np.array([cell[str(batch)][layer] for cell in cells])


def _best(lab: Lab, kind: str) -> float:
    """Return the learning rate with the best mean validation accuracy."""
    return max(
        TRAINED[kind],
        key=lambda lr: np.mean([c["val"][-1] for c in _cells(lab, f"trained/{kind}/{lr:g}")]),
    )


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compute the numbers of all claims."""
    found: dict[str, dict[str, Evidence]] = {name: {} for name in CLAIMS}
    for batch in BATCHES:
        long, short = (
            np.array(lab.cells[f"path/{kind}/{batch}"]["ratios"])
            for kind in ("positive", "centered")
        )
        found["longer"][f"batches of {batch}"] = Evidence(
            (long / short).tolist(), says=f"{long.mean():.2f} against {short.mean():.2f}"
        )
    for data in DATA:
        coins = _cells(lab, f"signs/{data}/sigmoid/x / 255")[0]["coins"]
        for layer, place in enumerate(PLACES):
            one, eight, many = (
                _shares(lab, data, "sigmoid", "x / 255", batch, layer) for batch in BATCHES
            )
            found["one sign"][f"{data}, {place}"] = Evidence(one.tolist())
            excess = (many - coins[layer]) / np.maximum(one - coins[layer], 1e-9)
            found["minibatches"][f"{data}, {place}"] = Evidence(
                excess.tolist(),
                says=f"shares {one.mean():.2f}, {eight.mean():.2f}, {many.mean():.2f}, a coin"
                f" {coins[layer]:.2f}",
            )
        falls = [
            _shares(lab, data, "sigmoid", "x / 255", 8, layer)
            - _shares(lab, data, "sigmoid", "standardized", 8, layer)
            for layer in (0, 1)
        ]
        found["first only"][data] = Evidence(
            (falls[1] / np.maximum(falls[0], 1e-9)).tolist(),
            says=f"decreases by {falls[1].mean():.2f} and {falls[0].mean():.2f}",
        )
        sigmoid, tanh = (
            _shares(lab, data, act, "standardized", 8, 1) for act in ("sigmoid", "tanh")
        )
        found["activations"][data] = Evidence(
            (sigmoid - tanh).tolist(), says=f"{sigmoid.mean():.2f} against {tanh.mean():.2f}"
        )
    last = str(NOISE[-1])
    increase = {
        inputs: np.array([c["increase"][last] for c in _cells(lab, f"noise/{inputs}")])
        for inputs in NOISY
    }
    standard = increase["standardized"]
    for inputs in CLAIMS["sensitive"].conditions:
        ratio = np.maximum(increase[inputs], 1e-9) / np.maximum(standard, 1e-9)
        found["sensitive"][inputs] = Evidence(
            ratio.tolist(), says=f"{increase[inputs].mean():.2g} against {standard.mean():.2g}"
        )
    right = {kind: _right(lab, kind) for kind in TRAINED}
    found["helps"][""] = paired(right["standardize"], right["unit_interval"])
    for name, (kind, other) in ENOUGH.items():
        found["enough"][name] = paired(right[kind], right[other])
    return found


def _right(lab: Lab, kind: str) -> np.ndarray:
    cells = _cells(lab, f"trained/{kind}/{_best(lab, kind):g}")
    return np.array([~np.isin(np.arange(cell["images"]), cell["wrong"]) for cell in cells])


def picture(lab: Lab, path: Path) -> None:
    """Draw two pixels after each step, paths, shares of signs, sensitivity and trainings."""
    figure = drawing.figure((15, 13.5))
    first, second, third, fourth = figure.subfigures(4, 1, height_ratios=(1, 1.15, 1.1, 1.1))
    names = ("raw", "centered", "scaled", "decorrelated", "whitened")
    known = [name for name in names if name in lab.cells["clouds"]]
    for axes, name in zip(first.subplots(1, len(known), squeeze=False)[0], known, strict=True):
        x, y = np.array(lab.cells["clouds"][name])
        reach = 1.1 * float(np.abs([x, y]).max())
        axes.axhline(0, color=GREY, lw=0.7)
        axes.axvline(0, color=GREY, lw=0.7)
        axes.plot(x, y, "o", ms=2.5, color=BLUE, alpha=0.5, mew=0)
        axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        axes.set_title(name, color=INK, fontsize=10)
        drawing.plain(axes)
    first.suptitle("two pixels, or the first two coordinates", x=0.01, ha="left", color=INK,
                   weight="bold")  # fmt: skip
    _draw_paths(second.subplots(1, 3), lab)
    _draw_signs(third.subplots(1, 4, sharey=True), lab)
    _draw_trainings(fourth.subplots(1, 2), lab)
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
    panels[0].legend(frameon=False, labelcolor=INK, fontsize=8, loc="lower right")
    panels[0].set_xlabel("shaded: directions that positive inputs allow for one image",
                         color=GREY, fontsize=8)  # fmt: skip


def _draw_signs(panels: Any, lab: Lab) -> None:
    places = [(data, layer) for data in DATA for layer in (0, 1)]
    for axes, (data, layer) in zip(panels, places, strict=True):
        groups = [(a, i) for a in (ACTS if layer else ACTS[:1]) for i in INPUTS
                  if _cells(lab, f"signs/{data}/{a}/{i}")]  # fmt: skip
        for number, batch in enumerate(BATCHES):
            heights = [_shares(lab, data, a, i, batch, layer).mean() for a, i in groups]
            at = np.arange(len(groups)) + 0.27 * (number - 1)
            axes.bar(at, heights, width=0.25, color=SERIES[number], label=f"batches of {batch}")
        coin = _cells(lab, f"signs/{data}/sigmoid/x / 255")[0]["coins"][layer]
        axes.axhline(coin, color=INK, lw=0.9, ls=":")
        names = [f"{i}, {a}" if layer else i for a, i in groups]
        axes.set_xticks(range(len(groups)), names, rotation=35, ha="right", fontsize=7)
        axes.set_ylim(0.5, 1.02)
        what = "second layer" if layer else "first layer"
        axes.set_title(f"majority sign, {data}, {what}", loc="left", color=INK, fontsize=9)
        drawing.plain(axes)
    panels[0].legend(frameon=False, labelcolor=INK, fontsize=7)


def _draw_trainings(panels: Any, lab: Lab) -> None:
    left, right = panels
    for inputs, color in zip(NOISY, SERIES, strict=False):
        cells = _cells(lab, f"noise/{inputs}")
        y = np.mean([[c["increase"][str(n)] for n in NOISE] for c in cells], axis=0)
        left.plot([100 * n for n in NOISE], np.maximum(y, 1e-8), "o-", color=color, label=inputs)
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_xlabel("noise on the first kernel (%)", color=GREY)
    left.set_title("increase of the loss, from 0.3 (digits)", loc="left", color=INK, fontsize=10)
    for kind, color in zip(TRAINED, SERIES, strict=False):
        cells = _cells(lab, f"trained/{kind}/{_best(lab, kind):g}")
        y = 100 * np.mean([cell["val"] for cell in cells], axis=0)
        right.plot(np.arange(1, len(y) + 1), y, "o-", color=color,
                   label=f"{kind}, learning rate {_best(lab, kind):g}")  # fmt: skip
    right.axhline(45, color=INK, lw=0.8, ls=":")
    right.set_xlabel("epochs", color=GREY)
    right.set_title("validation accuracy (%), CIFAR-10", loc="left", color=INK, fontsize=10)
    for axes in panels:
        axes.legend(frameon=False, labelcolor=INK, fontsize=8)
        drawing.plain(axes)
