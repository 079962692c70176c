"""The devices that a network trains on."""

import functools

from zoo.lazy import tensorflow as tf
from zoo.options import unknown
from zoo.terminal import plural

STRATEGIES = ("one", "mirrored", "mirrored:N", "auto")


def parse_strategy(name: str) -> tuple[str, int | None]:
    """Return ("mirrored", 2) for "mirrored:2", and ("one", None) for "one".

    Raises:
        ValueError: if it is not the name of a strategy.
    """
    kind, colon, count = name.partition(":")
    if kind not in ("one", "mirrored", "auto") or (colon and kind != "mirrored"):
        raise unknown("strategy", name, STRATEGIES)
    if colon and not (count.isdecimal() and int(count) >= 1):
        raise ValueError(f"strategy={name!r}: N in mirrored:N must be an integer of at least 1")
    return kind, int(count) if colon else None


def strategy(name: str = "auto") -> "tf.distribute.Strategy":
    """Return the tf.distribute strategy with a name.

    Args:
        name: "one": a single device. "mirrored": all GPUs of this machine. "mirrored:N": N
            of its GPUs, or N virtual devices on the CPU if it has no GPU. "auto": mirrored
            if there is more than one GPU, else one.

    Raises:
        ValueError: if the name is unknown, there are fewer GPUs, or TensorFlow has been
            initialized before virtual devices were created.
    """
    kind, count = parse_strategy(name)
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
def _mirrored(*devices: str) -> "tf.distribute.MirroredStrategy":
    """Create one strategy per process: a second one would use the same collective keys."""
    return tf.distribute.MirroredStrategy(devices or None)


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
