"""Open the split of an evaluation, and compute the scores of each member."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from recipes.data.batches import channels_of, evaluation_batches, open_data, open_for
from recipes.data.types import Data, Split
from recipes.early_checks import SPLITS
from recipes.evaluation.members import Member, check_named_data, model_of
from recipes.evaluation.metrics import mean_of_probabilities
from recipes.evaluation.noise import Noise, noisy_weights, with_input_noise
from recipes.evaluation.predict import average_views, predict, with_dropout
from recipes.evaluation.published import Published, Shown, ops_for
from recipes.evaluation.tta import Views
from recipes.run import Run
from zoo.imagenet_names import unique_names
from zoo.lazy import tensorflow as tf
from zoo.options import unknown
from zoo.terminal import plural, print_once

ONE = Views("one", 1)
BATCH = 64  # the batch size of named networks


def open_split(members: Sequence[Member], split: str, name: str | None) -> tuple[Data, Split]:
    """Open the data set of the runs, or another one, and the split to evaluate on.

    The validation or training set is that of the runs that were trained on this data set. With a
    named network, the classes are ImageNet's 1,000.

    Args:
        members: runs and named networks.
        split: "test", "validation" or "train".
        name: the name of another data set, or None.

    Raises:
        ValueError: the split is unknown or missing, or the members have different data, classes,
            or validation sets.
    """
    if split not in SPLITS:
        raise unknown("split", split, SPLITS)
    runs = [each for each in members if isinstance(each, Run)]
    check_named_data(members, name)
    for run in runs[1:]:
        if name is None and run.recipe.data != runs[0].recipe.data:
            raise ValueError(
                f"{runs[0].path} was trained on {runs[0].recipe.data}, but {run.path} on"
                f" {run.recipe.data}; choose the data set to evaluate on with --data=NAME"
            )
    name = runs[0].recipe.data if name is None else name
    trained = [run for run in runs if same_data(run.recipe.data, name)]
    if not trained and name.startswith("folder:"):
        return _other_folder(members, split, name)
    first = next(iter(trained or runs), None)
    data = _data(first, name) if first else _data_of_names(name, split)
    if len(runs) < len(members):
        from recipes.data.imagenet_folder import of_imagenet

        data = of_imagenet(data)
    for member in members:
        _column_of(member, data)
    if split == "test":
        return data, data.open_test()
    part = _part(data, split, first).checked()
    for run in trained[1:]:
        # A run that was trained on some of these images would get too good a result.
        own = _data(run, name, classes=trained[0].recipe.classes)
        if _part(own, split, run).checked().fingerprint != part.fingerprint:
            raise ValueError(
                f"split={split!r}: {trained[0].path} and {run.path} have different {split} sets,"
                f" because their recipes differ in {_choosing(split)}; evaluate them on the test"
                " set, or one by one"
            )
    return data, part


def _other_folder(members: Sequence[Member], split: str, name: str) -> tuple[Data, Split]:
    """Open a folder that no run was trained on, with the classes of the members."""
    from recipes.data.folder import open_whole
    from recipes.data.folder_layout import by_name, splits_of
    from recipes.data.imagenet_folder import NAMING

    runs = [each for each in members if isinstance(each, Run)]
    whole = len(runs) == len(members)
    root, classes = _root_of(name), members[0].classes if whole else unique_names()
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
    channels = channels_of(runs[0].recipe) if runs else 3
    chosen = any(run.recipe.classes for run in runs)
    naming = by_name(classes, only=chosen) if whole else NAMING
    part = open_whole(name, split, classes, channels, naming)
    data = Data(name, classes, train=part, validation=None, open_test=lambda: part)
    for member in members:
        _column_of(member, data)
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


def _choosing(split: str) -> str:
    """Return the fields that decide which images are in a split."""
    if split == "train":
        return "`validation`, `seed`, `images` or `per_class`"
    return "`validation` or `seed`"


def _data(run: Run, name: str, **others: Any) -> Data:
    """Open a data set as for a run; of another one than its own, all images of its classes."""
    if not same_data(run.recipe.data, name):
        classes = run.classes if run.recipe.classes else ()
        others = {"images": None, "per_class": None, "classes": classes, **others}
    return open_for(run.recipe, name=name, bad_images=None, **others)


def _data_of_names(name: str, split: str) -> Data:
    return open_data(name, validation="validation" if split == "validation" else 0.0)


def _part(data: Data, split: str, run: Run | None) -> Split:
    part = data.train if split == "train" else data.validation
    if part is None:
        why = f", because {run.path} has validation={run.recipe.validation!r}" if run else ""
        raise ValueError(
            f"split={split!r}: {data.name} has no validation set{why}; choose test or train"
        )
    return part


def _column_of(member: Member, data: Data) -> list[int]:
    """Return the column of each class of the data in the scores of a member.

    Raises:
        ValueError: the member was trained on different classes.
    """
    classes = member.classes
    if data.classes == unique_names() != classes:
        from recipes.data.imagenet_folder import numbers_of

        classes = tuple(unique_names()[i] for i in numbers_of(classes, str(member.path)))
    if set(classes) != set(data.classes) or len(classes) != len(data.classes):
        missing = [name for name in classes if name not in data.classes]
        unknown_ones = [name for name in data.classes if name not in classes]
        parts = [f"lacks {_some(missing)}"] if missing else []
        parts += [f"has the unknown {_some(unknown_ones)}"] if unknown_ones else []
        raise ValueError(
            f"data={data.name!r}: does not have the {plural(len(classes), 'class', 'classes')}"
            f" that {member.path} was trained on: it"
            f" {' and '.join(parts) or f'has {len(data.classes)}'}; choose another data set"
        )
    place = {name: i for i, name in enumerate(classes)}
    return [place[name] for name in data.classes]


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f", ... ({len(names)})" if len(names) > 5 else "")


def predict_member(
    member: Member,
    network: Any,
    data: Data,
    split: Split,
    views: Views,
    *,
    masks: int | None = None,
    noise: Noise | None = None,
    seed: int = 0,
    replicas: int = 1,
    verbose: Any = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of a member on a split, [N, C], and the labels, [N, C].

    The columns are the classes of `data`. The scores are logits for one view without dropout
    masks, and logarithms of mean probabilities otherwise.

    Args:
        member: the run or the named network.
        network: the model of a run, or the `zoo.inference.Network` of a named network.
        masks: the number of dropout masks; None without dropout.
        noise: noise on its weights and inputs, or None.

    Raises:
        ValueError: the images do not fit the network, or it has no dropout.
        RuntimeError: the number of images or views is not the expected one.
    """
    count = views.count * (masks or 1)
    model = model_of(network)
    batch = member.recipe.batch_size if isinstance(member, Run) else BATCH
    try:
        ops = _ops(member, network, data, split, views, seed)
        model = with_dropout(model, seed) if masks else model
        if noise is not None and noise.inputs:
            plain = _batches(data, split, batch, _ops(member, network, data, split, ONE, seed))
            model = with_input_noise(model, noise, seed, plain)
    except ValueError as error:
        raise ValueError(f"{member.path}: {error}") from None
    parts = replicas * max(1, batch // count // replicas)
    batches = _batches(data, split, parts if count > 1 else batch, ops)
    shape = tuple(batches.element_spec[0].shape[1:])
    if views.kind != "one" and shape[0] != views.count:
        raise RuntimeError(f"tta={views.text!r}: {shape[0]} of {views.count} views")
    if views.kind == "one" and masks:
        batches = batches.map(lambda images, labels: (images[:, None], labels))
        shape = (1, *shape)
    _fits(member, model, shape[-3:])
    averaged = average_views(model, shape, masks or 1, views.weights) if len(shape) == 4 else model
    try:
        with noisy_weights(model, noise, seed) if noise and noise.weights else nullcontext():
            found, labels = predict(averaged, batches, verbose)
    except tf.errors.OpError as error:
        for op in ops:
            if isinstance(op, Shown) and op.too_large:
                raise ValueError(
                    f"data={data.name!r}: an image is too large: {op.too_large[0]}"
                ) from error
        raise
    if len(found) != split.count:
        raise RuntimeError(
            f"{member.path}: evaluated {len(found)} of {plural(split.count, 'image')}"
        )
    return found[:, _column_of(member, data)], labels


def _ops(member: Member, network: Any, data: Data, split: Split, views: Views, seed: int) -> tuple:
    """Return the ops from a raw image to the views that a member gets."""
    if isinstance(member, Published):
        return ops_for(network, views, seed)
    height, width = network.input_shape[1:3]
    if height is None or width is None:
        batches = _batches(data, split, 1, member.recipe.eval_ops)
        height, width = batches.element_spec[0].shape[1:3]
    return views.ops_for(member.recipe, (height, width), seed)


def combine(
    found: Sequence[tuple[np.ndarray, np.ndarray]], members: Sequence[Member]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of one member, or the log mean probabilities of several; and the labels.

    Raises:
        RuntimeError: the labels of the members differ.
    """
    (first, labels), *others = found
    for (_, own), member in zip(others, members[1:], strict=False):
        if not np.array_equal(own, labels):
            raise RuntimeError(f"{member.path}: its labels differ from those of {members[0].path}")
    if not others:
        return first, labels
    return mean_of_probabilities([scores for scores, _ in found]), labels


def _batches(data: Data, split: Split, batch: int, ops: tuple):
    return evaluation_batches(split, classes=len(data.classes), batch=batch, ops=ops)


def _fits(member: Member, model, shape: tuple[int, ...]) -> None:
    wanted = tuple(model.input_shape[1:])
    if any(n is not None and n != found for n, found in zip(wanted, shape, strict=True)):
        raise ValueError(
            f"{member.path}: its network needs images of {'x'.join(map(str, wanted))}, but these"
            f" are {'x'.join(map(str, shape))} after its resizing and cropping; choose a"
            " data set with images of that shape"
        )
