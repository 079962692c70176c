"""Coarse-to-fine searches in stages."""

import json
import math
import random
import re

import numpy as np
import pandas as pd
import pytest

import recipes
from recipes.search.oracles import draws
from recipes.search.spaces.axes import SpaceOf, parse
from recipes.search.spaces.space import Space
from recipes.values import Stage, continues_stages, parse_stages
from tests.recipes.oracle_runs import Run


@pytest.fixture
def search(tmp_path):
    """Start a search with a made-up score."""

    def start(space, score, stages, name="search", **settings):
        return Run(space, score, tmp_path / name, stages=parse_stages(stages), **settings)

    return start


def ranges(lines, stage):
    """Return the ends of each range of a stage, as printed."""
    line = next(line for text in lines for line in text.splitlines() if f"stage {stage}:" in line)
    terms = dict(term.split("=") for term in line.split(", ", 1)[1].split())
    return {
        name: [float(end) for end in text.removeprefix("log:").split(":")[:2]]
        for name, text in terms.items()
        if ":" in text
    }


@pytest.mark.quick
def test_the_next_stage_draws_around_the_best_quarter(search):
    def score(values):
        return -abs(math.log10(values["lr"]) + 2) - abs(values["dropout"] - 0.2)

    run = search("lr=log:1e-4:1 dropout=0:0.5", score, "39x2,60x10").finish()
    first, second = run.values[:39], run.values[39:]
    assert len(second) == 60
    best = sorted(first, key=score)[-10:]  # a quarter of 39, rounded up
    printed = ranges(run.lines, 2)
    for name, width, scale in (("lr", 4, math.log10), ("dropout", 0.5, float)):
        places = [scale(values[name]) for values in best]
        low, high = min(places) - width / 40, max(places) + width / 40
        drawn = [scale(values[name]) for values in second]
        assert low <= min(drawn) < low + 0.1 * (high - low)
        assert high >= max(drawn) > high - 0.1 * (high - low)
        assert [scale(end) for end in printed[name]] == pytest.approx([low, high], abs=0.01)
        assert np.mean(drawn) == pytest.approx((low + high) / 2, abs=0.1 * (high - low))  # uniform
    assert np.mean(run.scores[39:]) > np.mean(run.scores[:39]) + 0.2
    epochs = [t.hyperparameters.values["tuner/epochs"] for t in run.oracle.trials.values()]
    assert epochs == [2] * 39 + [10] * 60
    recipe = run.space.recipe(run.oracle.trials["50"].hyperparameters)
    assert (recipe.epochs, recipe.lr) == (10, run.values[50]["lr"])


@pytest.mark.quick
def test_lists_steps_and_conditional_axes_are_narrowed(search):
    def space(hp):
        found = {"optimizer": hp.Choice("kind", ["sgd", "adamw", "lamb"])}
        found["nesterov"] = False
        if found["optimizer"] == "sgd":
            found |= {"nesterov": hp.Boolean("nesterov"), "momentum": hp.Float("m", 0.5, 0.9)}
        with hp.conditional_scope("kind", ["adamw"]):
            if found["optimizer"] == "adamw":
                found["weight_decay"] = hp.Float("decay", 1e-4, 1e-1, sampling="log")
        return found | {"batch_size": hp.Int("batch", 16, 160, step=16)}

    def score(values):  # best: sgd and Nesterov momentum, and a batch size of 80
        return (
            -(values["kind"] != "sgd")
            - (not values.get("nesterov"))
            - abs(values["batch"] - 80) / 1000
        )

    run = search(space, score, "60x1,30x2").finish()
    best = sorted(run.values[:60], key=score)[-15:]
    for values in run.values[60:]:
        assert values["kind"] in {each["kind"] for each in best}
        assert values["batch"] % 16 == 0
        assert min(b["batch"] for b in best) <= values["batch"] <= max(b["batch"] for b in best)
        assert ("m" in values) == (values["kind"] == "sgd")
    assert {values["kind"] for values in best} < {"sgd", "adamw", "lamb"}
    assert {v["nesterov"] for v in run.values[60:] if "nesterov" in v} == {
        each["nesterov"] for each in best if "nesterov" in each
    }


