"""Evaluations that would mislead or destroy are rejected, and the loss is named."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

import recipes
from recipes import Recipe
from recipes.augment import PadCrop
from recipes.cli import main
from recipes.data.batches import open_data
from recipes.evaluation.predict import evaluate_split

LINEAR = Recipe(
    model="mlp", data="digits", options={"hidden": ()}, batch_size=64, epochs=1, lr=0.01,
    eval_ops=(), augment=(PadCrop(1),), stats_every=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Linear classifiers of digits: two with different seeds, and one trained with bce."""
    folder = tmp_path_factory.mktemp("runs")
    made = {"one": {}, "two": {"seed": 1}, "bce": {"loss": "bce"}}
    return {
        name: recipes.train(
            recipes.replace(LINEAR, **changes), run=folder / name, verbose=False, test=name == "bce"
        )
        for name, changes in made.items()
    }


def evaluate(capsys, *arguments):
    """Return the exit code of the command and the line that it printed on stderr."""
    code = main.run(["evaluate", *map(str, arguments)])
    return code, capsys.readouterr().err


def changed(run, to, **fields):
    """Return a copy of a run with changes in its recipe.json."""
    shutil.copytree(run.path, to)
    about = json.loads((to / "recipe.json").read_text())
    about["recipe"] |= fields
    (to / "recipe.json").write_text(json.dumps(about))
    return to


# Where a soup is written


def test_a_soup_never_overwrites_a_run(runs, tmp_path, capsys):
    one, two = tmp_path / "one", tmp_path / "two"
    shutil.copytree(runs["one"].path, one)
    shutil.copytree(runs["two"].path, two)
    before = hashlib.sha256((one / "model.keras").read_bytes()).digest()
    files = sorted(one.iterdir())
    for to in (one, two / ".." / "one"):
        code, error = evaluate(capsys, one, two, "--average=soup", "--to", to)
        assert code == 2
        assert "would overwrite the network of the run" in error
        assert error.count("\n") == 1
    assert hashlib.sha256((one / "model.keras").read_bytes()).digest() == before
    assert sorted(one.iterdir()) == files

    recipes.evaluate([one, two], split="validation", to=one)  # an ensemble has no network
    assert (one / "evaluation.json").is_file()
    assert hashlib.sha256((one / "model.keras").read_bytes()).digest() == before
    soup = one / "soup"  # which may replace an earlier soup
    soup.mkdir()
    shutil.copy(one / "model.keras", soup)
    recipes.evaluate([one, two], average="soup", split="validation", to=soup)
    assert hashlib.sha256((soup / "model.keras").read_bytes()).digest() != before


