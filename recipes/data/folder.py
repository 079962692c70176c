"""Open folders of images as data sets: PATH/train/CLASS/*.jpg, or PATH/CLASS/*.jpg."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recipes.data import folder_layout
from recipes.data.check_cache import place_of
from recipes.data.file_lists import Files
from recipes.data.folder_layout import Naming, by_name
from recipes.data.folder_split import opened, opened_whole, verified_first
from recipes.data.image_checks import Checks
from recipes.data.image_copies import digest, print_copies
from recipes.data.image_sets import ImageSet, print_later_copies, report, summarize
from recipes.data.subset import Subset
from recipes.data.types import Data, Split
from zoo.terminal import plural, print_once, printable

TEST_FRACTION = 0.2
# The files of each set: a list of files, and the numbers of those in the set
Lists = dict[str, tuple[Files, np.ndarray]]


def open_folder(
    name: str,
    validation: float | str,
    seed: int,
    bad_images: int | None,
    channels: int,
    subset: Subset,
) -> Data:
    """Open "folder:PATH"; `recipes.data.batches.open_data` describes the arguments.

    The test set is PATH/test, or PATH/validation if that is missing. In a folder of classes
    without splits, it is a fifth of each class, the same for every seed. The files of all sets are
    listed now and their headers are read. The pixels of small sets are checked, too; those of
    large sets when they are first read.
    """
    root = folder_layout.find_root(name)
    splits = folder_layout.splits_of(root)
    if splits:
        listed, classes = _of_splits(root, splits, validation, seed)
    else:
        listed, classes = _of_classes(root, validation, seed)
    if not subset.whole:
        listed, classes = _chosen(listed, classes, subset)
    known: dict[int, Checks] = {}
    sets: dict[str, ImageSet] = {}
    for part, (files, numbers) in listed.items():
        if id(files) not in known:
            known[id(files)] = examined(files, channels)
        sets[part] = ImageSet(part, root, known[id(files)], numbers, bad_images)
    every = [*sets.values()]
    for each in every:
        if verified_first(each):
            each.verify_all()
    print_copies([size for each in known.values() for size in each.copied])
    report(every)
    summarize(every)
    print_later_copies(every)
    return Data(
        name=name,
        classes=classes,
        train=opened(sets["train"]),
        validation=opened(sets["validation"]) if "validation" in sets else None,
        open_test=lambda: opened_whole(sets["test"]),
    )


def examined(files: Files, channels: int, known: bool = True) -> Checks:
    """Return what is known of files, after reading the headers of those that are new.

    Args:
        files: the files.
        channels: the number of channels with which they are read.
        known: whether to use what the cache knows.
    """
    root = str(Path(os.fsdecode(files.paths.root)).resolve())
    checks = Checks(files, channels, place_of(root, channels), known)
    checks.read_headers()
    return checks


def open_whole(
    name: str, split: str, classes: Sequence[str], channels: int = 3, naming: Naming | None = None
) -> Split:
    """Open a folder of images on which a network was not trained, for evaluation.

    If the folder has splits, `split` is used; if "test" is missing, "validation" or else "train".
    Otherwise all images are used. Unreadable images are reported and left out.

    Args:
        name: "folder:PATH".
        split: the split, "test" for a folder without splits.
        classes: the classes of the network. Some may be missing.
        channels: the number of channels to read the images with.
        naming: how folders are matched with the classes; None is by name, ignoring case.

    Raises:
        ValueError: the folder or split does not exist, or has images of an unknown class.
    """
    naming = by_name(classes) if naming is None else naming
    root = folder_layout.find_root(name, naming.is_class)
    splits = folder_layout.splits_to_evaluate(root, naming.is_class)
    path = root
    if splits:
        wanted = ("test", "validation", "train") if split == "test" else (split,)
        part = next((each for each in wanted if each in splits), None)
        if part is None:
            raise ValueError(
                f"split={split!r}: {printable(root)} has only {', '.join(splits)}; choose one of"
                " these"
            )
        path = splits[part]
        print_once(f"{printable(root)} has splits; evaluating on {printable(path)}")
    elif split != "test":
        raise ValueError(
            f"split={split!r}: {printable(root)} is one folder of classes without splits; omit"
            " split to evaluate on all of its images"
        )
    listing = naming.listed(path)
    folder_layout.print_skipped(path, listing.skipped)
    checks = examined(listing.files, channels)
    found = ImageSet(split, root, checks, np.arange(len(listing.files)), None)
    found.replaces = False
    return opened_whole(found)


def _of_splits(root: Path, splits: dict[str, Path], validation: float | str, seed: int):
    listing = folder_layout.list_training(splits["train"])
    classes = listing.classes
    test = next((part for part in ("test", "validation") if part in splits), None)
    if test is None:
        raise ValueError(
            f"{printable(root)} has {splits['train'].name}/ but neither test/ nor validation/; add"
            f" one, or use folder:{printable(splits['train'])} to have it split automatically"
        )
    held_out = _named_split(root, splits, test, validation)
    if held_out is None and validation and test == "test":
        held_out = splits.get("validation")
    if test == "validation":
        print_once(f"{printable(root)} has no test/; using {splits[test].name}/ as the test set")
    try:
        own = folder_layout.list_known(splits[test], classes)
    except ValueError as error:
        raise ValueError(
            f"{error}; to split the training images instead, use"
            f" folder:{printable(splits['train'])}"
        ) from None
    files = {"train": everything(listing.files), "test": everything(own.files)}
    skipped = listing.skipped + own.skipped
    if held_out is not None:
        own = folder_layout.list_known(held_out, classes)
        files["validation"], skipped = everything(own.files), skipped + own.skipped
    elif validation and not isinstance(validation, str):
        files |= _held_out(files["train"], classes, validation, f"validation {seed}")
    folder_layout.print_skipped(root, skipped)
    return files, classes


def _named_split(root: Path, splits: dict[str, Path], test: str, validation: float | str):
    """Return the folder of a validation set given by name, or None for a fraction."""
    if not isinstance(validation, str):
        return None
    part = next((part for part, p in splits.items() if validation in (part, p.name)), None)
    if part in (test, "train"):
        what = "test" if part == test else "training"
        raise ValueError(
            f"validation={validation!r}: {printable(splits[part])} is the {what} set, which"
            " cannot be the validation set; use a fraction"
        )
    path = root / validation if part is None else splits[part]
    if not path.is_dir():
        raise ValueError(f"validation={validation!r}: {folder_layout.missing(path)}")
    return path


def _of_classes(root: Path, validation: float | str, seed: int):
    if isinstance(validation, str):
        raise ValueError(
            f"validation={validation!r}: {printable(root)} is a folder of classes without splits;"
            " use a fraction"
        )
    listing = folder_layout.list_training(root)
    folder_layout.print_skipped(root, listing.skipped)
    files = _held_out(everything(listing.files), listing.classes, TEST_FRACTION, "test")
    if validation:
        files |= _held_out(files["train"], listing.classes, validation, f"validation {seed}")
    return files, listing.classes


def _chosen(listed: Lists, classes: tuple[str, ...], subset: Subset) -> tuple[Lists, tuple]:
    """Return the chosen images of each set, with new labels, and the names of the kept classes."""
    relabeled: dict[int, Files] = {}
    found = {}
    for part, (files, numbers) in listed.items():

        def name(place: int, files: Files = files, numbers: np.ndarray = numbers) -> str:
            return files.name(int(numbers[place]))

        chosen = subset.choose(part, files.labels[numbers], classes, name)
        if id(files) not in relabeled:
            labels = subset.renumbered(files.labels, classes).astype(files.labels.dtype)
            relabeled[id(files)] = Files(files.paths, labels)
        by_class = np.argsort(chosen.labels, kind="stable")
        found[part] = relabeled[id(files)], numbers[chosen.places[by_class]]
    return found, subset.names(classes)


def everything(files: Files) -> tuple[Files, np.ndarray]:
    """Return a list of files and the numbers of all of them."""
    return files, np.arange(len(files))


def _held_out(
    given: tuple[Files, np.ndarray], classes: tuple[str, ...], fraction: float, key: str
) -> Lists:
    """Split off a fraction of each class: at least one image, but not all.

    A class with only one image stays in the training set. Images are chosen by a hash of their
    file names, so that the choice changes little when files are added.
    """
    files, numbers = given
    what = key.split()[0]
    kept: list[np.ndarray] = []
    held: list[np.ndarray] = []
    single = []
    labels = files.labels[numbers]
    for label in np.unique(labels):
        indices = numbers[labels == label]
        hashes = [digest(f"{key}/{files.name(i)}") for i in indices.tolist()]
        shuffled = indices[sorted(range(len(indices)), key=hashes.__getitem__)]
        count = min(max(1, round(fraction * len(indices))), len(indices) - 1)
        if not count:
            single.append(classes[label])
        held.append(shuffled[:count])
        kept.append(shuffled[count:])
    if not sum(map(len, held)):
        raise ValueError(
            f"no class has the 2 images needed to split off a {what} set; add images"
            + (", or set validation=0" if what == "validation" else "")
        )
    if single:
        more = ", ..." if len(single) > 5 else ""
        print_once(
            f"{plural(len(single), 'class', 'classes')} with only 1 image, which is used for"
            f" training and not for the {what} set: {', '.join(single[:5])}{more}"
        )
    return {
        "train": (files, np.sort(np.concatenate(kept))),
        what: (files, np.sort(np.concatenate(held))),
    }
