"""How good networks are: a run, an ensemble of runs or their soup, on a split read once."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import zoo
from recipes import machine, optimize, provenance
from recipes.cli.early_checks import AVERAGES
from recipes.evaluation import inference, metrics
from recipes.evaluation import report as writing
from recipes.evaluation import runs as members
from recipes.evaluation import soup as soups
from recipes.evaluation.metrics import judge
from recipes.evaluation.tta import parse_all_of
from recipes.ranges import RANGES
from recipes.run import Run, locked
from zoo.options import unknown


def evaluate(
    run: str | Path | Run | Sequence[str | Path | Run],
    *,
    split: str = "test",
    views: str | Sequence[str] | None = None,
    samples: int | None = None,
    average: str = "ensemble",
    data: str | None = None,
    seed: int = 0,
    to: str | Path | None = None,
    strategy: str = "auto",
    verbose: Any = 0,
    report: Callable[[dict[str, Any]], object] | None = None,
) -> dict[str, Any]:
    """Judge a finished run's network, or several runs' together, on the test set.

    Each network sees the same raw images through its own recipe's eval_ops, so that members
    of an ensemble may differ in architecture, input size and preprocessing.

    Args:
        run: a run, its directory, or several.
        split: "test", "validation" or "train".
        views: what of an image is shown: "one" (None), "flip", "10crop", "10crop:5scales",
            "augment:N", ...: see recipes.evaluation.tta. Several, or one text with ";"
            between them, are those of each run. Their probabilities are averaged.
        samples: how many dropout masks are averaged for each view (Gal & Ghahramani 2016):
            dropout alone is then as in training. None: none is drawn.
        average: of several runs: "ensemble", the mean of their probabilities; "soup", the
            mean of the weights of runs of one architecture, whose batch norms then make
            their statistics anew from training images of the first run.
        data: another data set of the same classes. Of a folder whose images the runs were not
            trained on, all are taken, or of a folder of splits those of `split`; its classes are
            found by name, in any letter case, and some may be missing.
        seed: of augmentation and dropout masks.
        to: the directory for evaluation.json, confusion.png, calibration.png and worst.png,
            and for a soup's model.keras and inference.json, then no run's; None writes nothing.
        strategy: see recipes.machine.
        report: called with what is returned, before the pictures are drawn. A picture that
            cannot be drawn is a line on stderr.

    Returns:
        In JSON's types: top1, top5 (shares), loss (mean cross-entropy of the softmax, whatever
        the loss in training; no label smoothing), loss_of (that in words, and what a run was
        trained with if it is another), samples; balanced_accuracy and macro_f1, as in
        scikit-learn; ece (15 bins, as Guo et al. 2017) and its bins in calibration; not_finite,
        the images whose scores are not, which count as wrong; per_class (images, right, recall,
        precision, f1); confusion, a row a true class; worst, the mistakes of the highest loss;
        split, data, classes, average, masks, seed; members, with each one's views and figures;
        and where it was computed.

    Raises:
        ValueError: no finished run, no such set, views, average or seed; not the classes that a
            run was trained on; runs trained on other parts of the data; no dropout to draw
            masks of; a soup of unlike networks, or in the place of a run.
    """
    if average not in AVERAGES:
        raise unknown("average", average, AVERAGES)
    if samples is not None and (isinstance(samples, bool) or samples < 1):
        raise ValueError(f"samples={samples!r} is not at least 1 dropout mask")
    in_range, valid = RANGES["seed"]
    if not in_range(seed):
        raise ValueError(f"seed={seed!r} is not {valid}")
    runs = members.open_runs(run)
    shown = parse_all_of(views, len(runs) if average == "ensemble" else 1)
    if average == "soup" and to is not None:
        soups.check_place(Path(to))
    with contextlib.nullcontext() if to is None else locked(Path(to)):
        scope = machine.strategy(strategy)
        with scope.scope():
            soup = soups.soup(runs) if average == "soup" else None
            opened, part = members.open_split(runs, split, data)
            about = members.describe(runs)
            if soup is not None:
                optimize.refresh_norms(soup, soups.training_images(runs[0]))
            found: list[tuple[np.ndarray, np.ndarray]] = []
            for each, own, row in zip(runs, shown, about, strict=False):
                model = zoo.load(each.path / "model.keras") if soup is None else soup
                found.append(
                    members.scores(
                        each, model, opened, part, own, masks=samples, seed=seed,
                        replicas=scope.num_replicas_in_sync, verbose=verbose,
                    )
                )  # fmt: skip
                row |= {"input": list(model.input_shape[1:])}
                row |= {"views": own.text, "view_count": own.count}
                if len(shown) > 1:
                    row |= judge(*found[-1])
                    row |= {"loss_of": metrics.loss_of([each.recipe.loss])}
        scores, labels = members.together(found, runs)
        judged = metrics.figures(scores, labels, opened.classes) | {
            "loss_of": metrics.loss_of(run.recipe.loss for run in runs),
            "split": split,
            "data": opened.name,
            "classes": list(opened.classes),
            "average": average if len(runs) > 1 else None,
            "masks": samples,
            "seed": seed,
            "members": about,
            "provenance": provenance.session(scope),
        }
        for one in judged["worst"]:
            one["image"] = part.describe(one["place"])
        if to is not None and soup is not None:
            inference.write(Path(to), runs[0].recipe, runs[0].classes, soup.input_shape[1:])
        if to is not None:
            writing.write_all(judged, Path(to), soup)
            if report is not None:
                report(judged)
            writing.draw_all(judged, part, Path(to))
        elif report is not None:
            report(judged)
    return judged
