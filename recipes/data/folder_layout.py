"""Find out how a folder of images is laid out: its splits, its classes and their files."""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from recipes.data.file_lists import Files, Paths, joined, packed
from recipes.data.progress import progress
from zoo.image_reading import ENDINGS, counted, is_hidden, scan
from zoo.terminal import plural, print_once, printable

# The names of folders of splits, ignoring case: training_set, valid, Test, ...
_ROLES = {
    "train": r"train(ing)?",
    "validation": r"val(id|idation)?|dev",
    "test": r"test(ing)?",
}
# The test set of Food-11, but the validation set of other data sets. Such a folder is used as
# whichever of the two is missing.
_EITHER = r"eval(uation)?"
_MORE = r"([ _-]?(set|data|split|images))?"
# Photo formats that are not supported. A class with only such files is an error, because
# skipping it silently would hide a mistake.
_NOT_READ = (".heic", ".heif", ".jxl", ".psd", ".svg", ".raw", ".dng", ".cr2", ".nef", ".arw")


@dataclass(frozen=True)
class Listing:
    """The images of a folder of classes.

    Attributes:
        files: the images.
        classes: the classes' names, in the order of the labels.
        skipped: the number of files that are not images, by file extension.
    """

    files: Files
    classes: tuple[str, ...]
    skipped: Counter[str]


class Naming(NamedTuple):
    """How folders are matched with classes: whether a name is one, and the images of a folder."""

    is_class: Callable[[str], bool]
    listed: Callable[[Path], Listing]


def by_name(classes: Sequence[str], only: bool = False) -> Naming:
    """Return the naming of the given classes, whose folders have their names, ignoring case.

    Args:
        classes: the names of the classes.
        only: whether folders of other classes are left out, instead of being an error.
    """
    known = {_folded(each) for each in classes}
    return Naming(lambda name: _folded(name) in known, lambda path: list_known(path, classes, only))


def find_root(name: str, is_class: Callable[[str], bool] = lambda name: False) -> Path:
    """Return the folder of "folder:PATH" that contains splits or classes.

    If PATH contains only one folder, as after unpacking an archive, that folder is searched.

    Args:
        name: "folder:PATH".
        is_class: whether a name is that of a class, if the classes are known.

    Raises:
        ValueError: the folder does not exist.
    """
    if not name.removeprefix("folder:").strip():
        raise ValueError(f"data={name!r}: has no path; write folder:PATH")
    given = root = Path(name.removeprefix("folder:")).expanduser()
    if not root.is_dir():
        raise ValueError(f"data={name!r}: {missing(root)}")
    for _ in range(4):  # limited, because a link may lead back
        inside = folders(root)
        if len(inside) != 1 or _role(inside[0].name)[0] == "train" or not folders(inside[0]):
            break
        if is_class(printable(inside[0].name, "utf-8")):
            break
        root = inside[0]
    if root != given:
        print_once(f"{printable(given)} contains only one folder; reading {printable(root)}")
    return root


def splits_of(root: Path) -> dict[str, Path]:
    """Return the folders of "train", "validation" and "test", or {} for a folder of classes.

    Raises:
        ValueError: two folders have names of the same split.
    """
    groups: dict[str, dict[str, list[Path]]] = {}
    for folder in folders(root):
        role, prefix = _role(folder.name)
        if role:
            groups.setdefault(prefix, {}).setdefault(role, []).append(folder)
    found = groups.pop("", {})
    if not any(_may_be_split(folder) for folder in found.get("train", ())):
        # "train" may be a class of vehicles, so "seg_train" needs "seg_test" next to it.
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
            raise ValueError(f"{printable(root)} has both {names}; rename all but the {role} set")
    splits = {role: _unwrapped(folder) for role, (folder,) in found.items()}
    if len({path.resolve() for path in splits.values()}) < len(splits):
        names = ", ".join(f"{printable(path.name)}/" for path in splits.values())
        raise ValueError(
            f"{printable(root)}: two of {names} are the same folder (a link); use different folders"
        )
    used = [folder for (folder,) in found.values()]
    if rest := [printable(folder.name) for folder in folders(root) if folder not in used]:
        print_once(f"{printable(root)}: ignored folders that are not splits: {_some(rest)}")
    return splits


