"""Activation functions: saturation, vanishing gradients, cost, and units that die.

Claims: a saturated sigmoid or tanh kills the gradient, and many layers of them shrink it; tanh is
zero-centered; exp() is expensive (CS231n 2021, lecture 7; CS231n 2016, lecture 5; CS 4644 / 7643,
lecture 9); GELU costs more than ReLU (CS231n 2025, lecture 6). ReLUs die, so be careful with
learning rates; a bias of 0.01 helps (CS231n 2016, lecture 5; a student's note: not often used).
Leaky ReLU, ELU and maxout do not die.
Setup: (a) the functions and their slopes at -10, 0 and 10; seconds of forward and backward pass on
64x56x56x16 values and of a training step of ResNet-20 on CIFAR-10's size, in turns. (b) digits, 10
layers of 256 units: |dL/dW| by layer, at the start and after 5 epochs, 5 seeds. (c) digits, one and
two layers of 100 units, batches of 64, momentum 0.9, 10 epochs, learning rates from 0.03 to 3, 5
seeds. A unit is dead if it is negative for all training images at the end of a training whose loss
stayed finite. Kernels start with Kaiming initialization, and before maxout with Xavier, because the
larger of two values has the same mean square as each of them. ReLU is compared with the other
functions at the lowest learning rate at which half of its units are dead, which is chosen on the
dead units alone.
Cost: about 12 minutes on 2 CPU cores.
"""

import functools
import time
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import BLUE, GREY, INK, ORANGE, SERIES
from recipes.studying import Claim, Evidence, Lab, above, below, paired

