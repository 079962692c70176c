"""Averaging at test time: dropout masks, crops and flips, and several networks.

Claims: at test time, average the randomness of training out, sometimes approximately; dropout
trains an ensemble, and scaling makes the output of a unit equal its expected value (CS231n 2025,
lecture 6). Crops and flips at test time and ensembles improve the result (CS231n 2016, lecture 5;
CS231n 2021, lecture 7; CS231n 2025, lecture 6).
Setup: (a) digits, one hidden layer of 300 units, dropout 0.2, 0.5 and 0.8, 30 epochs, 5 seeds: log
loss on the test set of the scaled pass (without dropout) and of the mean probabilities of 1 to 300
dropout masks. The logits are a linear function of the dropped units, so their mean over masks must
be the scaled one; its distance is given in standard errors of that mean. The scaled pass counts as
a good approximation if its log loss differs by less than 0.01. (b) cifar10/fast with half the
width, 5 epochs, 3 seeds, on the 10,000 test images: the mean probabilities of mirrored images, of 8
random crops and flips, of ten crops of the image enlarged to 37x37 pixels (256 for 224, as on
ImageNet), of ten crops at five scales from 32 to 91 pixels (one seed, because 50 views take long),
and of two and three networks. Gains are differences on the same images. The mean of the
weights of the three networks ("soup") is measured, too, but the lectures do not propose it for
networks from different seeds.
Figure: left, the log loss of the mean over dropout masks, which approaches a limit other than the
pass without dropout (dashed). Right, what views and ensembles gain.
Cost: about 25 minutes on 2 CPU cores.
"""

from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import BLUE, GREEN, GREY, INK, ORANGE
from recipes.studying import Claim, Evidence, Lab, above, correct_images, paired, within

