"""The strategy of several workers, and how its failures are found and reported."""

import contextlib
import functools
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator

import keras
import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.eager import context

from recipes.distribution import keras_fix
from recipes.distribution.cluster import Cluster

# How long a worker waits for the others to start, and after how long a silent one counts as dead
CONNECT_SECONDS, HEARTBEAT_SECONDS = 600, 10
VOTES = 2  # on stopping, and on saving a checkpoint
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


class ClusterError(ValueError):
    """Another worker failed, so this one cannot continue. Repeating the command may help."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h


@functools.cache
def strategy(cluster: Cluster) -> tf.distribute.MultiWorkerMirroredStrategy:
    """Connect to the other workers, and return their strategy.

    Raises:
        ValueError: if this version of Keras is not supported, the address is not that of this
            machine or in use, or TensorFlow has been initialized before.
        ClusterError: if the other workers do not connect in time.
    """
    keras_fix.require_tested(keras.__version__)
    workers = {"worker": list(cluster.addresses)}
    here = context.context()
    if here._context_handle is not None:
        raise ValueError(
            "strategy='multiworker': TensorFlow has been initialized before; start a new process"
        )
    # TensorFlow's own default waits an hour for the others.
    here.configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        cluster_register_timeout_in_ms=CONNECT_SECONDS * 1000,
        heartbeat_timeout_in_ms=HEARTBEAT_SECONDS * 1000,
        shutdown_barrier_timeout_in_ms=HEARTBEAT_SECONDS * 1000,
        coordinated_jobs=[
            coordination_config_pb2.CoordinatedJob(name="worker", num_tasks=cluster.count)
        ],
    )
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec(workers), task_type="worker", task_id=cluster.index, rpc_layer="grpc"
    )
    if cluster.index == 0:
        _wait_for_others(cluster)
    try:
        with _limited(cluster, 2 * CONNECT_SECONDS):
            made = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except _LOST as error:
        raise _unreachable(cluster) from error
    except (tf.errors.OpError, RuntimeError) as error:
        raise ValueError(
            f"strategy='multiworker': cannot listen on {cluster.addresses[cluster.index]}"
            f" ({reason(error)}); check that this is an address of this machine and that the port"
            " is free"
        ) from error
    votes()
    return made


def votes() -> keras_fix.Votes:
    """Return the votes of the workers, on stopping and on saving."""
    return keras_fix.apply(VOTES)


def _unreachable(cluster: Cluster, index: int | None = None) -> ClusterError:
    who = f"all {cluster.count} workers" if index is None else cluster.name(index)
    return ClusterError(
        f"strategy='multiworker': {cluster.name(cluster.index)} could not reach {who} within"
        f" {CONNECT_SECONDS} seconds; check that each of them runs and that their addresses are"
        " right"
    )


def _wait_for_others(cluster: Cluster) -> None:
    """Wait until all other workers listen, because TensorFlow's chief waits without a limit.

    Raises:
        ClusterError: if one of them does not in time.
    """
    deadline = time.monotonic() + CONNECT_SECONDS
    for index, address in enumerate(cluster.addresses[1:], 1):
        host, _, port = address.rpartition(":")
        while True:
            try:
                socket.create_connection((host.strip("[]"), int(port)), 2).close()
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise _unreachable(cluster, index) from error
                time.sleep(0.2)


@contextlib.contextmanager
def _limited(cluster: Cluster, seconds: float) -> Iterator[None]:
    """End the process if the block, which cannot be interrupted, takes longer."""

    def end():
        print(f"recipes: {_unreachable(cluster)}", file=sys.stderr, flush=True)
        os._exit(ClusterError.exit_code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def is_lost(error: BaseException) -> bool:
    """Return whether an error means that another worker failed or cannot be reached."""
    known = isinstance(error, tf.errors.OpError)
    return isinstance(error, _LOST) or (known and "Collective ops is aborted" in str(error))


_REPORTED = re.compile(r"\(recipes: (.*?)\)recipes", re.DOTALL)
_UNHEALTHY = re.compile(r"/job:worker/(?:replica:\d+/)?task:(\d+)")


def lost(error: BaseException, cluster: Cluster) -> ClusterError:
    """Return the error to raise in place of one for which `is_lost` is true."""
    text = str(error)
    if match := _REPORTED.search(text):
        what = f"{match[1]}; all workers end. Repeat the same command on all workers to continue"
        return ClusterError(what)
    found = {int(number) for number in _UNHEALTHY.findall(text)} - {cluster.index}
    names = [cluster.name(number) for number in sorted(found) if number < cluster.count]
    who = " and ".join(names) or "another worker"
    return ClusterError(
        f"{who}: ended or cannot be reached, so all workers end; repeat the same command on all"
        " workers to continue from the last checkpoint"
    )


def reason(error: BaseException) -> str:
    """Return the first line of a TensorFlow error."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def report(text: str) -> None:
    """Tell all other workers, whose next operation fails with this text."""
    here = context.context()
    if here._context_handle is not None:
        here.report_error_to_cluster(tf.errors.ABORTED, f"(recipes: {text})recipes")


def tell(key: str, text: str) -> None:
    """Make a text known to all workers; the first one under a key counts."""
    with contextlib.suppress(tf.errors.AlreadyExistsError):
        context.context().set_config_key_value(key, text)


def ask(key: str, seconds: float) -> str | None:
    """Return the text that a worker made known under a key, or None after some seconds.

    Raises:
        tf.errors.OpError: if the workers are no longer connected.
    """
    try:
        return context.context().get_config_key_value(key, int(seconds * 1000))
    except (tf.errors.DeadlineExceededError, tf.errors.NotFoundError):
        return None


def meet(name: str, seconds: float) -> None:
    """Wait until all workers call this function with the same name.

    Raises:
        tf.errors.OpError: if a worker failed or does not come in time.
    """
    context.context().wait_at_barrier(name, int(seconds * 1000))
