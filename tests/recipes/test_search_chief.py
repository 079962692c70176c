"""The chief of a search: leases, deaths of workers, restarts, and who is served."""

import contextlib
import time

import pandas as pd
import pytest

import recipes
from recipes.search.oracles.make import make_oracle, reload, without_repeats
from recipes.search.spaces.space import Space
from recipes.search.trials import Trials
from recipes.search.workers import chief as chiefs
from recipes.search.workers import client
from recipes.search.workers.chief import Chief, Member, NotYoursError


def space(hp):
    return {"lr": hp.Choice("lr", [0.01, 0.02, 0.03, 0.04])}


def worker(name, heard=0.0, pid=1):
    return Member(name, "here", pid, 0, time.time() + heard)


class Searched:
    """A search without training: its chief, and methods of workers.

    Args:
        path: directory of the search.
        function: the space.
        trials: number of trials.
        median: as in Chief.
    """

    def __init__(self, path, function=space, trials=4, median=False, epochs=5):
        import keras_tuner as kt

        self.path, self.lines = path, []
        path.mkdir(exist_ok=True)
        base = recipes.Recipe(model="mlp", data="digits", epochs=epochs)
        hp = kt.HyperParameters()
        function(hp)
        self.oracle = make_oracle("random", hp, seed=0, epochs=epochs, trials=trials)
        searched = Space(base, function)
        without_repeats(self.oracle, searched.key)
        reload(self.oracle, path / "oracle")
        self.trials = Trials(path, searched)
        self.chief = Chief(self.oracle, self.trials, median, self.lines.append)

    def create(self, name):
        return self.chief.create(worker(name)).trial_id

    def train(self, trial, *values):
        """Write the metrics of a trial's epochs."""
        run = self.path / "trials" / trial
        run.mkdir(exist_ok=True)
        rows = {"epoch": range(1, len(values) + 1), "val_accuracy": values, "seconds": 1.0}
        pd.DataFrame(rows).to_csv(run / "metrics.csv", index=False)

    def end(self, name, trial, *values):
        self.train(trial, *values)
        self.chief.end(worker(name), trial, "COMPLETED")

    def lr(self, trial):
        return self.oracle.trials[trial].hyperparameters.values["lr"]


@pytest.fixture
def searched(tmp_path):
    return Searched(tmp_path / "search")


@pytest.mark.quick
def test_each_trial_is_given_to_one_worker_and_the_search_ends_after_the_last(searched):
    assert [searched.create(name) for name in "ab"] == ["0", "1"]
    searched.end("b", "1", 0.5, 0.7, 0.6)
    assert searched.create("b") == "2"
    searched.end("b", "2", 0.5)
    assert searched.create("b") == "3"
    searched.end("b", "3", 0.5)
    # The trial of a worker that may die is not finished.
    assert searched.chief.create(worker("b")).status == "IDLE"
    assert not searched.chief.finished
    searched.end("a", "0", 0.5)
    assert searched.chief.create(worker("a")).status == "STOPPED"
    assert searched.chief.finished
    assert not searched.chief.alone()  # the other one has to know it
    assert searched.chief.create(worker("b")).status == "STOPPED"
    assert searched.chief.alone()
    assert [t.score for t in searched.oracle.trials.values()] == [0.5, 0.7, 0.5, 0.5]
    assert searched.chief.counts == {"a": 1, "b": 3}


@pytest.mark.quick
def test_a_worker_that_starts_again_gets_its_trial_and_several_deaths_fail_it(searched):
    for _ in range(chiefs.DEATHS - 1):
        assert searched.create("a") == "0"
        assert searched.chief.died("a", -9)
    assert searched.create("a") == "0"
    assert searched.chief.died("a", -11)
    assert not searched.chief.died("a", -9)  # before it asked
    assert searched.create("a") == "1"
    assert searched.oracle.trials["0"].status == "FAILED"
    assert searched.trials.reason(searched.oracle.trials["0"]) == (
        f"its process was killed by signal 11, {chiefs.DEATHS} times in one epoch"
    )
    # Deaths in several epochs do not fail it.
    for step in range(1, chiefs.DEATHS + 2):
        assert searched.create("a") == "1"
        searched.chief.update(worker("a"), "1", {"val_accuracy": 0.5}, step)
        assert searched.chief.died("a", -9)
    assert searched.create("a") == "1"