LECTURE = "CS231n 2025, lecture 6"
ALL = "CS231n 2016, lecture 5; CS231n 2021, lecture 7; CS231n 2025, lecture 6"
MASKS = (1, 2, 3, 5, 10, 20, 30, 50, 100, 150, 300)
DROPOUTS = {"dropout 0.2": 0.2, "dropout 0.5": 0.5, "dropout 0.8": 0.8}
VIEWS = {
    "mirrored": "flip", "8 random views": "augment:8:(PadCrop(2), Flip())", "ten crops": "10crop",
    "ten crops, five scales": "10crop:5scales",
}  # fmt: skip
NETWORKS = ("two networks", "three networks", "three networks, mirrored")
GAIN = "gain of test accuracy over a single view of one network"
CLAIMS = {
    "unit": Claim(
        "Scaling makes the output of a unit equal its expected value over dropout masks.", LECTURE,
        "distance of the scaled logits from the mean over 300 masks, in its standard errors",
        within(0.8, 1.25), tuple(DROPOUTS), log=True,
    ),
    "scaling": Claim(
        "Scaling approximates the average of the predictions over dropout masks.", LECTURE,
        "log loss of the mean of 300 masks minus that of the scaled pass", within(-0.01, 0.01),
        tuple(DROPOUTS),
    ),
    "ensemble": Claim(
        "The networks of different dropout masks are an ensemble: averaging them improves the"
        " prediction.", LECTURE, "log loss of one mask minus that of the mean of 300", above(0.0),
        tuple(DROPOUTS),
    ),
    "views": Claim(
        "Averaging over crops and flips improves the accuracy.", ALL, GAIN, above(0.0),
        tuple(VIEWS), unit=" points",
    ),
    "networks": Claim(
        "Averaging the predictions of several networks improves the accuracy.", ALL, GAIN,
        above(0.0), NETWORKS, unit=" points",
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Evaluate dropout on digits, and views and ensembles on CIFAR-10."""
    for name, rate in DROPOUTS.items():
        for seed in lab.seeds(5):
            settings = {"rate": rate, "seed": seed, "epochs": lab.choose(30, quick=1)}
            lab.cell(f"{name}/seed{seed}", masks, **settings)
    epochs, seeds = lab.choose(5, quick=1), list(lab.seeds(3))
    for seed in seeds:
        names = [n for n in VIEWS if lab.choose(seed == 0 or "scales" not in n, quick="m" in n[:1])]
        lab.cell(f"views/seed{seed}", views, seed=seed, epochs=epochs, names=names)
    lab.cell("networks", networks, seeds=lab.choose(seeds[:3], quick=[0, 1]), epochs=epochs)


def masks(rate: float, seed: int, epochs: int) -> dict[str, Any]:
    """Return the log loss and accuracy of the scaled pass and of means over masks."""
    import recipes

    many = recipes.Trainings(
        "digits/mlp", options={"hidden": (300,)}, dropout=rate, epochs=epochs, seed=seed
    )
    many.assign(many.run().weights)
    images, labels = many.images("test")
    scaled, masked = outputs(many.network, images, max(MASKS))
    error = masked.std(0, ddof=1) / np.sqrt(len(masked))
    probabilities = softmax(masked)
    found = {
        count: [score(each, labels) for each in means(probabilities, count)] for count in MASKS
    }
    loss, accuracy = score(softmax(scaled), labels)
    return {
        "scaled": loss, "scaled accuracy": accuracy,
        "losses": {str(n): float(np.mean([each[0] for each in rows])) for n, rows in found.items()},
        "accuracies": {
            str(n): float(np.mean([each[1] for each in rows])) for n, rows in found.items()
        },
        "distance": float(np.sqrt(np.mean(((masked.mean(0) - scaled) / error) ** 2))),
    }  # fmt: skip


def outputs(network: Any, images: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the logits without dropout [N, classes], and with `count` masks [count, N, classes].

    Dropout is the only layer of the network that behaves differently in training.
    """
    import tensorflow as tf

    @tf.function
    def all_masks(x):
        return tf.map_fn(
            lambda _: network(x, training=True), tf.range(count), fn_output_signature=tf.float32,
            parallel_iterations=1,
        )  # fmt: skip

    return network(images, training=False).numpy(), all_masks(tf.constant(images)).numpy()


def means(probabilities: np.ndarray, count: int) -> np.ndarray:
    """Return the means over disjoint groups of `count` masks, of as many as there are."""
    groups = len(probabilities) // count
    return probabilities[: groups * count].reshape(groups, count, *probabilities.shape[1:]).mean(1)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities from logits, over the last axis."""
    shifted = np.exp(logits.astype("float64") - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def score(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the log loss and the accuracy."""
    right = labels.argmax(-1)
    loss = -np.log(np.maximum(probabilities[np.arange(len(right)), right], 1e-300)).mean()
    return float(loss), float((probabilities.argmax(-1) == right).mean())


def views(lab: Lab, seed: int, epochs: int, names: list[str]) -> dict[str, Any]:
    """Train a network; return the images that each kind of views classifies wrongly."""
    run = train(lab, seed, epochs)
    found = {name: wrong(*predict(run, VIEWS[name])) for name in names}
    scores, labels = predict(run, "one")
    return {"images": len(labels), "wrong": {"one": wrong(scores, labels), **found}}


def networks(lab: Lab, seeds: list[int], epochs: int) -> dict[str, Any]:
    """Return the images that single networks, ensembles and the soup classify wrongly."""
    import recipes

    runs = [train(lab, seed, epochs) for seed in seeds]
    single = [predict(run, "one") for run in runs]
    labels = single[0][1]
    one, mirrored = (
        [softmax(scores) for scores, _ in found]
        for found in (single, [predict(run, "flip") for run in runs])
    )
    soup = recipes.evaluate(runs, average="soup")["top1"]
    return {
        "one": [wrong(each, labels) for each in one],
        "two networks": [wrong(one[i] + one[i - 1], labels) for i in range(len(one))],
        "three networks": [wrong(np.sum(one, axis=0), labels)],
        "three networks, mirrored": [wrong(np.sum(mirrored, axis=0), labels)],
        "images": len(labels),
        "soup": soup,
    }


def train(lab: Lab, seed: int, epochs: int) -> str:
    """Train cifar10/fast with half the width, and return the run directory."""
    widths = lab.choose((32, 128, 128), quick=(8, 8, 8))
    changes = {} if not lab.quick else {"batch_size": 64, "dtype": "float32"}
    done = lab.train(
        "cifar10/fast", f"fast/seed{seed}", data=lab.cifar10, seed=seed, epochs=epochs,
        options={"widths": widths}, stats_every=0, warmup=min(1.0, epochs / 4), **changes,
    )  # fmt: skip
    return done["run"]


def predict(run: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of a run on the test set with views of each image, and the labels."""
    from recipes.evaluation.members import open_members, opened_network
    from recipes.evaluation.runs import open_split, predict_member
    from recipes.evaluation.tta import parse_all_of

    (member,), (shown,) = open_members(run, None, None), parse_all_of(name, 1)
    data, part = open_split([member], "test", None)
    return predict_member(
        member, opened_network(member), data, part, shown, masks=None, noise=None, seed=0,
        replicas=1, verbose=0,
    )  # fmt: skip


def wrong(scores: np.ndarray, labels: np.ndarray) -> list[int]:
    """Return the places of the images that are classified wrongly."""
    return np.flatnonzero(scores.argmax(-1) != labels.argmax(-1)).tolist()


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compare the log losses on digits, and the accuracies on CIFAR-10."""
    dropout = {name: lab.group(f"{name}/") for name in DROPOUTS}
    most = str(max(MASKS))

    def of_each(value: Any, says: Any) -> dict[str, Evidence]:
        return {
            name: Evidence([value(cell) for cell in cells], says=says(cells))
            for name, cells in dropout.items()
        }

    def mean(cells: list[Any], key: str, number: str = "") -> float:
        return float(np.mean([cell[key][number] if number else cell[key] for cell in cells]))

    found = {
        "unit": of_each(lambda cell: cell["distance"], lambda cells: ""),
        "scaling": of_each(
            lambda cell: cell["losses"][most] - cell["scaled"],
            lambda cells: f"{mean(cells, 'losses', most):.3f} and {mean(cells, 'scaled'):.3f}",
        ),
        "ensemble": of_each(
            lambda cell: cell["losses"]["1"] - cell["losses"][most],
            lambda cells: f"{mean(cells, 'losses', '1'):.3f} and {mean(cells, 'losses', most):.3f}",
        ),
    }
    gains = rights(lab)
    pooled = [(100 * (one - other).mean(1)).tolist() for one, other in gains.values()]
    soup = f"; the soup of their weights: {100 * lab.cells['networks']['soup']:.1f} %"
    for claim, names in (("views", VIEWS), ("networks", NETWORKS)):
        # A quick run measures mirrored views only, which stand for the others.
        own = {name: gains.get(name, gains["mirrored"]) for name in names}
        found[claim] = {name: paired(*each, pooled=pooled) for name, each in own.items()}
    last = found["networks"]["three networks"]
    found["networks"]["three networks"] = Evidence(**{**vars(last), "says": last.says + soup})
    return found


def rights(lab: Lab) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return, for each condition, which images are right with averaging and without it."""
    seeds, several = lab.group("views/"), lab.cells["networks"]

    def correct(lists: list[list[int]]) -> np.ndarray:
        return correct_images(lists, several["images"])

    found = {}
    for name in VIEWS:
        own = [cell["wrong"] for cell in seeds if name in cell["wrong"]]
        if own:
            found[name] = correct([e[name] for e in own]), correct([e["one"] for e in own])
    single = correct(several["one"])
    found["two networks"] = correct(several["two networks"]), (single + np.roll(single, 1, 0)) / 2
    for name in NETWORKS[1:]:
        found[name] = correct(several[name]), single.mean(0, keepdims=True)
    return found


def picture(lab: Lab, path: Path) -> None:
    """Draw log loss against the number of masks, and the gains of views and ensembles."""
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    figure = drawing.figure((11.5, 4.6))
    left, bars = figure.subplots(1, 2, width_ratios=(1, 1.1))
    for (name, rate), color in zip(DROPOUTS.items(), (BLUE, GREEN, ORANGE), strict=True):
        cells = lab.group(f"{name}/")
        losses = np.array([[cell["losses"][str(n)] for n in MASKS] for cell in cells])
        scaled = np.mean([cell["scaled"] for cell in cells])
        left.fill_between(MASKS, losses.min(0), losses.max(0), color=color, alpha=0.15, lw=0)
        left.plot(MASKS, losses.mean(0), color=color, lw=2, label=f"dropout {rate}: masks")
        left.axhline(scaled, color=color, lw=1.4, ls=(0, (4, 2)), label=f"dropout {rate}: scaled")
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_xticks([1, 3, 10, 30, 100, 300], ["1", "3", "10", "30", "100", "300"])
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    left.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    left.minorticks_off()
    left.set_xlabel("dropout masks averaged", color=GREY)
    left.set_title("log loss on digits", loc="left", fontsize=10, color=INK)
    left.legend(frameon=False, fontsize=8, labelcolor=INK)
    evidence = judge(lab)
    found = {**evidence["views"], **evidence["networks"]}
    for place, (name, each) in enumerate(reversed(found.items())):
        color = BLUE if name in VIEWS else GREEN
        bars.barh(place, np.mean(each.values), color=color, alpha=0.35, height=0.6)
        bars.errorbar(
            np.mean(each.values), place, xerr=1.96 * each.image_error, color=color, lw=1.5
        )
        bars.plot(each.values, [place] * len(each.values), "o", ms=4, color=color)
    bars.set_yticks(range(len(found)), list(reversed(found)))
    bars.axvline(0, color=GREY, lw=1)
    bars.set_title("gain on CIFAR-10 in points; dots: seeds, lines: noise of the images",
                   loc="left", fontsize=10, color=INK)  # fmt: skip
    for axes in (left, bars):
        drawing.plain(axes)
    drawing.save(figure, path)


def table(lab: Lab) -> list[dict[str, Any]]:
    """Return log loss by dropout and masks, and accuracy by views and networks."""
    rows: list[dict[str, Any]] = []
    for name, cell in lab.cells.items():
        if "losses" in cell:
            rows.append({"cell": name, "average": "scaled", "log loss": cell["scaled"],
                         "accuracy": cell["scaled accuracy"]})  # fmt: skip
            rows += [
                {"cell": name, "average": f"{n} masks", "log loss": loss,
                 "accuracy": cell["accuracies"][n]}
                for n, loss in cell["losses"].items()
            ]  # fmt: skip
            continue
        lists = cell.get("wrong") or {n: v for n, v in cell.items() if isinstance(v, list)}
        for average, several in lists.items():
            for each in [several] if "wrong" in cell else several:
                accuracy = 1 - len(each) / cell["images"]
                rows.append({"cell": name, "average": average, "accuracy": accuracy})
    return rows
