"""Training survives faults: divergence, damaged files, two processes at once, signals."""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pytest

import recipes
from recipes.locking import is_locked, locked, require_held
from recipes.recipe_files import HERE, read, source
from recipes.run import default_path, note_session
from recipes.training import checkpoint, identity
from zoo.files import write_json


@pytest.fixture
def exploding(tiny, tmp_path):
    """A recipe file whose second epoch, of one step, ends with infinite weights."""
    recipe = recipes.replace(
        tiny,
        data="made_up:24x24x1:4:16",
        validation=0.0,
        model="mlp",
        options={"hidden": ()},
        stop_at_loss=None,
        lr=1e10,
        weight_decay=1e11,  # each step multiplies the weights by -1e21
        stats_every=0,
    )
    file = tmp_path / "exploding.py"
    file.write_text(source(recipe))
    return file


def strict(path):
    """Read JSON that must not contain NaN or infinity."""

    def reject(constant):
        raise AssertionError(f"{path} contains {constant}")

    return json.loads(path.read_text(), parse_constant=reject)


def test_infinite_weights_after_the_last_step_are_not_saved(exploding, here, tmp_path):
    line = ("train", exploding, "--run=run", "--strategy=one")
    done = here(*line)
    assert done.returncode == 2
    assert "NaN or infinite" in done.stderr
    assert "after epoch 2" in done.stderr
    assert strict(tmp_path / "run" / "stopped.json")["finished_epochs"] == 1
    arrays, state = checkpoint.read(tmp_path / "run" / checkpoint.NEWEST)
    assert state["epoch"] == 1
    assert all(np.isfinite(a).all() for n, a in arrays.items() if n.startswith("model/"))
    assert not (tmp_path / "run" / "model.keras").exists()

    whole = (tmp_path / "run" / checkpoint.NEWEST).read_bytes()

    # Who continues anyway gets valid JSON. Without this wish, the finite checkpoint is used.
    done = here(*line, "--stop_on_nan=False", "--stop_at_loss=None")
    assert done.returncode == 0, done.stderr
    assert strict(tmp_path / "run" / "result.json")["loss"] is None
    with pytest.raises(ValueError, match=r"all checkpoints are NaN .* --stop_on_nan=False"):
        checkpoint.newest(tmp_path / "run", print)
    (tmp_path / "run" / checkpoint.PREVIOUS).write_bytes(whole)
    printed = []
    assert checkpoint.newest(tmp_path / "run", printed.append)[1]["epoch"] == 1
    assert len(printed) == 1


@pytest.mark.quick
def test_json_files_contain_null_instead_of_nan(tmp_path):
    value = {"a": float("nan"), "b": [float("inf"), -float("inf"), 1.5], "c": {"d": (2, None)}}
    write_json(tmp_path / "x.json", value)
    assert strict(tmp_path / "x.json") == {
        "a": None, "b": [None, None, 1.5], "c": {"d": [2, None]}
    }  # fmt: skip


@pytest.mark.quick
def test_a_process_without_the_lock_leaves_the_directory_of_another_alone(tmp_path):
    path = tmp_path / "run"
    with locked(path):
        with pytest.raises(ValueError, match="another process is using"), locked(path):
            pass
        (path / "recipe.json").write_text("{}")  # the directory still exists
    with locked(path):
        pass
    (path / "recipe.json").unlink()
    with locked(path):
        pass
    assert not path.exists()


CONTENDER = """
import os, sys, time
from pathlib import Path
from recipes.locking import locked, require_held

path, end, counts = Path(sys.argv[1]), time.time() + float(sys.argv[2]), [0, 0]
while time.time() < end:
    try:
        with locked(path):
            own = path / "owner"
            descriptor = os.open(own, os.O_CREAT | os.O_EXCL)  # fails if two hold the lock
            os.close(descriptor)
            own.unlink()
            counts[0] += 1
    except ValueError as error:
        assert "another process is using" in str(error), error
        counts[1] += 1
print(*counts)
"""


