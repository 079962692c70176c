"""Find out how a folder of images is laid out: its splits, its classes and their files."""

from __future__ import annotations

import difflib
import functools
import os
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.data.image_files import Files
from zoo.image_reading import ENDINGS, counted, is_hidden, scan
from zoo.terminal import printable

# The names of folders of splits, in any letter case: training_set, valid, Test, ...
_ROLES = {
    "train": r"train(ing)?",
    "validation": r"val(id|idation)?|dev",
    "test": r"test(ing)?",
}
# Food-11's test set, and other people's validation set: what is missing.
_EITHER = r"eval(uation)?"
_MORE = r"([ _-]?(set|data|split|images))?"
# Files that are photographs of somebody's: a class of them is no mistake of ours to pass over.
_NOT_READ = (".heic", ".heif", ".jxl", ".psd", ".svg", ".raw", ".dng", ".cr2", ".nef", ".arw")


@dataclass(frozen=True)
class Listing:
    """The images of a folder of classes.

    Attributes:
        files: the images.
        classes: the classes' names, in the order of the labels.
        skipped: how many files are not images, by ending.
    """

    files: Files
    classes: tuple[str, ...]
    skipped: Counter[str]


def find_root(name: str, classes: Sequence[str] = ()) -> Path:
    """Return the folder of "folder:PATH" that holds splits or classes, which PATH may wrap.

    Args:
        classes: the names of classes, if they are known.

    Raises:
        ValueError: there is no such folder.
    """
    if not name.removeprefix("folder:").strip():
        raise ValueError(f"data set {name!r}: there is no path; write folder:PATH")
    known = {_folded(each) for each in classes}
    given = root = Path(name.removeprefix("folder:")).expanduser()
    if not root.is_dir():
        raise ValueError(f"data set {name!r}: {missing(root)}")
    for _ in range(4):  # a link may lead back
        inside = folders(root)
        if len(inside) != 1 or _role(inside[0].name)[0] == "train" or not folders(inside[0]):
            break
        if _folded(printable(inside[0].name, "utf-8")) in known:
            break
        root = inside[0]
    if root != given:
        say_once(f"{printable(given)} holds one folder only: {printable(root)} is read")
    return root


def splits_of(root: Path) -> dict[str, Path]:
    """Return the folders of "train", "validation" and "test", {} for a folder of classes.

    Raises:
        ValueError: two folders may be the same split.
    """
    groups: dict[str, dict[str, list[Path]]] = {}
    for folder in folders(root):
        role, prefix = _role(folder.name)
        if role:
            groups.setdefault(prefix, {}).setdefault(role, []).append(folder)
    found = groups.pop("", {})
    if not any(_may_be_split(folder) for folder in found.get("train", ())):
        # "train" is a class of vehicles. "seg_train" needs "seg_test" beside it.
        pairs = [g for g in groups.values() if "train" in g and len(g) > 1]
        if len(pairs) != 1 or not _may_be_split(pairs[0]["train"][0]):
            return {}
        found = pairs[0]
    for folder in folders(root):
        free = next((role for role in ("test", "validation") if role not in found), None)
        if free and re.fullmatch(f"({_EITHER}){_MORE}", folder.name.casefold()):
            found[free] = [folder]
    for role, several in found.items():
        if len(several) > 1:
            names = " and ".join(f"{printable(folder.name)}/" for folder in several)
            raise ValueError(f"{printable(root)} has both {names}: rename all but the {role} set")
    splits = {role: _unwrapped(folder) for role, (folder,) in found.items()}
    if len({path.resolve() for path in splits.values()}) < len(splits):
        names = ", ".join(f"{printable(path.name)}/" for path in splits.values())
        raise ValueError(f"{printable(root)}: two of {names} are the same folder, by a link")
    used = [folder for (folder,) in found.values()]
    if rest := [printable(folder.name) for folder in folders(root) if folder not in used]:
        say_once(f"{printable(root)}: folders that are no splits are left out: {_some(rest)}")
    return splits


def _role(name: str) -> tuple[str, str]:
    """The split that a folder's name stands for, "" for none, and what stands before that."""
    for role, names in _ROLES.items():
        if found := re.fullmatch(rf"(\w+[ _-])?({names}){_MORE}", name.casefold()):
            return role, found[1] or ""
    return "", ""


def _may_be_split(folder: Path) -> bool:
    return bool(folders(folder)) or not _images_in(folder)


def _unwrapped(folder: Path) -> Path:
    """The folder, or the one of the same split in it: seg_train/seg_train."""
    inside = folders(folder)
    if len(inside) == 1 and inside[0].name.casefold() == folder.name.casefold():
        return inside[0]
    return folder


def folders(path: Path) -> list[Path]:
    return sorted(d for d in path.iterdir() if not is_hidden(d.name) and d.is_dir())