@pytest.mark.quick
@pytest.mark.parametrize(
    ("axis", "sign", "low", "high"),
    [
        ("lr=log:1e-3:1e-1", 1, 0.01, 0.1 * 10**0.4),  # by a fifth of two decades
        ("lr=log:1e-3:1e-1", -1, 1e-3 / 10**0.4, 1e-2),
        ("dropout=0:0.5", -1, 0.0, 0.2),  # no lower values are valid
        ("dropout=0:0.5", 1, 0.3, 0.6),
        ("momentum=0.5:0.95", 1, 0.8, 0.9999),
        ("batch_size=16:64:16", 1, 48, 96),
        ("batch_size=16:64:16", -1, 16, 32),
        ("options.width=8:10", 1, 9, 11),
        ("options.width=1:3", -1, 1, 2),
    ],
)
def test_a_best_value_at_the_edge_moves_the_range_beyond_it_as_far_as_values_are_valid(
    axis, sign, low, high, search
):
    name, _, text = axis.partition("=")
    ends = [float(end) for end in text.removeprefix("log:").split(":")[:2]]
    run = search(axis + " weight_decay=log:1e-6:1", lambda v: sign * v[name], "16x1,60x2").finish()
    drawn = [values[name] for values in run.values[16:]]
    assert low <= min(drawn) <= max(drawn) <= high
    remark = next(line for line in run.lines[1].splitlines() if line.startswith(f"{name}: "))
    best = sorted(run.values[:16], key=lambda v: sign * v[name])[-1][name]
    which = "highest" if sign == 1 else "lowest"
    assert remark.startswith(f"{name}: {best:.3g}, the best value of stage 1, is among the {which}")
    if axis in ("dropout=0:0.5", "batch_size=16:64:16", "options.width=1:3") and sign == -1:
        assert remark.endswith(f", and there are no valid values beyond {ends[0]:.3g}.")
        assert min(drawn) >= ends[0]
    else:
        assert f"; stage 2 goes beyond its end {ends[sign == 1]:.3g} to " in remark
        assert (max(drawn) > ends[1]) if sign == 1 else (min(drawn) < ends[0])
    for trial in run.oracle.trials.values():
        run.space.recipe(trial.hyperparameters)  # all are valid
    assert run.oracle.begun()[1]["remarks"] == run.lines[1].splitlines()[1:]
    assert json.loads(json.dumps(run.oracle.begun()))[1]["epochs"] == 2
    if name in ("lr", "dropout", "options.width") and "no valid" not in remark:
        assert remark.endswith(f" to {(high if sign == 1 else low):.3g}.")


@pytest.mark.quick
@pytest.mark.parametrize(
    ("axis", "best", "at_the_edge"),
    [
        ("dropout=0:0.5", 0.43, False),
        ("dropout=0:0.5", 0.46, True),
        ("momentum=0.1:0.6", 0.17, False),
        ("momentum=0.1:0.6", 0.14, True),
        ("batch_size=8:80:8", 72, False),
        ("batch_size=8:80:8", 80, True),
        ("options.width=1:30", 4, False),
        ("options.width=1:30", 3, True),
    ],
)
def test_the_edge_is_the_outer_tenth_or_the_last_value(axis, best, at_the_edge, search):
    name = axis.partition("=")[0]
    run = search(f"{axis} lr=log:1e-9:1", lambda v: -abs(v[name] - best), "99x1,1x2").finish()
    remarks = run.oracle.begun()[1]["remarks"]
    assert any(remark.startswith(name) for remark in remarks) == at_the_edge


@pytest.mark.quick
def test_failed_trials_belong_to_the_worse_three_quarters(search):
    def score(values):
        return None if values["lr"] < 1e-2 else -abs(math.log10(values["lr"]) + 1)

    run = search("lr=log:1e-4:1", score, "40x1,1x2").finish()
    places = sorted(
        (math.log10(v["lr"]) for v in run.values[:40] if v["lr"] >= 1e-2),
        key=lambda place: abs(place + 1),
    )[:10]  # a quarter of all 40 trials
    low, high = min(places) - 4 / 41, max(places) + 4 / 41
    assert [math.log10(end) for end in ranges(run.lines, 2)["lr"]] == pytest.approx(
        [low, high], abs=0.01
    )


