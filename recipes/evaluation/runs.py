"""Open the runs of an evaluation and their split, and compute the scores of each run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recipes.data.batches import channels_of, evaluation_batches, open_for
from recipes.data.types import Data, Split
from recipes.early_checks import SPLITS, check_distinct
from recipes.evaluation.metrics import mean_of_probabilities
from recipes.evaluation.predict import average_views, predict, with_dropout
from recipes.evaluation.tta import Views
from recipes.run import Run, open_run
from zoo.options import unknown
from zoo.terminal import plural


def open_runs(given: str | Path | Run | Sequence[str | Path | Run]) -> list[Run]:
    """Return one or several finished runs as a list.

    Raises:
        ValueError: there is no run, one is not finished, or one is given twice.
    """
    several = [given] if isinstance(given, (str, Path, Run)) else list(given)
    if not several:
        raise ValueError("no run to evaluate; name one or more run directories")
    runs = [each if isinstance(each, Run) else open_run(each) for each in several]
    for run in runs:
        if not (run.path / "model.keras").is_file():
            raise ValueError(f"{run.path}: has no model.keras; finish its training first")
    check_distinct(runs)
    return runs


def describe(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the directory, recipe and model of each run, for the result."""
    return [
        {"run": str(run.path), "recipe": run.about.get("name"), "model": run.recipe.model}
        for run in runs
    ]


