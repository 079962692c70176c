"""The devices that a network trains on."""

import functools

import keras
import tensorflow as tf

from recipes.early_checks import strategy_of
from zoo.terminal import plural


def strategy(name: str = "auto") -> tf.distribute.Strategy:
    """Return the tf.distribute strategy with a name.

    Args:
        name: "one": a single device. "mirrored": all GPUs of this machine. "mirrored:N": N
            of its GPUs, or N virtual devices on the CPU if it has no GPU. "auto": mirrored
            if there is more than one GPU, else one.

    Raises:
        ValueError: if the name is unknown, there are fewer GPUs, or TensorFlow has been
            initialized before virtual devices were created.
    """
    kind, count = strategy_of(name)
    gpus = tf.config.list_physical_devices("GPU")
    if kind == "one" or (kind == "auto" and len(gpus) < 2):
        return tf.distribute.get_strategy()
    if count is None:
        if not gpus:
            raise ValueError(
                "strategy='mirrored': this machine has no GPU; on a CPU, use mirrored:N"
            )
        return _mirrored()
    devices = [gpu.name.replace("/physical_device:", "/") for gpu in gpus] or _virtual(count)
    if len(devices) < count:
        raise ValueError(
            f"strategy={name!r}: this machine has only {plural(len(devices), 'GPU')}; choose a"
            " smaller N"
        )
    return _mirrored(*devices[:count])


@functools.cache
def _mirrored(*devices: str) -> tf.distribute.MirroredStrategy:
    """Create one strategy per process: a second one would use the same collective keys."""
    return tf.distribute.MirroredStrategy(devices or None)


class BuiltOnce(keras.callbacks.Callback):
    """Let Keras build a model in the first training step only, not again in each validation.

    To build it, Keras adds up the replicas' parts of a batch, which fails if their sizes differ:
    for a validation set smaller than a batch whose size is not divisible by the replicas.
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
                f"strategy='mirrored:{count}': virtual devices must be created before TensorFlow is"
                " initialized; start a new process"
            ) from None
    return [f"/CPU:{i}" for i in range(count)]
