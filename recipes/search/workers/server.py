"""The chief's gRPC server: Keras Tuner's service, for workers that hold a lease of their trial."""

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer
from keras_tuner.src.engine.trial import Trial

from recipes.search.workers.chief import Chief, Member, NotYoursError

_messages = protos.get_service()


class Service(OracleServicer):
    """Pass the requests of workers on to the chief.

    Args:
        chief: the chief.
        token: what workers must present.
    """

    def __init__(self, chief: Chief, token: str):
        super().__init__(chief.oracle)
        self.chief, self.token = chief, token

    @contextlib.contextmanager
    def _asked(self, context: Any) -> Iterator[Member]:
        """Yield the worker that asks, and answer errors."""
        about = dict(context.invocation_metadata())
        if about.get("token") != self.token:
            context.abort(
                grpc.StatusCode.PERMISSION_DENIED,
                "it is the chief of another search, or --run is another directory",
            )
        who = Member(
            about["worker"], about["host"], int(about["pid"]), int(about["memory"]), time.time()
        )
        try:
            yield who
        except NotYoursError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except Exception as error:
            self.chief.failed(error)
            context.abort(grpc.StatusCode.INTERNAL, f"the chief failed: {error}")

    def CreateTrial(self, request, context):  # noqa: N802
        with self._asked(context) as who:
            trial = self.chief.create(who)
        return _messages.CreateTrialResponse(trial=trial.to_proto())

    def UpdateTrial(self, request, context):  # noqa: N802
        with self._asked(context) as who:
            values = {name: float(value) for name, value in request.metrics.items()}
            trial = self.chief.update(who, request.trial_id, values, int(request.step))
        return _messages.UpdateTrialResponse(trial=trial.to_proto())

    def EndTrial(self, request, context):  # noqa: N802
        with self._asked(context) as who:
            trial = Trial.from_proto(request.trial)
            self.chief.end(who, trial.trial_id, trial.status)
        return _messages.EndTrialResponse()

    def GetTrial(self, request, context):  # noqa: N802
        with self._asked(context) as who:
            trial = self.chief.keep(who, request.trial_id)
        return _messages.GetTrialResponse(trial=trial.to_proto())


@contextlib.contextmanager
def serving(chief: Chief, token: str, address: str) -> Iterator[str]:
    """Serve a chief while the block runs; yield the address with its port.

    Args:
        chief: the chief.
        token: what workers must present.
        address: "HOST:PORT"; port 0 chooses a free one.

    Raises:
        ValueError: if the port is in use, or the host is not one of this machine.
    """
    server = grpc.server(
        # One thread, because Keras Tuner's locks distinguish threads by their names.
        futures.ThreadPoolExecutor(max_workers=1),
        options=[("grpc.so_reuseport", 0)],
    )
    protos.get_service_grpc().add_OracleServicer_to_server(Service(chief, token), server)
    host, _, port = address.rpartition(":")
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise ValueError(
            f"KERASTUNER_ORACLE_PORT={port}: cannot listen on {address}; the port is in use, or"
            f" {host} is not an address of this machine"
        )
    server.start()
    try:
        yield f"{host}:{bound}"
    finally:
        ended: threading.Event = server.stop(grace=1)
        ended.wait(5)
