"""curves.png with one epoch or many, values that are not finite, and unusual names."""

import numpy as np
import pytest

from recipes import report
from tests.recipes.drawn import keep, overlaps, strings


def rows(count, **changed):
    return [
        {
            "epoch": i + 1,
            "loss": 2 / (i + 1),
            "accuracy": 1 - 1 / (i + 2),
            "val_loss": 2.2 / (i + 1) + 0.1,
            "val_accuracy": 1 - 1.2 / (i + 2),
            **{name: change(i) for name, change in changed.items()},
        }
        for i in range(count)
    ]


@pytest.fixture
def drawn(monkeypatch):
    found = []
    keep(monkeypatch, found)
    return found


@pytest.mark.parametrize("count", [1, 2, 12, 400])
def test_any_number_of_epochs_is_legible(count, drawn, tmp_path, capsys):
    assert report.curves(rows(count), tmp_path / "c.png", "digits/lenet5: lenet5 " + "$x_{$" * 90)
    (figure,) = drawn
    assert not overlaps(figure)
    loss, accuracy = figure.axes
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        lines = {line.get_label(): line for line in axes.lines}
        train, validation = lines["train"], lines["validation"]
        own = rows(count)
        np.testing.assert_allclose(train.get_ydata(), [row[name] for row in own])
        np.testing.assert_allclose(validation.get_ydata(), [row[f"val_{name}"] for row in own])
        assert [text.get_text() for text in axes.get_legend().get_texts()] == [
            "train", "validation",
        ]  # fmt: skip
    assert f"loss: best validation {2.2 / count + 0.1:.4g} in epoch {count}" in strings(figure)
    assert capsys.readouterr() == ("", "")


def test_short_runs_show_the_loss_of_each_step(drawn, tmp_path):
    steps = [(i / 20, 3 - i / 20) for i in range(40)]
    report.curves(rows(2), tmp_path / "c.png", "x: y", steps)
    report.curves(rows(11), tmp_path / "c.png", "x: y", steps)
    short, long = (figure.axes[0] for figure in drawn)
    line = {each.get_label(): each for each in short.lines}["train, each step"]
    np.testing.assert_allclose(line.get_xydata(), steps)
    assert short.get_xlim()[0] < 0
    assert len(long.lines) == len(short.lines) - 1
    assert not overlaps(drawn[0])


def test_values_that_are_not_finite_are_gaps_and_single_points_are_dots(drawn, tmp_path):
    broken = rows(
        9,
        loss=lambda i: np.nan if i in (3, 5) else 1000 / (i + 1) ** 3,
        val_loss=lambda i: -np.inf if i == 3 else 2.0 + i,
    )
    assert report.curves(broken, tmp_path / "c.png", "x: y")
    (figure,) = drawn
    loss = figure.axes[0]
    assert loss.get_yscale() == "log"
    assert np.isnan(loss.lines[0].get_ydata()[[3, 5]]).all()
    assert loss.lines[1].get_xdata().tolist() == [5]  # the dot between two gaps
    assert "loss: best validation 2 in epoch 1" in strings(figure)  # -inf is not the best value
    assert not overlaps(figure)


@pytest.mark.parametrize("found", [[], [{"epoch": 1, "loss": np.nan, "accuracy": np.inf}]])
def test_curves_without_finite_values_contain_a_message(found, drawn, tmp_path):
    assert report.curves(found, tmp_path / "c.png", "x: y")
    assert {"no finite loss", "no finite accuracy"} <= set(strings(drawn[0]))


@pytest.mark.quick
def test_curves_that_cannot_be_drawn_are_a_one_line_error(tmp_path, monkeypatch, capsys):
    def fail(*_):
        raise MemoryError("too large")

    monkeypatch.setattr(report, "_curves", fail)
    assert not report.curves(rows(1), tmp_path / "caf\udce9.png", "x: y")
    assert capsys.readouterr().err == (
        f"{tmp_path}/caf\\xe9.png was not drawn: MemoryError: too large\n"
    )