def list_training(path: Path) -> Listing:
    """List the images of a folder of classes, each folder in it with images a class.

    Raises:
        ValueError: there are fewer than two classes, or a class has only files of a format that
            is not read.
    """
    found = {name: scan(folder) for name, folder in _named(path).items()}
    skipped = sum((others for _, others in found.values()), Counter())
    for name, (inside, others) in found.items():
        if not inside and any(others[ending] for ending in _NOT_READ):
            raise ValueError(
                f"class {name!r} has no image that can be read in {printable(path)}, only"
                f" {counted(others)}: convert them to JPEG, or remove the folder"
            )
    empty = [name for name, (inside, _) in found.items() if not inside]
    classes = tuple(name for name in sorted(found) if name not in empty)
    without = f" (without images: {', '.join(empty[:5])})" if empty else ""
    if not classes:
        loose = len(_images_in(path))
        where = f" ({plural(loose, 'image')} directly in it)" if loose else without
        raise ValueError(
            f"{printable(path)} has no folders of classes with images, as PATH/CLASS/1.jpg{where}"
        )
    if len(classes) == 1:
        raise ValueError(
            f"{printable(path)} has one class only, {classes[0]!r}{without}; a classifier needs two"
        )
    if empty:
        say_once(f"{printable(path)}: folders without images are no classes: {', '.join(empty)}")
    _tell_loose(path)
    return _listing(
        classes, {n: (folder, found[n][0]) for n, folder in _named(path).items()}, skipped
    )


def list_known(path: Path, classes: Sequence[str]) -> Listing:
    """List the images of the given classes, which are found by name, in any letter case.

    Raises:
        ValueError: there are images of other classes, or none of these.
    """
    found = {name: (folder, *scan(folder)) for name, folder in _named(path).items()}
    skipped = sum((others for *_, others in found.values()), Counter())
    folded = {_folded(name): name for name in classes}
    chosen: dict[str, tuple[Path, list[str]]] = {}
    strange = []
    for name in sorted(found, key=lambda name: (name not in classes, name)):
        folder, inside, _ = found[name]
        known = name if name in classes else folded.get(_folded(name))
        if known is not None and known not in chosen:
            chosen[known] = (folder, inside)
        elif inside:
            strange.append(name)
    if strange:
        raise ValueError(
            f"{printable(path)} has classes that are not among the {len(classes)} known"
            f" ones: {_some(strange)}; known: {_some(classes)}"
        )
    absent = [name for name in classes if not chosen.get(name, (path, []))[1]]
    if len(absent) == len(classes):
        loose = len(_images_in(path))
        hint = "`zoo predict` classifies images without labels"
        where = f"; {plural(loose, 'image')} directly in it: {hint}" if loose else ""
        raise ValueError(
            f"{printable(path)} has no images of the classes {_some(classes)} in folders of their"
            f" names{where}"
        )
    if absent:
        say_once(f"{printable(path)} has no images of these classes: {_some(absent)}")
    _tell_loose(path)
    return _listing(tuple(classes), chosen, skipped)


def _listing(
    classes: tuple[str, ...], found: dict[str, tuple[Path, list[str]]], skipped: Counter[str]
) -> Listing:
    paths: list[str] = []
    labels: list[int] = []
    names: list[str] = []
    for label, name in enumerate(classes):
        folder, inside = found.get(name, (Path(), []))
        paths += inside
        labels += [label] * len(inside)
        names += [os.path.relpath(path, folder) for path in inside]
    return Listing(Files(tuple(paths), tuple(labels), tuple(names)), classes, skipped)


def _named(path: Path) -> dict[str, Path]:
    """The folders in a folder by their names, as they are shown: macOS decomposes letters."""
    found: dict[str, Path] = {}
    for folder in folders(path):
        name = unicodedata.normalize("NFC", printable(folder.name, "utf-8"))
        if name in found:
            raise ValueError(
                f"{printable(path)} has two folders that are called {name!r}; merge them"
            )
        found[name] = folder
    return found


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _images_in(path: Path) -> list[str]:
    return [e.name for e in os.scandir(path) if os.path.splitext(e.name)[1].lower() in ENDINGS]


def _tell_loose(path: Path) -> None:
    if loose := len(_images_in(path)):
        say_once(
            f"{plural(loose, 'image')} directly in {printable(path)} left out: not in a class's"
            " folder"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f", ... ({len(names)})" if len(names) > 5 else "")


def tell_skipped(root: Path, skipped: Counter[str]) -> None:
    """Print in one sentence which files are not read."""
    if not skipped:
        return
    hint = "; HEIC can be converted to JPEG" if skipped[".heic"] or skipped[".heif"] else ""
    say_once(
        f"{plural(skipped.total(), 'file')} in {printable(root)} skipped, of endings that are no"
        f" image's: {counted(skipped)}{hint}"
    )


def plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


@functools.cache
def say_once(text: str) -> None:
    """A set may be opened several times by one command."""
    print(text, file=sys.stderr)


def missing(path: Path) -> str:
    """Say that a folder is not there, and which may be meant."""
    if path.exists():
        return f"{printable(path)} is not a folder"
    message = f"there is no folder {printable(path)}"
    if path.parent.is_dir():
        near = difflib.get_close_matches(path.name, [d.name for d in folders(path.parent)], n=1)
        return f"{message}; did you mean {path.parent / near[0]}?" if near else message
    return f"{message}, nor {printable(path.parent)}"
