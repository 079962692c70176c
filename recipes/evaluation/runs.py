"""The runs that are judged, the one split they are judged on, and what each says of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recipes.cli.early_checks import SPLITS
from recipes.data import batches as data_sets
from recipes.data.types import Data, Split
from recipes.evaluation.metrics import mean_of_probabilities
from recipes.evaluation.predict import averaged, dropping, predict
from recipes.evaluation.tta import Views
from recipes.run import Run
from recipes.run import open as open_run
from zoo.options import unknown


def open_runs(given: str | Path | Run | Sequence[str | Path | Run]) -> list[Run]:
    """One or several runs, all of them finished.

    Raises:
        ValueError: none, or not a finished run.
    """
    several = [given] if isinstance(given, (str, Path, Run)) else list(given)
    if not several:
        raise ValueError("no run to judge: name one or more run directories")
    runs = [each if isinstance(each, Run) else open_run(each) for each in several]
    for run in runs:
        if not (run.path / "model.keras").is_file():
            raise ValueError(f"{run.path} has no model.keras: `train` it to its end first")
    return runs


def describe(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """What a judgement says of each run."""
    return [
        {"run": str(run.path), "recipe": run.about.get("name"), "model": run.recipe.model}
        for run in runs
    ]


def open_split(runs: Sequence[Run], split: str, name: str | None) -> tuple[Data, Split]:
    """The data set of the runs, or another one, and the part of it that is judged, opened once.

    A validation or training set is the one of the runs that were trained on this data set.

    Raises:
        ValueError: an unknown split, runs of different data or classes, runs that held out
            different images, or no such set.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    first = runs[0]
    for run in runs[1:]:
        if name is None and run.recipe.data != first.recipe.data:
            raise ValueError(
                f"{first.path} was trained on {first.recipe.data}, {run.path} on "
                f"{run.recipe.data}: say with --data=NAME which to judge them on"
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
        # A run that trained on some of them would be flattered.
        if _part(_data(run, name), split, run).fingerprint != part.fingerprint:
            raise ValueError(
                f"{first.path} and {run.path} have different {split} sets: their recipes "
                "set other images aside (validation, seed)"
            )
    return data, part


def _other_folder(runs: Sequence[Run], split: str, name: str) -> tuple[Data, Split]:
    """All images of a folder that no run was trained on; their classes are the runs'."""
    from recipes.data.folder import open_whole
    from recipes.data.folder_layout import say_once, splits_of

    root, classes = _root_of(name), runs[0].classes
    for run in runs:
        if not run.recipe.data.startswith("folder:"):
            continue
        own = _root_of(run.recipe.data)
        unseen = own.is_dir() and splits_of(own).get("test")
        if unseen and root.is_relative_to(unseen.resolve()):
            continue
        if root.is_relative_to(own) or own.is_relative_to(root):
            say_once(f"{name} holds images of {run.recipe.data}, on which {run.path} was trained")
    part = open_whole(name, split, classes, data_sets.channels_of(runs[0].recipe))
    data = Data(name, classes, train=part, validation=None, open_test=lambda: part)
    for run in runs:
        _column_of(run, data)
    return data, part


def same_data(one: str, other: str) -> bool:
    """Whether two names are of one data set: a folder by any path, TFDS's in any version."""
    return _known_as(one) == _known_as(other)


def _root_of(name: str) -> Path:
    from recipes.data.folder_layout import find_root

    try:
        return find_root(name).resolve()
    except ValueError:  # a run's folder may be gone
        return Path(name.removeprefix("folder:")).expanduser().resolve()


def _known_as(name: str) -> str:
    if name.startswith("folder:"):
        return f"folder:{_root_of(name)}"
    return name if name.startswith("made_up") else name.partition(":")[0]


def _data(run: Run, name: str) -> Data:
    return data_sets.open_for(run.recipe, name=name, bad_images=None)


def _part(data: Data, split: str, run: Run) -> Split:
    part = data.train if split == "train" else data.validation
    if part is None:
        raise ValueError(
            f"{data.name} has no validation set with validation={run.recipe.validation!r} "
            f"of {run.path}"
        )
    return part


def _column_of(run: Run, data: Data) -> list[int]:
    """Of each class of the data its place in the run's scores.

    Raises:
        ValueError: the run knows other classes.
    """
    if set(run.classes) != set(data.classes) or len(run.classes) != len(data.classes):
        missing = [name for name in run.classes if name not in data.classes]
        strange = [name for name in data.classes if name not in run.classes]
        parts = [f"lacks {_some(missing)}"] if missing else []
        parts += [f"has {_some(strange)}, which the run does not know"] if strange else []
        raise ValueError(
            f"{data.name} does not have the {len(run.classes)} classes that {run.path} was "
            f"trained on: it {' and '.join(parts) or f'has {len(data.classes)}'}"
        )
    return [run.classes.index(name) for name in data.classes]


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f", ... ({len(names)})" if len(names) > 5 else "")


