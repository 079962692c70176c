"""Incomplete checkpoints are never read, and a killed run ends like an uninterrupted one."""

import resource
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from PIL import Image

import recipes
from recipes import optimize
from recipes.augment import Flip, PadCrop
from recipes.recipe_files import source
from recipes.run import note_session
from recipes.training import checkpoint
from tests import processes

ARRAYS = {
    "model/0/a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "model/1/b": np.float32(3),
    "optimizer/0/iterations": np.int64(7),
}


@pytest.mark.quick
def test_a_checkpoint_survives_a_round_trip(tmp_path):
    checkpoint.save(tmp_path / "c.npz", ARRAYS, {"epoch": 2, "rows": [{"loss": 0.1}]})
    arrays, state = checkpoint.read(tmp_path / "c.npz")
    assert state == {"epoch": 2, "rows": [{"loss": 0.1}]}
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
    assert [p.name for p in tmp_path.iterdir()] == ["c.npz"]


@pytest.mark.quick
def test_a_truncated_or_changed_file_is_never_read(tmp_path):
    file = tmp_path / "c.npz"
    checkpoint.save(file, ARRAYS, {"epoch": 2})
    whole = file.read_bytes()
    data = whole.index(np.float32(5).tobytes())
    damaged = [whole[:n] for n in (0, 1, 100, len(whole) // 2, len(whole) - 1)]
    damaged += [whole[:data] + b"\x99" + whole[data + 1 :], b"nonsense" * 50]
    # Version, flags and compression of the first file, in the archive's list of files.
    first = whole.index(b"PK\x01\x02")
    damaged += [
        whole[: first + at] + bytes([whole[first + at] ^ flip]) + whole[first + at + 1 :]
        for at, flip in ((6, 128), (8, 1), (8, 32), (10, 1), (10, 8), (10, 12), (10, 14))
    ]
    for content in damaged:
        file.write_bytes(content)
        with pytest.raises(ValueError, match="the file is damaged"):
            checkpoint.read(file)


@pytest.mark.quick
def test_the_checksum_covers_values_names_and_state(tmp_path):
    file = tmp_path / "c.npz"
    for change in ({"model/0/a": ARRAYS["model/0/a"] + 1}, {"model/9/z": np.float32(0)}):
        checkpoint.save(file, ARRAYS, {"epoch": 2})
        with np.load(file) as held:
            content = dict(held)
        np.savez(file, **(content | change))
        with pytest.raises(ValueError, match="checksum"):
            checkpoint.read(file)


@pytest.mark.quick
def test_the_previous_checkpoint_is_read_if_the_newest_is_damaged(tmp_path):
    printed = []
    assert checkpoint.newest(tmp_path, printed.append) is None
    checkpoint.save(tmp_path / checkpoint.NEWEST, ARRAYS, {"epoch": 1})
    checkpoint.rotate(tmp_path)
    assert checkpoint.newest(tmp_path, printed.append)[1] == {"epoch": 1}
    checkpoint.save(tmp_path / checkpoint.NEWEST, ARRAYS, {"epoch": 2})
    assert checkpoint.newest(tmp_path, printed.append)[1] == {"epoch": 2}
    assert not printed
    (tmp_path / ".checkpoint.npz.123").write_bytes(b"half")  # killed while it was written
    (tmp_path / ".model.123.keras").write_bytes(b"half")
    assert checkpoint.newest(tmp_path, printed.append)[1] == {"epoch": 2}
    assert sorted(p.name for p in tmp_path.iterdir()) == [checkpoint.NEWEST, checkpoint.PREVIOUS]
    (tmp_path / checkpoint.NEWEST).write_bytes(b"half")
    assert checkpoint.newest(tmp_path, printed.append)[1] == {"epoch": 1}
    assert len(printed) == 1
    # The damaged checkpoint must not replace the intact one at the next epoch.
    checkpoint.rotate(tmp_path)
    assert checkpoint.newest(tmp_path, printed.append)[1] == {"epoch": 1}
    (tmp_path / checkpoint.PREVIOUS).write_bytes(b"half")
    with pytest.raises(ValueError, match="all checkpoints are damaged"):
        checkpoint.newest(tmp_path, printed.append)


@pytest.mark.quick
def test_a_full_disk_is_an_error_and_keeps_the_previous_checkpoint(tmp_path):
    file = tmp_path / "c.npz"
    checkpoint.save(file, ARRAYS, {"epoch": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, limits[1]))
    try:
        with pytest.raises(OSError, match=r"too large: '.*c\.npz'"):
            checkpoint.save(file, ARRAYS, {"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert checkpoint.read(file)[1] == {"epoch": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["c.npz"]


@pytest.mark.quick
def test_a_checkpoint_of_another_network_changes_no_weights():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), keras.layers.Dense(2)])
    model.compile(keras.optimizers.SGD(momentum=0.9))
    model.optimizer.build(model.trainable_variables)
    targets = checkpoint.variables(model)
    before = checkpoint.arrays_of(targets)
    new = {name: array + 1 for name, array in before.items()}
    first, *_, last = new
    wrong = [
        ({n: a for n, a in new.items() if n != last}, "is missing"),
        (new | {"model/9/other": np.float32(0)}, "is not in the network"),
        (new | {last: np.zeros((5, 5))}, "has shape"),
    ]
    for arrays, message in wrong:
        with pytest.raises(ValueError, match=message):
            checkpoint.assign(targets, arrays, of="x")
        for name, array in checkpoint.arrays_of(targets).items():
            np.testing.assert_array_equal(array, before[name])
    checkpoint.assign(targets, new, of="x")
    np.testing.assert_array_equal(targets[first].numpy(), new[first])


@pytest.mark.quick
def test_names_in_checkpoints_do_not_depend_on_networks_built_before():
    def build():
        layers = [
            keras.Input((3,)),
            keras.layers.Dropout(0.5, name="a"),
            keras.layers.Dense(2, name="b"),
        ]
        model = keras.Sequential(layers, name="net")
        model.compile(optimize.SGD())
        model.optimizer.build(model.trainable_variables)
        return list(checkpoint.variables(model))

    assert build() == build()


def start(file, run):
    command = [sys.executable, "-m", "recipes", "train", str(file), f"--run={run}"]
    return processes.Process(command, stderr=subprocess.STDOUT)


def weights(run):
    arrays, state = checkpoint.read(run / checkpoint.NEWEST)
    return arrays, state


@pytest.mark.full  # test_injected_faults.py kills a training within an epoch, too
@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_a_run_killed_within_an_epoch_resumes_to_the_same_weights(schedule, tmp_path):
    recipe = recipes.Recipe(
        model="toy_resnet",
        data="made_up:16x16x1:4:480",
        dropout=0.2,
        augment=(PadCrop(2), Flip()),
        batch_size=16,
        epochs=4,
        lr=0.05,
        schedule=schedule,
        **({"patience": 1, "gamma": 0.5} if schedule == "plateau" else {}),
        warmup=0.5,
        validation=0.05,
        select="best",
    )
    file = tmp_path / "killed.py"
    file.write_text(source(recipe))

    process = start(file, tmp_path / "killed")
    metrics = tmp_path / "killed" / "metrics.csv"
    deadline = time.monotonic() + 300
    # Kill it in the third epoch: there are two checkpoints, and the second can be truncated.
    while (
        not (tmp_path / "killed" / checkpoint.PREVIOUS).exists()
        or not (tmp_path / "killed" / checkpoint.NEWEST).exists()
    ):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 2 <= len(metrics.read_text().splitlines()) - 1 < 4
    assert not (tmp_path / "killed" / "result.json").exists()
    newest = tmp_path / "killed" / checkpoint.NEWEST
    truncated = schedule == "plateau" and newest.exists()
    if truncated:
        newest.write_bytes(newest.read_bytes()[:-100])

    resumed = start(file, tmp_path / "killed")
    printed, _ = resumed.communicate(timeout=600)
    assert resumed.returncode == 0, printed
    assert ("the file is damaged" in printed) == truncated
    recipes.train(file, run=tmp_path / "straight", verbose=False)

    (a, state_a), (b, state_b) = weights(tmp_path / "killed"), weights(tmp_path / "straight")
    assert a.keys() == b.keys()
    assert any("seed" in name for name in a)  # dropout's generators are among them
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=1e-6, err_msg=name)
    killed, whole = recipes.open(tmp_path / "killed"), recipes.open(tmp_path / "straight")
    assert list(killed.metrics["epoch"]) == [1, 2, 3, 4]
    columns = ["loss", "accuracy", "val_loss", "val_accuracy", "lr"]
    np.testing.assert_allclose(killed.metrics[columns], whole.metrics[columns], atol=1e-5)
    assert state_a["plateau"] == pytest.approx(state_b["plateau"]) if state_a["plateau"] else True
    assert killed.result["epoch"] == whole.result["epoch"]
    assert killed.result["loss"] == pytest.approx(whole.result["loss"], abs=1e-5)
    sessions = killed.about["sessions"]
    assert sessions[0]["first_epoch"] == 1
    assert sessions[1]["first_epoch"] in (2, 3, 4)


