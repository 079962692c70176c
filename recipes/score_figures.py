"""Draw the curves of many runs in one picture, colored by their scores."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import GREY, INK

CHARTS = (
    ("loss", "training loss"), ("val_loss", "validation loss"),
    ("accuracy", "training accuracy"), ("val_accuracy", "validation accuracy"),
)  # fmt: skip


@dataclass
class Curves:
    """The curves of one run.

    Attributes:
        label: name of the run, or of the group whose color it has.
        rows: the rows of metrics.csv.
        score: its score, for a color; NaN if it has none.
    """

    label: str
    rows: Sequence[Mapping[Any, Any]] = field(repr=False)
    score: float = math.nan


def draw_by_score(runs: Sequence[Curves], path: Path, title: str, score: str, higher: bool) -> None:
    """Draw four charts with a line for each run, the best ones in front.

    Args:
        runs: the runs, with scores.
        path: the file of the picture.
        title: the title.
        score: what the scores are, for the color bar.
        higher: whether a higher score is better.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    made, places = _axes(title, runs, 1.0)
    known = sorted(run.score for run in runs if math.isfinite(run.score))
    # The yellow end is too pale for white paper. Very bad scores share one color.
    colors = LinearSegmentedColormap.from_list("score", colormaps["viridis"](np.linspace(0, 0.87)))
    if higher:
        colors = colors.reversed()
    low, high = (known[0], known[-1]) if known else (0.0, 1.0)
    clipped = len(known) > 8
    if clipped:
        low, high = (float(np.quantile(known, 0.2)), high) if higher else (
            low, float(np.quantile(known, 0.8)))  # fmt: skip
    scale = ScalarMappable(Normalize(low, high if high > low else low + 1e-9), colors)
    order = sorted(runs, key=lambda run: _rank(run.score, higher))
    thin = 1.5 if len(runs) <= 20 else 1.1 if len(runs) <= 80 else 0.8
    for key, axes in places.items():
        for run in order:  # the best ones in front
            color = scale.to_rgba(np.array([run.score]))[0] if math.isfinite(run.score) else GREY
            _line(axes, run.rows, key, color=color, lw=thin, alpha=0.9)
        _within_one(axes, key)
    if known:
        bar = made.colorbar(
            scale, cax=made.add_axes((10.05 / 11, 0.085, 0.16 / 11, 0.795)),
            extend=("min" if higher else "max") if clipped else "neither",
        )  # fmt: skip
        bar.set_label(score, color=INK)
        bar.outline.set_visible(False)
        bar.ax.tick_params(colors=GREY, length=0)
    drawing.save(made, path)


def _line(axes: Any, rows: Sequence[Mapping[Any, Any]], key: str, **style: Any) -> None:
    values = [row.get(key, math.nan) for row in rows]
    if np.isfinite(np.array(values, float)).any():
        drawing.curve(axes, [row["epoch"] for row in rows], values, **style)


def _within_one(axes: Any, key: str) -> None:
    if key.endswith("accuracy"):
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, -0.02), min(high, 1.02))


def _axes(title: str, runs: Sequence[Curves], right: float) -> tuple[Any, dict[str, Any]]:
    """Return a figure with a column of space on its right, and the axes of each chart."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    made = drawing.figure((10 + right, 6.6), dpi=140, layout=None)
    made.suptitle(
        drawing.fitted(title, 72 * (9.6 + right), 13, True), x=0.1 / (10 + right), y=0.985,
        ha="left", fontsize=13, color=INK, weight="bold",
    )  # fmt: skip
    whole = 10 + right
    made.subplots_adjust(
        left=0.65 / whole, right=9.85 / whole, top=0.88, bottom=0.085, hspace=0.3, wspace=0.16
    )
    charts = made.subplots(2, 2, sharex=True).flat
    places = {}
    for axes, (name, label) in zip(charts, CHARTS, strict=True):
        places[name] = axes
        drawing.plain(axes)
        axes.set_title(label, loc="left", fontsize=11, color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        values = np.array([row.get(name, math.nan) for run in runs for row in run.rows], float)
        values = values[np.isfinite(values)]
        if not values.size:
            drawing.say(axes, f"no finite {label}")
            continue
        if name.endswith("loss"):
            low, high = values.min(), highest_loss(first_values(runs, name), values)
            if low > 0 and high > 20 * low:
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
                axes.yaxis.set_minor_formatter(NullFormatter())
                axes.set_ylim(low / 1.15, high * 1.15)
            elif high < values.max():
                axes.set_ylim(low - 0.05 * (high - low), high)
    last = max((row["epoch"] for run in runs for row in run.rows), default=1)
    places["loss"].set_xlim(1 - 0.02 * last, last * 1.02)
    for name in ("accuracy", "val_accuracy"):
        places[name].set_xlabel("epoch", color=GREY)
    return made, places


def first_values(runs: Sequence[Curves], name: str) -> list[float]:
    """Return the first value of a metric in each run."""
    return [float(run.rows[0].get(name, math.nan)) for run in runs if len(run.rows)]


def highest_loss(first: Sequence[float], values: np.ndarray) -> float:
    """Return the end of a loss axis, because an explosion would flatten all other curves.

    Args:
        first: the first loss of each run.
        values: all finite losses.
    """
    known = [value for value in first if math.isfinite(value)] or [math.inf]
    return float(min(values.max(), 2.5 * np.quantile(known, 0.75)))


def _rank(score: float, higher: bool) -> float:
    if not math.isfinite(score):
        return -math.inf
    return score if higher else -score
