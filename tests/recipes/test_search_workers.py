"""Searches whose workers and chief are real processes that are killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pandas as pd
import pytest

import recipes
from recipes.recipe_files import HERE
from tests import processes

SPACE = """
def space(hp):
    lr = hp.Float("lr", 1e-3, 0.1, sampling="log")
    return {"lr": lr, "act": hp.Choice("act", ["relu", "elu"])}
"""


@pytest.fixture
def file(tmp_path):
    """A recipe file of a search on the digits, whose trials take a few seconds."""
    base = recipes.replace(recipes.load("digits/mlp"), epochs=20, keep_checkpoints=1)
    text = recipes.source(base)
    path = tmp_path / "mine.py"
    path.write_text(text.replace("\nif __name__", SPACE + "\n\nif __name__"))
    return path


def until(condition, process, seconds=240):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.02)


def pids(search):
    """Return the processes of the workers that train, by trial."""
    try:
        rows = json.loads((search / "workers.json").read_text())["workers"]
    except (OSError, ValueError):
        return {}
    return {row["trial"]: row["pid"] for row in rows if row["state"] == "training"}


def sessions(search, trial):
    return json.loads((search / "trials" / trial / "recipe.json").read_text())["sessions"]


# Workers are forked like the other processes of the tests, by a server of each chief. Without their
# chief, the server ends, and they notice its end as they would notice that of the chief.
FORKING = """
import os, subprocess, types
from recipes.search.workers import pool
from tests import processes

class Forked(processes.Process):
    def __init__(self, command, **settings):
        own, forks = f"worker.end_with({os.getpid()})", "import os; worker.end_with(os.getppid())"
        assert own in command[3]
        super().__init__([*command[:3], command[3].replace(own, forks), *command[4:]], **settings)

pool.subprocess = types.SimpleNamespace(
    Popen=Forked, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT,
    TimeoutExpired=subprocess.TimeoutExpired,
)
from recipes.cli.main import main
main()
"""


def test_a_search_survives_the_death_of_workers_and_of_its_chief(
    file, tmp_path, fork_workers, monkeypatch
):
    """Its trials are those of a search with one worker, with the same scores."""
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "1")
    search = tmp_path / "search"
    command = [sys.executable, "-c", FORKING, "tune", file, "--workers=2", "--trials=3"]
    command += [f"--run={search}", "--stop_early=false"]
    first = processes.Process(command, start_new_session=True)
    until(lambda: len(pids(search)) == 2, first)
    until(lambda: (search / "trials" / "1" / "checkpoint.npz").exists(), first)
    os.kill(pids(search)["1"], signal.SIGKILL)
    until(lambda: len(sessions(search, "1")) == 2, first)
    os.kill(first.pid, signal.SIGKILL)  # the chief; its workers end by themselves
    first.wait()
    done = processes.run(command)
    assert done.returncode == 0, done.stderr
    found = pd.read_csv(search / "trials.csv")
    whole = recipes.tune(file, run=tmp_path / "whole", trials=3, verbose=False, stop_early=False)
    assert list(found["status"]) == ["finished"] * 3
    assert list(found["epochs"]) == [20] * 3
    for column in ("lr", "act", "score"):
        assert list(found[column]) == list(whole[column])
    starts = [each["first_epoch"] for each in sessions(search, "1")]
    assert len(starts) >= 3
    assert starts[0] == 1
    assert min(starts[1:]) > 1
    assert json.loads((search / "workers.json").read_text())["ended"]
    again = processes.run(command)
    assert "trial 0" not in again.stdout
    pd.testing.assert_frame_equal(pd.read_csv(search / "trials.csv"), found)


def test_a_trial_on_two_devices(tiny, tmp_path, here, fork_workers):
    text = recipes.source(recipes.replace(tiny, epochs=1))
    (tmp_path / "mine.py").write_text(text)
    done = here(
        "tune", "mine.py", "--space", "lr=0.01,0.02", "--tuner=grid", "--trials=2",
        "--strategy=mirrored:2", "--run=search",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for trial in "01":
        (session,) = sessions(tmp_path / "search", trial)
        assert session["strategy"] == "MirroredStrategy"
        assert session["replicas"] == 2


@pytest.mark.full
def test_workers_of_another_host_join_and_outlive_a_chief(file, tmp_path):
    """The chief is killed and started again; the worker waits for it and keeps its trial."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "recipes", "tune", file, "--trials=2", "--run", "search"]
    given = {
        **os.environ, "PYTHONPATH": str(HERE.parent), "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": port,
    }  # fmt: skip
    settings = {"cwd": tmp_path, "stdout": subprocess.PIPE, "text": True}

    def start(name, *arguments):
        env = given | {"KERASTUNER_TUNER_ID": name}
        return subprocess.Popen([*command, *arguments], env=env, **settings)

    other = start("host-2", "--workers=1")
    chief = start("chief", "--workers=0")
    search = tmp_path / "search"
    until(lambda: (search / "trials" / "0" / "checkpoint.npz").exists(), other)
    chief.kill()
    chief.wait()
    chief = start("chief", "--workers=0")
    assert chief.wait(100) == 0
    assert other.wait(60) == 0
    found = pd.read_csv(search / "trials.csv")
    assert list(found["status"]) == ["finished"] * 2
    assert len(sessions(search, "0")) == 1
