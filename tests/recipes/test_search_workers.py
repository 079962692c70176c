"""The chief of a search and its workers: leases, deaths, restarts, and several processes."""

import contextlib
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
from recipes.search.oracles.make import make_oracle, reload, without_repeats
from recipes.search.spaces.space import Space
from recipes.search.trials import Trials
from recipes.search.workers import chief as chiefs
from recipes.search.workers import client, devices, hosts
from recipes.search.workers import pool as pools
from recipes.search.workers.chief import Chief, Member, NotYoursError
from recipes.search.workers.process import has_grown
from tests import processes


def space(hp):
    return {"lr": hp.Choice("lr", [0.01, 0.02, 0.03, 0.04])}


def worker(name, heard=0.0, pid=1):
    return Member(name, "here", pid, 0, time.time() + heard)


class Searched:
    """A search without training: its chief, and methods of workers.

    Args:
        path: directory of the search.
        function: the space.
        trials: number of trials.
        median: as in Chief.
    """

    def __init__(self, path, function=space, trials=4, median=False, epochs=5):
        import keras_tuner as kt

        self.path, self.lines = path, []
        path.mkdir(exist_ok=True)
        base = recipes.Recipe(model="mlp", data="digits", epochs=epochs)
        hp = kt.HyperParameters()
        function(hp)
        self.oracle = make_oracle("random", hp, seed=0, epochs=epochs, trials=trials)
        searched = Space(base, function)
        without_repeats(self.oracle, searched.key)
        reload(self.oracle, path / "oracle")
        self.trials = Trials(path, searched)
        self.chief = Chief(self.oracle, self.trials, median, self.lines.append)

    def create(self, name):
        return self.chief.create(worker(name)).trial_id

    def train(self, trial, *values):
        """Write the metrics of a trial's epochs."""
        run = self.path / "trials" / trial
        run.mkdir(exist_ok=True)
        rows = {"epoch": range(1, len(values) + 1), "val_accuracy": values, "seconds": 1.0}
        pd.DataFrame(rows).to_csv(run / "metrics.csv", index=False)

    def end(self, name, trial, *values):
        self.train(trial, *values)
        self.chief.end(worker(name), trial, "COMPLETED")

    def lr(self, trial):
        return self.oracle.trials[trial].hyperparameters.values["lr"]


@pytest.fixture
def searched(tmp_path):
    return Searched(tmp_path / "search")


@pytest.mark.quick
def test_each_trial_is_given_to_one_worker_and_the_search_ends_after_the_last(searched):
    assert [searched.create(name) for name in "ab"] == ["0", "1"]
    searched.end("b", "1", 0.5, 0.7, 0.6)
    assert searched.create("b") == "2"
    searched.end("b", "2", 0.5)
    assert searched.create("b") == "3"
    searched.end("b", "3", 0.5)
    # The trial of a worker that may die is not finished.
    assert searched.chief.create(worker("b")).status == "IDLE"
    assert not searched.chief.finished
    searched.end("a", "0", 0.5)
    assert searched.chief.create(worker("a")).status == "STOPPED"
    assert searched.chief.finished
    assert [t.score for t in searched.oracle.trials.values()] == [0.5, 0.7, 0.5, 0.5]
    assert searched.chief.counts == {"a": 1, "b": 3}


@pytest.mark.quick
def test_a_worker_that_starts_again_gets_its_trial_and_several_deaths_fail_it(searched):
    for _ in range(chiefs.DEATHS - 1):
        assert searched.create("a") == "0"
        assert searched.chief.died("a", -9)
    assert searched.create("a") == "0"
    assert searched.chief.died("a", -11)
    assert not searched.chief.died("a", -9)  # before it asked
    assert searched.create("a") == "1"
    assert searched.oracle.trials["0"].status == "FAILED"
    assert searched.trials.reason(searched.oracle.trials["0"]) == (
        f"its process was killed by signal 11, {chiefs.DEATHS} times in one epoch"
    )
    # Deaths in several epochs do not fail it.
    for step in range(1, chiefs.DEATHS + 2):
        assert searched.create("a") == "1"
        searched.chief.update(worker("a"), "1", {"val_accuracy": 0.5}, step)
        assert searched.chief.died("a", -9)
    assert searched.create("a") == "1"


@pytest.mark.quick
def test_the_trial_of_a_silent_worker_is_given_to_another(searched):
    assert searched.create("a") == "0"
    assert searched.create("b") == "1"
    assert searched.chief.silent() == []
    searched.chief.keep(worker("a", heard=-chiefs.LEASE_SECONDS - 1), "0")
    assert searched.chief.silent() == ["a"]
    searched.end("b", "1", 0.5)
    assert searched.create("b") == "0"
    # The first one was only suspended: nothing that it does counts.
    for call in (
        lambda: searched.chief.keep(worker("a"), "0"),
        lambda: searched.chief.update(worker("a"), "0", {"val_accuracy": 0.1}, 1),
        lambda: searched.chief.end(worker("a"), "0", "COMPLETED"),
    ):
        with pytest.raises(NotYoursError, match="trial 0 was given to another worker"):
            call()
    searched.end("b", "0", 0.5)
    with pytest.raises(NotYoursError):
        searched.end("a", "0", 0.9)
    assert searched.oracle.trials["0"].score == 0.5
    assert searched.oracle.end_order == ["1", "0"]