def open_split(runs: Sequence[Run], split: str, name: str | None) -> tuple[Data, Split]:
    """Open the data set of the runs, or another one, and the split to evaluate on.

    The validation or training set is that of the runs that were trained on this data set.

    Args:
        runs: the runs.
        split: "test", "validation" or "train".
        name: the name of another data set, or None.

    Raises:
        ValueError: the split is unknown or missing, or the runs have different data, classes,
            or validation sets.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    first = runs[0]
    for run in runs[1:]:
        if name is None and run.recipe.data != first.recipe.data:
            raise ValueError(
                f"{first.path} was trained on {first.recipe.data}, but {run.path} on"
                f" {run.recipe.data}; choose the data set to evaluate on with --data=NAME"
            )
    name = first.recipe.data if name is None else name
    trained = [run for run in runs if same_data(run.recipe.data, name)]
    if not trained and name.startswith("folder:"):
        return _other_folder(runs, split, name)
    first = trained[0] if trained else first
    data = _data(first, name)
    for run in runs:
        _column_of(run, data)
    if split == "test":
        return data, data.open_test()
    part = _part(data, split, first)
    for run in trained[1:]:
        # A run that was trained on some of these images would get too good a result.
        if _part(_data(run, name), split, run).fingerprint != part.fingerprint:
            raise ValueError(
                f"split={split!r}: {first.path} and {run.path} have different {split} sets, because"
                " their recipes differ in `validation` or `seed`; evaluate them on the test set, or"
                " one by one"
            )
    return data, part


def _other_folder(runs: Sequence[Run], split: str, name: str) -> tuple[Data, Split]:
    """Open a folder that no run was trained on, with the classes of the runs."""
    from recipes.data.folder import open_whole
    from recipes.data.folder_layout import print_once, splits_of

    root, classes = _root_of(name), runs[0].classes
    for run in runs:
        if not run.recipe.data.startswith("folder:"):
            continue
        own = _root_of(run.recipe.data)
        unseen = own.is_dir() and splits_of(own).get("test")
        if unseen and root.is_relative_to(unseen.resolve()):
            continue
        if root.is_relative_to(own) or own.is_relative_to(root):
            print_once(
                f"{name} contains images of {run.recipe.data}, on which {run.path} was trained"
            )
    part = open_whole(name, split, classes, channels_of(runs[0].recipe))
    data = Data(name, classes, train=part, validation=None, open_test=lambda: part)
    for run in runs:
        _column_of(run, data)
    return data, part


def same_data(one: str, other: str) -> bool:
    """Return whether two names mean one data set: folders by any path, TFDS in any version."""
    return _known_as(one) == _known_as(other)


def _root_of(name: str) -> Path:
    from recipes.data.folder_layout import find_root

    try:
        return find_root(name).resolve()
    except ValueError:  # the folder of a run may no longer exist
        return Path(name.removeprefix("folder:")).expanduser().resolve()


def _known_as(name: str) -> str:
    if name.startswith("folder:"):
        return f"folder:{_root_of(name)}"
    return name if name.startswith("made_up") else name.partition(":")[0]


def _data(run: Run, name: str) -> Data:
    return open_for(run.recipe, name=name, bad_images=None)


def _part(data: Data, split: str, run: Run) -> Split:
    part = data.train if split == "train" else data.validation
    if part is None:
        raise ValueError(
            f"split={split!r}: {data.name} has no validation set, because {run.path} has"
            f" validation={run.recipe.validation!r}; choose test or train"
        )
    return part


def _column_of(run: Run, data: Data) -> list[int]:
    """Return the column of each class of the data in the scores of a run.

    Raises:
        ValueError: the run was trained on different classes.
    """
    if set(run.classes) != set(data.classes) or len(run.classes) != len(data.classes):
        missing = [name for name in run.classes if name not in data.classes]
        unknown_ones = [name for name in data.classes if name not in run.classes]
        parts = [f"lacks {_some(missing)}"] if missing else []
        parts += [f"has the unknown {_some(unknown_ones)}"] if unknown_ones else []
        raise ValueError(
            f"data={data.name!r}: does not have the {plural(len(run.classes), 'class', 'classes')}"
            f" that {run.path} was trained on: it"
            f" {' and '.join(parts) or f'has {len(data.classes)}'}; choose another data set"
        )
    return [run.classes.index(name) for name in data.classes]


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f", ... ({len(names)})" if len(names) > 5 else "")


def predict_run(
    run: Run,
    model,
    data: Data,
    split: Split,
    views: Views,
    *,
    masks: int | None = None,
    seed: int = 0,
    replicas: int = 1,
    verbose: Any = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of a run on a split, [N, C], and the labels, [N, C].

    The columns are the classes of `data`. The scores are logits for one view without dropout
    masks, and logarithms of mean probabilities otherwise.

    Raises:
        ValueError: the images do not fit the network, or it has no dropout.
        RuntimeError: the number of images or views is not the expected one.
    """
    recipe, count = run.recipe, views.count * (masks or 1)
    height, width = model.input_shape[1:3]
    if height is None or width is None:
        height, width = _batches(data, split, 1, recipe.eval_ops).element_spec[0].shape[1:3]
    try:
        ops = views.ops_for(recipe, (height, width), seed)
        model = with_dropout(model, seed) if masks else model
    except ValueError as error:
        raise ValueError(f"{run.path}: {error}") from None
    parts = replicas * max(1, recipe.batch_size // count // replicas)
    batches = _batches(data, split, parts if count > 1 else recipe.batch_size, ops)
    shape = tuple(batches.element_spec[0].shape[1:])
    if views.kind != "one" and shape[0] != views.count:
        raise RuntimeError(f"tta={views.text!r}: {shape[0]} of {views.count} views")
    if views.kind == "one" and masks:
        batches = batches.map(lambda images, labels: (images[:, None], labels))
        shape = (1, *shape)
    _fits(run, model, shape[-3:])
    network = average_views(model, shape, masks or 1) if len(shape) == 4 else model
    found, labels = predict(network, batches, verbose)
    if len(found) != split.count:
        raise RuntimeError(f"{run.path}: evaluated {len(found)} of {plural(split.count, 'image')}")
    return found[:, _column_of(run, data)], labels


def combine(
    found: Sequence[tuple[np.ndarray, np.ndarray]], runs: Sequence[Run]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of one run, or the log mean probabilities of several; and the labels.

    Raises:
        RuntimeError: the labels of the runs differ.
    """
    (first, labels), *others = found
    for (_, own), run in zip(others, runs[1:], strict=False):
        if not np.array_equal(own, labels):
            raise RuntimeError(f"{run.path}: its labels differ from those of {runs[0].path}")
    if not others:
        return first, labels
    return mean_of_probabilities([scores for scores, _ in found]), labels


def _batches(data: Data, split: Split, batch: int, ops: tuple):
    return evaluation_batches(split, classes=len(data.classes), batch=batch, ops=ops)


def _fits(run: Run, model, shape: tuple[int, ...]) -> None:
    wanted = tuple(model.input_shape[1:])
    if any(n is not None and n != found for n, found in zip(wanted, shape, strict=True)):
        raise ValueError(
            f"{run.path}: its network needs images of {'x'.join(map(str, wanted))}, but these"
            f" are {'x'.join(map(str, shape))} after the run's eval_ops; choose a data set with"
            " images of that shape"
        )
