"""Activation functions compared: accuracy with and without batch norm, noise and means.

Claims: use ReLU; other functions bring marginal gains; avoid sigmoid and tanh (CS231n 2021, lecture
7; CS231n 2016, lecture 5; CS 4644 / 7643, lecture 9). The means of ELU are closer to zero, and it
resists noise; Swish beat all others on CIFAR-10 (CS231n 2021, lecture 7). The smoothness of GELU
helps (CS231n 2025, lecture 6).
Setup: ResNet-20 with batch norm on 10,000 images of CIFAR-10 of 16x16 pixels, without augmentation,
which keeps the images in memory, for 10 epochs with a cosine schedule; the best of the learning
rates 0.03, 0.1 and 0.3 on the validation set after 4 of the epochs, with a seed that is not used
again; then 4 seeds. The same on digits without a norm, with 4 layers of 100 units, 10 epochs, four
learning rates and 8 seeds. Gaussian noise of 0.1 to 0.3 standard deviations on 2,000 preprocessed
test images, as by `recipes evaluate --input_noise`. The letters in the figure come from all 45
pairwise t tests with Holm's correction: functions that share a letter cannot be separated.
Figure: for both networks, a row for each function, sorted by accuracy, with the seeds as dots, and
on the right the accuracy by the noise on the inputs. Functions that are more than 15 points below
the median are only named.
Cost: about 35 minutes on 2 CPU cores.
"""

import functools
import itertools
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.augment import Resize
from recipes.drawing import BLUE, GREY, INK, SERIES
from recipes.studying import Claim, Evidence, Lab, above, below, correct_images, paired