@pytest.mark.quick
@pytest.mark.parametrize("moment", ["before", "between", "after"])
def test_a_chief_that_is_killed_while_a_trial_ends_counts_it_once(searched, moment):
    class Killed(BaseException):
        pass

    assert searched.create("a") == "0"
    searched.train("0", 0.5, 0.8)
    original = searched.oracle.save
    saves = []

    def save():
        saves.append(1)
        if len(saves) > {"before": 0, "between": 1, "after": 9}[moment]:
            raise Killed
        original()

    searched.oracle.save = save
    with contextlib.suppress(Killed):
        searched.chief.end(worker("a"), "0", "COMPLETED")
    again = Searched(searched.path)
    if moment == "before":  # its trial waits, and the worker that still has it may end it
        again.chief.end(worker("a"), "0", "COMPLETED")
    assert again.create("b") == "1"
    assert again.oracle.end_order == ["0"]
    assert again.oracle.trials["0"].score == 0.8


@pytest.mark.quick
def test_a_restarted_chief_proposes_the_same_trials(tmp_path):
    whole = Searched(tmp_path / "whole")
    for _ in range(4):
        trial = whole.create("a")
        whole.end("a", trial, 0.5)
    parts = Searched(tmp_path / "parts")
    for _ in range(4):
        parts.create("a")
        parts = Searched(tmp_path / "parts")
        trial = parts.create("b")
        parts.end("b", trial, 0.5)
        parts = Searched(tmp_path / "parts")
    assert [parts.lr(str(i)) for i in range(4)] == [whole.lr(str(i)) for i in range(4)]
    # With three workers, whatever the order in which they end
    several = Searched(tmp_path / "several")
    held = {name: several.create(name) for name in "abc"}
    for name in "cab":
        several.end(name, held[name], 0.5)
    several.end("b", several.create("b"), 0.5)
    assert [several.lr(str(i)) for i in range(4)] == [whole.lr(str(i)) for i in range(4)]


@pytest.mark.quick
def test_the_same_recipe_is_not_trained_at_the_same_time(tmp_path):
    def twice(hp):
        hp.Choice("again", [0, 1])
        return {}

    searched = Searched(tmp_path / "search", twice, trials=2)
    searched.oracle._random_values = iter([{"again": 0}, {"again": 1}]).__next__
    assert searched.create("a") == "0"
    assert searched.chief.create(worker("b")).status == "IDLE"
    searched.end("a", "0", 0.5)
    assert searched.oracle.trials["1"].score == 0.5
    assert searched.trials.order("1")["same_as"] == "0"
    assert searched.lines[-1] == "trial 1: same as trial 0, not trained again"
    assert searched.chief.create(worker("b")).status == "STOPPED"


@pytest.mark.quick
def test_the_same_recipe_is_trained_if_the_process_of_the_first_failed(tmp_path):
    def twice(hp):
        hp.Choice("again", [0, 1])
        return {}

    searched = Searched(tmp_path / "search", twice, trials=2)
    searched.oracle._random_values = iter([{"again": 0}, {"again": 1}]).__next__
    assert searched.create("a") == "0"
    assert searched.chief.create(worker("b")).status == "IDLE"
    searched.chief.end(worker("a"), "0", "FAILED")
    assert searched.create("b") == "1"


@pytest.mark.quick
def test_a_trial_below_the_median_is_stopped_and_keeps_its_score(tmp_path):
    def many(hp):
        return {"lr": hp.Float("lr", 0.1, 1.0)}

    searched = Searched(tmp_path / "search", many, trials=7, median=True, epochs=4)
    for _ in range(5):
        trial = searched.create("a")
        for step, value in enumerate([0.5, 0.6, 0.7, 0.8], 1):
            answer = searched.chief.update(worker("a"), trial, {"val_accuracy": value}, step)
            assert answer.status == "RUNNING"
        searched.end("a", trial, 0.5, 0.6, 0.7, 0.8)
    searched = Searched(tmp_path / "search", many, trials=7, median=True, epochs=4)
    trial = searched.create("a")
    report = searched.chief.update
    assert report(worker("a"), trial, {"val_accuracy": 0.3}, 1).status == "RUNNING"
    assert report(worker("a"), trial, {"val_accuracy": 0.4}, 2).status == "RUNNING"
    assert report(worker("a"), trial, {"val_accuracy": 0.5}, 3).status == "STOPPED"
    # Its worker was killed before it stopped.
    assert report(worker("a"), trial, {"val_accuracy": 0.9}, 4).status == "STOPPED"
    searched.end("a", trial, 0.3, 0.4, 0.5)
    assert searched.oracle.trials[trial].score == 0.5
    assert searched.lines[-1].endswith(
        "0.5000 after 3 epochs, 3 s; stopped: below the median of the others, epoch 3"
    )
    trial = searched.create("a")
    for step, value in enumerate([0.3, 0.4, 0.65], 1):
        assert report(worker("a"), trial, {"val_accuracy": value}, step).status == "RUNNING"


