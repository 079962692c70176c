import os
import subprocess
import sys

import pytest

import recipes
from recipes import Recipe
from recipes.cli import main
from recipes.recipe_files import HERE


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
def train(tmp_path):
    """Train a recipe in the run directory tmp_path/NAME, by default without output."""

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
    """Run `recipes ...` in an empty folder and return the completed process."""

    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "recipes", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            # Not an installed package of the same name
            env={**os.environ, "PYTHONPATH": str(HERE.parent), **environment},
            timeout=600,
        )

    return run


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """Run `recipes ...` as `cli` does, but in this process, which saves five seconds."""

    def run(*arguments):
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        code = main.run([*map(str, arguments)])
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run
