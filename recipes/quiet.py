"""TensorFlow without what it says at every start."""

import os
import re
import sys
import tempfile

# TF_CPP_MIN_LOG_LEVEL does not reach what is logged before TensorFlow has set up its log:
# notices, and that a machine without a GPU has none.
_USUAL = re.compile(r"WARNING: All log messages before|I\d{4} |E\d{4} .*cuInit")


def import_tensorflow() -> None:
    """Import TensorFlow and let it look for GPUs; pass on only its unusual messages."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            for line in file.read().decode("utf-8", "replace").splitlines():
                if not _USUAL.match(line):
                    print(line, file=sys.stderr)
