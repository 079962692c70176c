"""Layers whose results depend on the number of replicas."""

import functools

import keras
import tensorflow as tf

from zoo.graph import layers_of

_STEP = 0x3C6EF372  # between the seeds of two replicas


def differ_by_replica(model: keras.Model) -> None:
    """Let dropout and other random layers draw other numbers on each replica.

    The seeds are variables, which start with the same value on all replicas, so that each replica
    would drop the same units of its own images. The first replica draws what one device would.
    """
    for layer in layers_of(model):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.next = functools.partial(_next, type(generator).next, generator)


def normalizes_parts(model: keras.Model) -> bool:
    """Return whether a model has batch norms that use the statistics of one replica only."""
    return any(
        isinstance(layer, keras.layers.BatchNormalization)
        and layer.trainable
        and not layer.synchronized
        for layer in layers_of(model)
    )


def _next(draw, generator, ordered=True):
    seed = draw(generator, ordered)
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return seed
    number = tf.cast(replica.replica_id_in_sync_group, tf.int64)
    offset = tf.stack([number * _STEP % 0x7FFFFFFF, tf.zeros([], tf.int64)])
    return seed + tf.cast(offset, seed.dtype)
