"""Read files that other processes rewrite at any moment."""

import csv
import io
import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ABSENT = object()
_COLORS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x08")


class Files:
    """Files and what they contained; each is parsed again only after it changed.

    A file that cannot be read or parsed, because it is being written, keeps its last contents and
    is tried again at the next call.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Path, Any], tuple[Any, Any]] = {}
        self._derived: dict[Any, tuple[tuple[Any, ...], Any]] = {}

    def read(self, path: Path, parse: Callable[[str], Any], default: Any = None) -> Any:
        """Return parse(text of the file), or `default` if there is no such file."""
        stamp, held = self._known.get((path, parse), (None, _ABSENT))
        try:
            now = _stamp(path)
            if now != stamp:
                held = parse(path.read_text("utf-8", "replace"))
                self._known[path, parse] = (now, held)
        except (FileNotFoundError, NotADirectoryError):
            self._known.pop((path, parse), None)
            return default
        except (OSError, ValueError, TypeError, LookupError, AttributeError, csv.Error):
            pass
        return default if held is _ABSENT else held

    def derived(self, key: Any, inputs: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """Return make(), computed again only if one of the inputs is another object than before."""
        before, made = self._derived.get(key, ((), None))
        if list(map(id, before)) != list(map(id, inputs)):
            made = make()
            self._derived[key] = (inputs, made)
        return made


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def changed(path: Path) -> float | None:
    """Return the time at which a file was last changed, or None if there is no such file."""
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def as_dict(text: str) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        ValueError: if the text is not one.
    """
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def as_table(text: str) -> list[dict[str, str]]:
    """Parse a CSV table; leave out a last row that is not complete yet."""
    if text and not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
    rows = csv.DictReader(io.StringIO(text))
    return [row for row in rows if None not in row and None not in row.values()]


def as_metrics(text: str) -> list[dict[str, float]]:
    """Parse metrics.csv into one dictionary of numbers per epoch; NaN stands for an empty cell."""
    rows = []
    for row in as_table(text):
        numbers = {name: number(cell, math.nan) for name, cell in row.items()}
        if math.isfinite(numbers.get("epoch", math.nan)):
            rows.append(numbers)
    return rows


def number(text: Any, default: Any = None) -> Any:
    """Return the number that a text or a JSON value stands for, or the default."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return default


def locked_inodes() -> set[int]:
    """Return the inodes of the files and folders that processes of this host have locked.

    Locking a folder to find out whether it is locked would disturb the process that needs the lock.
    """
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:  # not on Linux
        return set()
    fields = [line.split() for line in lines if " FLOCK " in line]
    return {int(each[-3].rsplit(":", 1)[1]) for each in fields}


def tail(path: Path, size: int) -> str:
    """Return the end of a text file, at most `size` bytes, starting with a whole line.

    Of a line that was printed over itself, such as a progress bar, only the last state is kept.
    """
    try:
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - size))
            text = file.read(size).decode("utf-8", "replace")
    except OSError:
        return ""
    text = text if length <= size else text[text.find("\n") + 1 :]
    lines = _COLORS.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines)
