"""Small hyperparameter searches."""

import json
import math
import resource
import shutil

import keras_tuner as kt
import pandas as pd
import pytest

import recipes
from recipes.search.oracles import make as oracles
from recipes.search.spaces import space as spaces

SPACE = """
def space(hp):
    return {"lr": hp.Choice("lr", [0.01, 1e38]), "act": hp.Choice("act", ["tanh", "relu"])}
"""


@pytest.fixture
def file(tiny, tmp_path):
    """A recipe file with a search space of four trials, two of which fail."""
    text = recipes.source(recipes.replace(tiny, act="relu", epochs=3))
    path = tmp_path / "mine.py"
    path.write_text(text.replace("\nif __name__", SPACE + "\n\nif __name__"))
    return path


def test_a_search_writes_trials_and_the_best_recipe(here, fork_workers, tmp_path):
    arguments = ("tune", "digits/lenet5", "--trials=2", "--epochs=2", "--run=search")
    done = here(*arguments)
    assert done.returncode == 0, done.stderr
    assert "digits/lenet5, random search" in done.stdout
    table = pd.read_csv(tmp_path / "search" / "trials.csv")
    assert (tmp_path / "search" / "search.png").read_bytes().startswith(b"\x89PNG")
    assert list(table["trial"]) == [0, 1]
    assert {"score", "lr", "weight_decay", "act", "epochs", "seconds", "run"} <= set(table.columns)
    assert table["score"].notna().all()
    assert (table["epochs"] == 2).all()
    assert table["lr"].nunique() == 2
    for trial in table.itertuples():
        run = recipes.open(tmp_path / trial.run)
        assert run.result["split"] == "validation"
        assert trial.score == pytest.approx(run.metrics["val_accuracy"].max())
        assert (run.recipe.lr, run.recipe.act) == (trial.lr, trial.act)
    best = table.loc[table["score"].idxmax()]
    written = recipes.load(tmp_path / "search" / "best.py")
    assert (written.lr, written.act, written.epochs) == (best["lr"], best["act"], 2)
    assert written == recipes.open(tmp_path / best["run"]).recipe

    # The same command again trains nothing.
    again = here(*arguments)
    assert again.returncode == 0
    assert "trial 0" not in again.stdout
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "search" / "trials.csv"), table)

    # Another search in the same directory is an error that shows the difference.
    other = here(*arguments, "--batch_size=32")
    assert other.returncode == 2
    assert "batch_size=64 there, 32 now" in other.stderr


@pytest.mark.full
def test_grid_reports_failed_trials_and_continues_with_more_trials(file, tmp_path, capfd):
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


@pytest.mark.full
def test_hyperband_gives_each_rung_its_epochs(file, tmp_path):
    found = recipes.tune(
        file, run=tmp_path / "search", tuner="hyperband", trials=3, verbose=False, schedule="step",
        milestones=(1, 2), warmup=1.5,
    )  # fmt: skip
    good = found[found["error"].isna()]
    assert good["epochs"].min() == 1
    runs = [recipes.open(path).recipe for path in good["run"]]
    for recipe in runs:
        assert recipe.warmup == pytest.approx(recipe.epochs / 2)
        assert recipe.milestones == pytest.approx((recipe.epochs / 3, recipe.epochs * 2 / 3))
    best = good.loc[good["score"].idxmax()]
    assert recipes.load(tmp_path / "search" / "best.py").epochs == best["epochs"]


