"""Open folders of images as data sets: PATH/train/CLASS/*.jpg, or PATH/CLASS/*.jpg."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recipes.augment.decoding import decode_image, marked
from recipes.data import folder_layout
from recipes.data.folder_layout import Naming, by_name
from recipes.data.image_copies import digest, print_copies
from recipes.data.image_files import Checked, Files, checked
from recipes.data.types import IN_MEMORY, Data, Split, in_memory, permutation
from zoo.lazy import tensorflow as tf
from zoo.terminal import plural, print_once, printable

TEST_FRACTION = 0.2
NAMED = 3  # unreadable images that an error lists


def open_folder(
    name: str, validation: float | str, seed: int, bad_images: int | None, channels: int = 3
) -> Data:
    """Open "folder:PATH"; `recipes.data.batches.open_data` describes the arguments.

    The test set is PATH/test, or PATH/validation if that is missing. In a folder of classes
    without splits, it is a fifth of each class, the same for every seed. All files, including
    those of the test set, are checked now.
    """
    root = folder_layout.find_root(name)
    splits = folder_layout.splits_of(root)
    if splits:
        files, classes = _of_splits(root, splits, validation, seed)
    else:
        files, classes = _of_classes(root, validation, seed)
    found = {part: checked(each, channels) for part, each in files.items()}
    print_copies([size for each in found.values() for size in each.copied])
    _report(root, found, bad_images)

    def opened(part: str) -> Split:
        return _split(part, root, found[part], channels)

    return Data(
        name=name,
        classes=classes,
        train=opened("train"),
        validation=opened("validation") if "validation" in files else None,
        open_test=lambda: opened("test"),
    )


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
    found = checked(listing.files, channels)
    print_copies(found.copied)
    _report(root, {split: found}, None)
    return _split(split, root, found, channels)


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
    files = {"train": listing.files, "test": own.files}
    skipped = listing.skipped + own.skipped
    if held_out is not None:
        own = folder_layout.list_known(held_out, classes)
        files["validation"], skipped = own.files, skipped + own.skipped
    elif validation and not isinstance(validation, str):
        files |= _held_out(listing.files, classes, validation, f"validation {seed}")
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
    files = _held_out(listing.files, listing.classes, TEST_FRACTION, "test")
    if validation:
        files |= _held_out(files["train"], listing.classes, validation, f"validation {seed}")
    return files, listing.classes


def _held_out(files: Files, classes: tuple[str, ...], fraction: float, key: str) -> dict:
    """Split off a fraction of each class: at least one image, but not all.

    A class with only one image stays in the training set. Images are chosen by a hash of their
    file names, so that the choice changes little when files are added.
    """
    what = key.split()[0]
    kept: list[int] = []
    held: list[int] = []
    single = []
    labels = np.array(files.labels)
    for label in np.unique(labels):
        indices = np.flatnonzero(labels == label).tolist()
        shuffled = sorted(indices, key=lambda i: digest(f"{key}/{files.names[i]}"))
        count = min(max(1, round(fraction * len(indices))), len(indices) - 1)
        if not count:
            single.append(classes[label])
        held += shuffled[:count]
        kept += shuffled[count:]
    if not held:
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
    return {"train": files.only(sorted(kept)), what: files.only(sorted(held))}


def _split(name: str, root: Path, found: Checked, channels: int) -> Split:
    """Return the readable files as a Split, decoded in memory if they are small."""
    files, size = found.files, found.size
    if not (count := len(files.paths)):
        raise ValueError(
            f"no image of the {name} set in {printable(root)} can be read; repair or replace them"
        )
    with tf.device("CPU"):
        paths, labels = tf.constant(found.sources), tf.constant(files.labels, tf.int64)
        turns = tf.constant(found.turns, tf.int32)
    upright = max(found.turns) == 1

    def lookup(index):
        data = tf.io.read_file(paths[index])
        if not upright:
            turn = turns[index]
            data = tf.cond(turn > 1, lambda: marked(data, turn), lambda: data)
        return {"image": data, "label": labels[index], "index": index}

    split = Split(
        name=name,
        count=count,
        encoded=True,
        shape=(*(size or (None, None)), channels),
        order=lambda seed: permutation(count, seed),
        lookup=lookup,
        describe=lambda index: files.paths[index],
        fingerprint=f"folder/{found.fingerprint}",
    )
    if size is None or count * np.prod(size) * channels > IN_MEMORY:
        return split
    decoded = split.elements().map(
        lambda element: decode_image(element["image"], channels), tf.data.AUTOTUNE
    )
    images = np.empty((count, *size, channels), np.uint8)
    for index, image in enumerate(decoded.as_numpy_iterator()):
        images[index] = image
    return in_memory(
        images, labels, name=name, describe=split.describe, fingerprint=split.fingerprint
    )


def _report(root: Path, found: dict[str, Checked], budget: int | None) -> None:
    """Print the images that cannot be read, and how many there are.

    Raises:
        ValueError: a set has more of them than the budget, which is None for no limit.
    """
    counts = {part: len(each.bad) for part, each in found.items() if each.bad}
    if not counts:
        return
    every = {path: why for each in found.values() for path, why in each.bad.items()}
    for path, why in every.items():
        print_once(f"skipped unreadable image {printable(path)}: {why}")
    listed = " and ".join(f"{plural(n, 'image')} of the {part} set" for part, n in counts.items())
    was, them = ("was", "it") if len(every) == 1 else ("were", "them")
    if budget is not None and max(counts.values()) > budget:
        some = [f"{printable(path)} ({why})" for path, why in list(every.items())[:NAMED]]
        raise ValueError(
            f"bad_images={budget}: {listed} cannot be read: {', '.join(some)}"
            f"{', ...' if len(every) > NAMED else ''}; repair or remove {them}, or skip {them}"
            f" with bad_images={max(counts.values())}"
        )
    print(f"{listed} in {printable(root)} cannot be read and {was} skipped", file=sys.stderr)
