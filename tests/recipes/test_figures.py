"""The curves of several runs in one picture."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from recipes import drawing
from recipes.figures import curves_of_runs, plot_runs
from recipes.line_labels import _spread
from recipes.score_figures import Curves
from tests.recipes import made_up_searches as made_up
from tests.recipes.drawn import overlaps


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


def curves_in(axes):
    """Return the lines in data coordinates, without those that lead to names."""
    return [line for line in axes.lines if line.get_transform() == axes.transData]


def run(label, losses, score=math.nan):
    rows = [
        {"epoch": i, "loss": x, "val_loss": 2 * x, "accuracy": 0.5, "val_accuracy": 0.4}
        for i, x in enumerate(losses, 1)
    ]
    return Curves(label, rows, score)


def test_runs_with_one_label_share_a_color_and_have_a_mean(figure):
    _, axes = figure([run("a", [3, 1]), run("a", [5, 3, 2]), run("b", [4, 4])])
    lines = curves_in(axes["validation loss"])
    assert [line.get_ydata().tolist() for line in lines] == [
        [6, 2], [10, 6, 4], [8, 4], [8, 8],
    ]  # fmt: skip
    colors = [to_rgb(line.get_color()) for line in lines]
    assert colors[0] == colors[1] == colors[2] != colors[3]
    assert lines[2].get_linewidth() > lines[0].get_linewidth()
    names = axes["validation loss"].texts
    assert [text.get_text() for text in names] == ["a", "b"]  # at the ends of the lines


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
    made, axes = figure([run("a", [np.nan, np.inf]), run("b", [])])
    assert [text.get_text() for text in axes["training loss"].texts] == ["no finite training loss"]
    assert made.texts[-1].get_text() == "diverged before the first point: a"
    assert not curves_of_runs(tmp_path / "a.png", [run("b", [])], "none")
    assert not (tmp_path / "a.png").exists()


@pytest.fixture
def several(monkeypatch, tmp_path):
    """Draw tables; return the axes, and the rows of the CSV file."""

    def draw(runs, *panels, **settings):
        kept = []
        with monkeypatch.context() as patch:
            patch.setattr(drawing, "save", lambda made, path: kept.append(made))
            assert plot_runs(tmp_path / "a.png", runs, panels, csv=tmp_path / "a.csv", **settings)
        assert not overlaps(kept[0])
        return kept[0].axes, pd.read_csv(tmp_path / "a.csv")

    return draw


@pytest.mark.quick
def test_means_and_bands_over_seeds_of_different_length(several):
    """The mean and the band end with the shortest run; seeds that diverged do not count."""
    seeds = [
        {"epoch": [1, 2, 3], "accuracy": [0.1, 0.4, 0.8], "seconds": [2, 2, 2]},
        {"epoch": [1, 2], "accuracy": [0.3, 0.5], "seconds": [4.0, 4.0]},
        {"epoch": [1, 2, 3], "accuracy": [0.2, np.nan, np.nan], "seconds": [1, 1, 1]},
    ]
    (axes,), table = several({"a": seeds}, "error", x="seconds", target={"error": 0.25})
    *seeds, mean, cross = curves_in(axes)
    np.testing.assert_allclose(seeds[0].get_xydata(), [[2, 0.9], [4, 0.6], [6, 0.2]])
    np.testing.assert_allclose(mean.get_xydata(), [[3, 0.8], [6, 0.55]])
    np.testing.assert_allclose(cross.get_xydata(), [[1, 0.8]])
    assert cross.get_marker() == "X"
    assert [0.25, 0.25] in [list(line.get_ydata()) for line in axes.lines]
    (band,) = axes.collections
    corners = {tuple(np.round(corner, 3)) for corner in band.get_paths()[0].vertices}
    assert corners == {(3, 0.7), (3, 0.9), (6, 0.5), (6, 0.6)}
    rows = table[table["run"] == "mean"]
    assert rows[["seconds", "value", "low", "high"]].to_numpy().tolist() == [
        [3, 0.8, 0.7, 0.9], [6, 0.55, 0.5, 0.6],
    ]  # fmt: skip
    assert table["value"].tolist()[:6] == [0.9, 0.6, 0.2, 0.7, 0.5, 0.8]
    assert table["diverged"].notna().tolist() == [False] * 5 + [True] + [False] * 2


@pytest.mark.quick
def test_strokes_highlights_and_logarithmic_axes(several):
    table = {"loss": [2.0, 1.0], "val_loss": [3.0, 2.0], "note": [0.01, 10.0]}
    axes, rows = several(
        {"a": table, "b": table, "c": table}, "loss+val_loss", "note", highlight=["c"], log="xy",
        target={"note": 200.0, "loss": 0.5},
    )  # fmt: skip
    assert axes[1].get_ylim()[1] > 200  # which no run reaches
    assert axes[0].get_ylim()[0] < 0.5
    training, *_ = curves_in(axes[0])
    validation = curves_in(axes[0])[3]
    assert training.get_linestyle() == "--"
    assert validation.get_linestyle() == "-"
    gray, same, colored = (to_rgb(line.get_color()) for line in curves_in(axes[1]))
    assert gray == same != colored
    assert np.ptp(gray) < 0.1 < np.ptp(colored)
    assert [text.get_text() for text in axes[1].texts] == ["200", "c"]
    assert (axes[1].get_xscale(), axes[1].get_yscale()) == ("log", "log")
    assert rows["metric"].tolist()[:4] == ["loss", "loss", "val_loss", "val_loss"]
    assert rows["epoch"].tolist()[:2] == [1, 2]


@pytest.mark.quick
def test_what_no_run_has_is_an_error(tmp_path):
    table = {"a": {"loss": [1.0], "val_accuracy": [0.5]}}
    for settings, message in (
        ({"panels": ["error"]}, "unknown metric 'error'.*valid: loss, val_accuracy, val_error"),
        ({"panels": ["loss"], "x": "hours"}, "unknown x 'hours'"),
        ({"panels": ["loss"], "x": "seconds"}, "x='seconds': 'a' has no column 'seconds'"),
        ({"panels": ["loss"], "log": "z"}, "log='z': must consist of x and y"),
        ({"panels": ["loss"], "highlight": ["b"]}, "highlight='b': must be one of a"),
        ({"panels": ["loss"], "target": {"error": 1}}, "target='error': must be one of loss"),
    ):
        with pytest.raises(ValueError, match=message):
            plot_runs(tmp_path / "a.png", table, **settings)
    with pytest.raises(ValueError, match="neither a run directory nor a table"):
        plot_runs(tmp_path / "a.png", {"a": 3})
    assert not list(tmp_path.iterdir())


@pytest.mark.quick
def test_names_stay_apart_and_within_the_axes():
    for places in ([0.5] * 5, [0.0, 0.02, 0.9], [0.98, 0.99, 1.0], [0.1, 0.15, 0.5]):
        moved = _spread(places, 0.1)
        assert np.diff(moved).min() > 0.1 - 1e-9
        assert 0 <= moved[0] <= moved[-1] <= 1
    assert _spread([0.1, 0.4, 0.9], 0.1) == pytest.approx([0.1, 0.4, 0.9])
    assert _spread([0.5, 0.5], 0.1) == pytest.approx([0.45, 0.55])


def test_the_command_draws_any_metric_by_step_and_writes_the_numbers(here, tmp_path):
    for choice in ("slow", "fast"):
        for seed in range(2):
            folder = tmp_path / "c" / choice / f"seed{seed}"
            made_up.write_run(folder, seed=seed)
            (folder / "steps.csv").write_text("step,epoch,loss,accuracy,lr\n1,1,2.5,0.1,0.1\n")
    done = here("plot", "c", "--x=step", "--panels=loss,error", "--csv=a.csv", "--log=y")
    assert done.stdout == "runs.png: the curves of 4 runs; numbers: a.csv\n"
    table = pd.read_csv(tmp_path / "a.csv")
    assert set(table["label"]) == {"slow", "fast"}
    assert table[table["metric"] == "loss"]["value"].tolist() == [2.5] * 6
    assert (tmp_path / "runs.png").read_bytes()[:4] == b"\x89PNG"
    assert "target='error': must be METRIC=NUMBER" in here("plot", "c", "--target=error").stderr
    assert "highlight='x': must be one of" in here("plot", "c", "--highlight=x").stderr


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
