"""Diagnoses of training curves, for runs with known problems."""

import json

import numpy as np
import pandas as pd
import pytest

import recipes
from recipes import Recipe
from recipes.augment import Flip, Mixup
from recipes.diagnostics import curves as diagnosing
from recipes.recipe import to_json

MLP = recipes.load("digits/mlp")

RUNS = {
    # Finding: overrides of digits/mlp that cause it.
    "learning rate too low": {"lr": 1e-6, "epochs": 3},
    "learning rate too high": {
        "options.hidden": (),
        "lr": 100.0,
        "epochs": 3,
        "stop_at_loss": None,
    },
    "flat start": {"init": "normal:0.05", "options.hidden": (50, 50, 50), "epochs": 20},
    "gap": {"validation": 0.95, "epochs": 30},
    "no gap": {"options.hidden": (1,), "epochs": 15, "validation": 0.2},
    "still falling": {"lr": 0.003, "epochs": 4, "schedule": "constant"},
}


def seen(results):
    return {each.name for each in results if each.verdict == "seen"} - {"end"}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_with_a_known_problem_is_diagnosed(name, tmp_path):
    run = recipes.train(MLP, run=tmp_path / "run", verbose=False, test=False, **RUNS[name])
    found = recipes.diagnose(run)
    assert [each.name for each in found] == ["end", *diagnosing.RULES]
    assert found[0].verdict == "not seen"
    printed = {each.name: (each.verdict, each.figure) for each in found}
    assert seen(found) == {name}, (printed, run.metrics.to_string())
    (one,) = (each for each in found if each.verdict == "seen" and each.name != "end")
    assert one.explanation


@pytest.fixture
def curves(tmp_path):
    """Write a run directory of ten classes with these columns in metrics.csv."""

    def write(augment=(), **columns):
        recipe = Recipe(model="mlp", data="digits", augment=augment)
        about = {"name": "made", "recipe": to_json(recipe), "classes": list("0123456789")}
        (tmp_path / "recipe.json").write_text(json.dumps(about | {"sessions": []}))
        if columns:
            count = len(next(iter(columns.values())))
            table = {"epoch": range(1, count + 1), "lr": [0.1] * count, **columns}
            pd.DataFrame(table).to_csv(tmp_path / "metrics.csv", index=False)
        return tmp_path

    return write


@pytest.mark.quick
def test_a_run_with_losses_of_nan_is_diagnosed(curves):
    """As with --stop_on_nan=False; only the learning rate can be diagnosed."""
    nan = float("nan")
    found = recipes.diagnose(curves(loss=[2.3, nan, nan], accuracy=[0.1] * 3))[1:]
    seen = {f.name: f for f in found if f.verdict != "unknown"}
    assert list(seen) == ["learning rate too high"]
    assert seen["learning rate too high"].figure == "the loss of epoch 2 is not a finite number"
    assert not [f for f in found if "nan" in f.figure]


@pytest.mark.quick
def test_too_few_epochs_and_a_missing_validation_set_are_reported(curves):
    found = recipes.diagnose(curves())[1:]
    assert {each.verdict for each in found} == {"unknown"}
    assert all("the run has 0 epochs" in each.figure for each in found)
    one = {f.name: f for f in recipes.diagnose(curves(loss=[2.3], accuracy=[0.1]))}
    assert one["gap"].figure == "needs 3 epochs; the run has 1 epoch"
    found = recipes.diagnose(curves(loss=[2.3, 2.0], accuracy=[0.1, 0.3]))
    verdicts = {each.name: each.verdict for each in found}
    assert verdicts["learning rate too low"] == "not seen"
    assert verdicts["still falling"] == "unknown"
    found = {f.name: f for f in recipes.diagnose(curves(loss=[2, 1, 0.5, 0.4], accuracy=[1] * 4))}
    assert found["gap"].figure == "no validation set"
    assert found["still falling"].verdict == "seen"
    validated = {"val_accuracy": [0.5] * 4, "val_loss": [2, 1, np.nan, 1]}
    found = recipes.diagnose(curves(loss=[2, 1, 0.5, 0.4], accuracy=[1] * 4, **validated))
    figures = {each.figure for each in found if each.verdict == "unknown"}
    assert figures == {"a validation loss is not a finite number"}


