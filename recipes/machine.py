"""Which machines a network trains on."""

import functools

import keras
import tensorflow as tf

from recipes.cli.early_checks import strategy_of


def strategy(name: str = "auto") -> tf.distribute.Strategy:
    """The tf.distribute strategy of a name.

    Args:
        name: "one": a single device. "mirrored": all GPUs of this machine. "mirrored:N": N
            of its GPUs, or N virtual devices on the CPU where it has none. "auto": mirrored
            if there is more than one GPU, else one.

    Raises:
        ValueError: an unknown name, more GPUs than there are, or virtual devices wanted
            after TensorFlow has begun to work.
    """
    kind, count = strategy_of(name)
    gpus = tf.config.list_physical_devices("GPU")
    if kind == "one" or (kind == "auto" and len(gpus) < 2):
        return tf.distribute.get_strategy()
    if count is None:
        if not gpus:
            raise ValueError("strategy 'mirrored' needs a GPU; on a CPU say mirrored:N")
        return _mirrored()
    devices = [gpu.name.replace("/physical_device:", "/") for gpu in gpus] or _virtual(count)
    if len(devices) < count:
        raise ValueError(f"strategy {name!r}: this machine has {len(devices)} GPUs")
    return _mirrored(*devices[:count])


@functools.cache
def _mirrored(*devices: str) -> tf.distribute.MirroredStrategy:
    """One for all networks of a process: the keys of a second one's sums are those of the first."""
    return tf.distribute.MirroredStrategy(devices or None)


class BuiltOnce(keras.callbacks.Callback):
    """Let Keras build a model in its first training step only, not again in each validation.

    It adds up the replicas' parts of a batch for it, which fails where their sizes differ: a
    validation set smaller than a batch, of a size that the replicas do not divide.
    """

    def on_train_begin(self, logs=None):
        self.model._maybe_symbolic_build = lambda **batches: None


def _virtual(count: int) -> list[str]:
    cpu = tf.config.list_physical_devices("CPU")[0]
    present = tf.config.get_logical_device_configuration(cpu)
    if present is None or len(present) < count:
        try:
            tf.config.set_logical_device_configuration(
                cpu, [tf.config.LogicalDeviceConfiguration()] * count
            )
        except RuntimeError:
            raise ValueError(
                f"strategy 'mirrored:{count}': TensorFlow is at work already; virtual devices "
                "must be asked for first, in a new process"
            ) from None
    return [f"/CPU:{i}" for i in range(count)]
