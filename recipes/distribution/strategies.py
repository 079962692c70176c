"""The tf.distribute strategies: the devices and hosts that a network trains on."""

import functools
import os

from recipes.distribution import cluster as clusters
from zoo.lazy import tensorflow as tf
from zoo.options import unknown
from zoo.terminal import plural

STRATEGIES = ("auto", "one", "mirrored", "mirrored:N", "multiworker", "tpu")

# Where the result depends on the number of replicas by construction
ON_REPLICAS = (
    "norm='batch' normalizes by the statistics of each replica's part of a batch,"
    " norm='sync_batch' by those of the whole batch, as one device does"
)


def parse_strategy(name: str) -> tuple[str, int | None]:
    """Return ("mirrored", 2) for "mirrored:2", and ("one", None) for "one".

    Raises:
        ValueError: if it is not the name of a strategy.
    """
    kind, colon, count = name.partition(":")
    if kind not in STRATEGIES or (colon and kind != "mirrored"):
        raise unknown("strategy", name, STRATEGIES)
    if colon and not (count.isdecimal() and int(count) >= 1):
        raise ValueError(f"strategy={name!r}: N in mirrored:N must be an integer of at least 1")
    return kind, int(count) if colon else None


def cluster_for(name: str, hosts: bool = True) -> clusters.Cluster | None:
    """Return the cluster that a strategy uses, or None if it uses this process only.

    Args:
        name: name of the strategy.
        hosts: whether the command can use several hosts.

    Raises:
        ValueError: if the environment describes no cluster for "multiworker" or an invalid one, or
            the command cannot use it.
    """
    if name not in ("auto", "multiworker"):
        return None
    found = clusters.from_environment()
    if found is None and name == "multiworker":
        raise ValueError(
            "strategy='multiworker': this process is not one of several workers; start them with"
            " `recipes launch` or srun, or set TF_CONFIG for each of them"
        )
    if found is not None and not hosts:
        raise ValueError(
            f"strategy={name!r}: only `recipes train` can use the {found.count} workers of"
            f" {clusters.describe()}; run this command in one process with --strategy=one or"
            " mirrored"
        )
    return found


def check(name: str, hosts: bool) -> None:
    """Check the name of a strategy, and the environment that describes its workers.

    Args:
        name: name of the strategy.
        hosts: whether the command can use several hosts.

    Raises:
        ValueError: if it is unknown, or the command cannot use the workers.
    """
    parse_strategy(name)
    cluster_for(name, hosts)


def strategy(name: str = "auto", hosts: bool = False) -> "tf.distribute.Strategy":
    """Return the tf.distribute strategy with a name.

    Args:
        name: "one": a single device. "mirrored": all GPUs of this machine. "mirrored:N": N
            of its GPUs, or N virtual devices on the CPU if it has no GPU. "multiworker": the
            devices of all workers that TF_CONFIG or a job step of Slurm describes. "tpu": a TPU
            (untested). "auto": multiworker if there are several workers, mirrored if there is more
            than one GPU, else one.
        hosts: whether the caller can use several hosts.

    Raises:
        ValueError: if the name is unknown, the devices do not exist, or TensorFlow has been
            initialized before virtual devices or the cluster were set up.
    """
    kind, count = parse_strategy(name)
    if (cluster := cluster_for(name, hosts)) is not None:
        from recipes.distribution import multiworker

        return multiworker.strategy(cluster)
    if kind == "tpu":
        return _tpu()
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
    """Create one strategy for each set of devices, with collective keys of its own.

    TensorFlow numbers the groups of devices from the same start for each strategy, so that a
    second one with another number of devices would fail.
    """
    kind = tf.distribute.MirroredStrategy
    base = getattr(kind, "_collective_key_base", 0)  # private
    try:
        kind._collective_key_base = base + 1_000_000 * _mirrored.cache_info().currsize
        return kind(devices or None)
    finally:
        kind._collective_key_base = base


def _virtual(count: int) -> list[str]:
    cpu = tf.config.list_physical_devices("CPU")[0]
    present = tf.config.get_logical_device_configuration(cpu)
    if present is None or len(present) < count:
        try:
            tf.config.set_logical_device_configuration(
                cpu, [tf.config.LogicalDeviceConfiguration()] * count
            )
        except RuntimeError:
            there = f"{len(present or [1])} of the {count}"
            raise ValueError(
                f"strategy='mirrored:{count}': TensorFlow has been initialized with {there}"
                " virtual devices, and more can no longer be created; start a new process"
            ) from None
    return [f"/CPU:{i}" for i in range(count)]


@functools.cache
def _tpu() -> "tf.distribute.TPUStrategy":
    """Connect to the TPU that TPU_NAME names, or to that of this machine. Untested."""
    name = os.environ.get("TPU_NAME", "local")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        return tf.distribute.TPUStrategy(resolver)
    except (tf.errors.OpError, ValueError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"strategy='tpu': there is no usable TPU {name!r} ({reason}); set TPU_NAME, or use"
            " another strategy"
        ) from error
