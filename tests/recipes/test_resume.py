"""A run that is stopped anywhere continues to exactly the result of one that was not."""

import signal

import keras
import numpy as np
import pytest

import recipes
from recipes.augment import Flip, Mixup, PadCrop
from recipes.training import checkpoint
from recipes.values import interval_of


@pytest.fixture(scope="module")
def recipe():
    """A recipe with all kinds of state: random layers, averages, metrics, statistics, weights."""
    return recipes.Recipe(
        model="toy_resnet",
        data="made_up:16x16x1:4:90",
        dropout=0.2,
        augment=(PadCrop(2), Flip(), Mixup(0.2)),
        batch_size=16,
        epochs=3,
        lr=0.05,
        schedule="plateau",
        patience=1,
        gamma=0.5,
        warmup=0.5,
        validation=0.4,
        select="best",
        average="ema:0.9",
        stats_every=2,
        class_weight=(1, 2, 1, 1),
    )


@pytest.fixture(scope="module")
def straight(recipe, tmp_path_factory):
    """A run of the recipe without interruption."""
    path = tmp_path_factory.mktemp("straight") / "run"
    return recipes.train(recipe, run=path, verbose=False)


class Killed(BaseException):
    """Ends a training at once, as SIGKILL does, with whatever is on the disk."""


class At(keras.callbacks.Callback):
    """Call a function at the n-th step, or at the n-th step of validation."""

    def __init__(self, number, function, validation=False):
        super().__init__()
        self.number, self.function, self.validation = number, function, validation

    def _count(self):
        self.number -= 1
        if not self.number:
            self.function()

    def on_train_batch_end(self, batch, logs=None):
        if not self.validation:
            self._count()

    def on_test_batch_begin(self, batch, logs=None):
        if self.validation:
            self._count()


def kill():
    raise Killed


def interrupt():
    signal.raise_signal(signal.SIGINT)


def terminate():
    signal.raise_signal(signal.SIGTERM)


def assert_equal(run, other):
    """Compare everything that the two runs have computed, value for value."""
    (a, one), (b, two) = (checkpoint.read(r.path / checkpoint.NEWEST) for r in (run, other))
    assert a.keys() == b.keys()
    assert [name for name in a if a[name].tobytes() != b[name].tobytes()] == []
    for rows in (one["rows"], two["rows"]):
        for row in rows:
            del row["seconds"]
    for name in ("rows", "plateau", "best", "first_loss", "stats"):
        assert one[name] == two[name], name
    for x, y in zip(run.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)
    assert run.result["loss"] == other.result["loss"]
    assert run.steps.equals(other.steps)
    assert len(run.steps)


# 5 steps an epoch
KILLED = [(3, kill), (4, kill), (5, kill), (2, kill), (1, kill)]
STOPPED = [(2, interrupt), (1, terminate, True), (3, kill, True)]


@pytest.mark.parametrize(
    "stops",
    [pytest.param(KILLED, marks=pytest.mark.full), STOPPED],
    ids=["killed five times", "stopped"],
)
def test_a_stopped_run_ends_with_the_same_bytes(stops, recipe, straight, tmp_path):
    sessions = []
    for stop in stops:
        with pytest.raises((Killed, KeyboardInterrupt)) as stopped:
            recipes.train(
                recipe,
                run=tmp_path / "run",
                verbose=False,
                checkpoint_every=2,
                callbacks=[At(*stop)],
            )
        sessions.append(str(stopped.value))
    run = recipes.train(recipe, run=tmp_path / "run", verbose=False)
    assert len(run.about["sessions"]) == len(stops) + 1
    assert_equal(run, straight)
    if stops is STOPPED:
        # The signal comes after the callbacks of its step, and the next one ends first.
        assert sessions[:2] == [
            "saved after step 3 of 5 in epoch 1; the same command continues there",
            "saved after step 5 of 5 in epoch 1; the same command continues there",
        ]
        assert [each["first_step"] for each in run.about["sessions"]] == [1, 4, 6, 6]