@pytest.mark.quick
def test_of_several_processes_one_at_a_time_has_the_lock(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CONTENDER, str(tmp_path / "run"), "2"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert int(out.split()[0]) > 0


@pytest.mark.quick
@pytest.mark.parametrize("name", ["evil.txt", "recipe.json", "evil", "evil.pyc"])
@pytest.mark.parametrize("command", ["show", "look", "train", "check", "compare", "tune"])
def test_only_python_files_are_executed(command, name, here, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / name).write_text("open('ran', 'w').close()\nraise SystemExit(0)\n")
    done = here(command, f"a/{name}", *(["--run=s"] if command == "tune" else []))
    assert done.returncode == 2
    assert f"recipe='a/{name}': not a recipe file (.py)" in done.stderr
    assert ("use the run directory 'a'" in done.stderr) == (name == "recipe.json")
    assert not (tmp_path / "ran").exists()


@pytest.mark.quick
def test_a_run_directory_is_a_recipe(tiny, here, tmp_path):
    run = tmp_path / "runs" / "x"
    run.mkdir(parents=True)
    note_session(run, "some name", recipes.replace(tiny, lr=0.5), ("a", "b"), {})
    done = here("show", "runs/x", "--epochs=7")
    assert done.returncode == 0, done.stderr
    (tmp_path / "shown.py").write_text(done.stdout)
    assert recipes.load(tmp_path / "shown.py") == recipes.replace(tiny, lr=0.5, epochs=7)
    file = read(run)
    assert file.name == "some name"
    assert default_path(file.home, file.recipe, file.recipe) == run
    longer = recipes.replace(file.recipe, epochs=7)
    assert default_path(file.home, file.recipe, longer) == run / "epochs=7"
    (run / "recipe.json").write_text("{")
    assert "the file is damaged" in here("show", "runs/x").stderr


def test_a_checkpoint_belongs_to_its_recipe_even_without_recipe_json(
    tiny, train, train_one_epoch, tmp_path
):
    train_one_epoch(tiny)
    run = tmp_path / "run"
    about, newest = run / "recipe.json", run / checkpoint.NEWEST
    whole = about.read_bytes(), newest.read_bytes()
    about.unlink()
    with pytest.raises(ValueError, match=r"another recipe \(lr=0.02 there, 0.03 now\)"):
        train(tiny, lr=0.03)
    assert not about.exists()

    arrays, state = checkpoint.read(newest)
    checkpoint.save(newest, arrays, state | {"images": "others"})
    with pytest.raises(ValueError, match="other images than those of the checkpoint"):
        train(tiny)
    old = {
        n: v for n, v in state.items() if n in ("epoch", "rows", "best", "plateau", "first_loss")
    }
    checkpoint.save(newest, arrays, old)
    with pytest.raises(
        ValueError, match=r"recipe.json is missing, and the checkpoint of an earlier"
    ):
        train(tiny)

    about.write_bytes(whole[0])  # an earlier version's run continues
    assert train(tiny).result["epoch"] == 2
    for file in run.glob("*.*"):
        file.unlink()
    newest.write_bytes(whole[1])  # limits may change, and the recipe is known
    resumed = train(tiny, stop_at_loss=None)
    assert resumed.about["sessions"][0]["first_epoch"] == 2


@pytest.mark.quick
def test_what_killed_processes_left_is_removed(tmp_path):
    ours = [".recipe.json.123", ".metrics.csv.9", ".zoo-a1/recipe.json", ".zoo-b2/model.keras"]
    others = [".zoo-c3/model.tflite", ".recipe.json.old", ".notes.txt.12", "recipe.json"]
    for name in ours + others:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".zoo-new").mkdir()
    (tmp_path / ".zoo-old").mkdir()
    os.utime(tmp_path / ".zoo-old", (0, 0))
    with locked(tmp_path):
        pass
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == set(others)
    assert (tmp_path / ".zoo-new").is_dir()
    assert not any((tmp_path / name).exists() for name in (".zoo-a1", ".zoo-b2", ".zoo-old"))


@pytest.mark.quick
def test_a_process_may_wait_for_a_directory(tmp_path):
    """The trial of a killed search ends a moment after it, when the search may run again."""
    with contextlib.ExitStack() as other:
        other.enter_context(locked(tmp_path / "run"))
        with pytest.raises(ValueError, match="another process is using"), locked(tmp_path / "run"):
            pass
        threading.Timer(0.3, other.pop_all().close).start()
        with locked(tmp_path / "run", wait=60):
            assert is_locked(tmp_path / "run")


