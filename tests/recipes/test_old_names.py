"""Old names of fields and arguments, which still work in recipes, calls, flags and old runs."""

import hashlib
import json
import warnings

import pytest

import recipes
from recipes import Recipe, old_names, recipe_files
from recipes.cli import main
from recipes.recipe import FIELDS, from_json
from recipes.run import Run, claim, default_path
from recipes.search.report import order_of
from recipes.search.spaces.space import with_current_names

pytestmark = pytest.mark.quick

OLD = {
    "batch": 64, "rates": {"head": 2.0}, "lowest_momentum": 0.8, "every": 3.0, "unit": "steps",
    "monitor": 7, "steps": (5.0, 9.0),
}  # fmt: skip
NEW = {
    "batch_size": 64, "lr_multipliers": {"head": 2.0}, "min_momentum": 0.8, "step_size": 3.0,
    "schedule_unit": "steps", "stats_every": 7, "milestones": (5.0, 9.0),
}  # fmt: skip
# Settings with which each field applies, and fields that exclude each other
WITH = {
    "lowest_momentum": {"schedule": "one_cycle"},
    "every": {"schedule": "step"},
    "steps": {"schedule": "step"},
}
BASE = Recipe(model="mlp", data="digits")


@pytest.fixture(autouse=True)
def unseen(monkeypatch):
    """Each test sees the warnings that others have seen."""
    monkeypatch.setattr(old_names, "_noted", set())


def test_the_table_leads_from_names_that_are_gone_to_fields_and_arguments():
    assert {*OLD, "views", "samples"} == set(old_names.OLD_NAMES)
    assert not set(old_names.OLD_NAMES) & set(FIELDS)
    assert set(old_names.OLD_NAMES.values()) - set(FIELDS) == {"tta", "mc_dropout"}


@pytest.mark.parametrize(("old", "new"), zip(OLD, NEW, strict=True))
def test_an_old_name_in_python_warns_and_works(old, new):
    value, others = OLD[old], WITH.get(old, {})
    wanted = Recipe(model="mlp", data="digits", **others, **{new: value})
    said = rf"^{old} is now called {new} \(old names still work\)$"
    with pytest.warns(old_names.OldNameWarning, match=said) as caught:
        made = Recipe(model="mlp", data="digits", **others, **{old: value})
    assert made == wanted
    assert caught[0].filename == __file__
    old_names._noted.clear()
    with pytest.warns(old_names.OldNameWarning, match=said):
        assert recipes.replace(BASE, **others, **{old: value}) == wanted
    old_names._noted.clear()
    with pytest.warns(old_names.OldNameWarning, match=said):
        assert getattr(made, old) == value
    with pytest.raises(ValueError, match=rf"{old} is the old name of {new}, which is also given"):
        recipes.replace(BASE, **{old: value, new: value})
    with pytest.raises(AttributeError):
        _ = made.views  # not a field


def test_several_old_names_give_one_warning_once():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            recipes.replace(BASE, batch=32, monitor=0)
    assert [str(each.message) for each in caught] == [
        "batch is now called batch_size, monitor is now called stats_every (old names still work)"
    ]


def test_unknown_names_are_still_errors():
    with pytest.raises(TypeError, match="views"):
        Recipe(model="mlp", data="digits", views="flip")
    with pytest.raises(ValueError, match="unknown field 'samples'"):
        recipes.replace(BASE, samples=3)
    with pytest.raises(TypeError, match="batch"):
        recipes.evaluate("runs/x", batch=3)


def show(capsys, *argv):
    code = main.run(["show", "digits/mlp", *argv])
    return code, *capsys.readouterr()


@pytest.mark.parametrize(
    "flags", [["--batch=24", "--monitor", "3"], ["--batch", "24", "--monitor=3"]]
)
def test_old_flags_work(capsys, flags):
    wanted = show(capsys, "--batch_size=24", "--stats_every=3")
    assert wanted[2] == ""
    assert show(capsys, *flags) == (
        0,
        wanted[1],
        "recipes show: --batch is now called --batch_size, --monitor is now called --stats_every"
        " (old names still work)\n",
    )


@pytest.mark.parametrize(
    "flags", [["--batch=24", "--batch_size=24"], ["--batch_size=8", "--batch", "8"]]
)
def test_the_old_and_the_new_flag_together_are_an_error(capsys, flags):
    assert show(capsys, *flags) == (
        2,
        "",
        "show: --batch: --batch is the old name of --batch_size, which is also given; remove"
        " --batch\n",
    )


