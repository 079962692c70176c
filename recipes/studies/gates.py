"""Gates: the saturation, gradients and cost of activation functions.

Claims: a saturated sigmoid or tanh kills the gradient; tanh is zero-centered; exp() is expensive
(CS231n 2021, lecture 7; CS231n 2016, lecture 5; CS 4644 / 7643, lecture 9); many layers of sigmoids
shrink the gradient; GELU costs more than ReLU (CS231n 2025, lecture 6).
Setup: the slopes of the functions at -10, 0 and 10. Networks of 10 layers of 256 units on digits:
the norm of the gradient dL/dW by layer, before training and after 5 epochs, 5 seeds. Times of the
forward and backward pass of each function alone, on 64x56x56x16 values (30 repetitions), and of a
training step of ResNet-20 on 64 images of 32x32 pixels (12 repetitions), measured in turns.
Figure: above, each function and its slope. Below, the norm of the gradient by layer: on a
logarithmic axis, a straight line that rises from left to right means that each layer shrinks the
gradient by the same factor on its way back. The bars compare times with ReLU: a function that is
slow alone may hardly matter in a network, whose convolutions take most of the time.
Cost: about 5 minutes on 2 CPU cores.
"""

import functools
import time
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import BLUE, GREY, INK, ORANGE, SERIES
from recipes.studying import Claim, Evidence, Lab, above, below

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
WHEN = ("at the start", "after 5 epochs")
ALONE, INSIDE = "alone", "in ResNet-20"
CLAIMS = {
    "saturated": Claim(
        "A saturated sigmoid or tanh kills the gradient.", ALL, "slope at 10", below(1e-3),
        ("sigmoid", "tanh"), log=True,
    ),
    "vanishes": Claim(
        "Many layers of sigmoids shrink the gradient.", L2025,
        "factor by which |dL/dW| shrinks per layer, from layer 10 back to layer 2", above(1.5),
        WHEN, log=True,
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


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compute the numbers of all claims."""
    found: dict[str, dict[str, Evidence]] = {name: {} for name in CLAIMS}
    for act in ("sigmoid", "tanh"):
        found["saturated"][act] = Evidence([lab.cells["functions"][act][1][2]], exact=True)
    for when in WHEN:
        (factor, norms), (of_tanh, _) = (_shrinks(lab, act, when) for act in ("sigmoid", "tanh"))
        found["vanishes"][when] = Evidence(
            factor.tolist(),
            says=f"from {norms[-1]:.2g} to {norms[1]:.2g}; with tanh, the factor is"
            f" {np.exp(np.log(of_tanh).mean()):.2f}",
        )
        tanh, sigmoid = (
            np.mean([cell[when]["center"] for cell in lab.group(f"{act}/seed")], axis=1)
            for act in ("tanh", "sigmoid")
        )
        found["centered"][f"tanh, {when}"] = Evidence(tanh, says=f"sigmoid {sigmoid.mean():.2g}")
    for place in (ALONE, INSIDE):
        seconds = {act: np.array(each) for act, each in lab.cells[f"seconds {place}"].items()}
        for claim, act in (("exp", "sigmoid"), ("gelu", "gelu")):
            found[claim][place] = Evidence(
                seconds[act] / seconds["relu"],
                says=f"{1e3 * np.median(seconds[act]):.3g} against"
                f" {1e3 * np.median(seconds['relu']):.3g} ms",
            )
    return found


def _shrinks(lab: Lab, act: str, when: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the factor per layer by which |dL/dW| shrinks, by seed, and its mean by layer."""
    own = np.array([cell[when]["gradient"] for cell in lab.group(f"{act}/seed")])
    return (own[:, -1] / own[:, 1]) ** (1 / max(1, own.shape[1] - 2)), own.mean(0)


def picture(lab: Lab, path: Path) -> None:
    """Draw the functions, the gradients by layer, and the time of each function."""
    import zoo

    figure = drawing.figure((15, 8))
    top, middle = figure.subfigures(2, 1, height_ratios=(1.4, 1))
    x = np.linspace(-10, 10, 801)
    for axes, act in zip(top.subplots(2, 5).ravel(), FUNCTIONS, strict=True):
        values, slopes = zoo.act_values(act, x)
        axes.plot(x, values, color=BLUE, lw=1.8)
        axes.plot(x, slopes, color=ORANGE, lw=1.4)
        axes.set_ylim(-2, 3)
        axes.set_xticks([-10, 0, 10])
        numbers = lab.cells["functions"][act][1]
        name = "maxout of x and -x/2" if act == "maxout" else act
        axes.set_title(f"{name}: {', '.join(f'{n:.2g}' for n in numbers)}", loc="left",
                       fontsize=9, color=INK)  # fmt: skip
        drawing.plain(axes)
    top.suptitle("values (blue) and slopes (orange); the slopes at -10, 0 and 10 as training uses"
                 " them", x=0.01, ha="left", color=INK, weight="bold")  # fmt: skip
    panels = middle.subplots(1, 3)
    for axes, when in zip(panels, WHEN, strict=False):
        for arm, color in zip(DEEP, SERIES, strict=False):
            own = np.mean([cell[when]["gradient"] for cell in lab.group(f"{arm}/seed")], axis=0)
            axes.plot(np.arange(1, len(own) + 1), own, "o-", ms=3, color=color, label=arm)
        axes.set_yscale("log")
        axes.set_xlabel("layer", color=GREY)
        axes.set_title(f"|dL/dW| {when}", loc="left", color=INK, fontsize=10)
        drawing.plain(axes)
        axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    _draw_seconds(panels[2], lab)
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
