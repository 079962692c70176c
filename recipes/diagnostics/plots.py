"""The pictures of a report: NAME.png for each check, and check.png with all of them."""

import dataclasses
import functools
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recipes import drawing
from recipes.diagnostics.results import CheckResult
from recipes.drawing import AMBER, GREEN, GREY, INK, RED

VERDICTS = {"pass": GREEN, "fail": RED, "note": AMBER}
SIZE = (8.4, 3.9)  # inches, of one check's picture


def panels(part: Any, titles: Sequence[str], whole: bool = False) -> list[Any]:
    """Return axes side by side on a subfigure; with `whole`, the x axis shows integers only."""
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
    """Add a legend above the axes at the right, outside the data."""
    axes.legend(frameon=False, labelcolor=INK, fontsize=8, ncols=columns, loc="lower right",
                bbox_to_anchor=(1.02, 0.98), borderaxespad=0.2, columnspacing=1.0,
                handlelength=1.4, handletextpad=0.5)  # fmt: skip


def save(results: Sequence[CheckResult], folder: Path, title: str) -> None:
    """Draw NAME.png for each result, and check.png with all of them.

    If a picture cannot be drawn, only its heading is.
    """
    drawn = []
    for result in results:
        file = folder / f"{result.name}.png"
        if not drawing.attempt(file, functools.partial(_save, result)):
            result = dataclasses.replace(result, picture=None)
            drawing.attempt(file, functools.partial(_save, result))
        drawn.append(result)
    drawing.attempt(folder / "check.png", lambda path: _save_page(drawn, path, title), [title])


def _save(result: CheckResult, path: Path) -> None:
    figure = _figure(SIZE)
    _place(figure, result)
    drawing.save(figure, path)


def _save_page(results: Sequence[CheckResult], path: Path, title: str) -> None:
    columns = min(2, len(results))
    rows = -(-len(results) // columns)
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
    counts = [f"{sum(f.verdict == v for f in results)} {v}" for v in VERDICTS]
    top.text(1 - 0.18 / size[0], 0.5, ", ".join(counts), va="center", ha="right", fontsize=11,
             color=GREY)  # fmt: skip
    parts = body.subfigures(rows, columns, squeeze=False).ravel()
    for part, result in zip(parts, results, strict=False):
        _place(part, result)
    drawing.save(page, path)


def _place(part: Any, result: CheckResult) -> None:
    """Draw the heading of a result, and its picture below."""
    text = textwrap.wrap(result.figure, 112, max_lines=2, placeholder=" ...")
    head = 0.42 + 0.17 * len(text)
    above, below = part.subfigures(2, 1, height_ratios=(head, SIZE[1] - head))
    color = VERDICTS.get(result.verdict, GREY)
    left = 0.022
    above.text(left, 1 - 0.24 / head, f"{result.verdict.upper()}", va="center", fontsize=11,
               color="white", weight="bold",
               bbox={"boxstyle": "round,pad=0.25", "color": color})  # fmt: skip
    above.text(left + 0.085, 1 - 0.24 / head, result.name, va="center", fontsize=12, color=INK,
               weight="bold")  # fmt: skip
    above.text(left, 0, "\n".join(text), va="bottom", fontsize=9, color=GREY, linespacing=1.3)
    if result.picture is not None:
        result.picture(below)


def _figure(size: tuple[float, float]) -> Any:
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.08, wspace=0.04)
    return drawing.figure(size, layout=layout)
