"""Import Keras without the messages that its backend prints at each start."""

import contextlib
import importlib
import io
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator

# TF_CPP_MIN_LOG_LEVEL does not apply to messages before TensorFlow has set up its log: notices, and
# errors about a missing GPU.
_USUAL = re.compile(
    r"WARNING: All log messages before|I\d{4} |To enable the following instructions"
    r"|E\d{4} .*(cuInit|computation_placer|Unable to register)"
)
LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def import_keras() -> None:
    """Import Keras and its backend; pass on only unusual messages.

    All messages are passed on if the user has set TF_CPP_MIN_LOG_LEVEL to 0.
    """
    import_quietly(lambda: importlib.import_module("keras"))


def import_quietly(importing: Callable[[], object]) -> None:
    """Import Keras by the given function, and let its backend start; see `import_keras`.

    Raises:
        ValueError: Keras is configured for a backend that is unknown or not installed.
    """
    try:
        _import_quietly(importing)
    except (ImportError, ValueError) as error:
        name = os.environ.get("KERAS_BACKEND", "")
        missing = getattr(error, "name", None) == name
        if not (name and (missing or "Unable to import backend" in str(error))):
            raise
        what = f"{name} is not installed; install it" if missing else "unknown; give jax"
        raise ValueError(
            f"KERAS_BACKEND={name}: {what}, or set KERAS_BACKEND=tensorflow"
        ) from error


def _import_quietly(importing: Callable[[], object]) -> None:
    if os.environ.get(LEVEL) == "0":
        importing()
        return
    os.environ.setdefault(LEVEL, "2")
    with held_back(_USUAL):
        importing()
        import keras

        if keras.backend.backend() == "tensorflow":
            import absl.logging
            import tensorflow as tf

            if not hasattr(tf, "config"):  # it is being imported, and has imported Keras
                return
            tf.config.list_physical_devices()  # looks for GPUs, and logs what it finds
            absl.logging.set_verbosity(absl.logging.ERROR)
            tf.get_logger().addFilter(_is_unusual)


@contextlib.contextmanager
def held_back(pattern: re.Pattern[str]) -> Iterator[list[str]]:
    """Hold back what the process writes to stderr, then write the lines that do not match.

    Yields:
        A list, to which the matching lines are added at the end.
    """
    dropped: list[str] = []
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, AttributeError, ValueError):  # a process without stderr
        yield dropped
        return
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield dropped
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            for line in file.read().decode("utf-8", "replace").splitlines():
                if pattern.match(line):
                    dropped.append(line)
                else:
                    print(line, file=sys.stderr)


def _is_unusual(record: logging.LogRecord) -> bool:
    # TensorFlow warns of retracing when one process builds several networks, which is harmless.
    return "triggered tf.function retracing" not in record.getMessage()


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """Discard everything that Python code or a C library prints inside this context."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = [os.dup(1), os.dup(2)]
    with open(os.devnull, "w") as nothing:
        try:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
            text = io.StringIO()  # a logger that is created inside may write to it later
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                yield
        finally:
            for number, copy in enumerate(kept, 1):
                os.dup2(copy, number)
                os.close(copy)
