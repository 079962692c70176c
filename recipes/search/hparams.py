"""The trials of a search in TensorBoard's tab HParams: hyperparameters and scores.

`tensorboard --logdir DIR`, with the directory of a search, shows them alongside the curves of the
trials. Each trial has one file of events, DIR/tensorboard/ID/events.out.tfevents.hparams.
"""

import io
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras_tuner as kt

from recipes.search.spaces.space import Space
from zoo.files import write

FILE = "events.out.tfevents.hparams"


def write_trials(path: Path, space: Space, oracle: kt.Oracle) -> None:
    """Write all trials that have ended and are not written yet.

    Args:
        path: directory of the search.
        space: its space.
        oracle: its oracle.
    """
    for name in oracle.end_order:
        if not (path / "tensorboard" / name / FILE).exists():
            trial = oracle.trials[name]
            values = space.active(trial.hyperparameters.values)
            finished = trial.status == "COMPLETED"
            scores = {oracle.objective.name: trial.score} if finished else {}
            write_trial(path, name, values, scores, "finished" if finished else "failed")


def write_trial(
    path: Path,
    trial: str,
    values: Mapping[str, Any],
    scores: Mapping[str, float | None],
    status: str,
    start: float | None = None,
) -> None:
    """Write a trial for TensorBoard, replacing what was written for it before.

    Args:
        path: directory of the search.
        trial: identifier of the trial.
        values: its active hyperparameters. Those of Keras Tuner itself are left out.
        scores: metrics by name, such as {"val_accuracy": 0.9}. Missing ones are left out.
        status: status of the trial, as in trials.csv: "failed" is shown as a failure.
        start: time at which it started, in seconds since the epoch.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api, api_pb2, summary
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb
    from tensorboard.summary.writer.record_writer import RecordWriter

    now = time.time()
    kept = {n: _plain(v) for n, v in values.items() if not n.startswith("tuner/")}
    ended = api_pb2.STATUS_FAILURE if status == "failed" else api_pb2.STATUS_SUCCESS
    summaries = [
        api.hparams_pb(kept, trial_id=trial, start_time_secs=now if start is None else start),
        *(
            scalar_pb(name, score)
            for name, score in scores.items()
            if score is not None and math.isfinite(score)
        ),
        summary.session_end_pb(ended, now),
    ]
    events = io.BytesIO()
    records = RecordWriter(events)
    records.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
    for each in summaries:
        each = Summary.FromString(each.SerializeToString())  # some are of TensorFlow's own class
        records.write(Event(wall_time=now, step=0, summary=each).SerializeToString())
    folder = path / "tensorboard" / trial
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / FILE, lambda file: file.write(events.getvalue()), "wb")


def _plain(value: Any) -> bool | int | float | str:
    """Return a value in a type that TensorBoard can store."""
    if hasattr(value, "item"):  # of NumPy
        value = value.item()
    return value if isinstance(value, bool | int | float | str) else str(value)
