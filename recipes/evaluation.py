"""How good a network is, in float64, on a data set read once."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

import zoo
from recipes import data as data_sets
from recipes import distribute
from recipes.run import Run
from recipes.run import open as open_run


def evaluate(run: str | Path | Run, *, strategy: str = "auto", verbose: Any = 0) -> dict[str, Any]:
    """Judge a finished run's network on the test set.

    Returns:
        top1, top5 (shares), loss (mean cross-entropy, no label smoothing), samples.

    Raises:
        ValueError: no finished run, no test set, or not the classes that it was trained on.
    """
    run = run if isinstance(run, Run) else open_run(run)
    recipe = run.recipe
    if not (run.path / "model.keras").is_file():
        raise ValueError(f"{run.path} has no model.keras: `train` it to its end first")
    scope = distribute.strategy(strategy)
    data = data_sets.open_data(
        recipe.data, validation=recipe.validation, seed=recipe.seed, bad_images=recipe.bad_images
    )
    if tuple(data.classes) != run.classes:
        raise ValueError(
            f"{recipe.data} has the classes {', '.join(data.classes)}; the run was trained on "
            f"{', '.join(run.classes)}"
        )
    with scope.scope():
        model = zoo.load(run.path / "model.keras")
        return judge_split(model, data.open_test(), len(data.classes), recipe, verbose)


def judge_split(model, split, classes: int, recipe, verbose: Any = 0) -> dict[str, Any]:
    """`judge` over a split with the recipe's eval_ops; every image of it is counted.

    Raises:
        RuntimeError: the network saw more or fewer images than the split holds.
    """
    batches = data_sets.evaluation_batches(
        split, classes=classes, batch=recipe.batch, ops=recipe.eval_ops
    )
    logits, labels = predict(model, batches, verbose)
    if len(logits) != split.count:
        raise RuntimeError(f"judged {len(logits)} images of {split.count}")
    return judge(logits, labels)


def predict(model, batches, verbose: Any = 0) -> tuple[np.ndarray, np.ndarray]:
    """The logits and the labels [N, classes] of a dataset, in one pass.

    The labels go through the network beside the images, so that the order agrees under
    every strategy.
    """
    labels = keras.Input(model.output_shape[1:], name="labels")
    beside = keras.layers.Identity(dtype="float32", name="labels_beside")(labels)
    both = keras.Model([*model.inputs, labels], [*model.outputs, beside])
    logits, truth = both.predict(batches.map(lambda x, y: ((x, y),)), verbose=verbose)
    return np.asarray(logits), np.asarray(truth)


def judge(logits: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Top-1, top-5 and cross-entropy of logits [N, C] against one-hot labels [N, C].

    Of equal logits the first counts as the higher. A row that is not finite is wrong.
    """
    logits, truth = np.asarray(logits, np.float64), np.argmax(labels, axis=1)
    rows = np.arange(len(logits))
    own = logits[rows, truth][:, None]
    earlier = np.arange(logits.shape[1])[None] < truth[:, None]
    rank = np.sum((logits > own) | ((logits == own) & earlier), axis=1)
    rank[~np.isfinite(logits).all(axis=1)] = logits.shape[1]
    highest = logits.max(axis=1, keepdims=True)
    log_sum = highest + np.log(np.sum(np.exp(logits - highest), axis=1, keepdims=True))
    return {
        "top1": float(np.mean(rank < 1)),
        "top5": float(np.mean(rank < min(5, logits.shape[1]))),
        "loss": float(np.mean(log_sum - own)),
        "samples": len(logits),
    }