@pytest.mark.quick
@pytest.mark.parametrize(
    ("workers", "gpus", "own"),
    [
        (2, ["0", "1", "2", "3"], ["0,2", "1,3"]),
        (2, ["4", "GPU-a"], ["4", "GPU-a"]),
        (3, ["0", "1"], ["0", "1", "0"]),
        (1, ["0", "1"], ["0,1"]),
    ],
)
def test_workers_share_gpus_and_threads(workers, gpus, own):
    given = {"KERASTUNER_TUNER_ID": "chief", "TF_CONFIG": "{}", "HOME": "/home"}
    found = devices.shares(workers, gpus, 6, given)
    assert [each["CUDA_VISIBLE_DEVICES"] for each in found] == own
    assert {each.get("TF_FORCE_GPU_ALLOW_GROWTH") for each in found} == {
        "true" if workers > len(gpus) else None
    }
    threads = {1: None, 2: "3", 3: "2"}[workers]
    assert {each.get("TF_NUM_INTRAOP_THREADS") for each in found} == {threads}
    assert all(each["HOME"] == "/home" for each in found)
    assert not any(name.startswith(("KERASTUNER", "TF_CONFIG")) for each in found for name in each)


@pytest.mark.quick
def test_gpus_are_those_that_this_process_may_use():
    assert devices.gpus({"CUDA_VISIBLE_DEVICES": " 2, GPU-1"}) == ["2", "GPU-1"]
    for none in ("", "-1"):
        assert devices.gpus({"CUDA_VISIBLE_DEVICES": none}) == []


@pytest.fixture
def pool(tmp_path, monkeypatch):
    """Start pools whose workers run a Python program, by name; return a pool."""

    def start(programs, died=lambda name, code: True):
        def command(module, folder, name, address, strategy):
            assert module == "recipes.search.workers.process"
            return [sys.executable, "-c", programs[name]]

        monkeypatch.setattr(pools.worker, "command", command)
        found = pools.Pool(tmp_path, [*programs], "127.0.0.1:1", "one", died)
        found.start()
        return found

    return start


def tend(pool, seconds=30):
    deadline = time.monotonic() + seconds
    while pool.tend():
        assert time.monotonic() < deadline
        time.sleep(0.01)


ONCE = "import os, sys; os.mkdir({0!r}) if not os.path.exists({0!r}) else sys.exit(); {1}"


@pytest.mark.quick
def test_workers_that_die_or_have_grown_are_replaced(pool, tmp_path):
    codes = []

    def died(name, code):
        codes.append((name, code))
        return True

    programs = {
        "killed": ONCE.format(str(tmp_path / "a"), "os.kill(os.getpid(), 9)"),
        "grown": ONCE.format(str(tmp_path / "b"), f"sys.exit({pools.AGAIN})"),
        "ends": "",
    }
    found = pool(programs, died)
    tend(found)
    assert sorted(codes) == [("grown", pools.AGAIN), ("killed", -9)]
    assert found.restarts == {"killed": 1, "grown": 1, "ends": 0}


@pytest.mark.quick
@pytest.mark.parametrize(
    ("program", "message"),
    [
        (f"print('a'); print('no disk'); raise SystemExit({pools.BROKEN})", "^no disk$"),
        ("import os; os.kill(os.getpid(), 11)", "one was killed by signal 11 before it could tra"),
        (
            "raise SystemExit(3)",
            "one ended with code 3 before it could train, 3 times; its log: .*one",
        ),
    ],
)
def test_workers_that_cannot_work_end_the_search(pool, program, message):
    found = pool({"one": program, "other": "import time; time.sleep(60)"}, lambda name, code: False)
    with pytest.raises(ValueError, match=message):
        tend(found)
    found.end(seconds=0.1)
    assert found.processes == {}