@pytest.mark.quick
def test_the_trial_of_a_silent_worker_is_given_to_another(searched):
    assert searched.create("a") == "0"
    assert searched.create("b") == "1"
    assert searched.chief.silent() == []
    searched.chief.keep(worker("a", heard=-chiefs.LEASE_SECONDS - 1), "0")
    assert searched.chief.silent() == ["a"]
    searched.end("b", "1", 0.5)
    assert searched.create("b") == "0"
    # The first one was only suspended: nothing that it does counts.
    for call in (
        lambda: searched.chief.keep(worker("a"), "0"),
        lambda: searched.chief.update(worker("a"), "0", {"val_accuracy": 0.1}, 1),
        lambda: searched.chief.end(worker("a"), "0", "COMPLETED"),
    ):
        with pytest.raises(NotYoursError, match="trial 0 was given to another worker"):
            call()
    searched.end("b", "0", 0.5)
    with pytest.raises(NotYoursError):
        searched.end("a", "0", 0.9)
    assert searched.oracle.trials["0"].score == 0.5
    assert searched.oracle.end_order == ["1", "0"]


@pytest.mark.quick
@pytest.mark.parametrize("moment", ["before", "between", "after"])
def test_a_chief_that_is_killed_while_a_trial_ends_counts_it_once(searched, moment):
    class Killed(BaseException):
        pass

    assert searched.create("a") == "0"
    searched.train("0", 0.5, 0.8)
    original = searched.oracle.save
    saves = []

    def save():
        saves.append(1)
        if len(saves) > {"before": 0, "between": 1, "after": 9}[moment]:
            raise Killed
        original()

    searched.oracle.save = save
    with contextlib.suppress(Killed):
        searched.chief.end(worker("a"), "0", "COMPLETED")
    again = Searched(searched.path)
    if moment == "before":  # its trial waits, and the worker that still has it may end it
        again.chief.end(worker("a"), "0", "COMPLETED")
    assert again.create("b") == "1"
    assert again.oracle.end_order == ["0"]
    assert again.oracle.trials["0"].score == 0.8


@pytest.mark.quick
def test_a_restarted_chief_proposes_the_same_trials(tmp_path):
    whole = Searched(tmp_path / "whole")
    for _ in range(4):
        trial = whole.create("a")
        whole.end("a", trial, 0.5)
    parts = Searched(tmp_path / "parts")
    for _ in range(4):
        parts.create("a")
        parts = Searched(tmp_path / "parts")
        trial = parts.create("b")
        parts.end("b", trial, 0.5)
        parts = Searched(tmp_path / "parts")
    assert [parts.lr(str(i)) for i in range(4)] == [whole.lr(str(i)) for i in range(4)]
    # With three workers, whatever the order in which they end
    several = Searched(tmp_path / "several")
    held = {name: several.create(name) for name in "abc"}
    for name in "cab":
        several.end(name, held[name], 0.5)
    several.end("b", several.create("b"), 0.5)
    assert [several.lr(str(i)) for i in range(4)] == [whole.lr(str(i)) for i in range(4)]


@pytest.fixture
def twins(tmp_path):
    """A search of two trials with the same recipe: worker a has the first one, and b waits."""

    def twice(hp):
        hp.Choice("again", [0, 1])
        return {}

    searched = Searched(tmp_path / "search", twice, trials=2)
    searched.oracle._random_values = iter([{"again": 0}, {"again": 1}]).__next__
    assert searched.create("a") == "0"
    assert searched.chief.create(worker("b")).status == "IDLE"
    return searched


