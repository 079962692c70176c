"""A worker's connection to the chief: Keras Tuner's client, with leases, timeouts and a token.

Keras Tuner's own client waits for an hour for a chief that does not answer, and asks without a
pause while a trial is not ready yet.
"""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import keras_tuner as kt
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_client import OracleClient
from keras_tuner.src.engine.trial import Trial

BEAT_SECONDS = 3.0  # between two signs of life of a worker that trains
REACH_SECONDS = 60.0  # that a worker waits for a chief that does not answer
_messages = protos.get_service()


class ChiefLost(Exception):  # noqa: N818
    """The chief does not answer, or does not accept this worker."""


class LeaseLost(Exception):  # noqa: N818
    """The chief has given the trial of this worker to another one."""


class Client(OracleClient):
    """The chief's oracle, as a worker sees it.

    Args:
        address: "HOST:PORT" of the chief.
        name: name of the worker.
        token: the search's token, from the file chief.json.
        objective: what is optimized.

    Raises:
        ChiefLost: by each method, if the chief does not answer for REACH_SECONDS, or rejects the
            token.
        LeaseLost: by the methods for a trial that another worker has.
    """

    def __init__(self, address: str, name: str, token: str, objective: kt.Objective):
        self.address, self.name, self.token, self.objective = address, name, token, objective
        options = [
            ("grpc.enable_http_proxy", 0),  # a proxy of the environment is for other hosts
            ("grpc.max_reconnect_backoff_ms", 1000),  # else up to two minutes between two attempts
        ]
        channel = grpc.insecure_channel(address, options)
        self.stub = protos.get_service_grpc().OracleStub(channel)

    def _call(self, method: str, request: Any) -> Any:
        """Send a request; repeat it while the chief is being started again."""
        deadline = time.monotonic() + REACH_SECONDS
        while True:
            about = {
                "worker": self.name, "token": self.token, "host": socket.gethostname(),
                "pid": str(os.getpid()), "memory": str(memory()),
            }  # fmt: skip
            try:
                return getattr(self.stub, method)(
                    request, metadata=tuple(about.items()), wait_for_ready=True,
                    timeout=max(0.0, deadline - time.monotonic()),
                )  # fmt: skip
            except grpc.RpcError as error:
                code, details = error.code(), error.details()
            if code == grpc.StatusCode.FAILED_PRECONDITION:
                raise LeaseLost(details)
            if code != grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        reason = f"it does not answer for {REACH_SECONDS:.0f} s"
        if code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INTERNAL):
            reason = details
        raise ChiefLost(f"cannot reach the chief of the search at {self.address}: {reason}")

    def create_trial(self, tuner_id: str) -> Trial:
        """Return the next trial, as soon as there is one, or one with the status STOPPED."""
        while True:
            request = _messages.CreateTrialRequest(tuner_id=self.name)
            trial = Trial.from_proto(self._call("CreateTrial", request).trial)
            if trial.status != "IDLE":
                return trial
            time.sleep(0.2)

    def update_trial(self, trial_id: str, metrics: dict[str, float], step: int = 0) -> Trial:
        """Report the metrics of an epoch; the status STOPPED asks to stop the trial."""
        request = _messages.UpdateTrialRequest(trial_id=trial_id, metrics=metrics, step=step)
        return Trial.from_proto(self._call("UpdateTrial", request).trial)

    def end_trial(self, trial: Trial) -> None:
        """Report that a trial has ended, COMPLETED or FAILED."""
        self._call("EndTrial", _messages.EndTrialRequest(trial=trial.to_proto()))

    def get_trial(self, trial_id: str) -> Trial:
        """Return a trial, and tell the chief that this worker still trains it."""
        request = _messages.GetTrialRequest(trial_id=trial_id)
        return Trial.from_proto(self._call("GetTrial", request).trial)

    @contextlib.contextmanager
    def keeping(self, trial_id: str) -> Iterator[Callable[[], None]]:
        """Keep the lease of a trial in the block by signs of life from another thread.

        If the lease or the chief is lost, this process gets SIGINT, so that the training is saved
        and stops. Yields a function that raises the reason.
        """
        ended = threading.Event()
        lost: list[Exception] = []

        def check() -> None:
            if lost:
                raise lost[0]

        def beat() -> None:
            while not ended.wait(BEAT_SECONDS):
                try:
                    self.get_trial(trial_id)
                except (ChiefLost, LeaseLost) as error:
                    if not ended.is_set():
                        lost.append(error)
                        os.kill(os.getpid(), signal.SIGINT)
                    return

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield check
        finally:
            ended.set()


def memory() -> int:
    """Return the bytes of main memory that this process uses; 0 if they are unknown."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
