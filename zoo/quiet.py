"""Keras without what its backend says at every start: for command lines."""

import contextlib
import io
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator

# TF_CPP_MIN_LOG_LEVEL does not reach what is logged before TensorFlow has set up its log:
# notices, and that a machine without a GPU has none.
_USUAL = re.compile(r"WARNING: All log messages before|I\d{4} |E\d{4} .*cuInit")


def import_keras() -> None:
    """Import Keras and its backend; pass on only unusual messages."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            import keras

            if keras.backend.backend() == "tensorflow":
                import absl.logging
                import tensorflow as tf

                tf.config.list_physical_devices()  # looks for GPUs, and says what it finds
                absl.logging.set_verbosity(absl.logging.ERROR)
                tf.get_logger().addFilter(_is_unusual)
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            for line in file.read().decode("utf-8", "replace").splitlines():
                if not _USUAL.match(line):
                    print(line, file=sys.stderr)


def _is_unusual(record: logging.LogRecord) -> bool:
    # Several networks in one process are no function that is traced again and again.
    return "triggered tf.function retracing" not in record.getMessage()


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """What is printed inside, by Python or by a library under it, goes nowhere."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = [os.dup(1), os.dup(2)]
    with open(os.devnull, "w") as nothing:
        try:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
            text = io.StringIO()  # a logger made inside may keep it, and write to it later
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                yield
        finally:
            for number, copy in enumerate(kept, 1):
                os.dup2(copy, number)
                os.close(copy)