PARENT = """
import subprocess, sys
from recipes import worker

subprocess.run(worker.command("waiting", sys.argv[1]))
"""
WAITING = """
import os, pathlib, sys, time

place = pathlib.Path(sys.argv[1])
place.with_suffix(".tmp").write_text(str(os.getpid()))
place.with_suffix(".tmp").rename(place)
try:
    time.sleep(60)
except KeyboardInterrupt:
    place.with_name("ended").touch()
"""


@pytest.mark.quick
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_process_of_ours_ends_with_the_one_that_started_it(number, tmp_path):
    (tmp_path / "waiting.py").write_text(WAITING)
    path = os.pathsep.join([str(HERE.parent), str(tmp_path)])
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "pid")],
        env={**os.environ, "PYTHONPATH": path},
    )
    wait_for(tmp_path / "pid")
    parent.send_signal(number)
    parent.wait()
    wait_for(tmp_path / "ended")


def wait_for(path):
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_versions_that_changed_are_mentioned_on_resume(
    tiny, train, train_one_epoch, tmp_path, capsys
):
    train_one_epoch(tiny)
    about = json.loads((tmp_path / "run" / "recipe.json").read_text())
    about["sessions"][0]["versions"]["keras"] = "3.0.1"
    write_json(tmp_path / "run" / "recipe.json", about)
    train(tiny, verbose=True)
    assert f"results may differ: keras 3.0.1, now {keras.__version__}\n" in capsys.readouterr().out


def test_a_finished_run_on_a_read_only_file_system(tiny, train, tmp_path):
    train(tiny, epochs=1)
    program = "mount --bind run run && mount -o remount,ro,bind run && ! touch run/x && exec "
    command = [sys.executable, "-m", "recipes", "train", "run"]
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("needs a mount namespace")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", program + shlex.join(command)],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "already finished" in done.stdout


def test_a_run_in_a_directory_that_is_not_writable_is_evaluated(
    tiny, train, here, tmp_path, monkeypatch
):
    train(tiny, epochs=1)
    real = os.access
    run = "run"
    monkeypatch.setattr(os, "access", lambda path, mode: path != run and real(path, mode))
    done = here("evaluate", run)
    assert done.returncode == 0, done.stderr
    assert "--to=DIR keeps this" in done.stdout
    assert not (tmp_path / "run" / "evaluation").exists()


def test_a_damaged_recipe_json_is_written_again_from_the_checkpoint(
    tiny, train, train_one_epoch, tmp_path
):
    train_one_epoch(tiny)
    file, printed = tmp_path / "run" / "recipe.json", []
    whole = file.read_text()
    for damaged in (whole[:300], whole.replace('"lr"', '"ls"'), whole.replace("0.02", "0.03")):
        assert damaged != whole
        file.write_text(damaged)
        with pytest.raises(ValueError, match=r"lr=0.03 there, 0.05 now|--fresh"):
            train(tiny, lr=0.05)
        assert file.read_text() == damaged
        identity.recover(tmp_path / "run", tiny, printed.append)
        assert not file.exists()
        assert "recipe.json is written again from the checkpoint" in printed.pop()
    file.write_text(whole[:300])
    about = train(tiny).about
    assert about["recipe"] == json.loads(whole)["recipe"]
    assert [session["first_epoch"] for session in about["sessions"]] == [2]


def test_a_finished_run_without_recipe_json_and_with_damaged_metrics(tiny, train, tmp_path):
    finished, metrics = train(tiny, epochs=1), tmp_path / "run" / "metrics.csv"
    about, whole = finished.about, metrics.read_bytes()
    for damage in (
        (tmp_path / "run" / "recipe.json").unlink,
        lambda: metrics.write_bytes(whole.replace(b"2", b"3", 1)),
    ):
        damage()
        again = train(tiny, epochs=1)
        assert again.about["recipe"] == about["recipe"]
        assert metrics.read_bytes() == whole
        assert again.result["loss"] == finished.result["loss"]


@pytest.mark.quick
def test_a_directory_that_was_removed_while_it_was_locked_is_noticed(tmp_path):
    path = tmp_path / "run"
    with locked(path):
        require_held(path)
        path.rename(tmp_path / "moved")
        with pytest.raises(ValueError, match="removed or replaced"):
            require_held(path)
        path.mkdir()
        with pytest.raises(ValueError, match="removed or replaced"):
            require_held(path)
    require_held(path)
