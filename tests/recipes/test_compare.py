"""Comparing the choices of a recipe with several seeds."""

import numpy as np
import pandas as pd
import pytest

import recipes
from recipes.recipe_files import RecipeFile, read
from recipes.report import curves, table
from recipes.search.compare import verdict


@pytest.fixture
def file(tiny, tmp_path):
    """A recipe file with two choices, one of which learns."""
    path = tmp_path / "pair.py"
    text = recipes.source(
        recipes.replace(tiny, data="digits", model="mlp", epochs=3, batch_size=64)
    )
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
    assert (tmp_path / "out" / "compare.png").read_bytes().startswith(b"\x89PNG")
    again = recipes.compare(file, run=tmp_path / "out", seeds=2, epochs=2, verbose=False)
    pd.testing.assert_frame_equal(again, frame)


@pytest.mark.quick
def test_a_difference_within_the_noise_has_no_winner():
    def frame(*accuracies):
        rows = [{"choice": f"c{i}", "val_accuracy": a, "val_samples": 400, "seed": 0}
                for i, a in enumerate(accuracies)]  # fmt: skip
        return pd.DataFrame(rows)

    # The variance of a difference of shares p of n images is the sum of p (1 - p) / n.
    noise = 2 * np.sqrt((0.9 * 0.1 + 0.88 * 0.12) / 400)
    assert 0.02 < noise < 0.09
    assert verdict(frame(0.88, 0.9)).startswith("no clear winner: c1 leads by 2.0 points")
    assert verdict(frame(0.9, 0.81, 0.8)).startswith("c0 won, by 9.0 points")
    assert verdict(frame(0.9)) == "validation accuracy 0.9000"


@pytest.mark.quick
def test_the_noise_includes_seeds_and_each_choices_number_of_images():
    def frame(images, **accuracies):
        return pd.DataFrame(
            {"choice": name, "val_accuracy": each, "val_samples": images[name]}
            for name, found in accuracies.items()
            for each in found
        )

    images = {"a": 10_000, "b": 10_000}
    found = {"a": [0.86, 0.86, 0.86], "b": [0.93, 0.83, 0.91]}
    # The variance of a mean of three is a third of that of one; that of the seeds of "a" is 0.
    shares = (0.86 * 0.14 + 0.89 * 0.11) / 10_000
    noise = 2 * np.sqrt(shares + np.var(found["b"], ddof=1) / 3)
    said = verdict(frame(images, **found))
    assert said.startswith("no clear winner: b leads by 3.0 points")
    assert said.endswith(f"(two standard errors on 10,000 images and 3 seeds: {100 * noise:.1f})")
    assert verdict(frame(images, a=[0.86] * 3, b=[0.89] * 3)).startswith("b won")

    few = {"a": 10_000, "b": 50}
    noise = 2 * np.sqrt(0.86 * 0.14 / 10_000 + 0.89 * 0.11 / 50)
    said = verdict(frame(few, a=[0.86], b=[0.89]))
    assert said.startswith("no clear winner: b leads")
    assert said.endswith(f"(two standard errors on 50 images: {100 * noise:.1f})")


@pytest.mark.quick
def test_tables_print_names_with_markup_unchanged(capsys):
    """Rich would interpret brackets as markup, or raise an error."""
    table("of [b]", ["choice", "x"], [["norm [batch]", "no file [/tmp/a]"]], "[lr] won")
    said = capsys.readouterr().out
    for text in ("of [b]", "norm [batch]", "no file [/tmp/a]", "[lr] won"):
        assert text in said


@pytest.mark.quick
def test_curves_of_a_recipe_with_dollar_signs_in_its_name_are_drawn(tmp_path):
    curves([{"epoch": 1, "loss": 1.0, "accuracy": 0.5}], tmp_path / "a.png", "a$b^$: mlp")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.quick
