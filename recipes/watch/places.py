"""Find the searches and runs in the directories that a user names."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

DEPTH = 4  # how far below a named directory runs are found, such as those of a comparison
_OWN = {"tensorboard", "evaluation", "oracle", "trials", "check"}  # folders inside of runs


def is_search(path: Path) -> bool:
    """Return whether a directory contains a search."""
    return (path / "search.json").is_file()


def is_run(path: Path) -> bool:
    """Return whether a directory is that of a run."""
    return (path / "recipe.json").is_file()


def check(paths: Sequence[str | Path]) -> list[Path]:
    """Check that each path is a directory of a search or of runs, and return them.

    Raises:
        ValueError: if one is not.
    """
    for path in map(Path, paths):
        if not path.is_dir():
            hint = f"; use {str(path.parent)!r}" if path.is_file() else ""
            what = "this is a file" if path.exists() else "there is no such directory"
            raise ValueError(f"path={str(path)!r}: {what}{hint}")
        if not any(find(path)):
            raise ValueError(
                f"path={str(path)!r}: contains neither a search nor a run; pass the directory of"
                " a `recipes train`, `tune` or `compare`"
            )
    return [Path(path) for path in paths]


def find(path: Path, depth: int = DEPTH) -> Iterable[Path]:
    """Yield the directories of searches and runs at or below a directory.

    Below a run, only the runs of a comparison are found.
    """
    if is_search(path):
        yield path
        return
    if is_run(path):
        yield path
        if not (path / "compare.csv").is_file():
            return
    if depth == 0:
        return
    try:
        inner = sorted(entry.name for entry in os.scandir(path) if entry.is_dir())
    except OSError:
        return
    for name in inner:
        if name not in _OWN and not name.startswith("."):
            yield from find(path / name, depth - 1)


def find_all(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Return the searches and the runs in directories, each one once."""
    found: dict[Path, Path] = {}
    for path in paths:
        for each in find(path):
            found.setdefault(each.resolve(), each)
    searches = [path for path in found.values() if is_search(path)]
    return searches, [path for path in found.values() if path not in searches]


def labels(paths: Sequence[Path]) -> list[str]:
    """Return a short name for each run: its path without what all of them have in common."""
    whole = [path.resolve() for path in paths]
    if len(whole) < 2:
        return [path.name for path in whole]
    common = Path(os.path.commonpath([path.parent for path in whole]))
    return [str(path.relative_to(common)) for path in whole]