@pytest.mark.quick
def test_ranges_are_printed_in_the_form_of_space(search):
    space = "act=relu,elu batch_size=16:160:16 options.width=8:64 lr=log:1e-4:1 dropout=0:0.5"
    run = search(space, lambda v: v["dropout"], "12x1,1x3").finish()
    assert run.lines[0] == "stage 1: 12 trials of 1 epoch, the whole space"
    first, *_ = run.lines[1].splitlines()
    head, _, ranges = first.partition(", ")
    assert head == "stage 2: 1 trial of 3 epochs"
    number = r"\d+(\.\d+)?(e-\d+)?"
    for name, form in {
        "act": "(relu|elu|relu,elu)",
        "batch_size": r"\d+:\d+:16",
        "options.width": r"\d+:\d+",
        "lr": f"log:{number}:{number}",
        "dropout": f"{number}:{number}",
    }.items():
        term = next(term for term in ranges.split() if term.startswith(f"{name}="))
        assert re.fullmatch(form, term.removeprefix(f"{name}="))
    SpaceOf(run.space.base, parse(ranges))  # it is one


@pytest.mark.quick
def test_an_error_in_a_draw_is_not_taken_for_one_of_the_space(search):
    run = search("lr=0.1:0.5", lambda v: v["lr"], "4x1,1x2")
    with pytest.raises(ZeroDivisionError):
        draws.draw(run.space, lambda hp: 1 / 0)

    def failing(hp):
        hp.Float("lr", 0.1, 0.5)
        raise ZeroDivisionError

    assert draws.draw(Space(run.space.base, failing), lambda hp: 0.2) == {"lr": 0.2}


@pytest.mark.quick
def test_a_best_value_in_the_middle_keeps_the_range_within(search):
    run = search("lr=log:1e-4:1", lambda v: -abs(math.log10(v["lr"]) + 2), "20x1,50x2").finish()
    assert len(run.lines[1].splitlines()) == 1
    low, high = ranges(run.lines, 2)["lr"]
    assert 1e-4 < low < 1e-2 < high < 1
    # The range of stage 2, not that of the space, has an edge for stage 3.
    run = search("lr=log:1e-4:1", lambda v: v["lr"], "9x1,9x2,90x3", name="other").finish()
    assert max(v["lr"] for v in run.values[18:]) > ranges(run.lines, 2)["lr"][1] > 1


def lr_and_act(values):
    """A score that is None for a fifth of the trials."""
    if values["act"] == "selu":
        return None
    return -abs(math.log10(values["lr"]) + 2) + (values["act"] == "elu")


@pytest.mark.quick
def test_workers_wait_for_the_stage_before_and_draw_the_same_trials(search):
    space = "lr=log:1e-4:1 act=relu,elu,selu"
    alone = search(space, lr_and_act, "8x1,6x2").finish()
    waited = 0
    for seed in range(4):
        several, rng = search(space, lr_and_act, "8x1,6x2", name=f"s{seed}"), random.Random(seed)
        running, stopped = {}, 0
        while stopped < 3:
            worker_id = f"worker-{rng.randrange(3)}"
            if worker_id in running:
                several.end(running.pop(worker_id))
                continue
            trial = several.start(worker_id)
            if trial.status == "RUNNING":
                assert len(several.oracle.trials) <= 8 or len(several.oracle.end_order) >= 8
                running[worker_id] = trial
            elif trial.status == "IDLE":
                waited += 1
                assert len(several.oracle.trials) == 8
                assert running
            elif not running:
                stopped += 1
            if rng.random() < 0.1:  # all are killed; running trials are resumed
                several.open()
                running = {}
        assert several.values == alone.values
    assert waited


@pytest.mark.quick
def test_a_search_is_the_same_if_it_is_killed_after_any_trial(search):
    space = "lr=log:1e-4:1 act=relu,elu,selu"
    whole = search(space, lr_and_act, "6x1,5x2").finish()
    for count in range(1, 11):
        parts = search(space, lr_and_act, "6x1,5x2", name=f"search{count}").finish(count)
        parts.open()
        parts.start()  # and killed in this trial
        parts.open()
        assert parts.finish().values == whole.values
    other = search(space, lr_and_act, "6x1,5x2", name="other", seed=1).finish()
    assert other.values[0] != whole.values[0]


@pytest.mark.quick
def test_lower_scores_are_better_with_a_loss(search):
    space = "lr=log:1e-4:1"
    up = search(space, lambda v: -abs(math.log10(v["lr"]) + 2), "8x1,6x2").finish()
    down = search(
        space, lambda v: abs(math.log10(v["lr"]) + 2), "8x1,6x2", name="down", by="val_loss"
    ).finish()
    assert down.values == up.values


