"""Searches with a controller and with regularized evolution."""

import math
import random

import keras_tuner as kt
import numpy as np
import pytest

from recipes.search.oracles import draws
from recipes.search.oracles.evolution import SAMPLE
from recipes.search.oracles.reinforce import Choice, Controller
from tests.recipes.oracle_runs import Run

both = pytest.mark.parametrize("tuner", ["reinforce", "evolution"])
SPACE = (
    "act=relu,elu,selu,gelu norm=batch,group,none optimizer=sgd,adamw lr=log:1e-4:1"
    " weight_decay=log:1e-5:1e-1 dropout=0:0.5 momentum=0.5:0.95"
)


def score(values):
    """A score whose optimum is 0, at elu, group norm, sgd, lr 0.005, weight decay 0.001, ..."""
    found = -abs(math.log10(values["lr"] / 0.005)) / 4
    found -= abs(math.log10(values["weight_decay"] / 0.001)) / 4
    found -= abs(values["dropout"] - 0.25) + abs(values.get("momentum", 0.5) - 0.8)
    found -= 0.3 * (values["act"] != "elu") + 0.3 * (values["norm"] != "group")
    return found


@pytest.fixture
def search(tmp_path):
    """Start a search with a made-up score."""

    def start(tuner, name="search", space=SPACE, score=score, trials=48, **settings):
        return Run(space, score, tmp_path / name, tuner=tuner, trials=trials, **settings)

    return start


@both
def test_the_best_trials_are_better_than_random_ones(tuner, search):
    best, last = {}, {}
    for name in ("random", tuner):
        runs = [search(name, f"{name}{seed}", seed=seed).finish() for seed in range(4)]
        best[name] = np.mean([max(run.scores) for run in runs])
        last[name] = np.mean([np.mean(run.scores[-12:]) for run in runs])
    assert last["random"] < -1.2
    assert last[tuner] > last["random"] + 0.4
    assert best[tuner] > best["random"] + 0.15


@both
def test_a_search_is_the_same_if_it_is_killed_after_any_trial(tuner, search):
    whole = search(tuner, "whole").finish()
    parts = search(tuner, "parts")
    for count in (1, 5, 0, 8, 13):
        parts.finish(count)
        parts.open()
        parts.start()  # and killed in this trial
        parts.open()
    assert parts.finish().values == whole.values
    assert search(tuner, "other", seed=1).finish(9).values != whole.values[:9]


@both
def test_lower_scores_are_better_with_a_loss(tuner, search):
    up = search(tuner, "up").finish()
    down = search(tuner, "down", by="val_loss", score=lambda values: -score(values)).finish()
    assert down.values == up.values


@both
def test_hyperparameters_are_active_where_their_conditions_hold(tuner, search):
    def space(hp):
        optimizer = hp.Choice("optimizer", ["sgd", "adamw"])
        found = {"optimizer": optimizer, "lr": hp.Float("lr", 1e-4, 1, sampling="log")}
        if optimizer == "sgd":
            found["momentum"] = hp.Float("momentum", 0.5, 0.9, step=0.1)
            found["nesterov"] = hp.Boolean("nesterov")
        with hp.conditional_scope("optimizer", ["adamw"]):
            if optimizer == "adamw":
                found["weight_decay"] = hp.Float("decay", 1e-4, 1e-2, sampling="log")
        widths = [hp.Int(f"width_{i}", 8, 16, step=8) for i in range(hp.Int("layers", 1, 3))]
        return found | {"options.width": sum(widths)}

    def wanted(values):
        return (values["optimizer"] == "sgd") + values.get("momentum", 0) + values["layers"] / 3

    run = search(tuner, space=space, score=wanted).finish()
    for values in run.values:
        assert ("momentum" in values) == ("nesterov" in values) == (values["optimizer"] == "sgd")
        assert ("decay" in values) == (values["optimizer"] == "adamw")
        assert ("width_2" in values) == (values["layers"] == 3)
    assert len(run.values) == 48
    assert np.mean(run.scores[-12:]) > np.mean(run.scores[:8])
    keys = [run.space.key(t.hyperparameters.values) for t in run.oracle.trials.values()]
    assert len(set(keys)) == len(keys)


@both
def test_failed_trials_are_avoided(tuner, search):
    def failing(values):
        return None if values["act"] in ("relu", "gelu") else score(values)

    run = search(tuner, score=failing).finish()
    assert len(run.values) == 48
    failed = [each is None for each in run.scores]
    assert sum(failed[:12]) > 1.5 * sum(failed[-12:])
    assert len(search(tuner, "none", score=lambda values: None).finish().values) == 48


