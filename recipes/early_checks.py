"""Checks of names and places that need neither TensorFlow nor the images.

The command line calls them first, so that a typing error is reported at once. What starts with
the functions of the Python interface is checked there again, with everything else.
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import zoo
from recipes import run as runs_of
from recipes.recipe import Recipe, style_of
from zoo.checkpoints.sources import place_of
from zoo.options import unknown

SPLITS = ("test", "validation", "train")
AVERAGES = ("ensemble", "soup")
TUNERS = ("random", "bayesian", "hyperband", "grid")
STRATEGIES = ("one", "mirrored", "mirrored:N", "auto")


def check_backend() -> None:
    """Check that Keras runs on TensorFlow, as recipes need it, without importing Keras.

    Raises:
        ValueError: Keras is configured for another backend.
    """
    if "keras" in sys.modules:
        name = sys.modules["keras"].config.backend()
    else:
        name = os.environ.get("KERAS_BACKEND") or _backend_of_file()
    if name != "tensorflow":
        raise ValueError(
            f"KERAS_BACKEND={name}: recipes train and evaluate with TensorFlow only; set "
            "KERAS_BACKEND=tensorflow. The networks of zoo run with JAX as well: docs/backends.md"
        )


def _backend_of_file() -> str:
    """The backend of Keras's file of settings."""
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        return str(json.loads((folder / "keras.json").read_text("utf-8"))["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"


def check_recipe(recipe: Recipe, strategy: str = "auto") -> None:
    """Check a recipe's network, weights, preprocessing, data set and strategy.

    Raises:
        ValueError: a name or a value is unknown, a file or folder is missing, or Keras does not
            run on TensorFlow.
    """
    check_backend()
    zoo.resolve(recipe.model, **style_of(recipe))
    if recipe.weights is not None:
        if os.path.isdir(recipe.weights):
            _check_finished(runs_of.open(recipe.weights))
        elif zoo.source(recipe.model, recipe.weights) is None:
            _check_file("weights", recipe.weights)
    check_preprocess(recipe)
    check_data(recipe.data)
    strategy_of(strategy)


def check_preprocess(recipe: Recipe) -> None:
    """Check the name of a preprocessing or of the source that it comes from."""
    from recipes.data.preprocess import KINDS
    from zoo.checkpoints import sources

    known = [*KINDS, *sources.table().get(recipe.model, {})]
    if recipe.preprocess not in known and not recipe.preprocess.startswith("timm/"):
        listing = f"`recipes names preprocess` and `zoo names weights {recipe.model}`"
        raise unknown("preprocessing", recipe.preprocess, known, listing)


def check_data(name: str) -> None:
    """Check that a data set of that name exists.

    Raises:
        ValueError: there is no such folder or data set.
    """
    if name.startswith("folder:"):
        from recipes.data.folder_layout import find_root

        find_root(name)
    elif name.startswith("made_up"):
        from recipes.data.batches import made_up_numbers

        made_up_numbers(name)
    elif name != "digits":
        from recipes.data.from_tfds import check_name

        check_name(name)


def strategy_of(name: str) -> tuple[str, int | None]:
    """Return ("mirrored", 2) for "mirrored:2", and ("one", None) for "one".

    Raises:
        ValueError: it is not a strategy.
    """
    kind, colon, count = name.partition(":")
    if kind not in ("one", "mirrored", "auto") or (colon and kind != "mirrored"):
        raise unknown("strategy", name, STRATEGIES)
    if colon and not (count.isdecimal() and int(count) >= 1):
        raise ValueError(f"strategy={name!r}: N in mirrored:N must be an integer of at least 1")
    return kind, int(count) if colon else None


def check_evaluation(
    runs: Sequence[str], split: str, average: str, data: str | None, strategy: str
) -> None:
    """Check what `evaluate` is given.

    Raises:
        ValueError: a directory is not a finished run, or a name is unknown.
    """
    check_backend()
    for each in runs:
        _check_finished(runs_of.open(each))
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    if average not in AVERAGES:
        raise unknown("average", average, AVERAGES)
    if data is not None:
        check_data(data)
    strategy_of(strategy)


def check_search(
    name: str, space: Callable[[Any], dict[str, Any]] | None, tuner: str, trials: int | None
) -> Callable[[Any], dict[str, Any]]:
    """Check what `tune` is given besides the fields of the recipe `name`, and return its space.

    Raises:
        ValueError: the recipe has no space, or a value is not valid.
    """
    if space is None:
        raise ValueError(
            f"{name}: defines no space(hp); add a function that returns the fields to try"
        )
    if tuner not in TUNERS:
        raise unknown("tuner", tuner, TUNERS)
    if trials is not None and trials < 1:
        raise ValueError(f"trials={trials}: must be at least 1")
    return space


def _check_finished(run: runs_of.Run) -> None:
    _ = run.recipe  # raises if the directory's recipe.json is damaged
    if not (run.path / "model.keras").is_file():
        raise ValueError(f"{run.path}: model.keras is missing; finish the training first")


def _check_file(name: str, path: str) -> None:
    if not place_of(path)[0].is_file():  # "FILE#ENTRY" chooses weights in a file
        raise ValueError(f"{name}={path!r}: there is no such file")