def scores(
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
    """The scores of a split's images [N, C], classes as in `data`, and their labels [N, C].

    Scores of one view and no masks are logits; else logarithms of mean probabilities.

    Raises:
        ValueError: the images do not fit the network, or it has no dropout to draw masks of.
        RuntimeError: the network saw more or fewer images or views than there are.
    """
    recipe, count = run.recipe, views.count * (masks or 1)
    height, width = model.input_shape[1:3]
    if height is None or width is None:
        height, width = _batches(data, split, 1, recipe.eval_ops).element_spec[0].shape[1:3]
    try:
        ops = views.ops_for(recipe, (height, width), seed)
        model = dropping(model, seed) if masks else model
    except ValueError as error:
        raise ValueError(f"{run.path}: {error}") from None
    parts = replicas * max(1, recipe.batch // count // replicas)
    batches = _batches(data, split, parts if count > 1 else recipe.batch, ops)
    shape = tuple(batches.element_spec[0].shape[1:])
    if views.kind != "one" and shape[0] != views.count:
        raise RuntimeError(f"{views.text}: {shape[0]} views of {views.count}")
    if views.kind == "one" and masks:
        batches = batches.map(lambda images, labels: (images[:, None], labels))
        shape = (1, *shape)
    _fits(run, model, shape[-3:])
    network = averaged(model, shape, masks or 1) if len(shape) == 4 else model
    found, labels = predict(network, batches, verbose)
    if len(found) != split.count:
        raise RuntimeError(f"{run.path}: judged {len(found)} images of {split.count}")
    return found[:, _column_of(run, data)], labels


def together(
    found: Sequence[tuple[np.ndarray, np.ndarray]], runs: Sequence[Run]
) -> tuple[np.ndarray, np.ndarray]:
    """The scores of all: one's own, or the logarithms of the mean probabilities; the labels.

    Raises:
        RuntimeError: the labels of one are not those of the first.
    """
    (first, labels), *others = found
    for (_, own), run in zip(others, runs[1:], strict=False):
        if not np.array_equal(own, labels):
            raise RuntimeError(f"{run.path}: its labels are not those of {runs[0].path}")
    if not others:
        return first, labels
    return mean_of_probabilities([scores for scores, _ in found]), labels


def _batches(data: Data, split: Split, batch: int, ops: tuple):
    return data_sets.evaluation_batches(split, classes=len(data.classes), batch=batch, ops=ops)


def _fits(run: Run, model, shape: tuple[int, ...]) -> None:
    wanted = tuple(model.input_shape[1:])
    if any(n is not None and n != found for n, found in zip(wanted, shape, strict=True)):
        raise ValueError(
            f"{run.path}: its network takes images of {'x'.join(map(str, wanted))}, and these "
            f"are {'x'.join(map(str, shape))} when they reach it"
        )
