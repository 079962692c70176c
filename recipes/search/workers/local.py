"""Run a search on this machine: the chief in this process, and its workers."""

import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras_tuner as kt

from recipes.search.trials import Trials
from recipes.search.workers.chief import Chief
from recipes.search.workers.hosts import CHIEF, address_of
from recipes.search.workers.pool import Pool
from recipes.search.workers.server import serving
from zoo.files import write, write_json

STATUS_SECONDS = 2.0  # between two versions of workers.json


def search(
    oracle: kt.Oracle,
    trials: Trials,
    *,
    workers: int,
    strategy: str,
    median: bool,
    say: Callable[[str], None],
    changed: Callable[[Chief], None],
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Run the trials that an oracle proposes, until it has no more.

    Args:
        oracle: the oracle, with its state.
        trials: the files of the trials.
        workers: number of worker processes on this machine. With 0, only those of other hosts
            work.
        strategy: devices of each trial.
        median: whether trials are stopped by the median rule.
        say: function that prints a line.
        changed: function that is called after trials have started or ended.
        environment: with KERASTUNER_ORACLE_IP and KERASTUNER_ORACLE_PORT, the address that workers
            of other hosts use. By default, only workers of this machine can reach the chief.

    Raises:
        ValueError: if the address cannot be used, or the workers cannot work.
    """
    chief = Chief(oracle, trials, median, say, named=workers != 1)
    path = trials.path
    about = path / CHIEF
    if not chief.first():
        changed(chief)
        _write_private(about, {"token": _token(about), "finished": True})
        return
    token = _token(about)
    address, _ = address_of(environment)
    with serving(chief, token, address or "127.0.0.1:0") as address:
        facts = {"address": address, "token": token, "objective": oracle.objective.name}
        _write_private(about, facts | {"finished": False})
        if workers == 0:
            say(f"waiting for workers at {address}")
        names = [f"worker-{index + 1}" for index in range(workers)]
        pool = Pool(path, names, address, strategy, chief.died)
        pool.start()
        due = 0.0
        try:
            while True:
                working = pool.tend()
                if chief.error is not None:
                    raise chief.error
                for name in chief.silent():
                    pool.kill(name)
                if not working and chief.alone():
                    break
                with chief.lock:
                    if chief.changed:
                        chief.changed, due = False, 0.0
                        changed(chief)
                if time.time() >= due:
                    due = time.time() + STATUS_SECONDS
                    _write_status(path, chief, pool)
                time.sleep(0.1)
        finally:
            pool.end()
            with chief.lock:
                changed(chief)
            _write_status(path, chief, pool, ended=True)
            if chief.finished:
                _write_private(about, facts | {"finished": True})


def _token(file: Path) -> str:
    """Return the token of the search; workers of other hosts keep it while the chief restarts."""
    try:
        return json.loads(file.read_text("utf-8"))["token"]
    except (OSError, ValueError, KeyError):
        return secrets.token_hex(16)


def _write_private(path: Path, value: Any) -> None:
    """Write a JSON file that only this user can read."""

    def writer(file: Any) -> None:
        os.fchmod(file.fileno(), 0o600)
        file.write(json.dumps(value))

    write(path, writer)


def _write_status(path: Path, chief: Chief, pool: Pool, ended: bool = False) -> None:
    """Write workers.json, which tells `recipes watch` what each worker does."""
    with chief.lock:
        trial_of = {name: trial_id for trial_id, name in chief.holders.items()}
        rows = []
        for name in dict.fromkeys([*pool.restarts, *chief.members]):
            who = chief.members.get(name)
            process = pool.processes.get(name)
            state = "training" if name in trial_of else "waiting"
            if ended or (name in pool.restarts and process is None):
                state = "ended"
            elif who is None:
                state = "starting"
            rows.append(
                {
                    "worker": name,
                    "host": who.host if who else socket.gethostname(),
                    "pid": who.pid if who else process and process.pid,
                    "state": state,
                    "trial": None if ended else trial_of.get(name),
                    "trials": chief.counts.get(name, 0),
                    "restarts": pool.restarts.get(name, 0),
                    "memory": who.memory if who else None,
                    "heard": who.heard if who else None,
                }
            )
    about = {"host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}
    about["wanted"] = chief.oracle.max_trials
    write_json(path / "workers.json", {"chief": about, "ended": ended, "workers": rows})
