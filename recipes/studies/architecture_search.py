"""Architecture search: a controller, evolution, and random search over cells.

Claims: a controller that is trained with the reward finds good networks; regularized evolution, as
in AmoebaNet, does too; cells that are found on a small data set transfer to a larger one (CS 4644 /
7643, lecture 9).
Setup: a toy space that can be measured completely. A cell adds two paths, one operation and a
sequence of two, of six operations each: 216 cells. A network has three cells of 8 channels, with
batch norm after each cell and pooling between them. Each network is trained on digits of 16x16
pixels for 4 epochs with 2 seeds, and scored by the mean validation accuracy. The searches then look
scores up in this table, 60 each, 200 times: REINFORCE (Zoph and Le 2017), regularized evolution
(Real et al. 2019) and random search, as in `recipes tune`; none tries a cell twice. The intervals
cover the randomness of the searches, not that of the table. For the transfer, 12 cells spread over
the ranking are trained for 5 epochs on 10,000 images of CIFAR-10 at 16x16; the interval of the rank
correlation is that of the jackknife over the cells.
Figure: left, the best score so far of the three kinds of search. Right, the accuracy of twelve
cells on both data sets.
Cost: about 40 minutes on 2 CPU cores.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

import zoo
from recipes import drawing
from recipes.augment import Resize
from recipes.drawing import BLUE, GREEN, GREY, INK, ORANGE
from recipes.studying import Claim, Evidence, Lab, above
from zoo import blocks, cells

LECTURE = "CS 4644 / 7643, lecture 9"
OPERATIONS = ("conv3", "conv5", "sep3", "max3", "avg3", "identity")
TUNERS = {"random": GREY, "evolution": GREEN, "reinforce": ORANGE}
SHOWN = {"reinforce": "REINFORCE"}
TRIALS = ("after 20 trials", "after 60 trials")
CLAIMS = {
    "controller": Claim(
        "A controller that is trained with the reward finds better networks than random search.",
        LECTURE, "best validation accuracy minus that of random search, in points", above(0.0),
        TRIALS, unit=" points",
    ),
    "evolution": Claim(
        "Regularized evolution finds better networks than random search.",
        LECTURE, "best validation accuracy minus that of random search, in points", above(0.0),
        TRIALS, unit=" points",
    ),
    "transfer": Claim(
        "Cells that are good on a small data set are good on a larger one.",
        LECTURE, "rank correlation of accuracies on digits and on CIFAR-10", above(0.5),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class ToyCells:
    """Three cells with pooling between them; ops are the operations of a cell."""

    ops: tuple[str, ...] = ("identity", "identity", "identity")
    width: int = 8

    residual: ClassVar[bool] = False
    unused: ClassVar[tuple[str, ...]] = ()


def network(x: Any, style: zoo.Style, spec: ToyCells, num_classes: int) -> Any:
    """Return the logits of a network of three cells."""

    def apply(x, at, name):
        if spec.ops[at] == "conv5":
            return blocks.conv_norm_act(x, spec.width, 5, style=style, name=name)
        return cells.operate(x, spec.ops[at], 1, spec.width, False, style, name=name)

    import keras

    x = blocks.conv_norm_act(x, spec.width, 3, style=style, name="stem")
    for stage in (1, 2, 3):
        name = f"stage{stage}"
        if stage > 1:
            x = keras.layers.MaxPooling2D(2, name=f"{name}_down")(x)
        path = apply(apply(x, 0, f"{name}_first"), 1, f"{name}_second")
        x = keras.layers.Add(name=f"{name}_add")([path, apply(x, 2, f"{name}_third")])
        x = style.normalize(x, name=f"{name}_norm")
    x = cells.activate(x, style, name="head")
    return blocks.pooled_head(x, num_classes, style=style)


def measure(lab: Lab) -> None:
    """Measure all cells on digits, search in the table, and train twelve cells on CIFAR-10."""
    choices = lab.choose([list(OPERATIONS)] * 3, quick=[["conv3", "max3"], ["avg3"], ["identity"]])
    for ops in itertools.product(*choices):
        seeds, epochs = list(lab.seeds(2)), lab.choose(4, quick=1)
        lab.cell(f"digits/{'-'.join(ops)}", on_digits, ops=list(ops), seeds=seeds, epochs=epochs)
    for tuner in TUNERS:
        repeats, trials = lab.choose(200, quick=2), lab.choose(60, quick=2)
        settings = {"choices": choices, "repeats": repeats, "trials": trials}
        lab.cell(f"search/{tuner}", search, tuner=tuner, **settings)
    ranked = sorted(scores(lab), key=scores(lab).__getitem__)
    spread = np.linspace(0, len(ranked) - 1, min(12, len(ranked))).round().astype(int)
    for ops in (ranked[place] for place in spread):
        epochs = lab.choose(5, quick=1)
        lab.cell(f"cifar10/{ops}", on_cifar10, ops=ops.split("-"), epochs=epochs)


def trainings(ops: list[str], **changes: Any) -> Any:
    """Return the trainings of a network with these cells on images of 16x16 pixels."""
    import recipes

    if "study_cells" not in zoo.list_models():
        family = zoo.Family(
            network, {"study_cells": ToyCells()}, styles={"*": zoo.Style(act="relu", norm="batch")}
        )  # fmt: skip
        zoo.register("study_cells", family)
    resize = (Resize(16),)
    made = recipes.Recipe(
        model="study_cells", options={"ops": tuple(ops), "norm_momentum": 0.9}, augment=resize,
        eval_ops=resize, lr=0.1, schedule="cosine", batch_size=32, **changes,
    )  # fmt: skip
    return recipes.Trainings(made)


def on_digits(ops: list[str], seeds: list[int], epochs: int) -> dict[str, Any]:
    """Return the validation accuracies of a cell on digits."""
    many = trainings(ops, data="digits", validation=0.25, epochs=epochs)
    return {"val_accuracies": [many.run(seed=seed).val_accuracy for seed in seeds]}


def on_cifar10(lab: Lab, ops: list[str], epochs: int) -> dict[str, Any]:
    """Return the test accuracy of a cell on CIFAR-10."""
    images = lab.choose(10_000, quick=256)
    many = trainings(ops, data=lab.cifar10, validation=0.0, epochs=epochs, images=images)
    return {"accuracy": many.run(seed=0).test_accuracy}


def scores(lab: Lab) -> dict[str, float]:
    """Return the mean validation accuracy on digits of all cells, in percent."""
    found = {name: cell for name, cell in lab.cells.items() if name.startswith("digits/")}
    return {
        name.removeprefix("digits/"): 100 * float(np.mean(cell["val_accuracies"]))
        for name, cell in found.items()
    }


def search(
    lab: Lab, tuner: str, choices: list[list[str]], repeats: int, trials: int
) -> list[list[float]]:
    """Return the best score after each trial of repeated searches, [repeats][trials]."""
    table = scores(lab)
    return [_search(tuner, seed, choices, table, trials) for seed in range(repeats)]


def _search(
    tuner: str, seed: int, choices: list[list[str]], table: dict[str, float], trials: int
) -> list[float]:
    import keras_tuner as kt

    from recipes.recipe import Recipe
    from recipes.search.oracles.make import make_oracle, without_repeats
    from recipes.search.spaces.space import Space

    def ops_of(hp):
        return "-".join(hp.Choice(f"op{i}", ops) for i, ops in enumerate(choices))

    space = Space(Recipe(model="resnet20", data="digits"), lambda hp: {"options": ops_of(hp)})
    hp = kt.HyperParameters()
    ops_of(hp)
    oracle = make_oracle(tuner, hp, seed=seed, epochs=1, trials=trials, space=space)
    oracle.verbose = 0
    oracle.save = oracle._save_trial = lambda *ignored: None  # nothing is written
    without_repeats(oracle, lambda values: str(sorted(values.items())))
    best: list[float] = []
    while len(best) < trials and (trial := oracle.create_trial("one")).status == "RUNNING":
        score = table[ops_of(trial.hyperparameters)]
        best.append(max([score, *best[-1:]]))
        oracle.update_trial(trial.trial_id, {"val_accuracy": score})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return best + best[-1:] * (trials - len(best))


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compare the searches, and correlate the rankings."""
    best = {tuner: np.array(lab.cells[f"search/{tuner}"]) for tuner in TUNERS}

    def gain(tuner):
        found = {}
        for condition in TRIALS:
            at = min(int(condition.split()[1]), best[tuner].shape[1]) - 1
            own, other = best[tuner][:, at], best["random"][:, at]
            says = f"{own.mean():.2f} against {other.mean():.2f} %"
            found[condition] = Evidence(own - other, says=says, repeats="searches")
        return found

    pairs = np.array(list(_pairs(lab)))
    return {
        "controller": gain("reinforce"),
        "evolution": gain("evolution"),
        "transfer": {"": Evidence(jackknife(pairs), says=f"{len(pairs)} cells", repeats="cells")},
    }