def test_checkpoints_are_written_every_so_many_steps_and_the_newest_are_kept(recipe, tmp_path):
    with pytest.raises(Killed):
        recipes.train(
            recipe, run=tmp_path / "run", verbose=False, checkpoint_every=2, keep_checkpoints=3,
            callbacks=[At(10, kill)],
        )  # fmt: skip
    files = checkpoint.files(tmp_path / "run")
    assert [file.name for file in files] == [
        "checkpoint.npz", "checkpoint.previous.npz", "checkpoint.previous2.npz"
    ]  # fmt: skip
    states = [checkpoint.read(file)[1] for file in files]
    assert [(each["epoch"], each["step"]) for each in states] == [(1, 4), (1, 2), (1, 0)]


def test_checkpoints_are_written_after_a_time(recipe, tmp_path, monkeypatch):
    with pytest.raises(Killed):
        recipes.train(
            recipe, run=tmp_path / "run", verbose=False, checkpoint_every="0.0001s",
            callbacks=[At(4, kill)],
        )  # fmt: skip
    assert checkpoint.newest(tmp_path / "run", print)[1]["step"] == 4


@pytest.mark.quick
def test_intervals():
    assert interval_of(500) == interval_of("500") == (500, 0.0)
    assert interval_of("10min") == (0, 600.0)
    assert interval_of("1.5h") == (0, 5400.0)
    for wrong in (0, -1, "0", "0min", "often", "10 minutes", "5.5", ""):
        with pytest.raises(ValueError, match=r"checkpoint_every=.*: must be a number of steps"):
            recipes.Recipe(model="lenet5", data="digits", checkpoint_every=wrong)


def test_a_run_is_extended(tiny, train, here, tmp_path):
    train(tiny, "whole", epochs=3)
    run = train(tiny, epochs=2)
    with pytest.raises(ValueError, match="extend=2: must be more than epochs=2, which it extends"):
        train(tiny, epochs=2, extend=2)
    done = here("train", "run", "--extend", "epochs=3")
    assert done.returncode == 0, done.stderr
    assert "epoch 3;" in done.stdout
    extended = recipes.open(run.path)
    assert extended.recipe.epochs == 3
    # The schedule is constant, so that both have trained alike.
    assert_equal(extended, recipes.open(tmp_path / "whole"))
    assert "already finished" in here("train", "run").stdout
    with pytest.raises(ValueError, match=r"\(epochs=3 there, 2 now\).*pass --extend epochs=3"):
        train(tiny, epochs=2)
    wrong = here("train", "run", "--extend", "lr=3").stderr
    assert "extend='lr=3': only the number of epochs can be extended" in wrong


def test_a_run_is_started_over(tiny, train, here, tmp_path):
    before = train(tiny, epochs=1).result["finished"]
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"lr=0.02 there, 0.03 now.*start over with --fresh"):
        train(tiny, epochs=1, lr=0.03)
    with pytest.raises(ValueError, match="batch_size=500"):  # nothing is deleted
        train(tiny, epochs=1, batch_size=500, fresh=True)
    assert recipes.open(tmp_path / "run").result["finished"] == before
    run = train(tiny, epochs=1, lr=0.03, fresh=True)
    assert (run.recipe.lr, len(run.about["sessions"])) == (0.03, 1)
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_training_that_diverges_returns_to_its_checkpoint(tiny, train, capsys):
    diverging = {"lr": 1e4, "rollback_factor": 1e-5, "stop_at_loss": 1.5}
    with pytest.raises(ValueError, match=r"more than 1\.5 times the first loss"):
        train(tiny, "none", lr=1e4, stop_at_loss=1.5)
    run = train(tiny, rollbacks=2, verbose=True, **diverging)
    (rollback,) = run.result["rollbacks"]
    assert (rollback["to_epoch"], rollback["to_step"]) == (1, 0)
    assert rollback["reason"] in ("loss", "nan")
    text = "back to the checkpoint before the first step, with 1e-05 times the learning rate"
    assert f"{text} (1 rollback left)" in capsys.readouterr().out
    np.testing.assert_allclose(run.metrics["lr"], 0.1, rtol=1e-6)
    # From then on, it is a training with the lower learning rate.
    lower = train(tiny, "lower", lr=0.1)
    np.testing.assert_allclose(run.metrics["loss"], lower.metrics["loss"], rtol=1e-4)
    np.testing.assert_allclose(run.steps, lower.steps, rtol=1e-3)
    with pytest.raises(ValueError, match=r"more than 1\.5 times the first loss"):
        train(tiny, "bounded", rollbacks=1, **diverging | {"rollback_factor": 0.9})
