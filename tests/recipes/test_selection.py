"""The selected epoch, early stopping, and the messages of stopped and finished runs."""

import itertools
import json
import signal
import time

import keras
import numpy as np
import pytest

import recipes
from recipes import Recipe
from recipes.augment import Flip, PadCrop
from recipes.optimize.metrics import ByClass
from recipes.recipe_files import source
from recipes.training import checkpoint, selection, stopping
from tests.recipes.test_checkpoint import start, weights


def rows(**columns):
    count = len(next(iter(columns.values())))
    return [{"epoch": i + 1} | {n: v[i] for n, v in columns.items()} for i in range(count)]


@pytest.mark.quick
def test_ties_go_to_the_lower_validation_loss_then_to_the_earlier_epoch():
    table = rows(
        val_accuracy=[0.5, 0.9, 0.9, 0.9, 0.9], val_loss=[1.0, 0.8, 0.5, 0.5, float("nan")],
        loss=[3.0, 2.0, 1.0, 1.5, 0.9],
    )  # fmt: skip
    assert selection.best_epoch(table) == 3
    assert selection.best_epoch(table, "val_loss") == 3
    assert selection.best_epoch(table, "loss") == 5
    assert selection.best_epoch(table, "val_macro_f1") == 0
    assert selection.best_epoch(rows(val_accuracy=[float("nan"), 0.1])) == 2


@pytest.mark.quick
def test_weights_that_an_earlier_version_selected_are_found(tmp_path):
    """It selected the first of equal epochs, which may not be the best one now."""
    assert checkpoint.kept_best(tmp_path, 7) == 7
    for epoch in (2, 3):
        checkpoint.best_file(tmp_path, epoch).touch()
    assert checkpoint.kept_best(tmp_path, 7) == 3
    assert checkpoint.kept_best(tmp_path, 2) == 2


@pytest.mark.quick
@pytest.mark.parametrize("by", ["val_loss", "val_accuracy"])
def test_early_stopping_equals_that_of_keras(by):
    """On random curves with ties, for every patience and some values of min_delta."""
    rng = np.random.default_rng(0)
    for patience, delta in itertools.product((1, 2, 3), (0.0, 0.1)):
        for _ in range(20):
            values = rng.integers(0, 12, 12) / 12
            reference = keras.callbacks.EarlyStopping(
                by, patience=patience, min_delta=delta, mode="min" if by == "val_loss" else "max"
            )
            model = keras.Sequential()
            model.stop_training = False
            reference.set_model(model)
            reference.on_train_begin()
            stop = None
            for epoch, value in enumerate(values.tolist()):
                reference.on_epoch_end(epoch, {by: value})
                if model.stop_training:
                    stop = epoch + 1
                    break
            table = rows(**{by: values.tolist()})
            ours = (n for n in range(1, 13)
                    if selection.stopped_early(table[:n], patience, by, delta))  # fmt: skip
            assert next(ours, None) == stop
    assert not selection.stopped_early(table, None, by)
    assert selection.stopped_early(rows(val_loss=[float("nan")] * 2), 2, "val_loss")


@pytest.mark.quick
def test_metrics_by_class_equal_scikit_learns():
    from sklearn.metrics import balanced_accuracy_score, f1_score

    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 4, 90), rng.normal(size=(90, 5))
    truth[truth == 2] = 1  # a class without images
    scores[:, 4] = -9  # a class that neither occurs nor is predicted
    found = [ByClass(kind, 5) for kind in ("balanced_accuracy", "macro_f1")]
    for metric in found:
        for part in np.split(np.arange(90), 3):
            metric.update_state(np.eye(5)[truth[part]], scores[part])
    predicted = scores.argmax(1)
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        expected = balanced_accuracy_score(truth, predicted)
    assert float(found[0].result()) == pytest.approx(expected)
    expected = f1_score(truth, predicted, average="macro", zero_division=0)
    assert float(found[1].result()) == pytest.approx(expected)
    found[0].reset_state()
    assert float(found[0].result()) == 0


