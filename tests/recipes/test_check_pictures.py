"""The pictures of the sanity checks, also for values that are not finite."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

import recipes
from recipes import drawing
from recipes.diagnostics import (
    CHECKS,
    activation_pictures,
    activations,
    generalization,
    gradient_check,
    initial_loss,
    learning_rate,
    overfit_sample,
    plots,
    train_vs_inference,
    update_ratios,
)
from recipes.diagnostics.activation_pictures import draw_nothing
from recipes.diagnostics.results import CheckResult
from tests.recipes.drawn import overlaps

NOT_FINITE = {
    # Overrides that break a network before training, and the checks that must fail.
    "digits/mlp": (
        {"init": "normal:1e38"}, {"initial_loss", "overfit_sample", "activations", "learning_rate"},
    ),
    "digits/resnet20": (
        {"norm": "none", "init": "ones"}, {"initial_loss", "activations", "learning_rate"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", ["digits/mlp", pytest.param("digits/resnet20", marks=pytest.mark.full)]
)
def test_networks_without_a_finite_loss_are_reported_and_drawn(name, tmp_path):
    overrides, must = NOT_FINITE[name]
    only = [*CHECKS] if name == "digits/mlp" else sorted(must)
    report = recipes.check(name, run=tmp_path, only=only, seconds=2, verbose=False, **overrides)
    assert {each.name for each in report.results} == set(only)
    assert must <= {each.name for each in report.results if each.verdict == "fail"}
    written = json.loads((tmp_path / "check.json").read_text(), parse_constant=pytest.fail)
    assert not written["passed"]
    assert {p.name for p in tmp_path.iterdir()} == {
        "check.json", "check.png", *(f"{check}.png" for check in only)
    }  # fmt: skip
    assert not any(re.search(r"\d{12}", each.figure) for each in report.results)
    assert "not a finite number" in report["initial_loss"].explanation
    assert "before the first update" in report["learning_rate"].explanation


def layer(stage, x, sd=None):
    name = f"{stage}_block12_branch3_2_conv"
    row = {"layer": name, "stage": stage, "mean": x, "sd": x, "unit_sd": x if sd is None else sd}
    return row | {"dead": 0.9, "saturated": 0.1, "weight_gradient": x}


def draw_activations(part, rows):
    table = pd.DataFrame(rows)
    counts = [np.arange(40) for _ in rows]
    activation_pictures.draw(part, table, table, np.linspace(-500, 500, 41), counts, 0.5)


DRAWN = {
    "initial_loss": lambda part, x: initial_loss._draw(part, {"ln 10": 2.3, "it": x, "decay": x}),
    "overfit_sample": lambda part, x: overfit_sample._draw(part, [2.3, x, x], [0.1, 0.2, x], 0.1),
    "overfit_sample, at once": lambda part, x: overfit_sample._draw(part, [x], [0.0], 0.1),
    "gradient_check": lambda part, x: gradient_check._draw(part, {"stem": 1e-8, "head": x}),
    "gradient_check, softplus": lambda part, x: gradient_check._draw(part, {"fc": 1e-3}, {"fc": x}),
    "activations": lambda part, x: draw_activations(part, [layer("stem", x, 1), layer("stem", x)]),
    "activations, nothing": lambda part, x: draw_nothing(part),
    "learning_rate": lambda part, x: learning_rate._draw(
        part, 0.1, {0.1: [2.3, x, x], 0.01: [x]}, {0.1: "explodes", 0.01: "explodes"},
        [(1e-6, 2.3), (1e-5, x)], 2.3,
    ),
    "learning_rate, at once": lambda part, x: learning_rate._draw(
        part, 0.1, {0.1: [x]}, {0.1: "explodes"}, [(1e-6, x)], x
    ),
    "generalization": lambda part, x: generalization._draw(part, x, -2.3, 0.1),
    "generalization, all": lambda part, x: generalization._draw(part, x, x, x),
    "update_ratios": lambda part, x: update_ratios._draw(part, {"stem": [1e-3, x], "head": [x, x]}),
    "train_vs_inference": lambda part, x: train_vs_inference._draw(
        part, np.array([[0.5, x]]), np.array([[0.5, 1.0]]), {"training": 2.3, "inference": x}
    ),
    "train_vs_inference, all": lambda part, x: train_vs_inference._draw(
        part, np.full((2, 3), x), np.full((2, 3), x), {"training": x, "inference": x}
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e40, 0.0])
@pytest.mark.parametrize("name", DRAWN)
def test_values_that_are_not_finite_can_be_drawn(name, value, tmp_path):
    """The drawing functions are called directly, so that their exceptions are visible."""
    figure = plots._figure(plots.SIZE)
    DRAWN[name](figure, value)
    drawing.save(figure, tmp_path / "picture.png")
    for axes in figure.axes:
        assert np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all()


@pytest.mark.quick
def test_a_finite_point_between_gaps_is_visible():
    figure = plots._figure(plots.SIZE)
    (axes,) = plots.panels(figure, [""])
    drawing.curve(axes, [1, 2, 3, 4, 5, 6], [1.0, np.nan, 2.0, 3.0, np.inf, 4.0], color="red")
    line, dots = axes.lines
    np.testing.assert_array_equal(line.get_ydata(), [1, np.nan, 2, 3, np.nan, 4])
    assert list(dots.get_xdata()) == [1, 6]
    assert dots.get_marker() == "o"
    drawing.curve(axes, [1, 2], [1.0, 2.0], color="red")
    assert len(axes.lines) == 3


STAGES = ["stem", *(f"stage{i}" for i in range(1, 19)), "head"]
HARD = {
    "initial_loss": lambda part: initial_loss._draw(
        part, {"chance (ln 1000)": 6.9, "initial loss": 70.0, "with weight decay 0.0001": 72.0}
    ),
    "gradient_check": lambda part: gradient_check._draw(
        part, dict.fromkeys(STAGES, 3.0), dict.fromkeys(STAGES, 1e-9)
    ),
    "activations": lambda part: draw_activations(
        part, [layer(s, -1.234e-10, 1.234e-10) for s in STAGES for _ in range(3)]
    ),
    "learning_rate": lambda part: learning_rate._draw(
        part, 0.1, {0.1: [2.3 * 1.02**i for i in range(99)], **{
            10.0**-i: [2.3 - 1e-3 / i] * 99 for i in range(2, 7)}},
        {0.1: "explodes", 1e-2: "falls", **{10.0**-i: "barely moves" for i in range(3, 7)}},
        [(10.0**x, 2.3) for x in np.linspace(-6, 1, 99)], 2.3,
    ),
    "generalization": lambda part: generalization._draw(part, -1.9, -2.3, 0.1),
    "update_ratios": lambda part: update_ratios._draw(part, {s: [0.1, 1e-3] for s in STAGES}),
    "train_vs_inference": lambda part: train_vs_inference._draw(
        part, np.ones((2, 3)), np.ones((2, 3)), {"training": 2.3, "inference": 1e9}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HARD)
def test_texts_of_a_picture_do_not_overlap(name, tmp_path):
    """With many stages, large numbers, and curves that leave the axes."""
    figure = plots._figure(plots.SIZE)
    plots._place(
        figure, CheckResult(name, "note", "a long line of numbers " * 9, picture=HARD[name])
    )
    assert not overlaps(figure)
    for axes in figure.findobj(Axes):
        if (legend := axes.get_legend()) and name not in ("generalization", "learning_rate"):
            box, own = legend.get_window_extent(), axes.get_window_extent()
            assert box.y0 >= own.y1 - 5 or box.x0 >= own.x1 - 5  # outside of the axes


def test_checks_continue_if_a_picture_cannot_be_drawn(tmp_path, monkeypatch, capsys):
    def broken(*_):
        raise ArithmeticError("no such ink")

    monkeypatch.setattr(initial_loss, "_draw", broken)
    monkeypatch.setattr(activations, "draw", lambda part, *_: part.subplots().set_xlabel("$x^{$"))
    only = ["initial_loss", "activations"]
    report = recipes.check(recipes.load("digits/mlp"), run=tmp_path, only=only)
    assert report.passed
    assert {p.name for p in tmp_path.iterdir()} == {
        "check.json", "check.png", "initial_loss.png", "activations.png",
    }  # fmt: skip
    shown = capsys.readouterr()
    assert "initial_loss.png was not drawn: ArithmeticError: no such ink" in shown.err
    assert "activations.png was not drawn: ValueError" in shown.err
    assert "initial_loss" in shown.out
    assert json.loads((tmp_path / "check.json").read_text())["passed"]
