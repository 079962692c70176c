"""Lock a directory, so that one process at a time writes into it."""

import contextlib
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(path: Path, wait: float = 0.0) -> Iterator[None]:
    """Create and lock the directory while the block runs; remove it if it remains empty.

    The parent directories that were created, too, are removed with it.

    Args:
        path: directory.
        wait: seconds to wait for another process that uses it.

    Raises:
        ValueError: if another process uses the directory, or it cannot be created.
    """
    created = [each for each in path.parents if not each.exists()]
    deadline = time.monotonic() + wait
    while (handle := _lock(path)) is None:
        if time.monotonic() >= deadline:
            raise ValueError(
                f"{path}: another process is using this directory; wait for it, or choose another"
            )
        time.sleep(0.1)
    _remove_leftovers(path)
    _held[path] = handle
    try:
        yield
    finally:
        del _held[path]
        with contextlib.suppress(OSError):  # it is not empty
            for each in (path, *created):
                each.rmdir()
        os.close(handle)


def _lock(path: Path) -> int | None:
    """Create the directory and lock it; return its descriptor, or None if it is in use.

    A process that fails removes its empty directory before it gives up the lock. Another process
    may then lock the removed directory, while a third one creates and locks a new one.
    """
    reason: str | None = "other processes remove it"
    for _ in range(100):
        try:
            path.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, FileExistsError) as error:
            # Another process removed it after this one had created or found it; or it is a file.
            reason = error.strerror
            continue
        except OSError as error:
            raise ValueError(f"{path}: not a usable directory: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except FileNotFoundError as error:
            reason = error.strerror
        os.close(handle)
    raise ValueError(f"{path}: not a usable directory: {reason}")


# The directories that this process has locked, and their descriptors
_held: dict[Path, int] = {}


def require_held(path: Path) -> None:
    """Check that a directory that this process has locked is still in its place.

    Raises:
        ValueError: if it was removed or replaced, so that another process could lock it.
    """
    if path not in _held:
        return
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(_held[path]), path.stat()):
            return
    raise ValueError(
        f"{path}: the directory was removed or replaced while this process used it; repeat the"
        " command to start again"
    )


def is_locked(path: Path) -> bool:
    """Return whether a process is using the directory."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


# Files that are written while the directory is locked
_OWN = re.compile(
    r"[a-z_]+\.json|(metrics|steps|trials)\.csv|best\.py|[a-z_]+\.png|model\.keras|\w+\.error|before"
    r"|(checkpoint(\.previous\d*)?|best-\d+)\.npz"
)


def is_own(name: str) -> bool:
    """Return whether a file of this name belongs to a run or a search."""
    return _OWN.fullmatch(name) is not None


def _remove_leftovers(path: Path) -> None:
    """Remove what processes that were killed while they wrote a file have left in the directory."""
    with contextlib.suppress(OSError):  # such as a read-only file system
        for file in path.glob(".*.*"):  # .NAME.PID of an earlier version
            name = re.fullmatch(r"\.(.+)\.\d+", file.name)
            if name and _OWN.fullmatch(name[1]) and file.is_file():
                file.unlink()
        for room in path.glob(".zoo-*"):
            names = [each.name for each in room.iterdir()]
            # A process that exports the network has no lock, and may have just made its folder.
            old = bool(names) or time.time() - room.stat().st_mtime > 60
            if old and all(_OWN.fullmatch(name) for name in names):
                shutil.rmtree(room)