@pytest.mark.quick
@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([2.3] * 100, {"learning rate too low"}),
        ([2.3] * 30 + [2.3 - 0.02 * i for i in range(70)], {"flat start", "still falling"}),
        ([9.0] * 10 + [2.3] * 50 + [0.5] * 40, set()),  # a bad start is no explosion
        ([2.3] * 50 + [4.0] * 50, {"learning rate too high"}),
        ([2.3] * 20, set()),  # too short
    ],
)
def test_short_runs_are_diagnosed_by_the_losses_of_their_steps(losses, expected, curves):
    path = curves(loss=[np.mean(losses)], accuracy=[0.5])
    steps = {"step": range(1, 1 + len(losses)), "epoch": 1, "loss": losses, "accuracy": 0.5}
    pd.DataFrame(steps | {"lr": 0.1}).to_csv(path / "steps.csv", index=False)
    found = [each for each in recipes.diagnose(path) if each.name != "end"]
    assert {each.name for each in found if each.verdict == "seen"} == expected
    unknown = {each.name for each in found if each.verdict == "unknown"}
    assert unknown == {"gap", "no gap"} | (
        {"learning rate too low", "flat start", "still falling"} if len(losses) < 30 else set()
    )


@pytest.mark.quick
@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ([2.3026] * 5, {"learning rate too low"}),
        ([2.30, 2.29, 2.31, 2.0, 1.2, 0.7, 0.5, 0.45, 0.44, 0.44, 0.44, 0.44], {"flat start"}),
        ([2.3, 40.0, 900.0], {"learning rate too high"}),
        ([2.0, 1.0, np.nan], {"learning rate too high"}),
        ([1.0, 0.5, 1.4, 0.5, 0.5, 0.5, 0.5, 0.5], {"learning rate too high"}),
        ([1.0, 0.4, 0.3, 0.27, 0.26, 0.25, 0.25, 0.25], set()),
        ([1.0, 0.8, 0.6, 0.4], {"still falling"}),
    ],
)
def test_rules_on_constructed_curves(loss, expected, curves):
    assert seen(recipes.diagnose(curves(loss=loss, accuracy=[0.5] * len(loss)))) == expected


@pytest.mark.quick
def test_the_training_accuracy_of_mixed_images_is_not_compared(curves):
    loss, low, high = [1.9, 1.7, 1.6, 1.6, 1.6], [0.3, 0.4, 0.45, 0.46, 0.46], [0.6] * 5
    given = {"loss": loss, "accuracy": low, "val_loss": [1.0] * 5, "val_accuracy": high}
    assert seen(recipes.diagnose(curves(**given, augment=(Flip(),)))) == {"no gap"}
    mixed = (Flip(), Mixup(0.2))
    found = {f.name: f for f in recipes.diagnose(curves(**given, augment=mixed))}
    for name in ("gap", "no gap"):
        assert found[name].verdict == "unknown"
        assert "Mixup(alpha=0.2, probability=1.0) mixes labels" in found[name].figure
        assert "evaluate --split=train" in found[name].figure
        assert "\n" not in found[name].figure
    assert found["still falling"].verdict == "not seen"
    # Findings from the validation loss do not depend on them.
    rising = given | {"val_loss": [1.0, 0.8, 0.9, 1.0, 1.2]}
    found = {f.name: f for f in recipes.diagnose(curves(**rising, augment=mixed))}
    assert (found["gap"].verdict, found["no gap"].verdict) == ("seen", "unknown")


@pytest.mark.quick
def test_the_command_prints_a_line_per_rule_without_tensorflow(curves, python):
    path = curves(
        loss=[1.0, 0.5, 0.2, 0.05], accuracy=[0.7, 0.9, 0.97, 1.0],
        val_loss=[1.0, 0.8, 0.9, 1.2], val_accuracy=[0.7, 0.75, 0.76, 0.75],
    )  # fmt: skip
    done = python(
        "import sys\nfrom recipes.cli.main import run\n"
        f"code = run(['diagnose', {str(path)!r}])\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\nsys.exit(code)",
        fresh=True,
    )
    lines = done.stdout.splitlines()
    for name in diagnosing.RULES:
        assert any(f" {name} " in line for line in lines), name
    assert any(line.startswith("seen gap: overfitting: use weight_decay") for line in lines)
