"""The average of the weights of runs of one architecture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import keras
import numpy as np

import zoo
from recipes.data import batches as data_sets
from recipes.run import Run
from zoo.graph import layers_of, unwrapped
from zoo.lazy import layers

# What of a layer's config changes nothing of what it computes.
_IDLE = ("name", "dtype", "trainable", "seed", "momentum", "synchronized")
_TRAINING = ("_initializer", "_regularizer", "_constraint")


def soup(runs: Sequence[Run]) -> keras.Model:
    """The network whose weights are the mean of the runs' (Wortsman et al. 2022, uniform soup).

    It is as good as they are where they started from the same weights, as runs that go on from
    one do; the mean of two networks that started apart is not a good one.
    Norms have made their statistics with other weights than these: `optimize.refresh_norms`
    makes them anew (Izmailov et al. 2018, section 3.2).

    Raises:
        ValueError: less than two runs, or networks or eval_ops that differ, with the first
            difference.
    """
    if len(runs) < 2:
        raise ValueError(
            "a soup is made of two or more runs; the average over the steps of one is made "
            "while it is trained, by average='swa:5', 'ema:0.999' or 'polyak' in its recipe"
        )
    first = runs[0]
    model = unwrapped(zoo.load(first.path / "model.keras"))
    totals = [np.asarray(v, np.float64) for v in model.weights]
    for run in runs[1:]:
        if run.recipe.eval_ops != first.recipe.eval_ops:
            raise _different(first, run, "eval_ops", first.recipe.eval_ops, run.recipe.eval_ops)
        if run.classes != first.classes:
            raise _different(first, run, "classes", first.classes, run.classes)
        other = unwrapped(zoo.load(run.path / "model.keras"))
        if found := difference(model, other):
            raise _different(first, run, *found)
        for total, v in zip(totals, other.weights, strict=True):
            total += np.asarray(v, np.float64)
    for v, total in zip(model.weights, totals, strict=True):
        v.assign(total / len(runs))
    return model


def check_place(to: Path) -> None:
    """Whether a soup may be written into a directory.

    Raises:
        ValueError: it is a run's, whose network the soup would take the place of.
    """
    if (to / "recipe.json").exists():
        raise ValueError(
            f"a soup in {str(to)!r} would overwrite the network of the run that is there: give a"
            f" directory of its own, such as --to={to / 'soup'}"
        )


def training_images(run: Run) -> Iterator[Any]:
    """Batches of a run's training images, for its soup's norms; opened when the first is read.

    Raises:
        ValueError: they cannot be opened.
    """
    try:
        batches = data_sets.training_images(run.recipe)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"a soup's norms are made anew from training images of {run.path}, whatever it is"
            f" judged on: {error}"
        ) from error
    yield from batches


def difference(one: keras.Model, other: keras.Model) -> tuple[str, Any, Any] | None:
    """The first difference between two networks: where, and what stands there in each."""
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
    """The layers that say something in inference."""
    return [x for x in layers_of(model) if not type(x).__name__.endswith("Dropout")]


def _config(layer) -> dict[str, Any]:
    # The constants of an Affine are weights of it.
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
        f"a soup is of one network: {what} is {short[0]} in {first.path}, {short[1]} in "
        f"{other.path}"
    )
