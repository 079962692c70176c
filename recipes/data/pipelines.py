"""Errors of data pipelines that call Python functions, and the end of such pipelines."""

from __future__ import annotations

import atexit
import functools
import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from zoo.lazy import tensorflow as tf

FAILURES: list[ValueError] = []  # errors that TensorFlow would wrap in a long text


@contextmanager
def clear_errors() -> Iterator[None]:
    """Raise errors of data pipelines as they were raised, without TensorFlow's text around them.

    Raises:
        ValueError: too many images cannot be read, or a file can no longer be read.
    """
    FAILURES.clear()
    try:
        with warnings.catch_warnings():
            # Keras warns if the number of batches is not known before a validation.
            warnings.filterwarnings("ignore", "Your input ran out of data")
            yield
    except tf.errors.OpError as error:
        if FAILURES:
            raise FAILURES.pop() from None
        text = str(error)
        if "node ReadFile" in text or "node Decode" in text:
            reason = text.splitlines()[0].split("}} ")[-1]
            raise ValueError(
                f"data: an image can no longer be read ({reason}); run the same command again to"
                " continue"
            ) from None
        raise


@functools.cache
def end_pipelines_at_exit() -> None:
    """Make Python end the data pipelines that are still in use when it exits.

    Their threads call Python functions, and would wait for the interpreter forever.
    """
    atexit.register(_end_pipelines)


def _end_pipelines() -> None:
    from tensorflow.python.data.ops.iterator_ops import OwnedIterator

    for each in gc.get_objects():
        if isinstance(each, OwnedIterator):
            each._iterator_resource = None