@pytest.mark.quick
def test_a_run_whose_data_has_changed_cannot_be_resumed(tiny, tmp_path):
    """Otherwise, labels could stand for other classes, and training images be in validation."""

    def note(*classes, **session):
        note_session(tmp_path, "name", tiny, classes, session)

    note("ant", "bee")  # as it was noted before images were
    note("ant", "bee", images="one")
    note("ant", "bee", images="one")
    before = (tmp_path / "recipe.json").read_bytes()
    for message, classes, images in (
        (r"other classes \(ant, cow\) than when", ("bee", "cow"), "one"),
        (r"other classes \(cow\) than when", ("ant", "bee", "cow"), "one"),
        ("other images than when", ("ant", "bee"), "two"),
    ):
        with pytest.raises(ValueError, match=f"data='{tiny.data}': {message} .* was started"):
            note(*classes, images=images)
    assert (tmp_path / "recipe.json").read_bytes() == before
    assert len(recipes.open(tmp_path).about["sessions"]) == 3


def test_a_class_renamed_while_a_run_is_stopped_is_noticed(tmp_path, train, train_one_epoch):
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for i in range(10):
            pixels = rng.integers(0, 256, (24, 24, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{i}.png")

    recipe = recipes.Recipe(
        model="toy_lenet", data=f"folder:{tmp_path / 'images'}", batch_size=4, epochs=2, lr=0.01
    )
    train_one_epoch(recipe)
    (tmp_path / "images" / "ant").rename(tmp_path / "images" / "cow")  # now after the bees
    with pytest.raises(ValueError, match=r"other classes \(ant, cow\)"):
        train(recipe)
    (tmp_path / "images" / "cow").rename(tmp_path / "images" / "ant")
    more = tmp_path / "images" / "ant" / "10.png"  # might draw a trained one for validation
    more.write_bytes((tmp_path / "images" / "ant" / "1.png").read_bytes())
    with pytest.raises(ValueError, match="other images than when"):
        train(recipe)
    more.unlink()
    assert train(recipe).finished
