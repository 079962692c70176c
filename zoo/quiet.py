"""Keras without what its backend says at every start: for command lines."""

import os
import re
import sys
import tempfile

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
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            for line in file.read().decode("utf-8", "replace").splitlines():
                if not _USUAL.match(line):
                    print(line, file=sys.stderr)