@pytest.mark.quick
def test_wrong_arguments_are_errors(tiny, tmp_path):
    def space(hp):
        return {"lr": hp.Float("lr", 0.1, 1.0)}

    run = tmp_path / "search"
    for message, settings in {
        "tuner='grid': the default space has too many values": {"tuner": "grid"},
        "unknown act 'rellu'": {"space": "act=rellu"},
        "unknown tuner 'randm'; did you mean 'random'": {"space": space, "tuner": "randm"},
        "trials=0": {"space": space, "trials": 0},
        "needs a validation set": {"space": space, "validation": 0.0},
        "did you mean 'lr'": {"space": lambda hp: {"lrr": hp.Float("lr", 0.1, 1.0)}},
        "unknown act": {"space": lambda hp: {"act": hp.Choice("act", ["rellu"])}},
        "returned None: must be a dict": {"space": lambda hp: hp.Float("lr", 0.1, 1.0) and None},
        r"space\(hp\) sets epochs: hyperband or stages choose them": {
            "space": lambda hp: {"epochs": hp.Int("epochs", 1, 9)},
            "tuner": "hyperband",
        },
    }.items():
        with pytest.raises(ValueError, match=message):
            recipes.tune(tiny, run=run, **settings)
    assert not run.exists()


@pytest.mark.quick
def test_a_shortened_recipe_keeps_the_shape_of_its_schedule(tiny):
    base = recipes.replace(tiny, epochs=9, schedule="step", milestones=(3, 6), warmup=1)
    short = spaces.trial_recipe(base, {"lr": 0.5}, epochs=3)
    assert (short.epochs, short.milestones, short.lr) == (3, (1.0, 2.0), 0.5)
    assert short.warmup == pytest.approx(1 / 3)
    assert spaces.trial_recipe(base, {}, None) == base
    growing = recipes.replace(base, sizes=((0, 8), (1, 12), (6, 24)))
    assert spaces.trial_recipe(growing, {}, epochs=3).sizes == ((0, 12), (2, 24))
    plateau = recipes.replace(tiny, epochs=12, schedule="plateau", patience=5, average="swa:6")
    short = spaces.trial_recipe(plateau, {}, epochs=4)
    assert (short.patience, short.average) == (2, "swa:2")
    shortest = spaces.trial_recipe(plateau, {}, epochs=1)
    assert (shortest.patience, shortest.average) == (1, "swa:1")


def test_an_invalid_recipe_fails_only_its_trial(tiny, tmp_path):
    def space(hp):
        return {"schedule": hp.Choice("schedule", ["cosine", "step"])}  # and no steps

    search = {"run": tmp_path / "search", "space": space, "tuner": "grid", "strategy": "one"}
    for _ in range(2):  # the second time nothing is trained
        found = recipes.tune(tiny, epochs=1, **search)
        assert list(found["schedule"]) == ["cosine", "step"]
        assert found["score"].notna().tolist() == [True, False]
        assert found["error"][1].startswith(
            "schedule='step': set either milestones, the times at which"
        )
    assert recipes.load(tmp_path / "search" / "best.py").schedule == "cosine"


@pytest.fixture
def failing(tiny, tmp_path):
    """Search with trials that fail before a process is started, and return the trials."""

    def search(space, trials=9, path=tmp_path / "search", message="run=.*: no trial succeeded"):
        def with_no_steps(hp):
            first = "tried" not in hp.values  # tune first checks one recipe of the space
            hp.Fixed("tried", 1)
            return space(hp) | ({} if first else {"schedule": "step"})

        with pytest.raises(ValueError, match=message):
            recipes.tune(
                tiny, run=path, space=with_no_steps, tuner="grid", trials=trials, verbose=False
            )
        return pd.read_csv(path / "trials.csv", dtype={"trial": str})

    return search


@pytest.mark.quick
def test_a_grid_includes_conditional_hyperparameters(failing, tmp_path):
    def space(hp):
        act = hp.Choice("act", ["relu", "tanh", "elu"])
        if act == "relu":
            return {"act": act}
        return {"act": act, "dropout": hp.Choice("dropout", [0.1, 0.2])}

    whole = failing(space)
    assert list(whole["act"]) == ["relu", "tanh", "tanh", "elu", "elu"]
    assert list(whole["dropout"])[1:] == [0.1, 0.2, 0.1, 0.2]
    # Searching in several calls gives the same trials.
    for trials in (1, 2, 9):
        parts = failing(space, trials=trials, path=tmp_path / "parts")
    columns = ["trial", "act", "dropout"]
    pd.testing.assert_frame_equal(parts[columns], whole[columns])


