import os
import subprocess
import sys

import pytest

import recipes
from recipes import Recipe
from recipes.cli import main


@pytest.fixture(scope="session")
def tiny():
    """A recipe of a second or two."""
    return Recipe(
        model="toy_lenet",
        data="made_up:24x24x1:4:96",
        batch=16,
        epochs=2,
        lr=0.02,
        validation=0.2,
        seed=3,
    )


@pytest.fixture
def train(tmp_path):
    """Trains in tmp_path/NAME, silently unless told."""

    def run(recipe, name="run", **settings):
        return recipes.train(recipe, **{"run": tmp_path / name, "verbose": False, **settings})

    return run


@pytest.fixture
def cli(tmp_path):
    """Runs `recipes ...` in an empty folder; returns the completed process."""

    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "recipes", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **environment},
            timeout=600,
        )

    return run


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """As `cli`, in this process: where one of its own, five seconds more, would show no more."""

    def run(*arguments):
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        code = main.run([*map(str, arguments)])
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run
