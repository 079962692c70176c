"""Evaluate a run, a named network, an ensemble or a soup on a split of a data set."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recipes import optimize, provenance
from recipes.data.pipelines import clear_errors
from recipes.distribution import strategies
from recipes.early_checks import AVERAGES
from recipes.evaluation import inference, metrics
from recipes.evaluation.members import (
    describe,
    losses,
    model_of,
    only_runs,
    open_members,
    opened_network,
)
from recipes.evaluation.noise import check_repeats, summary
from recipes.evaluation.noise import parse as parse_noise
from recipes.evaluation.report import draw_all, write_all
from recipes.evaluation.runs import combine, open_split, predict_member
from recipes.evaluation.soup import average_weights, check_place, training_images
from recipes.evaluation.tta import parse_all_of
from recipes.locking import locked
from recipes.old_names import accept_old_names
from recipes.rules import SEED
from recipes.run import Run
from zoo.options import unknown


@accept_old_names
@clear_errors()
def evaluate(
    run: str | Path | Run | Sequence[str | Path | Run],
    *,
    split: str = "test",
    tta: str | Sequence[str] | bool | None = None,
    mc_dropout: int | None = None,
    weight_noise: float | str = 0.0,
    input_noise: float = 0.0,
    noise_repeats: int = 1,
    average: str = "ensemble",
    data: str | None = None,
    weights: Any = None,
    preprocess: Any = None,
    seed: int = 0,
    to: str | Path | None = None,
    strategy: str = "auto",
    verbose: Any = 0,
    report: Callable[[dict[str, Any]], object] | None = None,
) -> dict[str, Any]:
    """Evaluate a run, or a named network with pretrained weights, or several together.

    All networks get the same raw images. Each run preprocesses them by the eval_ops of its own
    recipe, and each named network resizes and crops them as `zoo.predict` does. The members of an
    ensemble may therefore differ in architecture, input size and preprocessing.

    A named network is evaluated on ImageNet's 1,000 classes. The classes of the data are mapped to
    these by WordNet id (n01440764), by name as in zoo/imagenet_classes.csv, ignoring case and
    punctuation, or by number from 0 to 999. Folders of other or ambiguous names are listed and
    left out. Runs in the same ensemble must have these classes, too, under any of their names.

    Args:
        run: a run, its directory, the name of a network, or several of them.
        split: the images to evaluate on: "test", "validation" or "train".
        tta: test-time augmentation by several views of each image, whose probabilities are
            averaged: "one" (the same as None), "flip", "shifts", "10crop" (the same as True),
            "10crop:5scales", "augment:N", ... (see recipes.evaluation.tta). A sequence, or one
            string separated by ";", gives the views of each run.
        mc_dropout: the number of random dropout masks averaged for each view (Monte Carlo dropout,
            Gal & Ghahramani 2016). Other layers work as in inference. None disables dropout.
        weight_noise: the standard deviation of Gaussian noise that is added to each kernel, divided
            by that of the kernel. "LAYERS:0.1" changes only the layers with these names, a shell
            pattern such as "stem_*" or "fc_1_dense".
        input_noise: the standard deviation of Gaussian noise that is added to the preprocessed
            images, divided by theirs, which is computed from the first 1,024 images.
        noise_repeats: the number of evaluations with different noise, of the seeds `seed`,
            seed + 1, ... All metrics are those of the first; "noise" has top1 and loss of all.
        average: how several runs are combined. "ensemble" averages their probabilities; "soup"
            averages the weights of runs of one architecture and recomputes the statistics of
            their batch norms from training images of the first run.
        data: another data set with the same classes. In a folder that the runs were not trained
            on, all images are used, or those of `split` if it has splits; classes are matched by
            name, ignoring case, and some may be missing. Required without a run.
        weights: the pretrained weights of the named networks, as in `zoo.build`: a source such as
            "imagenet", or the path of a file. A sequence, or one string separated by ";", gives
            those of each named network.
        preprocess: the source whose preprocessing the weights of a file expect, as in `zoo.build`.
        seed: the random seed of augmentation, dropout masks and noise.
        to: the directory for evaluation.json, confusion.png, calibration.png and worst.png. A
            soup's model.keras and inference.json are written there too, so it must not be the
            directory of a run. None writes nothing.
        strategy: the distribution strategy; see recipes.distribution.strategies.
        verbose: the verbosity of Keras's `predict`.
        report: a function that is called with the result before the pictures are drawn. If a
            picture cannot be drawn, a line is printed to stderr.

    Returns:
        A dict that can be saved as JSON. top1, top5: fractions of correct predictions. loss: the
        mean softmax cross-entropy without label smoothing, whatever the training loss was;
        loss_of: its name, and the training loss if that is different. samples: the number of
        images. balanced_accuracy, macro_f1: as in scikit-learn. ece: the expected calibration
        error with 15 bins (Guo et al. 2017); calibration: the bins. not_finite: the number of
        images with NaN or infinite scores, which count as wrong. per_class: images, right,
        recall, precision and f1 of each class. confusion: the confusion matrix, one row per true
        class. worst: the mistakes with the highest loss. split, data, classes, average, masks,
        seed: what was evaluated. members: each run or network with its views and, in an ensemble,
        its metrics. noise: None, or the noise with top1 and loss of each repeat, their means and
        standard deviations. provenance: the software and hardware.

    Raises:
        ValueError: a run is not finished; a named network has no weights, or they have other
            classes than ImageNet's; the split, tta, noise, average or seed is invalid; the
            classes differ from those of a run; the runs were trained on different parts of the
            data; a network has no dropout; or a soup has different networks, or would overwrite
            a run.
    """
    if average not in AVERAGES:
        raise unknown("average", average, AVERAGES)
    if mc_dropout is not None and (isinstance(mc_dropout, bool) or mc_dropout < 1):
        raise ValueError(f"mc_dropout={mc_dropout!r}: must be at least 1 dropout mask")
    SEED.check("seed", seed)
    noise = parse_noise(weight_noise, input_noise)
    check_repeats(noise_repeats, noise)
    members = open_members(run, weights, preprocess)
    shown = parse_all_of(tta, len(members) if average == "ensemble" else 1)
    runs = only_runs(members) if average == "soup" else []
    if runs and to is not None:
        check_place(Path(to))
    with contextlib.nullcontext() if to is None else locked(Path(to)):
        scope = strategies.strategy(strategy)
        with scope.scope():
            soup = average_weights(runs) if runs else None
            opened, part = open_split(members, split, data)
            about = describe(members)
            if soup is not None:
                optimize.update_batch_norm(soup, training_images(runs[0]))
            # For each repeat of the noise, the scores and labels of each member
            found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in range(noise_repeats)]
            for each, own, row in zip(members, shown, about, strict=False):
                network = opened_network(each) if soup is None else soup
                for time, several in enumerate(found):
                    several.append(
                        predict_member(
                            each, network, opened, part, own, masks=mc_dropout, noise=noise,
                            seed=seed + time, replicas=scope.num_replicas_in_sync, verbose=verbose,
                        )
                    )  # fmt: skip
                row |= {"input": list(model_of(network).input_shape[1:])}
                row |= {"views": own.text, "view_count": own.count}
                if len(shown) > 1:
                    row |= metrics.accuracy_and_loss(*found[0][-1])
                    row |= {"loss_of": metrics.loss_of(losses([each]))}
        combined = [combine(several, members) for several in found]
        scores, labels = combined[0]
        result = metrics.compute_all(scores, labels, opened.classes) | {
            "loss_of": metrics.loss_of(losses(members)),
            "split": split,
            "data": opened.name,
            "classes": list(opened.classes),
            "average": average if len(members) > 1 else None,
            "masks": mc_dropout,
            "noise": noise and summary(noise, seed, combined),
            "seed": seed,
            "members": about,
            "provenance": provenance.session(scope),
        }
        for one in result["worst"]:
            one["image"] = part.describe(one["place"])
        if to is not None and soup is not None:
            inference.write(Path(to), runs[0].recipe, runs[0].classes, soup.input_shape[1:])
        if to is not None:
            write_all(result, Path(to), soup)
            if report is not None:
                report(result)
            draw_all(result, part, Path(to))
        elif report is not None:
            report(result)
    return result
