"""The processes that train one run together: who writes, who reads what, and what they agree on.

With one process, every method does nothing, or what it would do without a team.
"""

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from recipes.distribution import strategies
from recipes.locking import locked
from recipes.training import checkpoint
from zoo.files import one_line
from zoo.interrupts import Terminated

STOP, SAVE = 0, 1  # the votes of keras_fix
_READ = ("recipe.json", "checkpoint*.npz", "best-*.npz")
BEGIN = "begin"
_trainings = 0  # of this process; the same in all workers


class Team:
    """The workers of one training, as one of them knows them.

    Only the chief, worker 0, writes into the run directory. The others write the same files into
    private directories, which they delete at their end.

    Args:
        strategy: name of the strategy; see `strategies.strategy`.
    """

    def __init__(self, strategy: str):
        global _trainings
        _trainings += 1
        self.key = f"recipes/{_trainings}"
        self.cluster = strategies.cluster_for(strategy)
        self.link: Any = None  # the module that connects the workers, if there are several
        self.strategy_name = strategy
        self.index = self.cluster.index if self.cluster else 0
        self.count = self.cluster.count if self.cluster else 1
        self.chief = self.index == 0
        self.part = (self.index, self.count)
        self.asked: KeyboardInterrupt | None = None  # this process
        self.stopping: KeyboardInterrupt | None = None  # all workers, after the same step
        if self.cluster:
            # Imported here, because it uses private modules of TensorFlow and Keras.
            from recipes.distribution import multiworker

            self.link = multiworker
            strategies.strategy(strategy, hosts=True)  # connects

    @property
    def strategy(self) -> tf.distribute.Strategy:
        """The strategy, which is created, and connects to the other workers, at its first use."""
        return strategies.strategy(self.strategy_name, hosts=True)

    @contextlib.contextmanager
    def directory(self, run: Path) -> Iterator[Path | None]:
        """Yield the directory to read and write in: the run directory, locked, or a private copy.

        The others wait until the chief calls `begin`. If it ends without that, because the run is
        finished, they get None. They end after the chief.

        Raises:
            ClusterError: if another worker fails.
        """
        if self.cluster is None:
            with locked(run):
                yield run
            return
        try:
            if self.chief:
                with locked(run):
                    yield run
                self._end("")
                return
            if self._wait("begin") != BEGIN:
                yield None
                return
            with tempfile.TemporaryDirectory(prefix="recipes-worker-") as folder:
                for pattern in _READ:
                    for file in run.glob(pattern):
                        shutil.copyfile(file, Path(folder) / file.name)
                yield Path(folder)
                self._wait("end")
        except BaseException as error:
            self._failed(error)
            raise

    def _end(self, text: str) -> None:
        """Tell the others that the chief ends, and wait until they know."""
        for key in ("begin", "end"):
            self.link.tell(f"{self.key}/{key}", text)
        with contextlib.suppress(tf.errors.OpError):
            self.link.meet(f"{self.key}/ended", self.link.HEARTBEAT_SECONDS)

    def _wait(self, key: str) -> str:
        """Wait until the chief begins or ends, and return BEGIN or "".

        Raises:
            ClusterError: if the chief failed.
        """
        while (text := self.link.ask(f"{self.key}/{key}", 1)) is None:
            pass  # a signal is handled here
        if text == BEGIN:
            return text
        if text:
            raise self.link.ClusterError(text)
        with contextlib.suppress(tf.errors.OpError):
            self.link.meet(f"{self.key}/ended", self.link.HEARTBEAT_SECONDS)
        return ""

    def _failed(self, error: BaseException) -> None:
        """Tell the others why this worker ends, and raise what a user should read."""
        assert self.cluster is not None
        if self.stopping is not None:  # which all workers agreed on
            if self.chief:
                self._end("")
            else:
                with contextlib.suppress(tf.errors.OpError):
                    self._wait("end")
            return
        if self.link.is_lost(error):
            raise self.link.lost(error, self.cluster) from error
        if isinstance(error, self.link.ClusterError):
            return
        what = "stopped by a signal" if isinstance(error, KeyboardInterrupt) else one_line(error)
        with contextlib.suppress(tf.errors.OpError):
            if self.chief:
                for key in ("begin", "end"):
                    self.link.tell(f"{self.key}/{key}", f"chief: {what}")
            self.link.report(f"{self.cluster.name(self.index)}: {what}")

    def begin(self) -> None:
        """Let the other workers read the run directory. The chief calls it after its checks."""
        if self.cluster and self.chief:
            self.link.tell(f"{self.key}/begin", BEGIN)

    def compare(self, model: keras.Model, place: Mapping[str, Any]) -> None:
        """Check that this worker starts with the weights of the chief, and where it does.

        Args:
            model: the network with its initial or restored weights.
            place: JSON-serializable description of the place in the training.

        Raises:
            ValueError: if they differ.
        """
        if self.cluster is None:
            return
        digest = hashlib.sha256()
        for variable in model.variables:
            digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)).tobytes())
        own = json.dumps([place, digest.hexdigest()], sort_keys=True)
        if self.chief:
            self.link.tell(f"{self.key}/state", own)
            return
        while (text := self.link.ask(f"{self.key}/state", 1)) is None:
            pass
        (there, weights), (here, same) = json.loads(text), json.loads(own)
        if there != here:
            raise ValueError(
                f"{self.cluster.name(self.index)}: starts at {here}, but the chief at {there}; the"
                " run directory must be on a file system that all workers share"
            )
        if weights != same:
            raise ValueError(
                f"{self.cluster.name(self.index)}: starts with other weights than the chief; all"
                " workers must have the same data, the same versions and the same kind of"
                " processor"
            )

    def distributed(self, batches: tf.data.Dataset, endless: bool = False) -> Any:
        """Return a dataset of this worker's part of each batch as Keras needs it.

        Args:
            batches: this worker's part of each batch.
            endless: whether all workers stop together before it ends. Otherwise they tell each
                other before each batch whether they have one.
        """
        if self.cluster is None:
            return batches
        strategy = self.strategy
        local = strategy.num_replicas_in_sync // self.count
        if local > 1:
            rows = batches.element_spec[0].shape[0]
            batches = batches.unbatch().batch(rows // local) if rows else batches
        if endless:
            length = tf.data.experimental.INFINITE_CARDINALITY
            batches = batches.apply(tf.data.experimental.assert_cardinality(length))
        return strategy.distribute_datasets_from_function(lambda _: batches)

    def gathered(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the arrays of a checkpoint with the metrics' variables of all workers.

        All other variables are the same in all of them.
        """
        found, metrics = checkpoint.split(arrays)
        if self.cluster is None or not metrics:
            return arrays
        local = self.strategy.num_replicas_in_sync // self.count
        for name in [name for name in metrics if "@" not in name]:
            rows = np.zeros((self.count * local, *metrics[name].shape), metrics[name].dtype)
            # One value is that of all replicas of this worker.
            rows[self.index * local :][:local] = checkpoint.of_replicas(name, metrics)
            # All others contribute zeros, so that the sums are exact.
            rows = self.strategy.reduce("SUM", tf.constant(rows), axis=None).numpy() / local
            found |= checkpoint.by_replica(name, rows)
        return found

    def own(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the metrics' variables of this worker from those of all, as `gathered` made them.

        If the number of replicas has changed since then, the first one continues all sums.
        """
        replicas = self.strategy.num_replicas_in_sync
        local = replicas // self.count
        found: dict[str, np.ndarray] = {}
        for name in [name for name in arrays if "@" not in name]:
            rows = checkpoint.of_replicas(name, arrays)
            if len(rows) not in (1, replicas) or (len(rows) == 1 and self.cluster):
                rows = [
                    np.sum(rows, axis=0, dtype=rows[0].dtype),
                    *[np.zeros_like(rows[0])] * (replicas - 1),
                ]
            elif len(rows) == 1:
                rows *= replicas
            found |= checkpoint.by_replica(name, rows[self.index * local :][:local])
        return found

    def alone(self, network: keras.Model) -> keras.Model:
        """Return a network with the same weights that the chief can run without the others.

        It is called outside the strategy's scope.
        """
        if self.cluster is None:
            return network
        copy = keras.models.clone_model(network)
        copy.set_weights(network.get_weights())
        return copy

    def check(self, stop: Callable[[], None]) -> Callable[[], None]:
        """Return a function that stops all workers after the same step.

        Args:
            stop: function that raises KeyboardInterrupt if this process is to stop.
        """
        if self.cluster is None:
            return stop

        def together() -> None:
            try:
                stop()
            except KeyboardInterrupt as error:
                self.asked = error
                self._vote(STOP)
            if self._agreed(STOP):
                self.stopping = self.asked or Terminated()
                raise self.stopping

        return together

    def any(self, wanted: bool) -> bool:
        """Return True in all workers, after the same step, if the chief wanted it a step before."""
        if self.cluster is None:
            return wanted
        if self._agreed(SAVE):
            self._vote(SAVE, 0.0)
            return True
        if wanted and self.chief:
            self._vote(SAVE)
        return False

    def _votes(self) -> Any:
        return self.link.votes()

    def _vote(self, vote: int, value: float = 1.0) -> None:
        own = self._votes().own.numpy()
        own[vote] = value
        self._votes().own.assign(own)

    def _agreed(self, vote: int) -> bool:
        return bool(self._votes().means.numpy()[vote] > 0)