def _pairs(lab: Lab) -> Any:
    table = scores(lab)
    for name, cell in lab.cells.items():
        if name.startswith("cifar10/"):
            yield table[name.removeprefix("cifar10/")], 100 * cell["accuracy"]


def jackknife(pairs: np.ndarray) -> list[float]:
    """Return the jackknife's pseudo-values of Spearman's rank correlation of pairs [N, 2]."""
    from scipy.stats import spearmanr

    def correlation(some):
        return float(spearmanr(some).statistic)

    count = len(pairs)
    if count < 4:
        return [correlation(pairs)]
    left_out = [correlation(np.delete(pairs, at, axis=0)) for at in range(count)]
    return [count * correlation(pairs) - (count - 1) * each for each in left_out]


def picture(lab: Lab, path: Path) -> None:
    """Draw the best score against the trials, and accuracy on CIFAR-10 against the score."""
    figure = drawing.figure((10, 4.2))
    left, right = figure.subplots(1, 2)
    for tuner, color in TUNERS.items():
        best = np.array(lab.cells[f"search/{tuner}"])
        trials = np.arange(1, best.shape[1] + 1)
        left.fill_between(
            trials, *np.percentile(best, (25, 75), axis=0), color=color, alpha=0.2, lw=0
        )
        left.plot(trials, best.mean(axis=0), color=color, lw=2, label=SHOWN.get(tuner, tuner))
    top = max(scores(lab).values())
    left.axhline(top, color=INK, lw=1, ls="--")
    left.annotate("best cell of the table", (1, top), va="bottom", color=INK, fontsize=9)
    if not lab.quick:
        left.set_ylim(92, 98.5)  # where the searches differ
    left.set_xlabel("trials", color=GREY)
    left.set_ylabel("best validation accuracy on digits (%)", color=GREY)
    left.legend(frameon=False, labelcolor=INK, loc="lower right")
    right.plot(*np.array(list(_pairs(lab))).T, "o", color=BLUE)
    right.set_xlabel("validation accuracy on digits (%)", color=GREY)
    right.set_ylabel("test accuracy on CIFAR-10 (%)", color=GREY)
    for axes, title in ((left, "Mean and quartiles of all searches"), (right, "Transfer of cells")):
        axes.set_title(title, loc="left", color=INK, fontsize=11)
        drawing.plain(axes)
    drawing.save(figure, path)
