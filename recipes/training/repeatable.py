"""Compute a training on the CPU in the same order in every run."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

_OPTION = "disable_meta_optimizer"


@contextlib.contextmanager
def sums_in_fixed_order() -> Iterator[None]:
    """Switch off Grappler's graph optimizations in the block, unless there is a GPU.

    Grappler merges additions into one AddN, and lets large sums of four or more tensors, such as
    the gradients where a network branches, add in the order in which the tensors are ready. The
    result then depends on the timing of threads, also with TensorFlow's op determinism. A training
    step takes as long without Grappler.
    """
    if tf.config.list_physical_devices("GPU"):
        yield
        return
    before = tf.config.optimizer.get_experimental_options().get(_OPTION, False)
    tf.config.optimizer.set_experimental_options({_OPTION: True})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({_OPTION: before})