@pytest.mark.quick
def test_a_stage_tries_no_recipe_twice_and_ends_when_its_recipes_are_exhausted(search):
    run = search("act=relu,elu norm=batch,none", lambda v: v["act"] == "elu", "9x1,9x2").finish()
    acts = [values["act"] for values in run.values]
    assert sorted(acts[:4]) == ["elu", "elu", "relu", "relu"]
    assert acts[4:] == ["elu"]  # a quarter of 4 is one trial
    assert run.oracle.why_it_ended() == (
        "stage 1 found only 4 different recipes in its ranges, and"
        " stage 2 found only 1 different recipe in its ranges"
    )
    failed = search("lr=0.1:0.5", lambda v: None, "3x1,9x2", name="failed").finish()
    assert len(failed.values) == 3
    assert failed.oracle.why_it_ended() == "no trial of stage 1 finished"


@pytest.mark.quick
def test_stages_are_parsed_and_checked(here):
    assert parse_stages("30x2, 10x10") == [Stage(30, 2), Stage(10, 10)]
    for text in ("30x", "0x2", "30x2,10", "", "30x2,", "x2", "3x-1", "3x2x1", "3*2", "1.5x2"):
        with pytest.raises(ValueError, match=r"must be TRIALSxEPOCHS .* such as 30x2,10x10"):
            parse_stages(text)
    command = ("tune", "digits/mlp", "--run=search")
    for arguments, message in (
        (["--stages=30x"], "stages='30x': must be TRIALSxEPOCHS for each stage, separated by"),
        (["--stages=3x2,2x4", "--trials=4"], "stages='3x2,2x4': has 5 trials in total, but tri"),
        (["--stages=3x2,2x4", "--trials=6"], "stages='3x2,2x4': has 5 trials in total, but tri"),
        (["--stages=3x2", "--tuner=grid"], "stages='3x2': only applies with tuner='random', but"),
    ):
        done = here(*command, *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"tune: {message}")
        assert done.stderr.count("\n") == 1


@pytest.mark.quick
@pytest.mark.parametrize(
    ("before", "now", "continues"),
    [
        ("3x1", "3x1", True),
        ("3x1", "3x1,2x2", True),
        ("3x1,2x2", "3x1,4x2,1x9", True),
        (None, None, True),
        (None, "3x1", False),
        ("3x1", None, False),
        ("3x1,2x2", "4x1,2x2", False),
        ("3x1,2x2", "3x1", False),
        ("3x1,2x2", "3x1,1x2", False),
        ("3x1,2x2", "3x1,2x3", False),
    ],
)
def test_a_search_continues_with_more_stages_or_trials_of_the_last_one(before, now, continues):
    assert continues_stages(before, now) is continues


def test_the_best_recipe_is_one_of_the_last_stage(tiny, tmp_path, here, in_process):
    (tmp_path / "mine.py").write_text(recipes.source(recipes.replace(tiny, epochs=4, warmup=2)))
    command = ("tune", "mine.py", "--run=search", "--space", "lr=log:1e-4:1e-3")
    done = here(*command, "--stages=2x3")
    assert done.returncode == 0, done.stderr
    assert "stage 1: 2 trials of 3 epochs, the whole space\n" in done.stdout
    done = here(*command, "--stages=2x3,1x1")
    assert done.returncode == 0, done.stderr
    assert "stage 1" not in done.stdout.split("stage 2: 1 trial of 1 epoch, lr=log:")[0]
    table = pd.read_csv(tmp_path / "search" / "trials.csv")
    assert list(table["stage"]) == [1, 1, 2]
    assert list(table["epochs"]) == [3, 3, 1]
    best = recipes.load(tmp_path / "search" / "best.py")
    assert (best.lr, best.epochs, best.warmup) == (table["lr"][2], 1, 0.5)
    stages = json.loads((tmp_path / "search" / "stages.json").read_text())
    assert [(each["trials"], each["epochs"]) for each in stages] == [(2, 3), (1, 1)]
    again = here(*command, "--stages=2x3,1x1")
    assert (again.returncode, len(in_process.trained)) == (0, 3)
    for other in ("2x3", "3x3,1x1"):
        wrong = here(*command, f"--stages={other}")
        assert wrong.returncode == 2
        assert f"(stages=2x3,1x1 there, {other} now); only more stages" in wrong.stderr
