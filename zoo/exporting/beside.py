"""A file or folder written beside its place, and moved there whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.interrupts import remembered


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A place to write to, of the same name; what is there at the end becomes `path`.

    On an error, Ctrl-C too, `path` is as it was before, and nothing is left beside it.

    Raises:
        ValueError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            with remembered() as check:
                yield room / path.name
                check()
            _move(room / path.name, path, room / "before")
        finally:
            shutil.rmtree(room, ignore_errors=True)
    except OSError as error:
        raise ValueError(f"cannot write {str(path)!r}: {error.strerror or error}") from error


def _move(new: Path, path: Path, before: Path) -> None:
    if not path.is_dir():
        os.replace(new, path)
        return
    os.rename(path, before)  # a folder cannot be replaced in one step
    try:
        os.rename(new, path)
    except BaseException:
        os.rename(before, path)
        raise
