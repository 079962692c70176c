"""Export to a temporary place first, and move the result when it is complete and checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.files import replacing
from zoo.interrupts import remembered


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a place to write to; what is there at the end replaces `path`.

    Unlike `zoo.files.replacing`, make the folder, and stop at a Ctrl-C that TensorFlow dropped.

    Raises:
        ValueError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as place, remembered() as check:
            yield place
            check()
    except OSError as error:
        raise ValueError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
