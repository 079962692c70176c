"""Two corrections of Keras that MultiWorkerMirroredStrategy needs (keras#20585).

Both are in keras/src/backend/tensorflow/trainer.py, and both concern several workers only:

- Before training, `_maybe_symbolic_build` adds up the parts of a batch of all replicas. This fails
  in several processes. The first part of this process is enough, because only its shape matters.
- After each step, `reduce_per_replica` averages the logs over axis 0, which scalars do not have.
  They are averaged over the replicas, in one operation for all logs.

The second operation also carries the votes of the workers, so that they can agree after each step
without further communication.
"""

import functools
import warnings
from typing import Any

import keras
import tensorflow as tf

TESTED = ("3.15.1",)  # versions of Keras


class Votes:
    """Numbers that each worker sets before a step, and their means over all workers after it."""

    def __init__(self, count: int):
        with tf.device("/CPU:0"):
            self.own = tf.Variable(tf.zeros(count), trainable=False)
            self.means = tf.Variable(tf.zeros(count), trainable=False)


@functools.cache
def apply(count: int) -> Votes:
    """Correct Keras for strategies of several workers in this process.

    Args:
        count: number of votes.

    Raises:
        ValueError: if this version of Keras is not one with which the corrections were tested.
    """
    require_tested(keras.__version__)
    from keras.src.backend.tensorflow import trainer  # private, so not in other versions

    # The number of a worker's validation batches is unknown to Keras, because others may have more.
    warnings.filterwarnings("ignore", "Your input ran out of data")
    votes = Votes(count)
    reduce, build = trainer.reduce_per_replica, trainer.TensorFlowTrainer._maybe_symbolic_build

    @functools.wraps(reduce)
    def reduce_per_replica(values: Any, strategy: Any, reduction: str) -> Any:
        if reduction not in ("auto", "mean") or not _several_workers(strategy):
            return reduce(values, strategy, reduction)
        parts = [strategy.experimental_local_results(x) for x in keras.tree.flatten(values)]
        own = [tf.reduce_mean(tf.stack([tf.cast(x, tf.float32) for x in each])) for each in parts]
        packed = tf.concat([tf.stack(own), votes.own], 0)
        means, voted = tf.split(strategy.reduce("MEAN", packed, axis=None), [len(own), count])
        votes.means.assign(voted)
        return keras.tree.pack_sequence_as(values, tf.unstack(means, len(own)))

    @functools.wraps(build)
    def _maybe_symbolic_build(self: Any, iterator: Any = None, data_batch: Any = None) -> None:
        strategy = self._distribute_strategy
        if iterator is None or strategy is None or not _several_workers(strategy):
            build(self, iterator=iterator, data_batch=data_batch)
            return
        for _, _, batches in iterator:
            data_batch = keras.tree.map_structure(
                lambda part: strategy.experimental_local_results(part)[0], next(batches)
            )
            break
        with strategy.scope():
            self._symbolic_build(data_batch=data_batch)

    trainer.reduce_per_replica = reduce_per_replica
    trainer.TensorFlowTrainer._maybe_symbolic_build = _maybe_symbolic_build
    return votes


def require_tested(version: str) -> None:
    """Raise a ValueError if the corrections were not tested with this version of Keras."""
    if version not in TESTED:
        raise ValueError(
            f"strategy='multiworker': Keras {version} needs corrections (keras#20585) that were"
            f" tested with Keras {', '.join(TESTED)} only; install that version, or use one host"
        )


def _several_workers(strategy: Any) -> bool:
    kind = tf.distribute.MultiWorkerMirroredStrategy
    return isinstance(strategy, kind) and strategy.extended._in_multi_worker_mode()
