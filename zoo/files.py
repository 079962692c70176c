"""Write files whole or not at all, find the cache directory, and put errors into one line."""

import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def cache_dir() -> Path:
    """Return the directory for downloads and for what is computed from data sets.

    $CONVNET_ZOO_CACHE if it is set, else convnet-zoo in $XDG_CACHE_HOME or in ~/.cache.
    """
    if own := os.environ.get("CONVNET_ZOO_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "convnet-zoo"


def digest(path: Path, kind: str = "sha256") -> str:
    """Return the digest of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a place to write to; the file or folder written there then replaces `path`.

    The place has the name of `path`, in a temporary folder next to it. What was written is
    flushed to the disk before it is moved. After an error, or Ctrl-C, `path` is as it was before,
    and nothing is left next to it.

    Raises:
        OSError: it cannot be written; names `path`.
    """
    try:
        room = Path(tempfile.mkdtemp(prefix=".zoo-", dir=path.parent))
        try:
            yield room / path.name
            _flush(room / path.name)
            _move(room / path.name, path, room / "before")
            _flush_entry(path.parent)
        finally:
            shutil.rmtree(room, ignore_errors=True)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _flush(written: Path) -> None:
    for file in [written] if written.is_file() else filter(Path.is_file, written.rglob("*")):
        _flush_entry(file)


def _flush_entry(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _move(new: Path, path: Path, before: Path) -> None:
    if not (path.is_dir() and new.is_dir()):
        os.replace(new, path)
        return
    os.rename(path, before)  # a folder cannot be replaced in one step
    try:
        os.rename(new, path)
    except BaseException:
        os.rename(before, path)
        raise


def write(path: Path, writer: Callable[[Any], object], mode: str = "w") -> None:
    """Write a file whole or not at all: `writer(file)` writes it, in UTF-8 if it is text.

    Raises:
        OSError: it cannot be written; names the file.
    """
    with (
        replacing(path) as place,
        open(place, mode, encoding=None if "b" in mode else "utf-8") as file,
    ):
        writer(file)


def finite(value: Any) -> Any:
    """Replace infinite and NaN values, which JSON does not support, by None."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, value: Any) -> None:
    """Write JSON, whole or not at all, with null for NaN and infinity."""
    text = json.dumps(finite(value), indent=2, allow_nan=False) + "\n"
    write(path, lambda file: file.write(text))


def one_line(error: object, limit: int | None = None) -> str:
    """Return an error's message in one line without terminal colors, or its type if it is empty.

    Args:
        error: the error, or any object whose text is shortened.
        limit: maximum number of characters. A longer text ends in "...".
    """
    text = " ".join(re.sub(r"\x1b\[[\d;]*m", "", str(error)).split())
    if limit is not None and len(text) > limit:
        text = f"{text[: limit - 3]}..."
    return text or type(error).__name__
