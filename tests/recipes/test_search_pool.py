"""The workers of one machine: their devices, and how they are replaced; workers without a chief."""

import socket
import sys
import time

import pytest

import recipes
from recipes.search.workers import client, devices, hosts
from recipes.search.workers import pool as pools
from recipes.search.workers.process import has_grown


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
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / hosts.CHIEF).write_text('{"token": "", "finished": true}')
    (tmp_path / "search" / "trials.csv").write_text("trial,same_as\n0,\n")
    done = here(*command)
    assert (done.returncode, done.stdout) == (0, "host-2: the search is finished\n")
    monkeypatch.setattr(client, "REACH_SECONDS", 0.5)
    lost = client.Client("127.0.0.1:9", "host-2", "token", None)
    message = "cannot reach the chief of the search at 127.0.0.1:9: it does not answer"
    with pytest.raises(client.ChiefLost, match=message):
        lost.create_trial("host-2")
    monkeypatch.delenv("KERASTUNER_ORACLE_PORT")
    assert "KERASTUNER_ORACLE_PORT: is not set" in here(*command).stderr
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "http")
    assert "KERASTUNER_ORACLE_PORT='http': must be a number from 1 to" in here(*command).stderr
