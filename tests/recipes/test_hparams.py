"""Trials of a search in TensorBoard's tab HParams."""

import math
import time

import numpy as np
import pytest

from recipes.search import hparams
from tests.recipes.oracle_runs import Run


@pytest.fixture
def shown(tmp_path):
    """Return what TensorBoard shows: its session groups by name, and the columns of the table."""
    from tensorboard import context
    from tensorboard.backend.event_processing import data_provider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.hparams import (
        api_pb2,
        backend_context,
        get_experiment,
        list_session_groups,
    )

    def read():
        events = EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
        events.Reload()
        provider = data_provider.MultiplexerDataProvider(events, str(tmp_path))
        backend = backend_context.Context(base_plugin.TBContext(data_provider=provider))
        now = context.RequestContext()
        experiment = get_experiment.Handler(now, backend, "", api_pb2.GetExperimentRequest()).run()
        request = api_pb2.ListSessionGroupsRequest(
            start_index=0,
            slice_size=100,
            allowed_statuses=api_pb2.Status.values(),
            col_params=[{"metric": info.name} for info in experiment.metric_infos],
        )
        found = list_session_groups.Handler(now, backend, "", request).run().session_groups
        return {group.name: group for group in found}, experiment

    return read


def test_tensorboard_reads_hyperparameters_scores_and_status(shown, tmp_path):
    values = {"lr": 0.125, "act": "relu", "nesterov": True, "width": np.int64(16), "op": ("a", 1)}
    hparams.write_trial(
        tmp_path, "00", values | {"tuner/epochs": 3}, {"val_accuracy": 0.75, "val_loss": math.nan},
        "finished", start=1000.0,
    )  # fmt: skip
    hparams.write_trial(tmp_path, "01", {"lr": 0.5, "momentum": 0.9}, {}, "failed")
    for score in (0.25, 0.5):  # the second time replaces the first
        hparams.write_trial(tmp_path, "02", {"lr": 0.25}, {"val_accuracy": score}, "stopped")
    groups, experiment = shown()
    assert set(groups) == {"00", "01", "02"}
    first = groups["00"].hparams
    assert first["lr"].number_value == 0.125
    assert first["act"].string_value == "relu"
    assert first["nesterov"].bool_value is True
    assert first["width"].number_value == 16
    assert first["op"].string_value == "('a', 1)"
    assert "tuner/epochs" not in first
    assert "momentum" not in groups["02"].hparams
    scores = {
        name: [(each.name.tag, each.value) for each in group.metric_values]
        for name, group in groups.items()
    }
    assert scores == {"00": [("val_accuracy", 0.75)], "01": [], "02": [("val_accuracy", 0.5)]}
    session = groups["00"].sessions[0]
    assert session.start_time_secs == 1000.0
    assert abs(session.end_time_secs - time.time()) < 60
    status = {name: group.sessions[0].status for name, group in groups.items()}
    from tensorboard.plugins.hparams import api_pb2

    success, failure = api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE
    assert status == {"00": success, "01": failure, "02": success}
    assert {info.name for info in experiment.hparam_infos} == {*values, "momentum"}
    assert [info.name.tag for info in experiment.metric_infos] == ["val_accuracy"]


def test_ended_trials_of_a_search_are_written_once(shown, tmp_path):
    def space(hp):
        return {"lr": hp.Choice("lr", [0.125, 0.25, 0.5])}

    run = Run(space, lambda v: None if v["lr"] == 0.5 else v["lr"], tmp_path)
    run.finish(2)
    run.start()
    hparams.write_trials(tmp_path, run.space, run.oracle)
    groups, _ = shown()
    assert set(groups) == {"0", "1"}
    file = tmp_path / "tensorboard" / "0" / hparams.FILE
    before = file.read_bytes()
    run.end(run.start())
    hparams.write_trials(tmp_path, run.space, run.oracle)
    assert file.read_bytes() == before
    groups, _ = shown()
    found = {
        group.hparams["lr"].number_value: [each.value for each in group.metric_values]
        for group in groups.values()
    }
    assert found == {0.125: [0.125], 0.25: [0.25], 0.5: []}