L2021, L2016 = "CS231n 2021, lecture 7", "CS231n 2016, lecture 5"
L2025, L4644 = "CS231n 2025, lecture 6", "CS 4644 / 7643, lecture 9"
ACTS = (
    "relu", "leaky_relu", "prelu", "elu", "selu", "gelu", "swish", "swish_beta", "tanh", "sigmoid",
)  # fmt: skip
VARIANTS = ("leaky_relu", "prelu", "elu", "selu", "gelu", "swish", "swish_beta")
FEW = ("relu", "elu", "gelu", "swish", "tanh", "sigmoid")  # in a quick run
INITS = {"tanh": "xavier", "sigmoid": "xavier", "selu": "lecun_normal"}
RESNET, MLP = "ResNet-20", "mlp"
RATES = {RESNET: (0.03, 0.1, 0.3), MLP: (0.01, 0.03, 0.1, 0.3)}
SEEDS = {RESNET: 4, MLP: 8}
NOISE = (0.1, 0.2, 0.3)
MORE = "test accuracy minus that of ReLU"
CLAIMS = {
    "marginal": Claim(
        "Leaky ReLU, PReLU, ELU, SELU, GELU and Swish bring marginal gains over ReLU.",
        f"{L2021}; {L4644}", f"{MORE}, mean of these functions", below(1.0), (RESNET, MLP),
        unit=" points",
    ),
    "avoid": Claim(
        "Sigmoid and tanh are worse than ReLU.", f"{L2021}; {L4644}", MORE, below(0.0),
        tuple(f"{act}, {network}" for network in (RESNET, MLP) for act in ("sigmoid", "tanh")),
        unit=" points",
    ),
    "swish": Claim(
        "Swish beats all other functions.", L2021,
        "test accuracy minus that of the best other function", above(0.0), (RESNET, MLP),
        unit=" points",
    ),
    "gelu": Claim(
        "The smoothness of GELU helps.", L2025, MORE, above(0.0), (RESNET, MLP), unit=" points"
    ),
    "means": Claim(
        "The means of ELU are closer to zero than those of ReLU.", L2021,
        "|mean| over standard deviation of the activations, average over layers, ELU over ReLU",
        below(1.0), (RESNET, MLP), log=True,
    ),
    "noise": Claim(
        "ELU resists noise.", L2021,
        "loss of test accuracy by noise of 0.3 standard deviations, ELU minus ReLU", below(0.0),
        (RESNET, MLP), unit=" points",
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Choose a learning rate for each function, and train it with several seeds."""
    for network in (RESNET, MLP):
        epochs = lab.choose(10, quick=1)
        for act in lab.choose(ACTS, quick=FEW):
            name = f"{network}/{act}"
            chosen = lab.cell(
                f"{name}/rates", choose, network=network, act=act, epochs=epochs,
                part=lab.choose(0.4, quick=1.0), rates=RATES[network][: lab.choose(9, quick=1)],
            )  # fmt: skip
            best = max(chosen, key=lambda lr: chosen[lr])
            for seed in lab.seeds(SEEDS[network]):
                lab.cell(f"{name}/seed{seed}", train, network=network, act=act, lr=float(best),
                         seed=seed, epochs=epochs)  # fmt: skip


@functools.lru_cache(maxsize=1)
def _trainings(network: str, act: str, epochs: int, data: str, quick: bool):
    import recipes

    init = INITS.get(act, "kaiming")
    if network == MLP:
        return recipes.Trainings(
            "digits/mlp", act=act, init=init, options={"hidden": (100,) * 4}, epochs=epochs,
            schedule="cosine",
        )  # fmt: skip
    resize = (Resize(4 if quick else 16),)
    small = {"model": "mlp", "norm": "none", "options": {"hidden": (8,)}} if quick else {}
    return recipes.Trainings(
        "cifar10/resnet20", act=act, init=init, data=data, augment=resize, eval_ops=resize,
        images=256 if quick else 10_000, epochs=epochs, schedule="cosine", **small,
    )  # fmt: skip


def _many(lab: Lab, network: str, act: str, epochs: int):
    data = lab.cifar10 if network == RESNET else "digits"
    return _trainings(network, act, epochs, data, lab.quick)


def choose(
    lab: Lab, network: str, act: str, epochs: int, part: float, rates: tuple[float, ...]
) -> dict[str, float]:
    """Return the validation accuracy of each learning rate after a part of the training."""
    many = _many(lab, network, act, epochs)
    steps = max(1, int(part * epochs * many.steps_per_epoch))
    return {str(lr): many.run(seed=100, lr=lr, steps=steps).val_accuracy for lr in rates}


def train(lab: Lab, network: str, act: str, lr: float, seed: int, epochs: int) -> dict[str, Any]:
    """Train a network, and return its errors on the test set, with noise, and its means."""
    import recipes

    many = _many(lab, network, act, epochs)
    done = many.run(seed=seed, lr=lr)
    found: dict[str, Any] = {
        "lr": lr, "wrong": np.flatnonzero(~done.test.right), "images": len(done.test.right),
    }  # fmt: skip
    images, labels = (_some(each, 2000) for each in many.images("test"))
    many.assign(done.weights)
    noise = np.random.default_rng(seed).normal(scale=images.std(), size=images.shape)
    found["noisy"] = [
        _accuracy(many.network, images + share * noise, labels) for share in (0.0, *NOISE)
    ]
    if act in ("relu", "elu"):
        some = _some(many.images("train")[0], 256)
        table = recipes.layer_statistics(many.network, some, training=False)
        found["center"] = (table["mean"].abs() / table["sd"])[table["act"] != ""].tolist()
    return found


def _some(values: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` rows from the whole array, which may be sorted by class."""
    return values[:: -(-len(values) // count)]


def _accuracy(network: Any, images: np.ndarray, labels: np.ndarray) -> float:
    parts = [images[start : start + 500] for start in range(0, len(images), 500)]
    scores = np.concatenate([np.asarray(network(part, training=False)) for part in parts])
    return float(np.mean(scores.argmax(1) == labels.argmax(1)))


def _cells(lab: Lab, network: str, act: str) -> list[Any]:
    return lab.group(f"{network}/{act}/seed")


def _accuracies(lab: Lab, network: str) -> dict[str, np.ndarray]:
    """Return the test accuracies of all functions by seed, in %."""
    acts = [act for act in ACTS if _cells(lab, network, act)]
    return {act: 100 * _right(lab, network, act).mean(1) for act in acts}


def _right(lab: Lab, network: str, act: str) -> np.ndarray:
    """Return which test images are classified correctly, [seeds, images]."""
    cells = _cells(lab, network, act)
    return correct_images([cell["wrong"] for cell in cells], cells[0]["images"])


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compare the functions by seed."""
    found: dict[str, dict[str, Evidence]] = {name: {} for name in CLAIMS}
    for network in (RESNET, MLP):
        accuracies = _accuracies(lab, network)
        right = {act: _right(lab, network, act) for act in accuracies}
        pooled = [
            (each * 2**0.5).tolist() for each in accuracies.values()
        ]  # of a difference of two
        mean = np.mean([right[act] for act in VARIANTS if act in right], axis=0)
        found["marginal"][network] = paired(mean, right["relu"])
        for act in ("sigmoid", "tanh"):
            found["avoid"][f"{act}, {network}"] = paired(right[act], right["relu"], pooled)
        others = {act: each.mean() for act, each in accuracies.items() if act != "swish"}
        other = max(others, key=lambda act: others[act])
        found["swish"][network] = paired(right["swish"], right[other], pooled)
        found["gelu"][network] = paired(right["gelu"], right["relu"], pooled)
        center, lost = {}, {}
        for act in ("relu", "elu"):
            cells = _cells(lab, network, act)
            center[act] = np.array([np.mean(cell["center"]) for cell in cells])
            lost[act] = 100 * np.array([cell["noisy"][0] - cell["noisy"][-1] for cell in cells])
        found["means"][network] = Evidence(
            (center["elu"] / center["relu"]).tolist(),
            says=f"{center['elu'].mean():.2f} against {center['relu'].mean():.2f}",
        )
        found["noise"][network] = Evidence(
            (lost["elu"] - lost["relu"]).tolist(),
            says=f"{lost['elu'].mean():.1f} against {lost['relu'].mean():.1f} points",
        )
    return found


def letters(values: dict[str, np.ndarray], level: float = 0.05) -> dict[str, str]:
    """Return letters for groups of values; groups that share a letter cannot be separated.

    All pairs are compared by t tests with the pooled standard deviation and Holm's correction.

    Args:
        values: the values of each group.
        level: the probability of any wrong separation.
    """
    from scipy.stats import t

    order = sorted(values, key=lambda name: -float(np.mean(values[name])))
    freedom = sum(len(each) - 1 for each in values.values())
    if not freedom:
        return dict.fromkeys(order, "a")
    squares = sum(float(np.var(each)) * len(each) for each in values.values()) / freedom
    chances = {}
    for one, two in itertools.combinations(order, 2):
        error = (squares * (1 / len(values[one]) + 1 / len(values[two]))) ** 0.5
        difference = abs(np.mean(values[one]) - np.mean(values[two]))
        chances[one, two] = float(2 * t.sf(difference / max(error, 1e-12), freedom))
    apart: set[tuple[str, str]] = set()
    for number, pair in enumerate(sorted(chances, key=lambda pair: chances[pair])):
        if chances[pair] * (len(chances) - number) > level:
            break
        apart.add(pair)
    groups: list[list[str]] = []  # longest runs of neighbors of which no two are separated
    for start in range(len(order)):
        end = start + 1
        while end < len(order) and not any((a, order[end]) in apart for a in order[start:end]):
            end += 1
        if not groups or order[end - 1] not in groups[-1]:
            groups.append(order[start:end])
    return {
        name: "".join(chr(97 + i) for i, group in enumerate(groups) if name in group)
        for name in order
    }


def picture(lab: Lab, path: Path) -> None:
    """Draw a sorted row for each function, and the accuracy by noise."""
    figure = drawing.figure((15, 9))
    for part, network in zip(figure.subfigures(2, 1), (RESNET, MLP), strict=True):
        left, right = part.subplots(1, 2, width_ratios=(1.3, 1))
        values = _accuracies(lab, network)
        shared = letters(values)
        # A function far below the others would hide the differences between them.
        least = np.median([own.mean() for own in values.values()]) - 15
        near = {act: own for act, own in values.items() if own.mean() > least}
        low, high = min(own.min() for own in near.values()), max(own.max() for own in near.values())
        margin = 0.05 * (high - low) + 0.1
        for row, act in enumerate(shared):
            if act not in near:
                left.annotate(f"◂ {values[act].mean():.1f} %", (low - margin, row), va="center",
                              color=INK)  # fmt: skip
                continue
            left.plot(values[act], [row] * len(values[act]), "o", ms=4, color=BLUE, alpha=0.5)
            left.plot(values[act].mean(), row, "|", ms=16, mew=2.5, color=INK)
        rates = [f"{act}, {_cells(lab, network, act)[0]['lr']:g}" for act in shared]
        left.set_yticks(range(len(shared)), rates)
        right_side = left.secondary_yaxis("right")
        right_side.set_yticks(range(len(shared)), list(shared.values()))
        right_side.tick_params(length=0, colors=INK)
        right_side.spines["right"].set_visible(False)
        left.set_xlim(low - margin, high + margin)
        left.set_ylim(len(shared) - 0.5, -0.5)
        norm = "with batch norm, CIFAR-10" if network == RESNET else "without a norm, digits"
        left.set_title(f"{network} {norm}: test accuracy (%), with learning rates", loc="left",
                       color=INK, fontsize=10)  # fmt: skip
        drawing.plain(left)
        left.grid(axis="x", color="#e6e8ec")
        for act, color in zip(values, itertools.cycle(SERIES), strict=False):
            if act not in near:
                continue
            noisy = 100 * np.mean([cell["noisy"] for cell in _cells(lab, network, act)], axis=0)
            style = "-" if ACTS.index(act) < len(SERIES) else "--"
            right.plot((0, *NOISE), noisy, style, color=color, label=act)
        right.set_xlabel("noise on the images (standard deviations)", color=GREY)
        right.set_title("test accuracy (%)", loc="left", color=INK, fontsize=10)
        right.legend(frameon=False, labelcolor=INK, fontsize=8, loc="center left",
                     bbox_to_anchor=(1.0, 0.5))  # fmt: skip
        drawing.plain(right)
    drawing.save(figure, path)


def table(lab: Lab) -> list[dict[str, Any]]:
    """Return one row for each function and network."""
    rows: list[dict[str, Any]] = []
    for network in (RESNET, MLP):
        values = _accuracies(lab, network)
        shared = letters(values)
        for act, own in values.items():
            noisy = np.mean([cell["noisy"] for cell in _cells(lab, network, act)], axis=0)
            rows.append(
                {
                    "network": network, "act": act, "lr": _cells(lab, network, act)[0]["lr"],
                    "accuracy": own.mean(), "seeds": len(own), "letters": shared[act],
                }
                | {f"noise_{n:g}": y for n, y in zip((0.0, *NOISE), noisy, strict=True)}
            )  # fmt: skip
    return rows