@pytest.mark.quick
def test_the_same_recipe_is_not_trained_at_the_same_time(twins):
    twins.end("a", "0", 0.5)
    assert twins.oracle.trials["1"].score == 0.5
    assert twins.trials.order("1")["same_as"] == "0"
    assert twins.lines[-1] == "trial 1: same as trial 0, not trained again"
    assert twins.chief.create(worker("b")).status == "STOPPED"


@pytest.mark.quick
def test_the_same_recipe_is_trained_if_the_process_of_the_first_failed(twins):
    twins.chief.end(worker("a"), "0", "FAILED")
    assert twins.create("b") == "1"


@pytest.mark.quick
def test_a_trial_below_the_median_is_stopped_and_keeps_its_score(tmp_path):
    def many(hp):
        return {"lr": hp.Float("lr", 0.1, 1.0)}

    searched = Searched(tmp_path / "search", many, trials=7, median=True, epochs=4)
    for _ in range(5):
        trial = searched.create("a")
        for step, value in enumerate([0.5, 0.6, 0.7, 0.8], 1):
            answer = searched.chief.update(worker("a"), trial, {"val_accuracy": value}, step)
            assert answer.status == "RUNNING"
        searched.end("a", trial, 0.5, 0.6, 0.7, 0.8)
    searched = Searched(tmp_path / "search", many, trials=7, median=True, epochs=4)
    trial = searched.create("a")
    report = searched.chief.update
    assert report(worker("a"), trial, {"val_accuracy": 0.3}, 1).status == "RUNNING"
    assert report(worker("a"), trial, {"val_accuracy": 0.4}, 2).status == "RUNNING"
    assert report(worker("a"), trial, {"val_accuracy": 0.5}, 3).status == "STOPPED"
    # Its worker was killed before it stopped.
    assert report(worker("a"), trial, {"val_accuracy": 0.9}, 4).status == "STOPPED"
    searched.end("a", trial, 0.3, 0.4, 0.5)
    assert searched.oracle.trials[trial].score == 0.5
    assert searched.lines[-1].endswith(
        "0.5000 after 3 epochs, 3 s; stopped: below the median of the others, epoch 3"
    )
    trial = searched.create("a")
    for step, value in enumerate([0.3, 0.4, 0.65], 1):
        assert report(worker("a"), trial, {"val_accuracy": value}, step).status == "RUNNING"


@pytest.mark.quick
def test_only_workers_with_the_token_are_served_and_only_for_their_trials(searched, monkeypatch):
    from recipes.search.workers.server import serving

    with serving(searched.chief, "right", "127.0.0.1:0") as address:
        stranger = client.Client(address, "b", "wrong", None)
        with pytest.raises(client.ChiefLost, match="it is the chief of another search"):
            stranger.create_trial("b")
        first, second = (
            client.Client(address, name, "right", searched.oracle.objective) for name in "ab"
        )
        assert first.create_trial("a").trial_id == "0"
        assert first.update_trial("0", {"val_accuracy": 0.5}, 1).status == "RUNNING"
        with pytest.raises(client.LeaseLost, match="trial 0 was given to another worker"):
            second.get_trial("0")
        searched.train("0", 0.5, 0.75)
        trial = first.get_trial("0")
        trial.status = "COMPLETED"
        first.end_trial(trial)
        assert searched.oracle.trials["0"].score == 0.75
        # A worker that loses its trial is interrupted.
        assert second.create_trial("b").trial_id == "1"
        searched.chief._give_back("1")
        assert first.create_trial("a").trial_id == "1"
        monkeypatch.setattr(client, "BEAT_SECONDS", 0.01)
        with pytest.raises(client.LeaseLost), second.keeping("1") as check:  # noqa: PT012
            with pytest.raises(KeyboardInterrupt):
                time.sleep(30)
            check()
