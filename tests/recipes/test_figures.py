"""The curves of several runs in one picture."""

import math

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from recipes import drawing
from recipes.figures import Curves, curves_of_runs
from tests.recipes import made_up_searches as made_up


@pytest.fixture
def figure(monkeypatch, tmp_path):
    """Draw runs; return the figure and its axes by title."""

    def draw(runs, **settings):
        kept = []
        with monkeypatch.context() as patch:
            patch.setattr(drawing, "save", lambda made, path: kept.append(made))
            assert curves_of_runs(tmp_path / "a.png", runs, "some runs", **settings)
        return kept[0], {axes.get_title("left"): axes for axes in kept[0].axes}

    return draw


def run(label, losses, score=math.nan):
    rows = [
        {"epoch": i, "loss": x, "val_loss": 2 * x, "accuracy": 0.5, "val_accuracy": 0.4}
        for i, x in enumerate(losses, 1)
    ]
    return Curves(label, rows, score)


def test_runs_with_one_label_share_a_color_and_have_a_mean(figure):
    made, axes = figure([run("a", [3, 1]), run("a", [5, 3, 2]), run("b", [4, 4])])
    lines = axes["validation loss"].lines
    assert [line.get_ydata().tolist() for line in lines] == [
        [6, 2], [10, 6, 4], [8, 4], [8, 8],
    ]  # fmt: skip
    colors = [to_rgb(line.get_color()) for line in lines]
    assert colors[0] == colors[1] == colors[2] != colors[3]
    assert lines[2].get_linewidth() > lines[0].get_linewidth()
    (legend,) = made.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_twenty_long_names_stay_different_in_the_legend(figure):
    names = [f"a very long name of a run that does not fit, number {i} of $20$" for i in range(20)]
    made, _ = figure([run(name, [1, 2]) for name in names])
    texts = [text.get_text() for text in made.legends[0].get_texts()]
    assert len(set(texts)) == 20
    assert all(len(text) < 45 for text in texts)
    made.canvas.draw()
    width, _ = made.canvas.get_width_height()
    box = made.legends[0].get_window_extent()
    assert box.x1 <= width
    assert box.y0 >= 0


def test_many_runs_are_colored_by_score_with_the_best_in_front(figure):
    runs = [run(f"r{i}", [2, 1 / (i + 1)], 0.01 * i) for i in range(30)] + [run("new", [2, 1])]
    made, axes = figure(runs, score="validation accuracy")
    lines = axes["training loss"].lines
    assert lines[-1].get_ydata()[-1] == pytest.approx(1 / 30)
    brightness = [sum(to_rgb(line.get_color())) for line in lines[1:]]  # lines[0] has no score
    assert brightness[-1] < brightness[15] < brightness[0]
    assert made.axes[-1].get_ylabel() == "validation accuracy"
    assert not made.legends
    lower, _ = figure(runs, score="loss", higher=False)
    best = lower.axes[0].lines[-1]
    assert best.get_ydata()[-1] == 1  # of the run with score 0
    assert sum(to_rgb(best.get_color())) == pytest.approx(min(brightness), abs=0.01)


def test_an_explosion_does_not_flatten_the_other_curves(figure):
    _, axes = figure([run(f"r{i}", [2.3, 1.0, 0.5]) for i in range(4)] + [run("x", [2.5, 9e9])])
    assert axes["training loss"].get_ylim()[1] < 10
    _, axes = figure([run("a", [2.3, 1e-4])])
    assert axes["training loss"].get_yscale() == "log"


def test_runs_without_numbers_are_drawn(figure, tmp_path):
    _, axes = figure([run("a", [np.nan, np.inf]), run("b", [])])
    assert [text.get_text() for text in axes["training loss"].texts] == ["no finite training loss"]
    assert not curves_of_runs(tmp_path / "a.png", [run("b", [])], "none")
    assert not (tmp_path / "a.png").exists()


def test_plot_draws_searches_and_the_seeds_of_a_comparison(here, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(
        "recipes.watch.plotting.curves_of_runs",
        lambda path, runs, title, **settings: kept.append((runs, title, settings)) or True,
    )
    for choice in ("slow", "fast"):
        for seed in range(2):
            made_up.write_run(tmp_path / "c" / choice / f"seed{seed}", seed=seed)
    made_up.write_search(tmp_path / "s", 4, same=(2,))
    done = here("plot", "c")
    assert done.stdout == "runs.png: the curves of 4 runs\n"
    assert [each.label for each in kept[-1][0]] == ["fast", "fast", "slow", "slow"]
    assert kept[-1][2]["by_score"] is None
    done = here("plot", "s", "--to", "s.png")
    assert done.stdout == "s.png: the curves of 3 runs\n"
    runs, title, settings = kept[-1]
    assert [each.label for each in runs] == ["trial 0", "trial 1", "trial 3"]
    assert (title, settings["by_score"], settings["score"]) == (
        "s: 3 trials", True, "validation accuracy",
    )  # fmt: skip
    assert all(len(each.rows) == 8 and each.score >= 0.1 for each in runs)
    here("plot", "c", "s")
    assert [each.label for each in kept[-1][0]][::3] == ["s/trial 0", "fast", "slow"]
