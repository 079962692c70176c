"""Searches: real ones, small."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

import recipes
from recipes import tuning

SPACE = """
def space(hp):
    return {"lr": hp.Choice("lr", [0.01, 1e38]), "act": hp.Choice("act", ["tanh", "relu"])}
"""


@pytest.fixture
def file(tiny, tmp_path):
    """A recipe file with a space of four, two of which fail."""
    text = recipes.source(recipes.replace(tiny, act="relu", epochs=3))
    path = tmp_path / "mine.py"
    path.write_text(text.replace("\nif __name__", SPACE + "\n\nif __name__"))
    return path


def test_a_search_of_four_trials_on_lenet5(cli, tmp_path):
    arguments = ("tune", "digits/lenet5", "--trials=4", "--epochs=2", "--run=search")
    done = cli(*arguments)
    assert done.returncode == 0, done.stderr
    assert "digits/lenet5, random search" in done.stdout
    table = pd.read_csv(tmp_path / "search" / "trials.csv")
    assert list(table["trial"]) == [0, 1, 2, 3]
    assert {"score", "lr", "weight_decay", "act", "epochs", "seconds", "run"} <= set(table.columns)
    assert table["score"].notna().all()
    assert (table["epochs"] == 2).all()
    assert table["lr"].nunique() == 4
    for trial in table.itertuples():
        run = recipes.open(tmp_path / trial.run)
        assert run.result["split"] == "validation"
        assert trial.score == pytest.approx(run.metrics["val_accuracy"].max())
        assert (run.recipe.lr, run.recipe.act) == (trial.lr, trial.act)
    best = table.loc[table["score"].idxmax()]
    written = recipes.load(tmp_path / "search" / "best.py")
    assert (written.lr, written.act, written.epochs) == (best["lr"], best["act"], 2)

    # Once more: nothing is trained again.
    again = cli(*arguments)
    assert again.returncode == 0
    assert "trial 0" not in again.stdout
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "search" / "trials.csv"), table)

    # Another search in the same place is refused, with what differs.
    other = cli(*arguments, "--batch=32")
    assert other.returncode == 2
    assert "batch is 64 there, now 32" in other.stderr


def test_grid_shows_trials_that_fail_and_goes_on_with_more(file, tmp_path, capfd):
    search = {"run": tmp_path / "search", "tuner": "grid", "strategy": "one"}
    first = recipes.tune(file, trials=1, **search)
    assert len(first) == 1
    capfd.readouterr()
    found = recipes.tune(file, trials=9, **search)
    assert "trial 0:" not in capfd.readouterr().out
    pd.testing.assert_frame_equal(found.head(1)[["trial", "score"]], first[["trial", "score"]])
    assert len(found) == 4
    failed = found[found["error"].notna()]
    assert set(failed["lr"]) == {1e38}
    assert failed["score"].isna().all()
    assert failed["error"].str.contains("lower lr").all()
    best = recipes.load(tmp_path / "search" / "best.py")
    assert best.lr < 1
    assert best.data == "made_up:24x24x1:4:96"


def test_hyperband_gives_each_rung_its_epochs(file, tmp_path):
    found = recipes.tune(
        file, run=tmp_path / "search", tuner="hyperband", trials=3, verbose=False, schedule="step",
        steps=(1, 2), warmup=1.5,
    )  # fmt: skip
    good = found[found["error"].isna()]
    assert good["epochs"].min() == 1
    runs = [recipes.open(path).recipe for path in good["run"]]
    for recipe in runs:
        assert recipe.warmup == pytest.approx(recipe.epochs / 2)
        assert recipe.steps == pytest.approx((recipe.epochs / 3, recipe.epochs * 2 / 3))
    assert recipes.load(tmp_path / "search" / "best.py").epochs == 3


def test_a_killed_search_goes_on_with_its_trial(file, tmp_path):
    search = tmp_path / "search"
    command = [sys.executable, "-m", "recipes", "tune", str(file), "--trials=1", "--epochs=40"]
    command += ["--lr=0.01", f"--run={search}", "--tuner=bayesian"]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (search / "trials" / "0" / "checkpoint.npz").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = subprocess.run(command, capture_output=True, text=True)
    table = pd.read_csv(search / "trials.csv")
    assert list(table["trial"]) == [0]
    about = json.loads((search / "trials" / "0" / "recipe.json").read_text())
    if done.returncode == 0:  # else it drew the rate that fails
        assert [s["first_epoch"] for s in about["sessions"]][-1] > 1
        assert table["epochs"].item() == 40


@pytest.mark.quick
def test_refusals(tiny, tmp_path):
    def space(hp):
        return {"lr": hp.Float("lr", 0.1, 1.0)}

    run = tmp_path / "search"
    for message, settings in {
        "has no space": {},
        "unknown tuner 'randm'; did you mean 'random'": {"space": space, "tuner": "randm"},
        "trials=0": {"space": space, "trials": 0},
        "needs a validation set": {"space": space, "validation": 0.0},
        "did you mean 'lr'": {"space": lambda hp: {"lrr": hp.Float("lr", 0.1, 1.0)}},
        "unknown act": {"space": lambda hp: {"act": hp.Choice("act", ["rellu"])}},
    }.items():
        with pytest.raises(ValueError, match=message):
            recipes.tune(tiny, run=run, **settings)
    assert not run.exists()


@pytest.mark.quick
def test_a_shortened_recipe_keeps_its_schedules_shape(tiny):
    base = recipes.replace(tiny, epochs=9, schedule="step", steps=(3, 6), warmup=1)
    short = tuning._with(base, {"lr": 0.5}, epochs=3)
    assert (short.epochs, short.steps, short.lr) == (3, (1.0, 2.0), 0.5)
    assert short.warmup == pytest.approx(1 / 3)
    assert tuning._with(base, {}, None) == base
    plateau = recipes.replace(tiny, epochs=12, schedule="plateau", patience=5, average="swa:6")
    short = tuning._with(plateau, {}, epochs=4)
    assert (short.patience, short.average) == (2, "swa:2")
    shortest = tuning._with(plateau, {}, epochs=1)
    assert (shortest.patience, shortest.average) == (1, "swa:1")


def test_a_recipe_that_cannot_be_made_fails_its_trial_alone(tiny, tmp_path):
    def space(hp):
        return {"schedule": hp.Choice("schedule", ["cosine", "step"])}  # and no steps

    search = {"run": tmp_path / "search", "space": space, "tuner": "grid", "strategy": "one"}
    for _ in range(2):  # the second time nothing is trained
        found = recipes.tune(tiny, epochs=1, **search)
        assert list(found["schedule"]) == ["cosine", "step"]
        assert found["score"].notna().tolist() == [True, False]
        assert found["error"][1] == "schedule='step' needs steps, where the rate falls, or every"
    assert recipes.load(tmp_path / "search" / "best.py").schedule == "cosine"
