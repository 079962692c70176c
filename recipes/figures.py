"""Draw several runs in one figure, with means and bands over their seeds."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import GREY, INK, SERIES
from recipes.line_labels import label_ends, legend
from recipes.run_lines import Line, lines_of, mean_of
from recipes.score_figures import Curves, draw_by_score, highest_loss
from zoo.files import write
from zoo.lettering import shortened

NAMED = 20  # up to so many runs have names and colors of their own
DASHES = ("-", "--", ":", "-.")
PALE = "#c9ccd3"
NAMES = {"lr": "learning rate", "error": "training error", "val_error": "validation error"}
WORDS = {"epoch": "epoch", "step": "step", "seconds": "seconds of training"}
ALL = ("loss", "val_loss", "accuracy", "val_accuracy")


def plot_runs(
    path: str | Path,
    runs: Mapping[str, Any],
    panels: Sequence[str] = ("loss", "error+val_error"),
    *,
    x: str = "epoch",
    log: str = "",
    highlight: Sequence[str] = (),
    target: Mapping[str, float] | None = None,
    title: str = "",
    csv: str | Path | None = None,
) -> bool:
    """Draw the metrics of several runs into one figure.

    Each label has one color. Where it has several runs (seeds), these are thin lines, their mean is
    bold, and a band extends from the lowest to the highest. The mean ends where the shortest run
    does. A cross ends the line of a run that diverged; it counts neither for mean nor band.

    Args:
        path: PNG file to write.
        runs: label -> a run, or a list of runs with different seeds. A run is a run directory, a
            `recipes.Run`, or a table: a DataFrame or dict of columns such as "epoch" (default: 1,
            2, ...), "loss" and "val_accuracy". Runs may have different lengths.
        panels: what each panel shows: a column of metrics.csv, or "error" or "val_error", which are
            1 minus an accuracy. "loss+val_loss" shows both; the training metric is then dashed.
        x: "epoch", "step" or "seconds". With "step", "loss", "error", "accuracy" and "lr" are those
            of steps.csv.
        log: axes that are logarithmic: "x", "y" or "xy".
        highlight: labels to emphasize; all others become gray.
        target: metric -> value at which its panel has a horizontal line.
        title: title of the figure.
        csv: file for the plotted numbers.

    Returns:
        Whether the figure was drawn; see `recipes.drawing.attempt`.

    Raises:
        ValueError: if a name is unknown, a path is not a run, or no run has one of the metrics.
    """
    groups = [tuple(panel.split("+")) for panel in panels]
    metrics = list(dict.fromkeys(name for group in groups for name in group))
    if set(log) - {"x", "y"}:
        raise ValueError(f"log={log!r}: must consist of x and y")
    for name, given, valid in (("highlight", highlight, runs), ("target", target or {}, metrics)):
        if wrong := [each for each in given if each not in map(str, valid)]:
            raise ValueError(f"{name}={wrong[0]!r}: must be one of {', '.join(map(str, valid))}")
    lines = lines_of(runs, metrics, x)
    if csv is not None:
        write(Path(csv), lambda file: _write_numbers(file, lines, x))
    names = list(map(str, runs))
    return drawing.attempt(
        Path(path),
        lambda to: _draw(to, names, lines, groups, x, log, list(highlight), target or {}, title),
        [title, *names],
    )


def curves_of_runs(
    path: Path,
    runs: Sequence[Curves],
    title: str,
    *,
    score: str = "best validation accuracy",
    higher: bool = True,
    by_score: bool | None = None,
) -> bool:
    """Draw training and validation loss and accuracy of several runs as a PNG.

    Runs with the same label have the same color; see `plot_runs`.

    Args:
        path: the file of the picture.
        runs: the runs. Those without any finished epoch are left out.
        title: the title.
        score: what the scores are, for the color bar.
        higher: whether a higher score is better.
        by_score: whether runs are colored by their score. Default: if there are more than 20
            labels.

    Returns:
        Whether the picture was drawn; see `recipes.drawing.attempt`. Without curves, it is not.
    """
    drawn = [run for run in runs if len(run.rows)]
    if not drawn:
        return False
    groups: dict[str, list[Any]] = {}
    for run in drawn:
        names = dict.fromkeys(name for row in run.rows for name in row)
        table = {name: [row.get(name, math.nan) for row in run.rows] for name in names}
        groups.setdefault(run.label, []).append(table)
    if by_score if by_score is not None else len(groups) > NAMED:
        return drawing.attempt(
            path, lambda to: draw_by_score(drawn, to, title, score, higher), [title]
        )
    present = {name for group in groups.values() for table in group for name in table}
    panels = [name for name in ALL if name in present]
    return plot_runs(path, groups, panels, title=title)


def _draw(
    path: Path,
    names: list[str],
    lines: list[Line],
    groups: Sequence[tuple[str, ...]],
    x: str,
    log: str,
    highlight: list[str],
    target: Mapping[str, float],
    title: str,
) -> None:
    rows = 2 if len(groups) > 3 else 1
    columns = math.ceil(len(groups) / rows)
    labels = dict(zip(names, shortened(names, 28 if columns > 1 else 38), strict=True))
    named = highlight or names
    at_ends = len(named) <= 12 and not (len(names) == 1 and not names[0])
    room = 0.35 + max(drawing.text_width(labels[name], 9) for name in named) / 72
    wide = (4.3 if columns > 1 else 6.0) + (room if at_ends else 0.5)
    key = 0.0 if at_ends else 0.7 + room
    tall = 3.3 if rows > 1 else 4.0
    size = (columns * wide + 0.35 + key, rows * tall + (0.35 if title else 0.0))
    made = drawing.figure(size, dpi=140, layout=None)
    if title:
        made.suptitle(
            drawing.fitted(title, 72 * (size[0] - 0.3), 13, True), x=0.12 / size[0],
            y=1 - 0.1 / size[1], ha="left", va="top", fontsize=13, color=INK, weight="bold",
        )  # fmt: skip
    styles = _styles(names, highlight)
    notes = []
    height = tall - 0.9
    for place, group in enumerate(groups):
        row, column = divmod(place, columns)
        left = 0.35 + column * wide + 0.35
        bottom = (rows - 1 - row) * tall + 0.55
        axes = made.add_axes(
            (left / size[0], bottom / size[1], (wide - 0.45 - (room if at_ends else 0)) / size[0],
             height / size[1])
        )  # fmt: skip
        own = [line for line in lines if line.metric in group]
        ends = _panel(axes, names, own, group, x, log, styles, target, height)
        notes += [line.label for line in own if line.diverged and not len(line.y)]
        if at_ends:
            label_ends(axes, {n: ends[n] for n in named if n in ends}, labels, styles, height)
    if not at_ends:
        legend(made, (columns * wide + 0.3) / size[0], labels, styles, named)
    if notes:
        text = f"diverged before the first point: {', '.join(dict.fromkeys(notes))}"
        made.text(0.12 / size[0], 0.05 / size[1], drawing.fitted(text, 72 * (size[0] - 0.3), 9),
                  fontsize=9, color=GREY)  # fmt: skip
    drawing.save(made, path)


def _styles(names: list[str], highlight: list[str]) -> dict[str, dict[str, Any]]:
    """Return color, order and pattern of each label."""
    order = [*highlight, *(name for name in names if name not in highlight)]
    styles = {}
    for i, name in enumerate(order if highlight else names):
        color, pattern = SERIES[i % len(SERIES)], DASHES[i // len(SERIES) % len(DASHES)]
        pale = bool(highlight) and name not in highlight
        styles[name] = {"color": PALE if pale else color, "zorder": 2 if pale else 3,
                        "ls": "-" if pale else pattern}  # fmt: skip
    return styles


def _panel(
    axes: Any,
    names: list[str],
    lines: list[Line],
    group: tuple[str, ...],
    x: str,
    log: str,
    styles: Mapping[str, Mapping[str, Any]],
    target: Mapping[str, float],
    height: float,
) -> dict[str, tuple[float, float]]:
    """Draw one panel; return label -> end of its line, to which its name belongs."""
    ends = {}
    crosses: list[tuple[Line, dict[str, Any]]] = []
    drawing.plain(axes)
    axes.set_title(" and ".join(map(name_of, group)), loc="left", fontsize=11, color=INK)
    for metric in group:
        training = len(group) > 1 and not metric.startswith("val_")
        for name in names:
            own = [e for e in lines if e.label == name and e.metric == metric and len(e.y)]
            style = dict(styles[name]) | ({"ls": (0, (4, 2))} if training else {})
            alone = len(own) == 1
            for line in own:
                drawing.curve(axes, line.x, line.y, lw=1.7 if alone else 0.8,
                              alpha=1 if alone else 0.45, **style)  # fmt: skip
                crosses += [(line, style)] if line.diverged else []
            mean = mean_of(own) if len(own) > 1 else None
            if mean is not None and len(mean["x"]):
                axes.fill_between(mean["x"], mean["low"], mean["high"], lw=0, alpha=0.15,
                                  color=style["color"])  # fmt: skip
                drawing.curve(axes, mean["x"], mean["y"], lw=2.3, **style)
                ends[name] = (float(mean["x"][-1]), float(mean["y"][-1]))
            elif own:
                ends[name] = (float(own[0].x[-1]), float(own[0].y[-1]))
    marks = [target[metric] for metric in group if metric in target]
    _scale(axes, lines, group, x, log, marks)
    for line, style in crosses:  # at the edge if the last value lies beyond it
        axes.plot(
            line.x[-1], np.clip(line.y[-1], *axes.get_ylim()), "X", ms=8, mec="white",
            clip_on=False, color=style["color"], zorder=5, label="diverged",
        )  # fmt: skip
    for metric in group:
        if metric in target:
            axes.axhline(target[metric], color=INK, lw=1, ls=(0, (2, 2)), zorder=4)
            place = axes.transAxes.inverted().transform(
                axes.transData.transform((0, target[metric]))
            )
            down = place[1] > 0.9  # where the title is near
            axes.annotate(
                f"{target[metric]:g}", (0, target[metric]), (3, -3 if down else 2), fontsize=9,
                xycoords=("axes fraction", "data"), textcoords="offset points", color=INK,
                va="top" if down else "bottom",
            )  # fmt: skip
    if len(group) > 1:
        text = "dashed: training, solid: validation"
        axes.text(
            1, -0.46 / height, text, transform=axes.transAxes, ha="right", fontsize=8, color=GREY
        )
    return ends


def name_of(metric: str) -> str:
    """Return the name of a metric in words: "validation accuracy" for "val_accuracy"."""
    known = {"loss": "training loss", "accuracy": "training accuracy", **NAMES}
    return known.get(metric, metric.replace("val_", "validation ").replace("_", " "))


def _scale(
    axes: Any,
    lines: list[Line],
    group: tuple[str, ...],
    x: str,
    log: str,
    marks: list[float],
) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    values = np.concatenate([np.zeros(0), *(line.y for line in lines)])
    values = values[np.isfinite(values)]
    axes.set_xlabel(WORDS[x], color=GREY)
    if not values.size:
        drawing.say(axes, f"no finite {name_of(group[0])}")
        return
    values = np.append(values, marks)
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    lossy = group[0].endswith("loss")
    first = [float(line.y[0]) for line in lines if len(line.y)]
    high = max(highest_loss(first, values) if lossy else float(values.max()), *marks, -math.inf)
    positive = values[values > 0]
    if ("y" in log or (lossy and values.min() > 0 and high > 20 * values.min())) and positive.size:
        low = float(positive.min())
        axes.set_yscale("log")
        axes.set_ylim(low / 1.15, high * 1.15)
        axes.yaxis.set_major_formatter(plain)
        axes.yaxis.set_minor_formatter(NullFormatter())
        if high < 1000 * low:
            subs = (1, 2, 5) if high > 5 * low else range(1, 10)
            axes.yaxis.set_major_locator(LogLocator(subs=subs))
    elif lossy and high < values.max():
        axes.set_ylim(values.min() - 0.05 * (high - values.min()), high)
    elif group[0].endswith(("accuracy", "error")):
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(bottom, -0.02), min(top, 1.02))
    if "x" in log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(plain)
        axes.xaxis.set_minor_formatter(NullFormatter())
    elif x != "seconds":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=6))


def _write_numbers(file: Any, lines: Sequence[Line], x: str) -> None:
    """Write a row for each point of a run, and of the mean over several runs with its band."""
    import csv

    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(("label", "run", "metric", x, "value", "low", "high", "diverged"))
    for line in lines:
        for at, value in zip(line.x, line.y, strict=True):
            row = (line.label, line.run, line.metric, f"{at:g}", f"{value:.7g}", "", "")
            rows.writerow((*row, "yes" if line.diverged else ""))
    for label, metric in dict.fromkeys((line.label, line.metric) for line in lines):
        own = [each for each in lines if (each.label, each.metric) == (label, metric)]
        if len(own) > 1:
            mean = mean_of(own)
            for at, *values in zip(*(mean[n] for n in ("x", "y", "low", "high")), strict=True):
                numbers = (f"{value:.7g}" for value in values)
                rows.writerow((label, "mean", metric, f"{at:g}", *numbers, ""))
