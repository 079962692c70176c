"""Several worker processes on the loopback interface train one run as one process does."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import recipes
from recipes.recipe_files import HERE
from recipes.training import checkpoint

# Neither the 21 validation images nor the 24 test images are divisible by batch size and workers.
RECIPE = '''"""A small network whose images differ in weight and in each epoch."""
from recipes import Recipe
from recipes.augment import Flip

recipe = Recipe(model="toy_lenet", data="made_up:16x16x1:4:96", norm="sync_batch", batch_size=12,
                epochs=5, lr=0.02, momentum=0.9, clip_norm=0.5, validation=0.22, seed=3,
                average="ema:0.9", class_weight=(3.0, 1.0, 0.5, 1.0), augment=(Flip(),),
                select="best", checkpoint_every="3")
'''
COLUMNS = ["loss", "accuracy", "val_loss", "val_accuracy", "lr"]


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "small.py"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def launch(tmp_path, recipe):
    """Start `recipes launch` in the folder tmp_path and return the process."""

    def start(workers, run, *flags):
        return subprocess.Popen(
            [
                sys.executable, "-m", "recipes", "launch", f"--workers={workers}", "--logs=logs",
                "--", "train", recipe, f"--run={run}", *flags,
            ],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(HERE.parent), "CUDA_VISIBLE_DEVICES": "-1"},
        )  # fmt: skip

    return start


def processes_of(launcher):
    """Return the process ids of the workers, by their numbers."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            environment = (place / "environ").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if parent == launcher.pid:
            [text] = [x for x in environment if x.startswith(b"TF_CONFIG=")]
            found[json.loads(text[10:])["task"]["index"]] = int(place.name)
    return found


def wait_for(run, process, epochs=0):
    """Wait until a run has two checkpoints and some finished epochs."""
    deadline = time.monotonic() + 300
    present, metrics = run / "checkpoint.previous.npz", run / "metrics.csv"
    while not present.exists() or (
        epochs and len(metrics.read_text().splitlines() if metrics.exists() else []) <= epochs
    ):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def finished(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, (out, err)
    return out


def assert_as_one_process(run, one, atol=1e-5):
    assert run.about["sessions"][0]["strategy"] == "CollectiveAllReduceStrategy"
    np.testing.assert_allclose(run.metrics[COLUMNS], one.metrics[COLUMNS], atol=atol)
    np.testing.assert_allclose(run.steps, one.steps, atol=atol)
    for a, b in zip(run.model.variables, one.model.variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=atol, err_msg=a.path)
    for name in ("top1", "loss", "samples", "parameters", "epoch", "val_accuracy"):
        assert run.result[name] == pytest.approx(one.result[name], abs=atol)
    names = [
        {p.relative_to(each.path).parts[0] for p in each.path.iterdir()} for each in (run, one)
    ]
    assert names[0] == names[1]  # only the chief writes
    files = (run.path / "tensorboard" / "train").iterdir()
    processes = {file.name.split(".")[-3] for file in files}
    assert len(processes) == len(run.about["sessions"])


def test_a_killed_worker_ends_all_and_the_same_launch_ends_as_one_process(launch, recipe, tmp_path):
    before = set(Path(os.environ.get("TMPDIR", "/tmp")).glob("recipes-worker-*"))
    process = launch(2, "two")
    wait_for(tmp_path / "two", process)
    os.kill(processes_of(process)[1], signal.SIGKILL)
    started = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - started < 40
    assert process.returncode == 137
    assert "2 workers" in out.splitlines()[0]
    told, ended = err.splitlines()
    assert ended.startswith(
        "launch: worker 1 was killed by SIGKILL, so all 2 workers ended; logs: "
    )
    assert told.startswith("train: ")
    assert "worker 1 (127.0.0.1:" in told or "another worker" in told
    assert "repeat the same command on all workers" in told
    assert not (tmp_path / "two" / "result.json").exists()

    finished(launch(2, "two"))
    run = recipes.open(tmp_path / "two")
    again = run.about["sessions"][1]
    assert (again["first_epoch"], again["first_step"]) > (1, 1)
    one = recipes.train(str(recipe), run=tmp_path / "one", strategy="one", verbose=False)
    assert_as_one_process(run, one)
    log = (tmp_path / "logs" / "worker-1.log").read_text()
    assert "Epoch" not in log  # messages come from the chief
    after = set(Path(os.environ.get("TMPDIR", "/tmp")).glob("recipes-worker-*"))
    assert after == before


@pytest.mark.full
def test_three_workers_that_are_stopped_continue_to_the_same_bytes(launch, recipe, tmp_path):
    finished(launch(3, "whole"))
    process = launch(3, "parts")
    wait_for(tmp_path / "parts", process)
    os.kill(processes_of(process)[2], signal.SIGTERM)  # one is asked to stop, and all save and stop
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "stopped; saved after step" in err
    process = launch(3, "parts")
    wait_for(tmp_path / "parts", process, epochs=3)
    os.kill(processes_of(process)[0], signal.SIGKILL)
    assert process.communicate(timeout=60)
    assert process.returncode == 137
    finished(launch(3, "parts"))
    whole, parts = (recipes.open(tmp_path / name) for name in ("whole", "parts"))
    (one, state), (other, _) = (
        checkpoint.read(run.path / "checkpoint.npz") for run in (whole, parts)
    )
    assert one.keys() == other.keys()
    for name, array in one.items():
        assert array.tobytes() == other[name].tobytes(), name
    columns = [name for name in whole.metrics if name != "seconds"]
    assert whole.metrics[columns].equals(parts.metrics[columns])
    assert len(parts.about["sessions"]) == 3
    assert state["epoch"] == 5
    single = recipes.train(str(recipe), run=tmp_path / "one", strategy="one", verbose=False)
    assert_as_one_process(whole, single)
