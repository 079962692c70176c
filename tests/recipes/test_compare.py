"""Choices of a recipe, trained side by side."""

import numpy as np
import pandas as pd
import pytest

import recipes
from recipes.comparing import verdict
from recipes.files import RecipeFile, read


@pytest.fixture
def file(tiny, tmp_path):
    """A recipe file with two choices, one of which learns."""
    path = tmp_path / "pair.py"
    text = recipes.source(recipes.replace(tiny, data="digits", model="mlp", epochs=3, batch=64))
    path.write_text(
        f'{text}\nchoices = {{"too slow": {{"lr": 1e-7}}, "lr of 0.1": {{"lr": 0.1}}}}\n'
    )
    return path


def test_each_choice_is_trained_and_the_better_wins(file, tmp_path, capsys):
    frame = recipes.compare(file, run=tmp_path / "out", seeds=2, epochs=2)
    assert list(frame["choice"]) == ["too slow", "too slow", "lr of 0.1", "lr of 0.1"]
    assert list(frame["seed"]) == [3, 4, 3, 4]
    for row in frame.to_dict("records"):
        run = recipes.open(row["run"])
        assert run.recipe.seed == row["seed"]
        assert run.recipe.epochs == 2
        assert run.result["val_accuracy"] == row["val_accuracy"]
        assert run.result["top1"] == row["top1"]
    assert frame["val_samples"].unique().tolist() == [287]  # a fifth of 1,437
    said = capsys.readouterr().out
    assert "lr of 0.1 won, by" in said
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out" / "compare.csv"), frame)
    again = recipes.compare(file, run=tmp_path / "out", seeds=2, epochs=2, verbose=False)
    pd.testing.assert_frame_equal(again, frame)


@pytest.mark.quick
def test_a_lead_within_the_noise_is_no_win():
    def frame(*accuracies):
        rows = [{"choice": f"c{i}", "val_accuracy": a, "val_samples": 400, "seed": 0}
                for i, a in enumerate(accuracies)]  # fmt: skip
        return pd.DataFrame(rows)

    # Of shares p of n, the variance of their difference is the sum of p (1 - p) / n.
    noise = 2 * np.sqrt((0.9 * 0.1 + 0.88 * 0.12) / 400)
    assert 0.02 < noise < 0.09
    assert verdict(frame(0.88, 0.9)).startswith("none won: c1 leads by 2.0 points")
    assert verdict(frame(0.9, 0.81, 0.8)).startswith("c0 won, by 9.0 points")
    assert verdict(frame(0.9)) == "validation accuracy 0.9000"


@pytest.mark.quick
def test_the_four_cases_of_transfer_have_their_choices():
    for name in recipes.names("transfer/*"):
        found = read(name)
        assert isinstance(found, RecipeFile)
        assert len(found.choices) >= 2
        made = [recipes.replace(found.recipe, **changes) for changes in found.choices.values()]
        assert len(set(map(repr, made))) == len(made)
    assert len(recipes.names("transfer/*")) == 4


@pytest.mark.quick
def test_what_cannot_be_compared(file, tmp_path, cli):
    with pytest.raises(ValueError, match="choice 'a': unknown field 'lrr'; did you mean 'lr'"):
        recipes.compare(file, choices={"a": {"lrr": 1}}, run=tmp_path / "out")
    with pytest.raises(ValueError, match="choice 'a' has no validation set"):
        recipes.compare(file, choices={"a": {"validation": 0.0}}, run=tmp_path / "out")
    with pytest.raises(ValueError, match="seeds=0 is not a whole number from 1"):
        recipes.compare(file, seeds=0, run=tmp_path / "out")
    with pytest.raises(ValueError, match=r"choice 'a' sets lr, so that lr=0.5 cannot be of all"):
        recipes.compare(file, choices={"a": {"lr": 0.1}}, run=tmp_path / "out", lr=0.5)
    for own, given in (("options", "options.hidden"), ("options.hidden", "options")):
        changes, overrides = ({n: {} if n == "options" else ()} for n in (own, given))
        with pytest.raises(ValueError, match=f"choice 'a' sets {own}, so that {given}="):
            recipes.compare(file, choices={"a": changes}, run=tmp_path / "out", **overrides)
    with pytest.raises(ValueError, match="choice 'a' sets seed, which is one of seeds=N"):
        recipes.compare(file, choices={"a": {"seed": 1}}, run=tmp_path / "out")
    adamw = {"a": {"optimizer": "adamw"}}
    with pytest.raises(ValueError, match=r"choice 'a': momentum=0.5 is read by optimizer='sgd'"):
        recipes.compare(file, choices=adamw, run=tmp_path / "out", momentum=0.5)
    assert not (tmp_path / "out").exists()
    done = cli("compare", "transfer/little_similr")
    assert (done.returncode, "did you mean 'transfer/little_similar'" in done.stderr) == (2, True)
