"""Folders of images whose classes are some of ImageNet's 1,000, found by name, id or number."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recipes.data.file_lists import Paths
from recipes.data.folder_layout import (
    Listing,
    Naming,
    images_in,
    listing,
    print_loose,
    scanned,
)
from recipes.data.types import Data, Split
from zoo import imagenet_names
from zoo.lazy import tensorflow as tf
from zoo.terminal import plural, print_once, printable

ADVICE = "name folders by WordNet id, such as n01440764, or by number from 0 to 999"


def list_imagenet(path: Path) -> Listing:
    """List the images of folders that are named after classes of ImageNet.

    `zoo.imagenet_names.classes_of` describes the names. Folders of other or ambiguous names are
    listed in one line and left out. Several folders of one class are joined.

    Raises:
        ValueError: no folder is one of ImageNet's classes, or the folders are numbered from 1.
    """
    found = scanned(path)
    means = _meanings([name for name, (inside, _) in found.items() if inside])
    numbers = {int(name) for name in means if name.isascii() and name.isdecimal()}
    if 1000 in numbers and 0 not in numbers:
        raise ValueError(
            f"{printable(path)}: its folders are numbered from 1 to 1000, but ImageNet's classes"
            " are numbered from 0 to 999 here, in the order of their WordNet ids; rename them"
        )
    others = _unmapped(means)
    classes = imagenet_names.unique_names()
    chosen: dict[str, list[Paths]] = {}
    for name, places in means.items():
        if len(places) == 1:
            chosen.setdefault(classes[places[0]], []).append(found[name][0])
    if not chosen:
        loose = len(images_in(path))
        hint = "`zoo predict` classifies images without labels"
        raise ValueError(
            f"{printable(path)}: no folder with images is named after a class of ImageNet"
            + (f", only {others}" if others else "")
            + (f"; {plural(loose, 'image')} directly in it: {hint}" if loose else "")
            + f"; {ADVICE}"
        )
    if others:
        print_once(f"{printable(path)}: left out {others}; {ADVICE}")
    print_loose(path)
    return listing(
        path, classes, chosen, sum((skipped for _, skipped in found.values()), Counter())
    )


NAMING = Naming(lambda name: bool(imagenet_names.classes_of(name)), list_imagenet)


def of_imagenet(data: Data) -> Data:
    """Return a data set with ImageNet's 1,000 classes in the place of its own.

    Raises:
        ValueError: a class is none of ImageNet's, or ambiguous.
    """
    places = numbers_of(data.classes, f"data={data.name!r}")

    def relabeled(split: Split) -> Split:
        def lookup(*item):
            example = split.lookup(*item)
            return {**example, "label": tf.gather(tf.constant(places, tf.int64), example["label"])}

        return dataclasses.replace(
            split,
            lookup=lookup,
            labels=None if split.labels is None else np.array(places)[split.labels],
            check=split.check and (lambda: relabeled(split.checked())),
        )

    return Data(
        name=data.name,
        classes=imagenet_names.unique_names(),
        train=relabeled(data.train),
        validation=None if data.validation is None else relabeled(data.validation),
        open_test=lambda: relabeled(data.open_test()),
    )


def numbers_of(classes: Sequence[str], what: str) -> list[int]:
    """Return ImageNet's number of each class.

    Args:
        classes: the names of the classes. Numbers are those of ImageNet only if there are 1,000 of
            them, since ten digits are not the first ten classes.
        what: where they are from, for messages.

    Raises:
        ValueError: a name means no class of ImageNet, or several, or two names mean the same.
    """
    means = _meanings(classes)
    if len(classes) < len(imagenet_names.names()):
        means |= {name: () for name in classes if name.isdecimal()}
    if others := _unmapped(means):
        raise ValueError(
            f"{what}: has classes that are not ImageNet's: {others}; choose a data set whose"
            " classes are some of ImageNet's 1,000"
        )
    numbers = [places[0] for places in means.values()]
    if len({*numbers}) < len(classes):
        raise ValueError(f"{what}: two of its classes are one class of ImageNet; merge them")
    return numbers


def _meanings(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return the numbers of the classes that each name may mean.

    If some names are in another case than ImageNet's, case does not distinguish classes.
    """
    exact = {name: imagenet_names.classes_of(name) for name in names}
    loose = {name: imagenet_names.classes_of(name, case=False) for name in names}
    known = {*imagenet_names.names()}
    lower = {name.casefold() for name in known}
    spelled = {name.replace("_", " ") for name in names} - known
    changed = any(name.casefold() in lower for name in spelled)
    return loose if changed else exact


def _unmapped(means: dict[str, tuple[int, ...]]) -> str:
    """Return the names that mean no class, or several, in one line."""
    strange = [name for name, places in means.items() if not places]
    ids, parts = imagenet_names.wordnet_ids(), []
    if strange:
        parts.append(f"{plural(len(strange), 'unknown name')} ({', '.join(strange)})")
    unclear = [
        f"{name}: {' or '.join(ids[i] for i in places)}"
        for name, places in means.items()
        if len(places) > 1
    ]
    if unclear:
        parts.append(f"{plural(len(unclear), 'ambiguous name')} ({', '.join(unclear)})")
    return " and ".join(parts)