def choice_of_lr(hp):
    return {"lr": hp.Choice("lr", [0.1, 0.2, 0.3])}


@pytest.mark.quick
def test_a_trial_that_was_not_recorded_is_proposed_again(failing, tmp_path):
    """The search was killed between writing the files of the trial and of the oracle."""
    failing(choice_of_lr, trials=1)
    oracle = tmp_path / "search" / "oracle"
    shutil.copytree(oracle / "trial_0", oracle / "trial_1")
    file = oracle / "trial_1" / "trial.json"
    file.write_text(file.read_text().replace('"trial_id": "0"', '"trial_id": "1"'))
    found = failing(choice_of_lr, trials=2)
    assert list(found["trial"]) == ["0", "1"]
    assert list(found["lr"]) == [0.1, 0.2]


@pytest.mark.quick
def test_a_full_disk_leaves_the_state_of_a_search_intact(failing, tmp_path):
    before = failing(choice_of_lr, trials=2)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8, limits[1]))
    try:
        with pytest.raises(Exception, match="too large"):
            failing(choice_of_lr, trials=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    after = failing(choice_of_lr, trials=3)
    assert list(after["lr"]) == [*before["lr"], 0.3]


@pytest.mark.quick
def test_a_space_that_sets_other_fields_is_another_search(failing):
    failing(choice_of_lr, trials=1)
    failing(
        lambda hp: choice_of_lr(hp) | {"batch_size": 32},
        message=r"contains another search \(batch_size=16 in its first trial, 32 now\)",
    )


@pytest.mark.quick
def test_another_space_is_described_by_what_differs(failing):
    def ranges(hp):
        return {
            "lr": hp.Float("lr", 1e-3, 1.0, step=10, sampling="log"),
            "nesterov": hp.Boolean("nesterov"),
            "batch_size": hp.Int("batch_size", 16, 64, step=16),
        }

    failing(choice_of_lr, trials=1)
    failing(
        ranges,
        message=r"another space \(lr=0.1,0.2,0.3 there, lr=log:0.001:1:10 now;"
        r" nesterov=False,True only now; batch_size=16:64:16 only now\); choose another --run",
    )


# Recipes that are the same


def plain_ifs(hp):
    kind = hp.Choice("kind", ["sgd", "adamw"])
    found = {"optimizer": kind, "lr": hp.Choice("lr", [0.05, 0.01])}
    if kind == "adamw":
        found["weight_decay"] = hp.Choice("decay", [0.0, 0.01])
    return found


def conditional(hp):
    kind = hp.Choice("kind", ["sgd", "adamw"])
    found = {"optimizer": kind, "lr": hp.Choice("lr", [0.05, 0.01])}
    with hp.conditional_scope("kind", ["adamw"]):
        if kind == "adamw":
            found["weight_decay"] = hp.Choice("decay", [0.0, 0.01])
    return found


def blocks(hp):
    """A number of layers and the size of each, as in the guide of Keras Tuner."""
    sizes = [hp.Choice(f"units_{i}", [32, 64]) for i in range(hp.Int("layers", 1, 3))]
    return {"options": {"hidden": tuple(sizes)}}


def steps(hp):
    lr = hp.Float("lr", 1e-3, 1.0, step=10, sampling="log")
    return {"lr": lr, "nesterov": hp.Boolean("nesterov")}


@pytest.mark.quick
@pytest.mark.parametrize(
    ("tuner", "space", "count"),
    [
        ("random", plain_ifs, 6),
        ("random", conditional, 6),
        ("random", blocks, 14),
        ("grid", conditional, 6),
        ("grid", blocks, 14),
        ("grid", steps, 8),
        ("hyperband", plain_ifs, 6),
        ("bayesian", plain_ifs, 6),
        ("reinforce", blocks, 14),
        ("evolution", conditional, 6),
    ],
)
def test_all_recipes_of_a_space_are_proposed_and_none_twice(tuner, space, count, tmp_path):
    searched = spaces.Space(recipes.Recipe(model="mlp", data="digits", epochs=9), space)
    assert searched.count() == count
    hp = kt.HyperParameters()
    space(hp)
    trials = None if tuner == "hyperband" else 16
    oracle = oracles.make_oracle(tuner, hp, seed=0, epochs=9, trials=trials, space=searched)
    oracles.without_repeats(oracle, searched.key)
    oracles.reload(oracle, tmp_path / "oracle")
    seen = []
    while True:
        oracles.follow_the_last(oracle)
        trial = oracle.create_trial("one")
        if trial.status == "STOPPED":
            break
        searched.recipe(trial.hyperparameters)
        oracle.update_space(trial.hyperparameters)
        seen.append(searched.key(trial.hyperparameters.values))
        oracle.update_trial(trial.trial_id, {"val_accuracy": len(seen) / 30})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert len(set(seen)) == count
    # Hyperband fills its rounds with recipes that were tried, whose scores are known.
    assert len(seen) == (23 if tuner == "hyperband" else count)


@pytest.mark.quick
def test_continuous_and_large_spaces_are_not_counted():
    base = recipes.Recipe(model="mlp", data="digits")
    assert spaces.Space(base, lambda hp: {"lr": hp.Float("lr", 0.1, 1.0)}).count() is None
    assert spaces.Space(base, lambda hp: {"seed": hp.Int("seed", 0, 10**6)}).count() is None
    assert spaces.Space(base, lambda hp: {"lr": hp.Float("lr", 0.1, 1.0)}).count(grid=True) == 10
    assert spaces.Space(base, lambda hp: {}).count() == 1


REPEATING = """
def space(hp):
    momentum = hp.Choice("momentum", [0.9, 0.5])
    kind = hp.Choice("optimizer", ["adamw", "sgd"])
    batch_size = hp.Choice("batch_size", [16, 5000])
    found = {"optimizer": kind, "batch_size": batch_size}
    return found | ({"momentum": momentum} if kind == "sgd" else {})
"""


def test_the_same_recipe_is_trained_once(tiny, tmp_path, here, in_process, monkeypatch):
    """Six of eight combinations differ; three have a batch size above the number of images."""
    text = recipes.source(recipes.replace(tiny, epochs=1))
    text = text.replace("\nif __name__", REPEATING + "\n\nif __name__")
    (tmp_path / "mine.py").write_text(text)
    command = ("tune", "mine.py", "--run=search", "--tuner=grid", "--trials=12")

    def interrupted(trial):
        if len(in_process.trained) == 5:
            raise KeyboardInterrupt

    in_process.fails = interrupted
    done = here(*command)
    assert done.returncode == 130
    assert "trial 04: same as trial 00, not trained again" in done.stdout
    assert in_process.trained == ["00", "01", "02", "03", "06"]
    in_process.fails = lambda trial: None
    done = here(*command)
    assert done.returncode == 0, done.stderr
    assert in_process.trained == ["00", "01", "02", "03", "06", "06", "07"]
    ended = "The search ended after 8 of 12 requested trials: the space has 6 different recipes"
    assert ended in done.stdout
    table = pd.read_csv(tmp_path / "search" / "trials.csv", dtype={"trial": str, "same_as": str})
    assert table["same_as"].fillna("").tolist() == [*[""] * 4, "00", "01", "", ""]
    assert table["score"][4] == table["score"][0]
    assert table["run"][4] == table["run"][0]
    assert table["seconds"][4] == 0
    assert table["error"][5].startswith(
        "same as trial 01: batch_size=5000: larger than the training set"
    )
    assert list(table["error"].notna()) == [False, True] * 4
    assert "(same as trial 00)" in done.stdout
    again = here(*command)
    assert in_process.trained[7:] == []
    assert "(same as trial 00)" in again.stdout
    assert ended in again.stdout


def test_errors_of_spaces_and_killed_trials_do_not_stop_the_search(
    tiny, tmp_path, in_process, capsys, monkeypatch
):
    """A space raises an error, or a process is killed, whose recipe is tried again."""

    def space(hp):
        lr = hp.Choice("lr", [0.02, 0.01, 0.005])
        hp.Choice("again", [0, 1])
        if lr == 0.01:
            raise KeyError("no such thing")
        return {"lr": lr, "epochs": 1}

    in_process.fails = lambda trial: "FAILED" if trial == "0" else None
    found = recipes.tune(tiny, run=tmp_path / "search", space=space, tuner="grid", trials=9)
    printed = capsys.readouterr()
    assert in_process.trained == ["0", "1", "4"]
    errors = found["error"].fillna("").tolist()
    assert errors[0] == "its process ended without an error message"
    assert errors[2] == errors[3] == "space(hp) raised KeyError: 'no such thing'"
    assert errors[1] == errors[4] == errors[5] == ""
    assert found["same_as"].fillna("").tolist() == ["", "", "", "", "", "4"]
    assert "trial 2: failed: space(hp) raised KeyError" in printed.out
    assert "after 6 of 9 requested trials" in printed.out


def test_a_search_by_the_validation_loss(tiny, tmp_path, in_process, capsys, monkeypatch):
    """Its best trial has the lowest loss; a loss that is not a number fails its trial."""
    losses = {0.02: [0.9, 0.7], 0.01: [0.5, 0.8], 0.005: [math.nan, math.nan]}
    accuracies = {0.02: [0.5, 0.9], 0.01: [0.6, 0.6], 0.005: [0.9, 0.9]}

    def train(trial):
        folder = in_process.path / "trials" / trial
        lr = json.loads(folder.with_suffix(".json").read_text())["recipe"]["lr"]
        folder.mkdir()
        figures = {"epoch": [1, 2], "val_loss": losses[lr], "val_accuracy": accuracies[lr]}
        pd.DataFrame(figures | {"seconds": [1.0, 1.0]}).to_csv(folder / "metrics.csv", index=False)
        return "COMPLETED"

    in_process.fails = train
    search = {"space": lambda hp: {"lr": hp.Choice("lr", [*losses])}, "tuner": "grid"}
    found = recipes.tune(
        tiny, run=tmp_path / "loss", select="best", select_by="val_loss", **search
    ).set_index("lr")
    assert found["score"].fillna(-1).to_dict() == {0.02: 0.7, 0.01: 0.5, 0.005: -1}
    assert found["error"][0.005] == "val_loss is not a finite number"
    assert recipes.load(tmp_path / "loss" / "best.py").lr == 0.01
    assert "best: validation loss 0.5000" in capsys.readouterr().out
    # Equal accuracies: the lower validation loss decides, not the order.
    accuracies.update({0.02: [0.6, 0.5], 0.01: [0.6, 0.5]})
    losses[0.005], accuracies[0.005] = [0.1, 0.1], [0.1, 0.1]
    recipes.tune(tiny, run=tmp_path / "accuracy", **search)
    assert recipes.load(tmp_path / "accuracy" / "best.py").lr == 0.01
    assert capsys.readouterr().out.count("0.6 *") == 1

    def other(hp):
        return {"lr": hp.Choice("lr", [0.1]), "select": "best", "select_by": "val_loss"}

    with pytest.raises(ValueError, match="compared by the recipe's select_by='val_accuracy'"):
        recipes.tune(tiny, run=tmp_path / "other", space=other)