def test_the_four_cases_of_transfer_have_their_choices():
    for name in recipes.names("transfer/*"):
        found = read(name)
        assert isinstance(found, RecipeFile)
        assert len(found.choices) >= 2
        made = [recipes.replace(found.recipe, **changes) for changes in found.choices.values()]
        assert len(set(map(repr, made))) == len(made)
    assert len(recipes.names("transfer/*")) == 4


def test_an_override_applies_to_choices_that_do_not_set_the_field(file, tmp_path, capsys):
    """For example, the user's weights next to a choice that trains from scratch."""
    chosen = {"open": {}, "own": {"lr": 0.05, "options.hidden": (7,)}}
    overrides = {"lr": 0.01, "options": {"hidden": (5, 5)}, "epochs": 1}
    frame = recipes.compare(file, choices=chosen, run=tmp_path / "out", **overrides)
    made = [recipes.open(run).recipe for run in frame["run"]]
    assert [r.lr for r in made] == [0.01, 0.05]
    assert [r.options["hidden"] for r in made] == [(5, 5), (7,)]
    assert [r.epochs for r in made] == [1, 1]
    assert "choice 'own' has its own lr\n" in capsys.readouterr().out


@pytest.mark.quick
def test_comparisons_that_are_impossible_are_errors(file, tmp_path, here):
    with pytest.raises(ValueError, match="choice 'a': unknown field 'lrr'; did you mean 'lr'"):
        recipes.compare(file, choices={"a": {"lrr": 1}}, run=tmp_path / "out")
    with pytest.raises(ValueError, match="choice 'a': needs a validation set"):
        recipes.compare(file, choices={"a": {"validation": 0.0}}, run=tmp_path / "out")
    with pytest.raises(ValueError, match="seeds=0: must be an integer of at least 1"):
        recipes.compare(file, seeds=0, run=tmp_path / "out")
    with pytest.raises(
        ValueError, match=r"lr=0.5: would have no effect, because choice 'a' sets lr"
    ):
        recipes.compare(file, choices={"a": {"lr": 0.1}}, run=tmp_path / "out", lr=0.5)
    both = {"a": {"lr": 0.1}, "b": {"lr": 0.2}}
    with pytest.raises(ValueError, match=r"would have no effect, because every choice sets lr"):
        recipes.compare(file, choices=both, run=tmp_path / "out", lr=0.5)
    overrides = {"options.hidden": (9,)}
    with pytest.raises(
        ValueError, match=r"options.hidden=\(9,\): would have no .* 'a' sets options.hidden"
    ):
        recipes.compare(file, choices={"a": {"options": {}}}, run=tmp_path / "out", **overrides)
    with pytest.raises(ValueError, match="choice 'a': must not set seed; use seeds=N"):
        recipes.compare(file, choices={"a": {"seed": 1}}, run=tmp_path / "out")
    adamw = {"a": {"optimizer": "adamw"}}
    with pytest.raises(
        ValueError, match=r"choice 'a': momentum=0.5: only applies with optimizer='sgd'"
    ):
        recipes.compare(file, choices=adamw, run=tmp_path / "out", momentum=0.5)
    with pytest.raises(ValueError, match=r"choices 'a b' and 'a/b': both would use .*a_b; rename"):
        recipes.compare(file, choices={"a b": {}, "a/b": {"lr": 0.5}}, run=tmp_path / "out")
    with pytest.raises(ValueError, match="there is nothing to compare"):
        recipes.compare(file, choices={}, run=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    text = file.read_text()
    for wrong, message in {
        'choices = ["a"]': r"choices=\['a'\]: must be a dict of names and dicts of fields",
        'choices = {"a": 1}': "choices={'a': 1}: must be a dict of names and dicts of fields",
        'space = {"lr": 1}': "space={'lr': 1}: must be text such as .*, or a function of hp",
    }.items():
        file.write_text(f"{text}\n{wrong}\n")
        with pytest.raises(ValueError, match=message):
            recipes.compare(file, run=tmp_path / "out")
    done = here("compare", "transfer/little_similr")
    assert (done.returncode, "did you mean 'transfer/little_similar'" in done.stderr) == (2, True)