def splits_to_evaluate(root: Path, is_class: Callable[[str], bool]) -> dict[str, Path]:
    """Return the splits like `splits_of`, also of a folder that has no training set.

    Args:
        root: the folder.
        is_class: whether a name is that of a class. Such a folder is not a split.

    Raises:
        ValueError: two folders have names of the same split.
    """
    if splits := splits_of(root):
        return splits
    inside = [folder for folder in folders(root) if not _is_split(folder, is_class)]
    if any(is_class(printable(folder.name, "utf-8")) for folder in inside):
        return {}
    found = {_role(folder.name)[0]: folder for folder in folders(root) if folder not in inside}
    if len(found) + len(inside) < len(folders(root)):
        raise ValueError(f"{printable(root)} has several folders of one split; rename all but one")
    if found and inside:
        rest = _some([printable(folder.name) for folder in inside])
        print_once(f"{printable(root)}: ignored folders that are not splits: {rest}")
    return {role: _unwrapped(folder) for role, folder in found.items()}


def _is_split(folder: Path, is_class: Callable[[str], bool]) -> bool:
    """Return whether a folder without a training set next to it is a split with classes."""
    role, prefix = _role(folder.name)
    known = is_class(printable(folder.name, "utf-8"))
    return role in ("test", "validation") and not prefix and not known and bool(folders(folder))


def _role(name: str) -> tuple[str, str]:
    """Return the split that a folder's name means, or "", and the prefix before it."""
    for role, names in _ROLES.items():
        if found := re.fullmatch(rf"(\w+[ _-])?({names}){_MORE}", name.casefold()):
            return role, found[1] or ""
    return "", ""


def _may_be_split(folder: Path) -> bool:
    return bool(folders(folder)) or not images_in(folder)


def _unwrapped(folder: Path) -> Path:
    """Return the folder, or a nested one of the same name, as in seg_train/seg_train."""
    inside = folders(folder)
    if len(inside) == 1 and inside[0].name.casefold() == folder.name.casefold():
        return inside[0]
    return folder


def folders(path: Path) -> list[Path]:
    """Return the subfolders that are not hidden, sorted by name."""
    return sorted(d for d in path.iterdir() if not is_hidden(d.name) and d.is_dir())


def list_training(path: Path) -> Listing:
    """List the images of a folder of classes, where each subfolder with images is a class.

    Raises:
        ValueError: there are fewer than two classes, or a class has only files of unsupported
            formats.
    """
    found = scanned(path)
    skipped = sum((others for _, others in found.values()), Counter())
    for name, (inside, others) in found.items():
        if not inside and any(others[ending] for ending in _NOT_READ):
            raise ValueError(
                f"class {name!r} has no readable image in {printable(path)}, only"
                f" {counted(others)}; convert them to JPEG, or remove the folder"
            )
    empty = [name for name, (inside, _) in found.items() if not inside]
    classes = tuple(name for name in sorted(found) if name not in empty)
    without = f" (without images: {', '.join(empty[:5])})" if empty else ""
    if not classes:
        loose = len(images_in(path))
        where = f" ({plural(loose, 'image')} directly in it)" if loose else without
        raise ValueError(
            f"{printable(path)} has no class folders with images, such as CLASS/1.jpg{where}; put"
            " the images of each class into a folder with its name"
        )
    if len(classes) == 1:
        raise ValueError(
            f"{printable(path)} has only one class, {classes[0]!r}{without}; a classifier needs 2"
        )
    if empty:
        print_once(f"{printable(path)}: ignored folders without images: {', '.join(empty)}")
    print_loose(path)
    return listing(path, classes, {name: [inside] for name, (inside, _) in found.items()}, skipped)