@pytest.mark.quick
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"select": "best", "select_by": "val_acc"}, "unknown select_by 'val_acc'; did you mean"),
        ({"early_stopping": 0}, "early_stopping=0: must be at least 1"),
        ({"early_stopping": 3, "validation": 0.0}, "early_stopping=3: needs a validation set"),
        ({"select": "best", "validation": 0.0}, "select='best': needs a validation set"),
        (
            {"early_stopping": 3, "average": "swa:2"},
            "early_stopping=3: may stop before the last epochs",
        ),
        ({"min_delta": 0.1}, "min_delta=0.1: only applies with early_stopping=N"),
        (
            {"select_by": "loss"},
            "select_by='loss': only applies with select='best' or early_stopping=N",
        ),
        (
            {"class_weight": "balanced", "sampling": "balanced"},
            "already corrects the class frequencies; use only one",
        ),
        ({"class_weight": {0: 1.0}}, "the keys must be class names"),
        ({"class_weight": (1.0, -1.0)}, "at least 0"),
        ({"class_weight": "equal"}, "valid are 'balanced', a dict"),
    ],
)
def test_fields_that_exclude_each_other_are_errors(fields, message):
    with pytest.raises(ValueError, match=message):
        Recipe(model="mlp", data="digits", **fields)


@pytest.mark.quick
def test_early_stopping_by_the_training_loss_needs_no_validation_set():
    fields = {"early_stopping": 3, "select_by": "loss", "validation": 0.0}
    recipe = Recipe(model="mlp", data="digits", **fields)
    assert recipes.replace(recipe, early_stopping=None).select_by == "val_accuracy"