@pytest.mark.quick
def test_a_worker_that_uses_much_more_memory_than_after_its_first_trial_has_grown():
    gib = 2**30
    assert not has_grown(gib, int(1.5 * gib))
    assert has_grown(gib, int(1.51 * gib))
    assert not has_grown(gib // 4, gib // 2)  # little in bytes
    assert has_grown(gib // 4, gib)


# Real processes


SPACE = """
def space(hp):
    lr = hp.Float("lr", 1e-3, 0.1, sampling="log")
    return {"lr": lr, "act": hp.Choice("act", ["relu", "elu"])}
"""


@pytest.fixture
def file(tiny, tmp_path):
    """A recipe file whose trials take a few seconds."""
    text = recipes.source(recipes.replace(tiny, model="toy_mlp", epochs=60, keep_checkpoints=1))
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


def test_a_search_survives_the_death_of_workers_and_of_its_chief(
    file, tmp_path, fork_workers, monkeypatch
):
    """Its trials are those of a search with one worker, with the same scores."""
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "1")
    search = tmp_path / "search"
    command = [sys.executable, "-m", "recipes", "tune", file, "--workers=2", "--trials=4"]
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
    whole = recipes.tune(file, run=tmp_path / "whole", trials=4, verbose=False, stop_early=False)
    assert list(found["status"]) == ["finished"] * 4
    assert list(found["epochs"]) == [60] * 4
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


@pytest.mark.quick
def test_a_port_in_use_is_one_line(tiny, tmp_path, here, monkeypatch):
    (tmp_path / "mine.py").write_text(recipes.source(tiny))
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for name, value in {"IP": "127.0.0.1", "PORT": port}.items():
            monkeypatch.setenv(f"KERASTUNER_ORACLE_{name}", str(value))
        monkeypatch.setenv("KERASTUNER_TUNER_ID", "chief")
        done = here("tune", "mine.py", "--space", "lr=0.01,0.02", "--run=search", "--workers=0")
    assert done.returncode == 2
    assert (
        f"KERASTUNER_ORACLE_PORT={port}: cannot listen on 127.0.0.1:{port}; the port is in use"
        in (done.stderr)
    )
    assert done.stderr.count("\n") == 1


@pytest.mark.quick
def test_a_worker_that_cannot_reach_its_chief_is_one_line(tiny, tmp_path, here, monkeypatch):
    (tmp_path / "mine.py").write_text(recipes.source(tiny))
    given = {"ORACLE_IP": "127.0.0.1", "ORACLE_PORT": "9", "TUNER_ID": "host-2"}
    for name, value in given.items():
        monkeypatch.setenv(f"KERASTUNER_{name}", value)
    monkeypatch.setattr(hosts, "WAIT_SECONDS", 0.0)
    command = ("tune", "mine.py", "--space", "lr=0.01,0.02", "--run=search")
    done = here(*command)
    assert done.returncode == 2
    assert "run='search': cannot reach the chief of the search at 127.0.0.1:9: it has not" in (
        done.stderr
    )
    assert done.stderr.count("\n") == 1
    monkeypatch.setattr(client, "REACH_SECONDS", 0.5)
    lost = client.Client("127.0.0.1:9", "host-2", "token", None)
    message = "cannot reach the chief of the search at 127.0.0.1:9: it does not answer"
    with pytest.raises(client.ChiefLost, match=message):
        lost.create_trial("host-2")
    monkeypatch.delenv("KERASTUNER_ORACLE_PORT")
    assert "KERASTUNER_ORACLE_PORT: is not set" in here(*command).stderr
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "http")
    assert "KERASTUNER_ORACLE_PORT='http': must be a number from 1 to" in here(*command).stderr


@pytest.mark.quick
def test_only_workers_with_the_token_are_served_and_only_for_their_trials(searched, monkeypatch):
    from recipes.search.workers.server import serving

    with serving(searched.chief, "right", "127.0.0.1:0") as address:
        stranger = client.Client(address, "b", "wrong", None)
        with pytest.raises(client.ChiefLost, match="it is the chief of another search"):
            stranger.create_trial("b")
        first, second = (
            client.Client(address, name, "right", searched.oracle.objective) for name in "ab"
        )
        assert first.create_trial("a").trial_id == "0"
        assert first.update_trial("0", {"val_accuracy": 0.5}, 1).status == "RUNNING"
        with pytest.raises(client.LeaseLost, match="trial 0 was given to another worker"):
            second.get_trial("0")
        searched.train("0", 0.5, 0.75)
        trial = first.get_trial("0")
        trial.status = "COMPLETED"
        first.end_trial(trial)
        assert searched.oracle.trials["0"].score == 0.75
        # A worker that loses its trial is interrupted.
        assert second.create_trial("b").trial_id == "1"
        searched.chief._give_back("1")
        assert first.create_trial("a").trial_id == "1"
        monkeypatch.setattr(client, "BEAT_SECONDS", 0.01)
        with pytest.raises(client.LeaseLost), second.keeping("1") as check:  # noqa: PT012
            with pytest.raises(KeyboardInterrupt):
                time.sleep(30)
            check()


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
