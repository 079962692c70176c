"""Write what inference needs into a run directory, as data that `zoo predict RUN` reads.

inference.json has the classes, the shape of the network's input, and eval_ops as steps of
`zoo.geometry`. If an op cannot be expressed in those, "geometry" is null and "beyond" names the op.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from recipes.augment import CenterCrop, Grayscale, Resize, ResizeShort, apply
from recipes.augment.sizes import pair
from recipes.evaluation.tta import parse
from recipes.recipe import Recipe
from zoo import geometry, inference, predicting
from zoo.files import write_json
from zoo.geometry import Geometry, Step
from zoo.lazy import tensorflow as tf

if TYPE_CHECKING:
    import keras
    import pandas as pd

FILE = "inference.json"


def write(
    path: Path, recipe: Recipe, classes: tuple[str, ...], shape: tuple[int | None, ...]
) -> None:
    """Write inference.json into a run directory, completely or not at all.

    Args:
        path: the run directory.
        recipe: the recipe of the run.
        classes: the class names in the order of the logits.
        shape: (height, width, channels) of the images after eval_ops.
    """
    shown, beyond = geometry_of(recipe.eval_ops)
    about = {
        "classes": list(classes),
        "input": list(shape),
        "geometry": None if shown is None else shown.to_json(),
        "beyond": beyond,
    }
    write_json(path / FILE, about)


def geometry_of(eval_ops: tuple) -> tuple[Geometry | None, str]:
    """Return eval_ops as a Geometry and ""; or None and the op that it cannot express."""
    steps: list[Step] = []
    for op in eval_ops:
        match op:
            case Resize():
                steps.append(geometry.Resize(*pair(op.size), op.method, op.antialias))
            case ResizeShort():
                steps.append(geometry.ResizeShort(op.size))
            case CenterCrop():
                steps.append(geometry.CenterCrop(*pair(op.size)))
            case Grayscale(probability=1):
                steps.append(geometry.Grayscale())
            case _ if callable(op) and getattr(op, "probability", None) != 0:
                return None, repr(op)
    return Geometry(tuple(steps)), ""


def predict(
    path: Path, model: keras.Model, recipe: Recipe, images: Any, top: int | None, tta: bool
) -> pd.DataFrame:
    """Classify images with the network of the run in `path`; see `recipes.Run.predict`."""
    network = inference.of_run(str(path), model, path)
    views = _views(recipe, network.size) if network.geometry is None else None
    return predicting.table(network, images, top, tta, views)


def _views(recipe: Recipe, size: tuple[int, int]) -> predicting.Views:
    """Return a function that computes the views of an image with the recipe's own ops."""

    def views(pixels: np.ndarray, place: int, tta: bool) -> np.ndarray:
        ops = parse("10crop" if tta else "one").ops_for(recipe, size, 0)
        seed = tf.constant([0, place], tf.int32)
        seen = apply(ops, tf.constant(pixels), False, seed, pixels.shape).numpy()
        seen = seen if tta else seen[None]
        if seen.shape[1:3] != size:
            raise ValueError(
                f"images: one has {seen.shape[1]}x{seen.shape[2]} pixels after the run's eval_ops,"
                f" but its network needs {size[0]}x{size[1]}"
            )
        return seen.astype(np.float32)

    return views