@both
def test_workers_do_not_wait(tuner, search):
    run, rng, running = search(tuner, trials=24), random.Random(0), {}
    for _ in range(200):
        worker = f"worker-{rng.randrange(4)}"
        if worker in running:
            run.end(running.pop(worker))
        elif (trial := run.start(worker)).status == "RUNNING":
            running[worker] = trial
        else:
            assert trial.status == "STOPPED"
            assert len(run.oracle.trials) == 24
    assert len(run.oracle.end_order) == 24
    # The order in which trials ended decides, so a search that was killed continues exactly.
    run.made["trials"] = 25
    run.open()
    values = run.oracle.populate_space("24")
    run.open()
    assert run.oracle.populate_space("24") == values


def test_children_differ_in_one_value_from_a_good_trial_of_the_population(search):
    space = "act=relu,elu,selu,gelu norm=batch,group,none lr=log:1e-4:1 dropout=0:0.5"
    run = search("evolution", space=space, score=lambda v: -abs(math.log10(v["lr"] / 0.01)))
    size = run.oracle.size
    assert size == 8
    run.finish()
    values, scores = run.values, []
    for number in range(size, 48):
        population = sorted(values[number - size : number], key=run.score)
        changed = [sum(each[n] != values[number][n] for n in each) for each in population]
        assert min(changed) == 1
        good = [
            run.score(each) for each, count in zip(population, changed, strict=True) if count == 1
        ]
        half = int(size * SAMPLE)  # of which it is the best, so not one of the three worst of all
        assert max(good) >= run.score(population[half - 1])
        scores.append(max(good) < run.score(population[-1]))
    assert any(scores)  # not always the best of the whole population


def test_the_gradient_of_the_controller_is_that_of_the_probability_of_its_choices():
    controller = Controller(3, rate=0.1)
    choices = [Choice("act", 3, 1), Choice("norm", 4, 2), Choice("act", 3, 0)]
    gradients = controller.gradients(choices)

    def probability():
        total, last, step = 0.0, None, None
        for choice in choices:
            step = controller.step(choice.axis, choice.number, last, step)
            total, last = total + math.log(step.p[choice.which]), choice
        return total

    rng = np.random.default_rng(0)
    for name, values in controller.parameters.items():
        for at in rng.integers(0, values.size, 20):
            value = values.flat[at]
            values.flat[at] = value + 1e-5
            above = probability()
            values.flat[at] = value - 1e-5
            numeric = (above - probability()) / 2e-5
            values.flat[at] = value
            assert gradients[name].flat[at] == pytest.approx(numeric, abs=1e-8)
    before = probability()
    controller.learn(choices, 1.0)
    better = probability()
    assert better > before
    assert controller.baseline == pytest.approx(0.55)
    controller.learn(choices, 0.0)
    assert controller.moments["lstm"][0].any()


def test_positions_and_values_of_axes_are_inverse():
    hps = kt.HyperParameters()
    hps.Float("a", 1e-4, 1.0, sampling="log")
    hps.Float("b", 0.0, 0.5, step=0.1)
    hps.Float("c", 0.001, 10.0, step=10, sampling="log")
    hps.Float("d", 0.5, 0.99, sampling="reverse_log")
    hps.Float("e", 1.0, 100.0, step=10, sampling="reverse_log")
    hps.Int("f", 1, 9)
    hps.Int("g", 4, 64, step=2, sampling="log")
    hps.Int("h", 1, 1000, sampling="log")
    hps.Choice("i", [3, 1, 2])
    hps.Boolean("j")
    hps.Fixed("k", 3)
    counts = [draws.count(hp) for hp in hps.space]
    assert counts == [None, 6, 5, None, 3, 9, 5, None, 3, 2, 1]
    for hp in hps.space:
        places = np.linspace(0, 1, 41)[:-1]
        values = [draws.value_at(hp, place) for place in places]
        for value in values:
            again = draws.value_at(hp, draws.position(hp, value))
            assert again == pytest.approx(value)
            assert type(again) is type(value)
        assert len({*values}) == (draws.count(hp) or 40) or hp.name == "h"
    assert draws.value_at(hps.space[5], 1.05) == 10  # beyond the range
    assert draws.value_at(hps.space[0], 1.25) == pytest.approx(10)
    assert draws.position(hps.space[0], 1e-5) == pytest.approx(-0.25)