L2021, L2016 = "CS231n 2021, lecture 7", "CS231n 2016, lecture 5"
L2025, L4644 = "CS231n 2025, lecture 6", "CS 4644 / 7643, lecture 9"
ALL = f"{L2021}; {L2016}; {L4644}"
FUNCTIONS = (
    "sigmoid", "tanh", "relu", "leaky_relu", "prelu", "maxout", "elu", "selu", "swish", "gelu",
)  # fmt: skip
DEEP: dict[str, dict[str, str]] = {
    "sigmoid": {"act": "sigmoid", "init": "xavier"},
    "tanh": {"act": "tanh", "init": "xavier"},
    "ReLU, Xavier": {"act": "relu", "init": "xavier"},
    "ReLU, Kaiming": {"act": "relu", "init": "kaiming"},
}
DYING: dict[str, dict[str, Any]] = {
    "ReLU": {"act": "relu"},
    "ReLU, bias 0.01": {"act": "relu", "options.bias_init": "constant:0.01"},
    "leaky ReLU": {"act": "leaky_relu"},
    "ELU": {"act": "elu"},
    "maxout": {"act": "maxout", "init": "xavier"},
}
RATES = (0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 3.0)
DEPTHS = {"1 hidden layer": (100,), "2 hidden layers": (100, 100)}
WHEN = ("at the start", "after 5 epochs")
ALONE, INSIDE = "alone", "in ResNet-20"
SURVIVORS = ("leaky ReLU", "ELU", "maxout")
CLAIMS = {
    "saturated": Claim(
        "A saturated sigmoid or tanh has no gradient.", ALL, "slope at 10", below(1e-3),
        ("sigmoid", "tanh"), log=True,
    ),
    "vanishes": Claim(
        "Many layers of sigmoids or tanh shrink the gradient.", ALL,
        "factor by which |dL/dW| shrinks per layer, from layer 10 back to layer 2", above(1.5),
        tuple(f"{act}, {when}" for act in ("sigmoid", "tanh") for when in WHEN), log=True,
    ),
    "centered": Claim(
        "Tanh is zero-centered, the sigmoid is not.", ALL,
        "|mean| of the activations over their standard deviation, average over layers",
        below(0.2), tuple(f"tanh, {when}" for when in WHEN), log=True,
    ),
    "exp": Claim(
        "The sigmoid takes longer than ReLU, because exp() is expensive.", ALL,
        "time of the sigmoid over that of ReLU", above(1.1), (ALONE, INSIDE), log=True,
    ),
    "gelu": Claim(
        "GELU costs more than ReLU.", L2025, "time of GELU over that of ReLU", above(1.1),
        (ALONE, INSIDE), log=True,
    ),
    "dies": Claim(
        "ReLUs die if the learning rate is high.", ALL, "largest share of dead units", above(50.0),
        tuple(DEPTHS), unit=" %",
    ),
    "care": Claim(
        "At a good learning rate, few ReLUs die.", f"{L2021}; {L2016}",
        "share of dead units at the best learning rate", below(10.0), tuple(DEPTHS), unit=" %",
    ),
    "bias": Claim(
        "A bias of 0.01 helps.", f"{L2021}; {L2016}",
        "share of dead units with the bias minus that without, mean over learning rates",
        below(0.0), tuple(DEPTHS), unit=" points",
    ),
    "survive": Claim(
        "Leaky ReLU, ELU and maxout do not die.", f"{ALL}",
        "test accuracy minus that of ReLU where half of its units are dead", above(0.0),
        tuple(f"{act}, {depth}" for depth in DEPTHS for act in SURVIVORS), unit=" points",
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Measure the functions, deep networks and dying units."""
    lab.cell("functions", functions)
    rounds = lab.choose(30, quick=2)
    lab.cell(f"seconds {ALONE}", seconds_alone, rounds=rounds, side=lab.choose(56, quick=8))
    lab.cell(f"seconds {INSIDE}", seconds_inside, rounds=lab.choose(12, quick=2),
             acts=lab.choose(FUNCTIONS, quick=("sigmoid", "relu", "gelu")),
             depth=lab.choose(3, quick=1))  # fmt: skip
    for arm in DEEP:
        for seed in lab.seeds(5):
            lab.cell(f"{arm}/seed{seed}", gradients, arm=arm, seed=seed,
                     depth=lab.choose(10, quick=2), width=lab.choose(256, quick=8),
                     epochs=lab.choose(5, quick=1))  # fmt: skip
    for depth in DEPTHS:
        for arm in DYING:
            for seed in lab.seeds(5):
                lab.cell(f"{depth}/{arm}/seed{seed}", dying, depth=depth, arm=arm, seed=seed,
                         rates=lab.choose(RATES, quick=RATES[::3]),
                         epochs=lab.choose(10, quick=1))  # fmt: skip


def functions() -> dict[str, list]:
    """Return each function's values and slopes at -10, 0 and 10."""
    import zoo

    return {act: [each.tolist() for each in zoo.act_values(act, [-10, 0, 10])] for act in FUNCTIONS}


def seconds_alone(rounds: int, side: int) -> dict[str, list[float]]:
    """Return the seconds of a forward and backward pass of each function, measured in turns."""
    import keras
    import tensorflow as tf

    import zoo

    steps = {}
    for act in FUNCTIONS:
        shape = (side, side, 32 if act == "maxout" else 16)  # maxout halves the channels
        inputs = keras.Input(shape)
        model = keras.Model(inputs, zoo.Style(act=act).activate(inputs, name="act"))
        steps[act] = functools.partial(_backward(model), tf.random.normal((64, *shape), seed=0))
        steps[act]()
    return _in_turns(steps, rounds)


def _backward(model: Any) -> Any:
    """Return a compiled function that computes a model's outputs and their gradient."""
    import tensorflow as tf

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x)
        return y, tape.gradient(y, x, tf.ones_like(y))

    return step


def seconds_inside(rounds: int, acts: tuple[str, ...], depth: int) -> dict[str, list[float]]:
    """Return the seconds of a training step of ResNet-20 with each function, in turns."""
    import keras

    import zoo

    steps = {}
    images = np.random.default_rng(0).normal(size=(64, 32, 32, 3)).astype("float32")
    for act in acts:
        model = zoo.build("resnet20", act=act, depths=(depth,) * 3, seed=0)
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        steps[act] = functools.partial(model.train_on_batch, images, np.arange(64) % 10)
        steps[act]()
    return _in_turns(steps, rounds)


def _in_turns(steps: dict[str, Any], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def gradients(arm: str, seed: int, depth: int, width: int, epochs: int) -> dict[str, Any]:
    """Return gradients and centers of the layers of a deep network, before and after training."""
    import recipes

    many = _deep(arm, depth, width, epochs)
    done = many.run(seed=seed)
    images, labels = many.images("train")
    batch = images[:256], labels[:256]
    found: dict[str, Any] = {"accuracy": done.test_accuracy}
    for when, weights in zip(WHEN, (many.initial(seed=seed), done.weights), strict=True):
        many.assign(weights)
        table = recipes.layer_statistics(many.network, batch)
        found[when] = {
            "gradient": table["weight_gradient"].tolist(),
            "center": (table["mean"].abs() / table["sd"]).tolist(),
        }
    return found


@functools.lru_cache(maxsize=1)
def _deep(arm: str, depth: int, width: int, epochs: int):
    import recipes

    return recipes.Trainings(
        "digits/mlp", **DEEP[arm], options={"hidden": (width,) * depth}, epochs=epochs,
        schedule="constant",
    )  # fmt: skip


def dying(
    depth: str, arm: str, seed: int, rates: tuple[float, ...], epochs: int
) -> list[dict[str, Any]]:
    """Return for each learning rate the share of dead units, in %, and the errors on test images.

    The share is None if the loss did not stay finite.
    """
    many, before = _shallow(depth, arm, epochs)
    found = []
    for lr in rates:
        done = many.run(seed=seed, lr=lr)
        dead = None
        if not done.diverged:
            many.assign(done.weights)
            dead = 100 * float(np.mean(_negative(before, many.images("train")[0], arm)))
        found.append({
            "lr": lr, "dead": dead, "wrong": np.flatnonzero(~done.test.right),
            "val_accuracy": done.val_accuracy,
        })  # fmt: skip
    return found


def _negative(before: Any, images: np.ndarray, arm: str) -> np.ndarray:
    """Return which units are negative for all images, of all hidden layers."""
    import keras

    found = []
    for values in keras.tree.flatten(before(images)):
        shut = (np.asarray(values) <= 0).all(0)
        found.append(shut.reshape(-1, 2).all(1) if arm == "maxout" else shut)
    return np.concatenate(found)


@functools.lru_cache(maxsize=1)
def _shallow(depth: str, arm: str, epochs: int):
    """Return the trainings of a network, and a model of its pre-activations."""
    import keras

    import recipes
    from zoo.flattening import nodes

    many = recipes.Trainings(
        "digits/mlp", **{"init": "kaiming", "options.hidden": DEPTHS[depth]} | DYING[arm],
        batch_size=64, momentum=0.9, schedule="constant", weight_decay=0.0, epochs=epochs,
    )  # fmt: skip
    acts = [node for node in nodes(many.network) if node.operation.name.endswith("_act")]
    return many, keras.Model(many.network.input, [node.input_tensors[0] for node in acts])


def _cells(lab: Lab, name: str) -> list[Any]:
    return [cell for key, cell in lab.cells.items() if key.startswith(f"{name}/seed")]


def _dead(lab: Lab, depth: str, arm: str) -> np.ndarray:
    """Return the share of dead units, [seeds, learning rates]; NaN where the loss diverged."""
    cells = _cells(lab, f"{depth}/{arm}")
    return np.array([[np.nan if r["dead"] is None else r["dead"] for r in c] for c in cells])


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compute the numbers of all claims."""
    found: dict[str, dict[str, Evidence]] = {name: {} for name in CLAIMS}
    for act in ("sigmoid", "tanh"):
        found["saturated"][act] = Evidence([lab.cells["functions"][act][1][2]], exact=True)
        for when in WHEN:
            own = np.array([cell[when]["gradient"] for cell in _cells(lab, act)])
            factor = (own[:, -1] / own[:, 1]) ** (1 / max(1, own.shape[1] - 2))
            found["vanishes"][f"{act}, {when}"] = Evidence(
                factor, says=f"{own[:, -1].mean():.2g} to {own[:, 1].mean():.2g}"
            )
    for when in WHEN:
        tanh, sigmoid = (
            np.mean([cell[when]["center"] for cell in _cells(lab, act)], axis=1)
            for act in ("tanh", "sigmoid")
        )
        found["centered"][f"tanh, {when}"] = Evidence(
            tanh, says=f"the sigmoid: {sigmoid.mean():.2g}"
        )
    for place in (ALONE, INSIDE):
        seconds = {act: np.array(each) for act, each in lab.cells[f"seconds {place}"].items()}
        for claim, act in (("exp", "sigmoid"), ("gelu", "gelu")):
            found[claim][place] = Evidence(
                seconds[act] / seconds["relu"],
                says=f"{1e3 * np.median(seconds[act]):.3g} against"
                f" {1e3 * np.median(seconds['relu']):.3g} ms",
            )
    for depth in DEPTHS:
        _judge_dying(lab, depth, found)
    return found


def _judge_dying(lab: Lab, depth: str, found: dict[str, dict[str, Evidence]]) -> None:
    rates = [each["lr"] for each in _cells(lab, f"{depth}/ReLU")[0]]
    dead, biased = _dead(lab, depth, "ReLU"), _dead(lab, depth, "ReLU, bias 0.01")
    finite = np.isfinite(dead).all(0)
    means = np.where(finite, np.where(finite, dead, 0).mean(0), -1)
    half = int(np.argmax(means >= 50)) if (means >= 50).any() else int(means.argmax())
    at = int(means.argmax())
    found["dies"][depth] = Evidence(
        dead[:, at].tolist(),
        says=f"at the learning rate {rates[at]:g}; half are dead at {rates[half]:g}",
    )
    scores = [[each["val_accuracy"] for each in cell] for cell in _cells(lab, f"{depth}/ReLU")]
    best = int(np.mean(scores, axis=0).argmax())
    found["care"][depth] = Evidence(
        dead[:, best].tolist(), says=f"at the learning rate {rates[best]:g}"
    )
    both = finite & np.isfinite(biased).all(0)
    found["bias"][depth] = Evidence(
        (biased - dead)[:, both].mean(1) if both.any() else [np.nan],
        says=f"{biased[:, both].mean():.0f} against {dead[:, both].mean():.0f} %",
    )
    for arm in SURVIVORS:
        right, other = (
            np.array([~np.isin(np.arange(360), cell[half]["wrong"])
                      for cell in _cells(lab, f"{depth}/{each}")])
            for each in (arm, "ReLU")
        )  # fmt: skip
        diverged = not np.isfinite(_dead(lab, depth, arm)[:, half]).all()
        found["survive"][f"{arm}, {depth}"] = (
            Evidence([np.nan], says=f"at the learning rate {rates[half]:g}")
            if diverged
            else paired(right, other)
        )


def picture(lab: Lab, path: Path) -> None:
    """Draw the functions, the gradients by layer, and dead units by learning rate."""
    import zoo

    figure = drawing.figure((15, 12.5))
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=(1.5, 1.15, 1.6))
    x = np.linspace(-10, 10, 801)
    for axes, act in zip(top.subplots(2, 5).ravel(), FUNCTIONS, strict=True):
        values, slopes = zoo.act_values(act, x)
        axes.plot(x, values, color=BLUE, lw=1.8)
        axes.plot(x, slopes, color=ORANGE, lw=1.4)
        axes.set_ylim(-2, 3)
        axes.set_xticks([-10, 0, 10])
        numbers = lab.cells["functions"][act][1]
        axes.set_title(f"{act}: slopes {', '.join(f'{n:.2g}' for n in numbers)}", loc="left",
                       fontsize=9, color=INK)  # fmt: skip
        drawing.plain(axes)
    top.suptitle("values (blue) and slopes (orange), with the slopes at -10, 0 and 10", x=0.01,
                 ha="left", color=INK, weight="bold")  # fmt: skip
    panels = middle.subplots(1, 3)
    for axes, when in zip(panels, WHEN, strict=False):
        for arm, color in zip(DEEP, SERIES, strict=False):
            own = np.mean([cell[when]["gradient"] for cell in _cells(lab, arm)], axis=0)
            axes.plot(np.arange(1, len(own) + 1), own, "o-", ms=3, color=color, label=arm)
        axes.set_yscale("log")
        axes.set_xlabel("layer", color=GREY)
        axes.set_title(f"|dL/dW| {when}", loc="left", color=INK, fontsize=10)
        drawing.plain(axes)
    panels[0].legend(frameon=False, labelcolor=INK, fontsize=8)
    _draw_seconds(panels[2], lab)
    grid = bottom.subplots(2, 2, sharex=True)
    for row, depth in zip(grid, DEPTHS, strict=True):
        for arm, color in zip(DYING, SERIES, strict=False):
            cells = _cells(lab, f"{depth}/{arm}")
            rates = [each["lr"] for each in cells[0]]
            dead = _dead(lab, depth, arm)
            whole = np.isfinite(dead).all(0)
            accuracy = 100 - 100 / 360 * np.mean([[len(r["wrong"]) for r in c] for c in cells], 0)
            for axes, y in ((row[0], np.where(whole, np.nan_to_num(dead).mean(0), np.nan)),
                            (row[1], accuracy)):  # fmt: skip
                drawing.curve(axes, rates, y, color=color, label=arm, lw=1.8)
            row[1].plot(np.array(rates)[~whole], accuracy[~whole], "x", ms=9, mew=2, color=color)
        row[0].set_ylabel(depth, color=INK)
    for axes, title in zip(
        grid[0], ("units negative for all images (%)", "test accuracy (%); x: diverged"),
        strict=True,
    ):  # fmt: skip
        axes.set_title(title, loc="left", color=INK, fontsize=10)
    for axes in grid.ravel():
        axes.set_xscale("log")
        axes.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
        axes.minorticks_off()
        drawing.plain(axes)
    grid[0][0].legend(frameon=False, labelcolor=INK, fontsize=8)
    for axes in grid[1]:
        axes.set_xlabel("learning rate", color=GREY)
    drawing.save(figure, path)


def _draw_seconds(axes: Any, lab: Lab) -> None:
    for place, color, shift in ((ALONE, BLUE, -0.2), (INSIDE, ORANGE, 0.2)):
        seconds = lab.cells[f"seconds {place}"]
        base = np.array(seconds["relu"])
        ratios = {a: float(np.median(np.array(s) / base)) for a, s in seconds.items()}
        at = [FUNCTIONS.index(act) + shift for act in ratios]
        axes.barh(at, list(ratios.values()), height=0.38, color=color, label=place)
    axes.axvline(1, color=GREY, lw=0.8)
    axes.set_yticks(range(len(FUNCTIONS)), FUNCTIONS)
    axes.invert_yaxis()
    axes.set_title("time relative to ReLU", loc="left", color=INK, fontsize=10)
    axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    drawing.plain(axes)
