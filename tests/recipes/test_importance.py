"""The importance of hyperparameters, from made-up scores."""

import keras_tuner as kt
import numpy as np
import pandas as pd
import pytest

from recipes.search import importance as module
from recipes.search.importance import describe, importance, write_importance


def made_up(count, score, seed=0):
    """Return random trials, and the hyperparameters."""
    rng, rows = np.random.default_rng(seed), []
    for number in range(count):
        act = rng.choice(["tanh", "relu", "elu"])
        values = {
            "lr": 10 ** rng.uniform(-4, 0),
            "act": act,
            "batch_size": int(rng.choice([16, 32, 64])),
            "dropout": rng.uniform(0, 0.5),
            "momentum": rng.uniform(0.5, 0.9) if act == "relu" else None,
        }
        rows.append(
            {
                "trial": f"{number:02}", "score": score(values, rng), **values, "epochs": 3,
                "seconds": 1.0, "error": None, "same_as": None, "run": "trials/0",
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def axes():
    hp = kt.HyperParameters()
    act = hp.Choice("act", ["relu", "tanh", "elu"])
    hp.Float("lr", 1e-4, 1.0, sampling="log")
    hp.Choice("batch_size", [16, 32, 64])
    hp.Float("dropout", 0.0, 0.5)
    if act == "relu":
        hp.Float("momentum", 0.5, 0.9)
    hp.Fixed("fixed", 1)
    return hp.space


@pytest.fixture
def used(monkeypatch):
    """Return the number of columns and the ranks of the trials that are used."""
    effects, seen = module._effects, []

    def record(x, y):
        seen.append((x.shape[1], y.round(3).tolist()))
        return effects(x, y) if len(y) not in (15, 20) else np.zeros((2, x.shape[1]))

    monkeypatch.setattr(module, "_effects", record)

    def ranks(trials, axes, by="val_accuracy"):
        importance(trials, axes, by)
        return seen[-1]

    return ranks


def test_importances_are_the_shares_of_the_variance(axes, used):
    """The variance of a uniform number is 1/12 of its width squared; of 0, 1 and 2, it is 2/3."""

    def score(values, rng):
        by_act = {"relu": 0.0, "tanh": 2.0, "elu": 1.0}[values["act"]]
        return 3 * np.log10(values["lr"]) / 4 + 1.5 * values["dropout"] / 0.5 + by_act

    shares = np.array([9 / 12, 2 / 3, 2.25 / 12])
    shares /= shares.sum()  # 0.47, 0.42, 0.12
    table, why = importance(made_up(120, score), axes, "val_accuracy")
    assert why == ""
    assert list(table["hyperparameter"][:3]) == ["lr", "act", "dropout"]
    assert list(table["importance"][:3]) == pytest.approx(shares, abs=0.1)
    assert set(table["hyperparameter"][3:]) == {"batch_size", "momentum"}
    assert table["importance"][3:].abs().max() < 0.02
    assert (table["deviation"] > 0).all()
    assert table["deviation"].max() < 0.15
    assert describe(table).startswith(f"lr {table['importance'][0]:.2f} +- ")
    # It does not depend on the scale of the scores, or on whether lower ones are better.
    losses = made_up(20, lambda values, rng: np.exp(-9 * score(values, rng)))
    assert used(losses, axes, "val_loss") == used(made_up(20, score), axes)


def test_noise_has_no_importance(axes):
    table, _ = importance(made_up(60, lambda values, rng: rng.normal()), axes, "val_loss")
    assert len(table) == 5
    assert (table["importance"].abs() < table["deviation"]).all()
    assert table["importance"].max() < 0.1


def test_an_inactive_hyperparameter_does_not_show_what_made_it_inactive(axes):
    trials = made_up(60, lambda values, rng: values["act"] == "relu")
    table, _ = importance(trials, axes, "val_accuracy")
    assert table["hyperparameter"][0] == "act"
    assert table["importance"][0] > 0.8
    assert table["importance"][1:].abs().max() < 0.05


def test_failed_trials_are_the_worst_ones_unless_their_process_crashed(axes, used):
    trials = made_up(20, lambda values, rng: values["dropout"])
    dropout = trials["dropout"].rank()
    low = dropout <= 5
    failed = trials.assign(
        score=trials["score"].where(~low), error=np.where(low, "the loss is NaN; lower lr", None)
    )
    # The five worst share the mean of their ranks.
    assert used(failed, axes) == (
        5,
        ((dropout.clip(5) - 1) / 19).where(~low, 2 / 19).round(3).tolist(),
    )
    assert used(failed.assign(score=-failed["score"]), axes, "val_loss") == used(failed, axes)
    crashed = failed.assign(error=np.where(low, "its process was killed by signal 9", None))
    assert used(crashed, axes) == used(trials[~low], axes)


def test_only_trials_that_can_be_compared_count(axes, used):
    trials = made_up(20, lambda values, rng: values["dropout"])
    other = made_up(15, lambda values, rng: 100 * values["lr"], seed=1)
    expected = used(trials, axes)
    for column in ("stage", "tuner/epochs"):
        both = pd.concat([other.assign(**{column: 1}), trials.assign(**{column: 2})])
        assert used(both, axes) == expected
    assert used(pd.concat([trials, other.assign(same_as="00")]), axes) == expected
    running = other.assign(score=None)
    assert used(pd.concat([trials, running]), axes) == expected


def test_too_few_or_equal_trials_have_no_importance(axes, used, tmp_path):
    few = made_up(7, lambda values, rng: rng.random())
    table, why = importance(few, axes, "val_accuracy")
    assert list(table.columns) == ["hyperparameter", "importance", "deviation"]
    assert len(table) == 0
    assert why.endswith(
        "it needs 8 finished trials that can be compared, and 7 trials have finished."
    )
    assert importance(few[:0], axes, "val_accuracy")[1].endswith("and 0 trials have finished.")
    same = made_up(20, lambda values, rng: 0.5)
    assert importance(same, axes, "val_accuracy")[1].endswith("all scores are equal.")
    assert importance(same, axes[-1:], "val_accuracy")[1].endswith(
        "all values of each hyperparameter are equal."
    )

    oracle = kt.oracles.RandomSearchOracle(objective=kt.Objective("val_accuracy", "max"))
    oracle.hyperparameters.merge(axes)
    trials = made_up(12, lambda values, rng: values["dropout"])
    hps = kt.HyperParameters()
    oracle.trials = {name: kt.engine.trial.Trial(hps, name) for name in trials["trial"]}
    table, line = write_importance(tmp_path, trials, oracle, "val_accuracy")
    assert line.startswith("importance: dropout 0.")
    written = pd.read_csv(tmp_path / "importance.csv")
    pd.testing.assert_frame_equal(written, table)
    _, line = write_importance(tmp_path, trials[:3], oracle, "val_accuracy")
    assert line.startswith("The importance of hyperparameters is not estimated")
    assert len(pd.read_csv(tmp_path / "importance.csv")) == 0
