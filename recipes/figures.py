"""Draw the curves of several runs in one picture."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import GREY, INK, SERIES
from zoo.lettering import shortened

CHARTS = (
    ("loss", "training loss"), ("val_loss", "validation loss"),
    ("accuracy", "training accuracy"), ("val_accuracy", "validation accuracy"),
)  # fmt: skip
NAMED = 20  # up to so many runs have names and colors of their own
DASHES = ("-", "--", ":", "-.")


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

    Runs with the same label have the same color: thin lines, and a thick one for their mean.

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
    names = list(dict.fromkeys(run.label for run in drawn))
    if by_score is None:
        by_score = len(names) > NAMED
    texts = [title] if by_score else [title, *names]

    def paint(to: Path) -> None:
        if by_score:
            _by_score(drawn, to, title, score, higher)
        else:
            _by_name(drawn, names, to, title)

    return drawing.attempt(path, paint, texts)


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
            low, high = values.min(), _highest_loss(runs, name, values)
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


def _highest_loss(runs: Sequence[Curves], name: str, values: np.ndarray) -> float:
    """Return the end of a loss axis, because an explosion would flatten all other curves."""
    first = [float(run.rows[0].get(name, math.nan)) for run in runs if len(run.rows)]
    first = [value for value in first if math.isfinite(value)] or [math.inf]
    return float(min(values.max(), 2.5 * np.quantile(first, 0.75)))


def _by_name(runs: Sequence[Curves], names: list[str], path: Path, title: str) -> None:
    labels = shortened(names, 38)
    width = max((drawing.text_width(label, 9.5) for label in labels), default=0) / 72
    made, places = _axes(title, runs, 0.75 + width if names else 0)
    styles: dict[str, Any] = {
        name: {"color": SERIES[i % len(SERIES)], "ls": DASHES[i // len(SERIES) % len(DASHES)]}
        for i, name in enumerate(names)
    }
    for key, axes in places.items():
        for name in names:
            own = [run for run in runs if run.label == name]
            for run in own:
                one = len(own) == 1
                _line(axes, run.rows, key, lw=1.7 if one else 0.9, alpha=1 if one else 0.45,
                      **styles[name])  # fmt: skip
            if len(own) > 1:
                _line(axes, _mean(own, key), key, lw=2.2, **styles[name])
        _within_one(axes, key)
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], lw=2, label=drawing.literal(label), **styles[name])
             for name, label in zip(names, labels, strict=True)]  # fmt: skip
    if lines:
        made.legend(
            handles=lines, loc="upper left", bbox_to_anchor=(10 / made.get_figwidth(), 0.9),
            frameon=False, fontsize=9.5, labelcolor=INK, handlelength=2.2, borderaxespad=0,
        )  # fmt: skip
    drawing.save(made, path)


def _by_score(runs: Sequence[Curves], path: Path, title: str, score: str, higher: bool) -> None:
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


def _mean(runs: Sequence[Curves], key: str) -> list[dict[str, float]]:
    """Return the mean of a metric in the epochs that all runs of a group have."""
    by_epoch = [{row["epoch"]: row.get(key, math.nan) for row in run.rows} for run in runs]
    common = sorted(set.intersection(*(set(each) for each in by_epoch)))
    return [{"epoch": e, key: float(np.mean([each[e] for each in by_epoch]))} for e in common]


def _rank(score: float, higher: bool) -> float:
    if not math.isfinite(score):
        return -math.inf
    return score if higher else -score
