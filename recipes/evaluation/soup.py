"""Model soups: average the weights of runs of one architecture (Wortsman et al. 2022)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import keras
import numpy as np

from recipes.data import batches
from recipes.run import Run
from zoo import saved_runs
from zoo.graph import layers_of, unwrapped
from zoo.lazy import layers

# Entries of a layer's config that do not change what it computes in inference.
_IDLE = ("name", "dtype", "trainable", "seed", "momentum", "synchronized")
_TRAINING = ("_initializer", "_regularizer", "_constraint")


def average_weights(runs: Sequence[Run]) -> keras.Model:
    """Return a network with the mean weights of several runs (a uniform soup).

    A soup is only useful for runs that started from the same weights, such as runs fine-tuned
    from one pretrained network. The statistics of its batch norms do not belong to the averaged
    weights: recompute them with `optimize.update_batch_norm` (Izmailov et al. 2018, section 3.2).

    Raises:
        ValueError: there are fewer than two runs, or their networks, classes or eval_ops differ;
            the message names the first difference.
    """
    if len(runs) < 2:
        raise ValueError(
            "average='soup': needs two or more runs; to average the weights of one run over its"
            " training, set average='swa:5', 'ema:0.999' or 'polyak' in its recipe"
        )
    first = runs[0]
    model = unwrapped(saved_runs.open_model(first.path))
    totals = [np.asarray(v, np.float64) for v in model.weights]
    for run in runs[1:]:
        if run.recipe.eval_ops != first.recipe.eval_ops:
            raise _different(first, run, "eval_ops", first.recipe.eval_ops, run.recipe.eval_ops)
        if run.classes != first.classes:
            raise _different(first, run, "classes", first.classes, run.classes)
        other = unwrapped(saved_runs.open_model(run.path))
        if found := difference(model, other):
            raise _different(first, run, *found)
        for total, v in zip(totals, other.weights, strict=True):
            total += np.asarray(v, np.float64)
    for v, total in zip(model.weights, totals, strict=True):
        v.assign(total / len(runs))
    return model


def check_place(to: Path) -> None:
    """Check that a soup may be written into a directory.

    Raises:
        ValueError: the directory is that of a run, whose network would be overwritten.
    """
    if (to / "recipe.json").exists():
        raise ValueError(
            f"to={str(to)!r}: a soup would overwrite the network of the run there; choose another"
            f" directory, such as --to={to / 'soup'}"
        )


def training_images(run: Run) -> Iterator[Any]:
    """Yield batches of a run's training images, for the batch norms of a soup.

    The data set is opened when the first batch is requested.

    Raises:
        ValueError: the data set cannot be opened.
    """
    try:
        images = batches.training_images(run.recipe)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"average='soup': needs training images of {run.path} for its batch norms, whatever it"
            f" is evaluated on: {error}"
        ) from error
    yield from images


def difference(one: keras.Model, other: keras.Model) -> tuple[str, Any, Any] | None:
    """Return the first difference between two networks: what differs, and both values."""
    for a, b in zip_longest(_computing(one), _computing(other)):
        if a is None or b is None or type(a) is not type(b):
            place = (a or b).name
            return f"the layer {place}", _kind(a), _kind(b)
        ours, theirs = _config(a), _config(b)
        for key in ours | theirs:
            if ours.get(key) != theirs.get(key):
                return f"{key} of the layer {a.name}", ours.get(key), theirs.get(key)
        shapes, others = ([tuple(v.shape) for v in layer.weights] for layer in (a, b))
        if shapes != others:
            return f"the weights of the layer {a.name}", shapes, others
    return None


def _computing(model) -> list:
    """Return the layers that compute something in inference."""
    return [x for x in layers_of(model) if not type(x).__name__.endswith("Dropout")]


def _config(layer) -> dict[str, Any]:
    # The constants of an Affine layer are compared as its weights.
    idle = (*_IDLE, "shift", "scale", "matrix") if isinstance(layer, layers.Affine) else _IDLE
    config = layer.get_config()
    return {k: v for k, v in config.items() if k not in idle and not k.endswith(_TRAINING)}


def _kind(layer) -> str:
    if isinstance(layer, keras.layers.Activation):
        return f"Activation({layer.get_config()['activation']})"
    return "none" if layer is None else type(layer).__name__


def _different(first: Run, other: Run, what: str, ours: Any, theirs: Any) -> ValueError:
    short = [text if len(text) <= 120 else text[:117] + "..." for text in map(str, (ours, theirs))]
    return ValueError(
        f"average='soup': needs runs of one network, but {what} is {short[0]} in {first.path} and"
        f" {short[1]} in {other.path}; average their probabilities with average='ensemble'"
    )