@pytest.mark.full  # slow
def test_the_error_of_a_soup_explains_why_it_needs_training_images(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path / "cache"))
    drawn = np.random.default_rng(0).integers(0, 256, (2, 2, 6, 12, 12, 3)).astype(np.uint8)
    for name, parts in zip(("photos", "others"), drawn, strict=True):
        for i in range(12):
            file = tmp_path / name / "ab"[i % 2] / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(parts[i % 2, i // 2]).save(file)
    photos, others = (f"folder:{tmp_path / name}" for name in ("photos", "others"))
    paths = []
    for seed, norm in ((0, "batch"), (1, "batch"), (0, None), (1, None)):
        recipe = recipes.replace(
            LINEAR, data=photos, batch_size=4, seed=seed, options={"hidden": (4,)}, norm=norm
        )
        paths.append(tmp_path / f"{norm}{seed}")
        recipes.train(recipe, run=paths[-1], verbose=False, test=False)
    (tmp_path / "photos").rename(tmp_path / "gone")
    code, error = evaluate(capsys, *paths[:2], "--average=soup", f"--data={others}")
    assert code == 2
    assert f"average='soup': needs training images of {paths[0]} for its batch norms" in error
    assert f"there is no folder {tmp_path / 'photos'}" in error
    assert error.count("\n") == 1
    evaluated = recipes.evaluate(paths[2:], average="soup", data=others)
    assert evaluated["average"] == "soup"  # no norms, no training images


# What runs may be evaluated on


def test_naming_the_data_set_does_not_skip_the_check_of_splits(runs, tmp_path, capsys):
    one, two = runs["one"].path, runs["two"].path
    held = changed(runs["two"], tmp_path / "held", validation=0.2)
    for split in ("validation", "train"):
        code, error = evaluate(capsys, one, held, f"--split={split}", "--data=digits")
        assert code == 2
        assert f"have different {split} sets" in error
    assert recipes.evaluate([one, held], data="digits")["samples"] == 360
    assert recipes.evaluate([one, two], data="digits", split="validation")["samples"] == 144

    # The split is that of the run that was trained on the data, in any position.
    strange = changed(runs["two"], tmp_path / "strange", data="made_up:8x8x1:10", validation=0.3)
    for pair in ([strange, held], [held, strange]):
        evaluated = recipes.evaluate(pair, data="digits", split="validation")
        assert evaluated["samples"] == open_data("digits", validation=0.2).validation.count
    code, error = evaluate(capsys, strange, one, held, "--split=validation", "--data=digits")
    assert code == 2
    assert f"{one} and {held} have different validation sets" in error
    evaluated = recipes.evaluate([one, held], data="made_up:8x8x1:10:200", split="validation")
    assert evaluated["samples"] == 20  # no run was trained on them


@pytest.mark.quick
def test_a_data_set_is_recognized_by_any_of_its_names(tmp_path, monkeypatch):
    from recipes.evaluation.runs import same_data

    monkeypatch.chdir(tmp_path)
    assert same_data("folder:photos", f"folder:{tmp_path}/photos/")
    assert not same_data("folder:photos", "folder:photos/train")
    assert same_data("cifar10", "cifar10:3.0.2")
    assert not same_data("cifar10", "cifar100")
    assert not same_data("made_up:8x8x1:10", "made_up:8x8x1:10:200")


# Views


@pytest.mark.parametrize(
    ("tta", "augment", "message"),
    [
        ("augment:2:()", ..., "'augment:2:()': names no op"),
        (
            "augment:2:Mixup()",
            ...,
            "probability=1.0) does not transform single images",
        ),
        ("augment:2:(Flip(), RepeatedAugmentation(3))", ..., "RepeatedAugmentation(times=3) does"),
        (
            "augment:2",
            ["Resize(8)", "CenterCrop(8)"],
            "random op, such as augment:2:PadCrop(2)",
        ),
        ("augment:2:Resize(8)", ..., "all deterministic, so every view would be identical"),
        (
            "augment:2:Lighting()",
            ...,
            "evaluate: Lighting: channels=1: needs images with 3 channels (RGB)\n",
        ),
    ],
    ids=["none", "batch op", "repeat op", "sizes", "named sizes", "refused by the op"],
)
def test_identical_views_are_rejected(tta, augment, message, runs, tmp_path, capsys):
    fields = {} if augment is ... else {"augment": augment}
    code, error = evaluate(capsys, changed(runs["one"], tmp_path / "run", **fields), "--tta", tta)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1


# The loss


def test_the_reported_loss_is_named(runs, tmp_path, capsys):
    evaluated = recipes.evaluate(runs["one"])
    assert evaluated["loss_of"] == "softmax cross-entropy"
    run = runs["bce"]
    loss_name = "softmax cross-entropy; trained with bce"
    assert run.result["loss_of"] == loss_name
    data = open_data("digits")
    found = evaluate_split(run.model, data.validation, 10, run.recipe)
    assert found["loss_of"] == loss_name
    # Validation during training uses the loss of the training, bce.
    assert found["loss"] > 2 * run.metrics["val_loss"].iloc[-1]
    both = [runs["one"].path, run.path]
    assert main.run(["evaluate", *map(str, both), f"--to={tmp_path / 'both'}"]) == 0
    assert f"({loss_name})" in capsys.readouterr().out
    kept = json.loads((tmp_path / "both" / "evaluation.json").read_text())
    assert kept["loss_of"] == loss_name
    assert [one["loss_of"] for one in kept["members"]] == ["softmax cross-entropy", loss_name]


# A damaged recipe.json


@pytest.mark.quick
@pytest.mark.parametrize("missing", ["recipe", "classes"])
def test_a_recipe_json_with_missing_parts_is_an_error(missing, tmp_path, capsys):
    about = {"name": "x", "recipe": {"model": "mlp", "data": "digits"}, "classes": ["a", "b"]}
    del about[missing]
    (tmp_path / "recipe.json").write_text(json.dumps(about))
    for arguments in (["evaluate", tmp_path], ["diagnose", tmp_path]):
        assert main.run([*map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert error.count("recipe.json: the file is damaged") == 1
        assert error.count(str(tmp_path)) == 1
        assert f"{missing!r} is missing" in error
        assert error.count("\n") == 1


@pytest.mark.quick
@pytest.mark.parametrize("text", ["[]", "3", '{"recipe": 3, "classes": ["a", "b"]}'])
def test_a_recipe_json_of_another_program_is_an_error(text, tmp_path):
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(ValueError, match=r"recipe\.json"):
        recipes.open(tmp_path)
