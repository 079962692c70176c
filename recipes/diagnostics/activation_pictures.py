"""The picture of the activations check: histograms as in the lectures, and curves by layer."""

from typing import Any

import numpy as np
import pandas as pd

from recipes import drawing
from recipes.diagnostics.plots import legend, panels
from recipes.drawing import BLUE, GREEN, GREY, INK, ORANGE, RED, curve, say

MOST_HISTOGRAMS = 8


def draw(
    part: Any, found: pd.DataFrame, table: pd.DataFrame, edges: Any, counts: list, share: float
) -> None:
    """Draw the histograms of up to 8 layers, and statistics of all layers below them.

    Args:
        part: the figure or subfigure.
        found: the rows of layers with an activation.
        table: the rows of all hidden layers, for their gradients.
        edges, counts: the edges of all histograms, and the counts of each row of `found`.
        share: the share of dead or saturated units that is a fault.
    """
    above, below = part.subfigures(2, 1, height_ratios=(1, 1.35))
    shown = np.unique(np.linspace(0, len(found) - 1, MOST_HISTOGRAMS).round().astype(int))
    grid = above.subplots(1, MOST_HISTOGRAMS, squeeze=False)[0]
    for axes, place in zip(grid, shown, strict=False):
        row = found.iloc[place]
        name = drawing.fitted(str(row["layer"]).removesuffix("_dense").removesuffix("_conv"), 62, 7)
        numbers = f"mean {row['mean']:.2g}\nsd {row['sd']:.2g}"
        histogram(axes, edges, counts[place], f"{name}\n{numbers}")
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    left, middle, right = panels(
        below, ["standard deviation of a unit", "fraction", "gradient |dL/dW|"]
    )
    places = np.arange(1, len(found) + 1)
    marker = "o" if len(found) <= 60 else None
    _on_log_axis(left, places, found["unit_sd"], BLUE, marker, "no standard deviation is finite")
    every = np.arange(1, len(table) + 1)
    _on_log_axis(
        right, every, table["weight_gradient"], GREEN, marker if len(table) <= 60 else None,
        "no gradient is finite",
    )  # fmt: skip
    for name, color, lw in (("dead", ORANGE, 3), ("saturated", RED, 1)):
        # The thinner line leaves the other one visible.
        curve(middle, places, found[name], color=color, lw=lw, marker=marker, ms=2 * lw, label=name)
    middle.axhline(share, color=INK, lw=0.8, ls=":")
    middle.set_ylim(-0.03, 1.03)
    legend(middle, 2)
    for axes, rows in ((left, found), (middle, found), (right, table)):
        _mark_stages(axes, rows["stage"].tolist())


def histogram(axes: Any, edges: Any, counts: Any, title: str) -> None:
    """Draw one histogram of the lectures' grid, without a vertical axis."""
    axes.stairs(counts, edges, fill=True, color=BLUE)
    axes.set_xlim(float(edges[0]), float(edges[-1]))
    axes.set_ylim(0, max(1, int(np.max(counts))) * 1.05)
    axes.set_title(title, fontsize=7, color=INK, pad=3, linespacing=1.2)
    ticks = sorted({float(edges[0]), 0.0, float(edges[-1])})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks([])
    axes.tick_params(labelsize=7, colors=GREY, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)


def draw_nothing(part: Any) -> None:
    """Draw the picture of a network without hidden units."""
    (axes,) = panels(part, [""])
    axes.set_axis_off()
    axes.text(0.5, 0.5, "no hidden units", ha="center", va="center", color=GREY, fontsize=12)


def _on_log_axis(axes: Any, places: Any, numbers: Any, color: str, marker, otherwise: str) -> None:
    numbers = np.asarray(numbers, float)
    shown = np.where(np.isfinite(numbers) & (numbers > 0), numbers, np.nan)
    curve(axes, places, shown, color=color, lw=2, marker=marker, ms=4)
    axes.set_yscale("log")
    if not np.isfinite(numbers).any():
        say(axes, otherwise)
    if np.isfinite(shown).any():
        middle = float(np.exp(np.nanmean(np.log(shown))))
        axes.set_ylim(
            min(np.nanmin(shown) / 2, middle / 20), max(np.nanmax(shown) * 2, middle * 20)
        )


def _mark_stages(axes: Any, stages: list[str]) -> None:
    """Name the stages below the axis, and separate them by lines."""
    first = [i for i, stage in enumerate(stages) if i == 0 or stage != stages[i - 1]]
    middles = [(i + j + 1) / 2 for i, j in zip(first, [*first[1:], len(stages)], strict=True)]
    turn = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if len(first) > 3 else {}
    every = -(-len(first) // 6)  # more names would overlap
    axes.set_xticks(middles[::every], [stages[i] for i in first[::every]], **turn)
    axes.set_xlim(0.5, len(stages) + 0.5)
    axes.set_xlabel("layers, first to last", color=GREY, fontsize=9)
    for i in first[1:]:
        axes.axvline(i + 0.5, color="#e6e8ec", lw=0.8)
