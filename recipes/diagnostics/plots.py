"""The pictures of a report: one of each check, and check.png, a page of them all."""

import dataclasses
import functools
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recipes import drawing
from recipes.diagnostics.results import Finding
from recipes.drawing import AMBER, GREEN, GREY, INK, RED

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


def legend(axes: Any, columns: int) -> None:
    """Add a legend above the axes at the right, where it hides nothing."""
    axes.legend(frameon=False, labelcolor=INK, fontsize=8, ncols=columns, loc="lower right",
                bbox_to_anchor=(1.02, 0.98), borderaxespad=0.2, columnspacing=1.0,
                handlelength=1.4, handletextpad=0.5)  # fmt: skip


def save(findings: Sequence[Finding], folder: Path, title: str) -> None:
    """Draw NAME.png for each finding, and check.png, a page with all of them.

    A finding whose picture cannot be drawn has its heading alone.
    """
    drawn = []
    for finding in findings:
        file = folder / f"{finding.name}.png"
        if not drawing.attempt(file, functools.partial(_save, finding)):
            finding = dataclasses.replace(finding, picture=None)
            drawing.attempt(file, functools.partial(_save, finding))
        drawn.append(finding)
    drawing.attempt(folder / "check.png", lambda path: _save_page(drawn, path, title), [title])


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
    top.text(
        0.18 / size[0],
        0.5,
        drawing.fitted(title, 72 * (size[0] - 2.5), 15, True),
        va="center",
        fontsize=15,
        color=INK,
        weight="bold",
    )
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
