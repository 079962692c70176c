"""Folders of images: PATH/train/CLASS/*.jpg, or PATH/CLASS/*.jpg."""

from __future__ import annotations

import difflib
import functools
import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from recipes.augment import decode_image
from recipes.image_files import CHANNELS, Files, checked, digest
from recipes.split import IN_MEMORY, Data, Split, in_memory, permutation
from zoo.lazy import tensorflow as tf

EXTENSIONS = (".jpg", ".jpeg", ".png")
# Images that are not read, which is said, so that nobody misses them unawares.
OTHERS = (".avif", ".bmp", ".gif", ".heic", ".jp2", ".tif", ".tiff", ".webp")
TEST_FRACTION = 0.2


def open_folder(name: str, validation: float | str, seed: int, bad_images: int) -> Data:
    """Open "folder:PATH"; `recipes.data.open_data` tells the rest.

    PATH/validation is the validation set if PATH/test is there too, else the test set. In
    one folder of classes the test set is the same fifth of each class under every seed.
    Images are decoded to three channels.
    """
    root = root_of(name)
    if (root / "train").is_dir():
        train, held_out, test, classes = _layout_of_splits(root, validation, seed)
    else:
        train, held_out, test, classes = _layout_of_classes(root, validation, seed)

    def opened(split_name: str, files: Files) -> Split:
        return _split(split_name, root, files, bad_images)

    train_split = opened("train", train)
    return Data(
        name=name,
        classes=classes,
        train=train_split,
        validation=opened("validation", held_out) if held_out else None,
        open_test=lambda: opened("test", test()),
    )


def _layout_of_splits(root: Path, validation: float | str, seed: int):
    classes = _classes(root / "train")
    others = {d.name for d in _folders(root)} - {"train"}
    test = next((split for split in ("test", "validation", "val") if split in others), None)
    if test is None:
        raise ValueError(
            f"{root} has train/ but neither test/ nor validation/; add one, or name"
            f" folder:{root / 'train'} to have it split"
        )
    given = validation if isinstance(validation, str) else None
    if given is None and validation and test == "test":
        given = next((split for split in ("validation", "val") if split in others), None)
    if given in (test, "train"):
        what = "test" if given == test else "training"
        raise ValueError(f"{root / given} is the {what} set, not validation; take a fraction")
    if given is not None and given not in others:
        raise ValueError(_missing(root / given))
    # The names of the classes only: a mistake in them should not wait for the run's end.
    for split in filter(None, (test, given)):
        _same_classes(root, split, classes)
    train = _listed(root / "train", classes)
    held_out: Files | None
    if given is not None:
        held_out = _listed(root / given, classes)
    else:
        train, held_out = _held_out(train, float(validation), f"validation {seed}")
    return train, held_out, lambda: _listed(root / test, classes), classes


def _layout_of_classes(root: Path, validation: float | str, seed: int):
    if isinstance(validation, str):
        raise ValueError(
            f"validation={validation!r} is not in {root}, a folder of classes; take a fraction"
        )
    classes = _classes(root)
    train, test = _held_out(_listed(root, classes), TEST_FRACTION, "test")
    train, held_out = _held_out(train, validation, f"validation {seed}")
    return train, held_out, lambda: test, classes


def _folders(path: Path) -> list[Path]:
    return sorted(d for d in path.iterdir() if d.is_dir() and not d.name.startswith("."))


def _classes(path: Path) -> tuple[str, ...]:
    classes = tuple(d.name for d in _folders(path))
    if not classes:
        raise ValueError(f"{path} has no folders of classes: PATH/CLASS/*.jpg")
    if len(classes) == 1:
        raise ValueError(f"{path} has one class only, {classes[0]!r}; a classifier needs two")
    return classes


def _same_classes(root: Path, split: str, classes: tuple[str, ...]) -> None:
    own = {d.name for d in _folders(root / split)}
    missing, strange = sorted(set(classes) - own), sorted(own - set(classes))
    parts = [f"lacks {', '.join(missing[:5])}"] if missing else []
    parts += [f"has {', '.join(strange[:5])}, not in train"] if strange else []
    if parts:
        raise ValueError(f"the classes of {root / split} differ from train's: {'; '.join(parts)}")