def list_known(path: Path, classes: Sequence[str], only: bool = False) -> Listing:
    """List the images of the given classes, whose folders are found by name, ignoring case.

    With `only`, the images of other classes are left out.

    Raises:
        ValueError: there are images of other classes, or no images of these.
    """
    found = scanned(path)
    skipped = sum((others for _, others in found.values()), Counter())
    folded = {_folded(name): name for name in classes}
    chosen: dict[str, list[Paths]] = {}
    unknown = []
    for name in sorted(found, key=lambda name: (name not in classes, name)):
        inside, _ = found[name]
        known = name if name in classes else folded.get(_folded(name))
        if known is not None and known not in chosen:
            chosen[known] = [inside]
        elif inside:
            unknown.append(name)
    if unknown and only:
        print_once(f"{printable(path)}: left out the images of other classes: {_some(unknown)}")
    elif unknown:
        raise ValueError(
            f"{printable(path)} has unknown classes: {_some(unknown)}; known classes:"
            f" {_some(classes)}"
        )
    absent = [name for name in classes if not any(map(len, chosen.get(name, ())))]
    if len(absent) == len(classes):
        loose = len(images_in(path))
        hint = "`zoo predict` classifies images without labels"
        where = f"; {plural(loose, 'image')} directly in it: {hint}" if loose else ""
        raise ValueError(
            f"{printable(path)} has no images of the classes {_some(classes)}, which must be in"
            f" folders of these names{where}"
        )
    if absent:
        print_once(f"{printable(path)} has no images of these classes: {_some(absent)}")
    print_loose(path)
    return listing(path, tuple(classes), chosen, skipped)


def listing(
    root: Path, classes: tuple[str, ...], found: dict[str, list[Paths]], skipped: Counter[str]
) -> Listing:
    """Return the images of each class, for which `found` has the paths below the root."""
    groups = [(label, paths) for label, name in enumerate(classes) for paths in found.get(name, ())]
    return Listing(joined(root, groups), classes, skipped)


def scanned(path: Path) -> dict[str, tuple[Paths, Counter[str]]]:
    """Return the images in each subfolder, and the numbers of its other files by extension."""
    places = named(path)
    found = {}
    with progress("listing images", len(places)) as advance:
        for name, folder in places.items():
            inside, others = scan(folder)
            found[name] = (packed(path, inside), others)
            advance(1)
    return found


def named(path: Path) -> dict[str, Path]:
    """Return subfolders by printable name, with letters composed (macOS decomposes them)."""
    found: dict[str, Path] = {}
    for folder in folders(path):
        name = unicodedata.normalize("NFC", printable(folder.name, "utf-8"))
        if name in found:
            raise ValueError(f"{printable(path)} has two folders named {name!r}; merge them")
        found[name] = folder
    return found


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def images_in(path: Path) -> list[str]:
    return [e.name for e in os.scandir(path) if os.path.splitext(e.name)[1].lower() in ENDINGS]


def print_loose(path: Path) -> None:
    if loose := len(images_in(path)):
        print_once(
            f"skipped {plural(loose, 'image')} directly in {printable(path)}, outside of class"
            " folders"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f", ... ({len(names)})" if len(names) > 5 else "")


def print_skipped(root: Path, skipped: Counter[str]) -> None:
    """Print one line about the files that are not images."""
    if not skipped:
        return
    hint = "; HEIC can be converted to JPEG" if skipped[".heic"] or skipped[".heif"] else ""
    print_once(
        f"skipped {plural(skipped.total(), 'file')} in {printable(root)} without the extension of"
        f" an image: {counted(skipped)}{hint}"
    )


def missing(path: Path) -> str:
    """Return the message for a missing folder, with the name of a similar one."""
    if path.exists():
        return f"{printable(path)} is not a folder"
    message = f"there is no folder {printable(path)}"
    if path.parent.is_dir():
        near = difflib.get_close_matches(path.name, [d.name for d in folders(path.parent)], n=1)
        return f"{message}; did you mean {path.parent / near[0]}?" if near else message
    return f"{message}, nor {printable(path.parent)}"
