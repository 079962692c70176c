"""The pictures of a report: one of each check, and check.png, a page of them all."""

import dataclasses
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import AMBER, GREEN, GREY, INK, ORANGE, RED
from recipes.findings import Finding

VERDICTS = {"pass": GREEN, "fail": RED, "note": AMBER}
SIZE = (8.4, 3.9)  # inches of one check


def panels(part: Any, titles: Sequence[str], whole: bool = False) -> list[Any]:
    """Axes side by side on a part of a figure, in the reports' style; `whole` numbers below."""
    from matplotlib.ticker import MaxNLocator

    made = part.subplots(1, len(titles), squeeze=False)[0]
    for axes, title in zip(made, titles, strict=True):
        if title:
            axes.set_title(title, loc="left", fontsize=10, color=INK)
        if whole:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        drawing.plain(axes)
        axes.tick_params(which="both", labelsize=9)
    return list(made)


def curve(axes: Any, x: Any, y: Any, **style: Any) -> None:
    """A line through what is finite, with a dot where one point stands alone: no line shows it."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    whole = np.isfinite(y)
    beside = np.pad(whole, 1)
    alone = whole & ~beside[:-2] & ~beside[2:]
    (line,) = axes.plot(x, np.where(whole, y, np.nan), **style)
    if alone.any():
        axes.plot(x[alone], y[alone], "o", ms=5, color=line.get_color(), zorder=line.zorder)


def say(axes: Any, text: str) -> None:
    """Words in the middle, where there is nothing to draw."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=ORANGE, fontsize=12)


def save(findings: Sequence[Finding], folder: Path, title: str) -> list[str]:
    """Draw NAME.png of each finding and check.png, a page of them, whole or not at all.

    Returns:
        A line for each picture that could not be drawn, and is a heading alone.
    """
    drawn, undrawn = [], []
    for finding in findings:
        file = folder / f"{finding.name}.png"
        try:
            _save(finding, file)
        except OSError:  # no place on the disk
            raise
        except Exception as error:  # whatever it is, the report is worth more
            finding = dataclasses.replace(finding, picture=None)
            _save(finding, file)
            said = textwrap.shorten(f"{type(error).__name__}: {error}", 200)
            undrawn.append(f"{file.name} is empty: {said}")
        drawn.append(finding)
    _save_page(drawn, folder / "check.png", title)
    return undrawn


def _save(finding: Finding, path: Path) -> None:
    figure = _figure(SIZE)
    _place(figure, finding)
    drawing.save(figure, path)


def _save_page(findings: Sequence[Finding], path: Path, title: str) -> None:
    columns = min(2, len(findings))
    rows = -(-len(findings) // columns)
    head = 0.5
    size = (SIZE[0] * columns, SIZE[1] * rows + head)
    page = _figure(size)
    top, body = page.subfigures(2, 1, height_ratios=(head, size[1] - head))
    top.text(0.18 / size[0], 0.5, title, va="center", fontsize=15, color=INK, weight="bold")
    counts = [f"{sum(f.verdict == v for f in findings)} {v}" for v in VERDICTS]
    top.text(1 - 0.18 / size[0], 0.5, ", ".join(counts), va="center", ha="right", fontsize=11,
             color=GREY)  # fmt: skip
    parts = body.subfigures(rows, columns, squeeze=False).ravel()
    for part, finding in zip(parts, findings, strict=False):
        _place(part, finding)
    drawing.save(page, path)


def _place(part: Any, finding: Finding) -> None:
    """A finding's heading, and below it its picture."""
    text = textwrap.wrap(finding.figure, 112, max_lines=2, placeholder=" ...")
    head = 0.42 + 0.17 * len(text)
    above, below = part.subfigures(2, 1, height_ratios=(head, SIZE[1] - head))
    colour = VERDICTS.get(finding.verdict, GREY)
    left = 0.022
    above.text(left, 1 - 0.24 / head, f"{finding.verdict.upper()}", va="center", fontsize=11,
               color="white", weight="bold",
               bbox={"boxstyle": "round,pad=0.25", "color": colour})  # fmt: skip
    above.text(left + 0.085, 1 - 0.24 / head, finding.name, va="center", fontsize=12, color=INK,
               weight="bold")  # fmt: skip
    above.text(left, 0, "\n".join(text), va="bottom", fontsize=9, color=GREY, linespacing=1.3)
    if finding.picture is not None:
        finding.picture(below)


def _figure(size: tuple[float, float]) -> Any:
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.08, wspace=0.04)
    return drawing.figure(size, layout=layout)