def _listed(path: Path, classes: tuple[str, ...]) -> Files:
    paths: list[str] = []
    labels: list[int] = []
    passed: Counter[str] = Counter()
    for label, name in enumerate(classes):
        entries = [each for each in os.scandir(path / name) if not each.name.startswith(".")]
        own = [each.path for each in entries if each.name.lower().endswith(EXTENSIONS)]
        others = Counter(os.path.splitext(each.name.lower())[1] for each in entries)
        others = Counter({ending: others[ending] for ending in OTHERS if others[ending]})
        if not own:
            only = f", only {_counts(others)}" if others else ""
            raise ValueError(f"class {name!r} is empty: no JPEG or PNG file in {path / name}{only}")
        paths += sorted(own)
        labels += [label] * len(own)
        passed += others
    if passed:
        _say_once(
            f"{passed.total()} images passed over in {path}: {_counts(passed)}"
            " (only .jpg, .jpeg and .png are read)"
        )
    return Files(tuple(paths), tuple(labels))


def _counts(endings: Counter[str]) -> str:
    return ", ".join(f"{count} {ending}" for ending, count in endings.most_common())


@functools.cache
def _say_once(text: str) -> None:
    """A set may be opened several times by one command."""
    print(text, file=sys.stderr)


def _held_out(files: Files, fraction: float, key: str) -> tuple[Files, Files | None]:
    """The rest, and a fraction of each class: one image at least, and not all.

    Drawn by a hash of the files' names, which changes little when files are added.
    """
    if not fraction:
        return files, None
    kept, held = [], []
    labels = np.array(files.labels)
    for label in np.unique(labels):
        indices = np.flatnonzero(labels == label).tolist()
        if len(indices) < 2:
            folder = os.path.dirname(files.paths[indices[0]])
            sets = f"the training and the {key.split()[0]} set"
            raise ValueError(f"of a class one image only is left for {sets}: {folder}")
        drawn = sorted(indices, key=lambda i: digest(f"{key}/{os.path.basename(files.paths[i])}"))
        count = min(max(1, round(fraction * len(indices))), len(indices) - 1)
        held += drawn[:count]
        kept += drawn[count:]
    return files.only(sorted(kept)), files.only(sorted(held))


def _split(name: str, root: Path, files: Files, bad_images: int) -> Split:
    """Check the files, name and drop the bad ones; keep the rest in memory if small."""
    found = checked(files)
    upright, size = found.files, found.size
    fingerprint = found.fingerprint + ("-upright" if found.turned else "")
    if found.bad:
        _report(name, [files.paths[i] for i in found.bad], bad_images)
        good = sorted({*range(len(files.paths))} - {*found.bad})
        files, upright = files.only(good), upright.only(good)
    if not (count := len(files.paths)):
        raise ValueError(f"no image of the {name} set in {root} can be decoded")
    with tf.device("CPU"):
        paths, labels = tf.constant(upright.encoded()), tf.constant(files.labels, tf.int64)

    def lookup(index):
        data = tf.io.read_file(paths[index])
        return {"image": data, "label": labels[index], "index": index}

    split = Split(
        name=name,
        count=count,
        encoded=True,
        shape=(*(size or (None, None)), CHANNELS),
        order=lambda seed: permutation(count, seed),
        lookup=lookup,
        describe=lambda index: files.paths[index],
        fingerprint=f"folder/{fingerprint}",
    )
    if size is None or count * np.prod(size) * CHANNELS > IN_MEMORY:
        return split
    decoded = split.elements().map(
        lambda element: decode_image(element["image"], CHANNELS), tf.data.AUTOTUNE
    )
    images = np.empty((count, *size, CHANNELS), np.uint8)
    for index, image in enumerate(decoded.as_numpy_iterator()):
        images[index] = image
    return in_memory(
        images, labels, name=name, describe=split.describe, fingerprint=split.fingerprint
    )


def _report(name: str, bad: list[str], budget: int) -> None:
    for path in bad:
        print(f"bad image, skipped: {path}", file=sys.stderr)
    if len(bad) > budget:
        first = ", ".join(bad[:3])
        raise ValueError(
            f"{len(bad)} images of the {name} set cannot be decoded, and bad_images={budget}"
            f" may be skipped: {first}{', ...' if len(bad) > 3 else ''}"
        )
    print(f"{len(bad)} bad images of the {name} set skipped", file=sys.stderr)


def root_of(name: str) -> Path:
    """Return the folder of "folder:PATH".

    Raises:
        ValueError: there is no such folder.
    """
    root = Path(name.removeprefix("folder:")).expanduser()
    if not root.is_dir():
        raise ValueError(f"data set {name!r}: {_missing(root)}")
    return root


def _missing(path: Path) -> str:
    message = f"there is no folder {path}"
    if path.parent.is_dir():
        near = difflib.get_close_matches(path.name, [d.name for d in _folders(path.parent)], n=1)
        return f"{message}; did you mean {path.parent / near[0]}?" if near else message
    return f"{message}, nor {path.parent}"
