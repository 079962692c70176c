"""Write the names of lines next to their ends, or into a legend."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import INK


def label_ends(
    axes: Any,
    ends: Mapping[str, tuple[float, float]],
    labels: Mapping[str, str],
    styles: Mapping[str, Mapping[str, Any]],
    height: float,
) -> None:
    """Write each name to the right of the axes, next to the end of its line.

    Args:
        axes: the axes with the lines.
        ends: name -> the last point of its line.
        labels: name -> the text to write.
        styles: name -> matplotlib's settings, of which the color is used.
        height: height of the axes in inches.
    """
    axes.set_xlim(axes.get_xlim())  # what is drawn here must not change them
    axes.set_ylim(axes.get_ylim())
    to_axes = axes.transData + axes.transAxes.inverted()
    order = sorted(ends, key=lambda name: float(to_axes.transform(ends[name])[1]))
    wanted = [min(max(float(to_axes.transform(ends[name])[1]), 0.0), 1.0) for name in order]
    for name, at in zip(order, _spread(wanted, 12.5 / (72 * height)), strict=True):
        color = styles[name]["color"]
        end = to_axes.transform(ends[name])
        axes.plot([end[0], 1.02], [np.clip(end[1], 0, 1), at], color=color, lw=0.6, alpha=0.5,
                  transform=axes.transAxes, clip_on=False)  # fmt: skip
        axes.text(1.03, at, drawing.literal(labels[name]), transform=axes.transAxes, va="center",
                  fontsize=9, color=color)  # fmt: skip


def _spread(places: Sequence[float], gap: float) -> list[float]:
    """Move sorted places between 0 and 1 apart, as little as possible, to differ by a gap."""
    groups: list[list[float]] = []  # runs of neighbors: sum of the wanted first places, and length
    for place in places:
        groups.append([place, 1])
        while len(groups) > 1 and (
            groups[-2][0] / groups[-2][1] + groups[-2][1] * gap > groups[-1][0] / groups[-1][1]
        ):
            total, count = groups.pop()
            groups[-1][0] += total - count * groups[-1][1] * gap
            groups[-1][1] += count
    found = [total / count + i * gap for total, count in groups for i in range(int(count))]
    lowest = [max(place, i * gap) for i, place in enumerate(found)]
    return [min(place, 1 - i * gap) for i, place in enumerate(lowest[::-1])][::-1]


def legend(
    made: Any, left: float, labels: Mapping[str, str], styles: Mapping[str, Any], named: list[str]
) -> None:
    """Write the names in a column, from a position on (fraction of the figure's width)."""
    from matplotlib.lines import Line2D

    shown = [
        Line2D([], [], lw=2, label=drawing.literal(labels[name]), color=styles[name]["color"],
               ls=styles[name]["ls"])
        for name in named
    ]  # fmt: skip
    made.legend(
        handles=shown, loc="upper left", bbox_to_anchor=(left, 0.9), frameon=False, fontsize=9,
        labelcolor=INK, handlelength=2.2, borderaxespad=0,
    )  # fmt: skip