def test_old_names_in_a_recipe_file_work(capsys, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        'from recipes import Recipe\nrecipe = Recipe(model="mlp", data="digits", batch=32)\n'
        'choices = {"a": {"monitor": 0}, "b": {"stats_every": 5, "batch_size": 16}}\n'
    )
    assert main.run(["show", str(file), "--lr=0.5"]) == 0
    out, err = capsys.readouterr()
    assert "    batch_size=32,\n" in out
    assert err == (
        f"{file}: batch is now called batch_size (old names still work)\n"
        f"{file}: monitor is now called stats_every (old names still work)\n"
    )
    assert recipe_files.read(file).choices == {
        "a": {"stats_every": 0},
        "b": {"stats_every": 5, "batch_size": 16},
    }


def test_an_old_name_in_a_space_gives_one_warning(tmp_path, recwarn):
    for value in (16, 32):
        space = with_current_names(lambda hp, value=value: {"batch": value, "lr": 0.5})
        assert space(None) == {"batch_size": value, "lr": 0.5}
    assert [(each.filename, str(each.message)) for each in recwarn] == [
        (__file__, "batch is now called batch_size (old names still work)")
    ]
    assert with_current_names(lambda hp: 3)(None) == 3  # `trial_recipe` says what is wrong


# The recipe of a run's recipe.json, as it was written before the fields were renamed
EARLIER = """{"model": "mlp", "data": "digits", "act": null, "norm": null, "init": null,
"dropout": null, "drop_path": null, "options": {}, "data_init": null, "weights": null,
"head": "kept", "freeze": null, "augment": [], "eval_ops": [], "preprocess": "standardize",
"validation": 0.1, "bad_images": 0, "channels": null, "sampling": "shuffled", "batch": 64,
"epochs": 3, "accumulate": 1, "optimizer": "sgd", "lr": 0.05, "rates": {"head": 0.5},
"momentum": 0.9, "lowest_momentum": null, "nesterov": false, "rho": 0.9, "epsilon": null,
"weight_decay": 0.0, "decay_norms": true, "clip_norm": null, "average": null, "schedule": "step",
"unit": "epochs", "steps": [1.0, 2.0], "every": null, "gamma": 0.1, "power": 1.0, "patience": 5,
"warmup": 0.0, "loss": "softmax", "label_threshold": null, "label_smoothing": 0.0,
"class_weight": null, "aux_weight": 0.3, "monitor": 5, "stop_on_nan": true, "stop_at_loss": 3.0,
"select": "last", "select_by": "val_accuracy", "early_stopping": null, "min_delta": 0.0,
"dtype": "float32", "seed": 0}"""


def test_a_run_and_a_trial_of_an_earlier_version_open(tmp_path, recwarn):
    written = json.loads(EARLIER)
    recipe = recipes.replace(
        BASE, batch_size=64, epochs=3, lr=0.05, lr_multipliers={"head": 0.5}, schedule="step",
        milestones=(1, 2), stats_every=5,
    )  # fmt: skip
    assert from_json(written) == recipe
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": written, "classes": ["a", "b"]}))
    assert Run(tmp_path).recipe == recipe
    claim(tmp_path, recipe)  # resumes it
    with pytest.raises(ValueError, match="batch_size=64 there, 32 now"):
        claim(tmp_path, recipes.replace(recipe, batch_size=32))
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / "0.json").write_text(json.dumps({"recipe": written, "run": "x"}))
    order = order_of(tmp_path, "0")
    assert (from_json(order["recipe"]), order["run"]) == (recipe, "x")
    assert not recwarn.list
    with pytest.raises(ValueError, match="batch=64: batch is the old name of batch_size"):
        from_json(written | {"batch_size": 32})
    # The directory of a Recipe without a name is called by a digest of its values.
    text = json.dumps(written, sort_keys=True).encode()
    assert recipe_files.read(recipe).name == f"mlp-{hashlib.sha256(text).hexdigest()[:8]}"


def test_the_folder_of_an_earlier_version_is_found_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changed = recipes.replace(BASE, batch_size=64, lr=0.5)
    path = default_path("digits/mlp", BASE, changed)
    assert path.name == "batch_size=64,lr=0.5"
    earlier = path.with_name("batch=64,lr=0.5")
    earlier.mkdir(parents=True)
    assert default_path("digits/mlp", BASE, changed) == earlier
    path.mkdir()
    assert default_path("digits/mlp", BASE, changed) == path