def test_a_run_that_stops_early_reports_it(tiny, train, capsys):
    class Stop(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            raise KeyboardInterrupt

    fields = {"epochs": 9, "early_stopping": 2, "schedule": "cosine", "min_delta": 0.9}
    fields |= {"select_by": "val_macro_f1", "select": "best"}
    with pytest.raises(KeyboardInterrupt):  # between the last epoch and the evaluation
        train(tiny, callbacks=[Stop()], **fields)
    run = train(tiny, verbose=True, **fields)
    printed = capsys.readouterr().out
    assert len(run.metrics) == 3
    best = selection.best_epoch(run.metrics.to_dict("records"), "val_macro_f1")
    result = run.result
    assert (result["stopped_early"], result["epochs_requested"]) == (True, 9)
    assert (result["epochs"], result["epoch"], result["best_epoch"]) == (3, best, best)
    assert "stopped early after epoch 3 of 9: val_macro_f1 has not improved by more than" in printed
    assert f"it was best in epoch {best} (" in printed
    rate = run.metrics["lr"].iloc[-1]
    assert f"The cosine schedule was cut: the learning rate was still {rate:.3g}" in printed
    assert f"epoch {best} of 3 (stopped early, 9 requested, best in epoch {best})" in printed
    found = {each.name: each for each in recipes.diagnose(run)}
    assert found["end"].verdict == "seen"
    assert "early stopping after epoch 3 of 9; val_macro_f1 was best" in found["end"].figure


@pytest.mark.full  # tests/faults has early stopping
def test_a_killed_run_stops_early_at_the_same_epoch(tmp_path):
    """Killed within an epoch and resumed, it has the same epochs, weights and result."""
    recipe = Recipe(
        model="toy_lenet", data="made_up:16x16x1:4:480", augment=(PadCrop(2), Flip()), batch_size=8,
        epochs=30, lr=0.02, validation=0.1, select="best", select_by="val_loss", early_stopping=2,
        class_weight=(1.0, 2.0, 3.0, 0.5), stats_every=0,
    )  # fmt: skip
    whole = recipes.train(recipe, run=tmp_path / "straight", verbose=False)
    epochs = len(whole.metrics)
    assert 3 <= epochs < 30
    file = tmp_path / "killed.py"
    file.write_text(source(recipe))
    process = start(file, tmp_path / "killed")
    deadline = time.monotonic() + 300
    while not (tmp_path / "killed" / checkpoint.NEWEST).exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (tmp_path / "killed" / "result.json").exists()
    found = {each.name: each for each in recipes.diagnose(tmp_path / "killed")}
    assert "killed" in found["end"].explanation
    again = recipes.train(recipe, run=tmp_path / "killed", verbose=False)
    assert len(again.metrics) == epochs
    columns = ["loss", "accuracy", "val_loss", "val_accuracy"]
    np.testing.assert_allclose(again.metrics[columns], whole.metrics[columns], atol=1e-5)
    (a, _), (b, _) = weights(again.path), weights(whole.path)
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], atol=1e-6, err_msg=name)
    for one, other in zip(again.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    for name in ("epoch", "best_epoch", "epochs", "stopped_early"):
        assert again.result[name] == whole.result[name]


def test_the_advice_after_a_stopped_training_works(tiny, tmp_path, here):
    """After NaN and a loss of three times the first, the named flag resumes the same run."""
    (tmp_path / "mine.py").write_text(recipes.source(recipes.replace(tiny, act="relu", epochs=1)))
    command = ("train", "mine.py", "--run=run")
    done = here(*command, "--lr=1e30")
    assert done.returncode == 2
    assert "--stop_on_nan=False" in done.stderr or "--stop_at_loss=none" in done.stderr
    stop = stopping.read(tmp_path / "run")
    assert stop["reason"] in ("nan", "loss")
    assert stop["epoch"] == 1
    found = {each.name: each for each in recipes.diagnose(tmp_path / "run")}
    assert found["end"].verdict == found["learning rate too high"].verdict == "seen"
    assert "decrease lr" in found["learning rate too high"].explanation
    told = here("diagnose", "run")
    assert "seen learning rate too high: the loss diverged: decrease lr" in told.stdout
    off = ("--stop_on_nan=False", "--stop_at_loss=none")
    done = here(*command, "--lr=1e30", *off)
    assert done.returncode == 0, done.stderr
    assert stopping.read(tmp_path / "run") is None
    assert recipes.open(tmp_path / "run").recipe.stop_at_loss is None
    found = {each.name: each for each in recipes.diagnose(tmp_path / "run")}
    assert found["learning rate too high"].verdict == "seen"
    assert found["end"].verdict == "not seen"


def test_an_interrupted_run_is_explained(tiny, train, train_one_epoch, tmp_path):
    train_one_epoch(tiny)
    found = {each.name: each for each in recipes.diagnose(tmp_path / "run")}
    assert found["end"].verdict == "seen"
    assert found["end"].figure == "interrupted in epoch 2 of 2; 1 of 2 epochs finished"
    assert "Ctrl-C" in found["end"].explanation
    assert found["learning rate too high"].verdict == "not seen"
    train(tiny)
    assert recipes.diagnose(tmp_path / "run")[0].verdict == "not seen"


def test_a_finished_run_prints_how_to_continue(tiny, train, tmp_path, capsys):
    run = train(tiny, epochs=1)
    capsys.readouterr()
    train(tiny, epochs=1, verbose=True)
    first, result, further = capsys.readouterr().out.splitlines()
    date = run.result["finished"][:10]
    assert first.startswith(f"{run.path}: already finished on {date} ")
    assert first.endswith("; nothing was trained")
    assert result.startswith("test accuracy")
    assert "pass --fresh, or another --run" in further
    with pytest.raises(ValueError, match=r"epochs=1 there, 9 now.*pass --extend epochs=9"):
        train(tiny, epochs=9)
    with pytest.raises(ValueError, match=r"this is a file; use the run directory .*/run'"):
        recipes.open(run.path / "model.keras")
    # The advice works: another run starts from its weights.
    train(tiny, "longer", epochs=1, weights=str(run.path))
    # Trained on another machine
    about = json.loads((run.path / "recipe.json").read_text())
    about["sessions"][-1] |= {"strategy": "MirroredStrategy", "replicas": 2, "backend": "jax"}
    about["sessions"][-1]["hardware"]["gpus"] = ["NVIDIA H100"]
    (run.path / "recipe.json").write_text(json.dumps(about))
    train(tiny, epochs=1, verbose=True)
    *_, changed = capsys.readouterr().out.splitlines()
    for part in ("strategy mirrored:2, not on one", "backend jax, not on tensorflow",
                 "device NVIDIA H100, not on"):  # fmt: skip
        assert part in changed
    train(tiny, epochs=1, verbose=True, strategy="mirrored:3")
    *_, changed = capsys.readouterr().out.splitlines()
    assert "strategy mirrored:2, not on mirrored:3" in changed
