"""Export to a temporary path first, and move the result when it is complete and checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.files import replacing
from zoo.interrupts import remembered


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; the result then replaces `path`.

    In addition to `zoo.files.replacing`, this creates the folder of `path`, and raises
    KeyboardInterrupt after a Ctrl-C that TensorFlow ignored.

    Raises:
        ValueError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as place, remembered() as check:
            yield place
            check()
    except OSError as error:
        text = error.strerror or error
        raise ValueError(f"path={str(path)!r}: the file cannot be written: {text}") from error
