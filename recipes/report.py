"""Curves and tables."""

from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import BLUE, GREY, INK, ORANGE


def curves(rows: list[dict[str, Any]], path: Path, title: str) -> None:
    """Draw loss and accuracy over the epochs, training and validation, as a PNG.

    Args:
        rows: those of metrics.csv.
        path: the picture's place.
        title: stands above.
    """
    from matplotlib.ticker import FormatStrFormatter, MaxNLocator, NullLocator

    figure = drawing.figure((10, 4.4), dpi=150)
    figure.suptitle(
        drawing.literal(title), x=0.008, ha="left", fontsize=13, color=INK, weight="bold"
    )
    epochs = np.array([row["epoch"] for row in rows])
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        heading, seen = name, []
        for key, label, colour in ((name, "train", BLUE), (f"val_{name}", "validation", ORANGE)):
            values = np.array([row.get(key, np.nan) for row in rows], float)
            if not np.isfinite(values).any():
                continue
            seen.append(values)
            marker = "o" if len(rows) <= 40 else None
            axes.plot(epochs, values, color=colour, lw=2, marker=marker, ms=3.5, label=label)
            if key.startswith("val"):
                best = int(np.nanargmax(values) if name == "accuracy" else np.nanargmin(values))
                heading = f"{name}: best validation {values[best]:.4f}, epoch {epochs[best]}"
                axes.plot(
                    epochs[best], values[best], "o", ms=10, mfc="none", mec=colour, mew=1.6
                )  # fmt: skip
        finite = np.concatenate([np.ones(0), *(v[np.isfinite(v)] for v in seen)])
        if name == "loss" and finite.size and finite.min() > 0 and finite.max() > 50 * finite.min():
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
            axes.yaxis.set_minor_locator(NullLocator())
        axes.set_title(heading, loc="left", fontsize=11, color=INK)
        axes.set_xlabel("epoch", color=GREY)
        axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        drawing.plain(axes)
        if seen:  # some were finite
            axes.legend(frameon=False, labelcolor=INK, fontsize=10)
    drawing.save(figure, path)


def table(title: str, columns: list[str], rows: list[list[str]], note: str = "") -> None:
    """Print a table, on a terminal in colour, with `note` below it."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    made = Table(
        title=escape(title), title_justify="left",
        caption=escape(note) or None, caption_justify="left",
    )  # fmt: skip
    for name in columns:
        made.add_column(escape(name), overflow="fold")
    for row in rows:
        made.add_row(*map(escape, row))
    console = Console()
    Console(width=None if console.is_terminal else 160).print(made)
