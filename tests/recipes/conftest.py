import functools
import json
import os
import subprocess
import sys
import time
import types

import pytest

import recipes
from recipes import Recipe
from recipes.cli import main
from recipes.recipe import from_json
from recipes.recipe_files import HERE
from tests import processes


@pytest.fixture(scope="session")
def tiny():
    """A recipe that trains in a second or two."""
    return Recipe(
        model="toy_lenet",
        data="made_up:24x24x1:4:96",
        batch_size=16,
        epochs=2,
        lr=0.02,
        validation=0.2,
        seed=3,
    )


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Train a recipe in the run directory tmp_path/NAME, by default without output.

    Its curves are not drawn, which is a seventh of the time, and whose failure fails no training.
    """
    monkeypatch.setattr("recipes.report.curves", lambda rows, path, *_: path.touch())

    def run(recipe, name="run", **settings):
        return recipes.train(recipe, **{"run": tmp_path / name, "verbose": False, **settings})

    return run


@pytest.fixture
def train_one_epoch(train):
    """Train like `train`, but stop as with Ctrl-C when the second epoch begins."""
    import keras

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    def run(recipe, name="run", **settings):
        with pytest.raises(KeyboardInterrupt):
            train(recipe, name, callbacks=[Stop()], **settings)

    return run


@pytest.fixture
def cli(tmp_path):
    """Run `recipes ...` in an empty folder, in a forked process, and return the process."""
    return functools.partial(_run_command, processes.run, tmp_path)


@pytest.fixture
def fresh_cli(tmp_path):
    """Run `recipes ...` like `cli`, but in a process that has not imported TensorFlow."""
    start = functools.partial(subprocess.run, capture_output=True, text=True, timeout=600)
    return functools.partial(_run_command, start, tmp_path)


def _run_command(start, folder, *arguments, **environment):
    return start(
        [sys.executable, "-m", "recipes", *map(str, arguments)],
        cwd=folder,
        # Not an installed package of the same name
        env={**os.environ, "PYTHONPATH": str(HERE.parent), **environment},
    )


@pytest.fixture
def fork_workers(monkeypatch):
    """Fork the processes that `tune` and `smoke` start, which saves five seconds in each."""
    from recipes import worker
    from recipes.search.workers import pool
    from recipes.training import smoke

    def start(command, **settings):
        # A fork is not a child of this process.
        watch = f"worker.end_with({os.getpid()}); "
        return processes.Process([part.replace(watch, "") for part in command], **settings)

    def run(command, capture_output=False, text=False):
        process = start(command)
        printed = process.communicate(600)
        if not capture_output:
            print(*printed)
        return subprocess.CompletedProcess(command, process.returncode, *printed)

    forking = types.SimpleNamespace(
        Popen=start, run=run, DEVNULL=subprocess.DEVNULL, STDOUT=subprocess.STDOUT,
        TimeoutExpired=subprocess.TimeoutExpired,
    )  # fmt: skip
    for module in (worker, pool, smoke):
        if hasattr(module, "subprocess"):
            monkeypatch.setattr(module, "subprocess", forking)


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """Run `recipes ...` as `cli` does, but in this process, which saves five seconds."""

    def run(*arguments):
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        code = main.run([*map(str, arguments)])
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run


class InProcess:
    """A pool of one worker, which is this process.

    Attributes:
        trained: the trials that it has trained.
        fails: function of a trial, called before it is trained, that returns how it ends instead,
            or raises an error.
    """

    def __init__(self):
        self.trained, self.processes, self.restarts = [], {}, {"worker-1": 0}
        self.fails = lambda trial: None

    def __call__(self, path, names, address, strategy, died):
        self.path, self.chief = path, died.__self__
        return self

    def tend(self):
        from recipes.search.workers.chief import Member

        me = Member("worker-1", "here", 1, 0, time.time())
        trial = self.chief.create(me).trial_id
        if self.chief.finished:
            return False
        self.trained.append(trial)
        status = self.fails(trial)
        if status is None:
            order = json.loads((self.path / "trials" / f"{trial}.json").read_text())
            recipe, run = from_json(order["recipe"]), self.path / "trials" / trial
            try:
                recipes.train(recipe, run=run, test=False, verbose=False)
                status = "COMPLETED"
            except ValueError as error:
                run.with_suffix(".error").write_text(str(error))
                status = "FAILED"
        self.chief.end(me, trial, status)
        return True

    start = end = kill = lambda self, *_: None


@pytest.fixture
def in_process(monkeypatch):
    """Train the trials of a search in this process."""
    pool = InProcess()
    monkeypatch.setattr("recipes.search.workers.local.Pool", pool)
    return pool
