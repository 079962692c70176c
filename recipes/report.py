"""Draw training curves, and print tables."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.drawing import BLUE, GREY, INK, ORANGE
from zoo.terminal import printable

_NUMBER = re.compile(r"[-+\d.,e%]*|nan|inf")


SHORT = 10  # epochs up to which the loss of each step is drawn, too


def curves(
    rows: list[dict[str, Any]], path: Path, title: str, steps: Sequence[Sequence[float]] = ()
) -> bool:
    """Draw loss and accuracy over the epochs, training and validation, as a PNG.

    Args:
        rows: the rows of metrics.csv.
        path: the file of the picture.
        title: the title, such as the names of a recipe and its network.
        steps: for a thin line, in runs of up to 10 epochs: the number of epochs before a step, and
            the loss of the step's batch.

    Returns:
        Whether the picture was drawn; see `recipes.drawing.attempt`.
    """
    shown = steps if len(rows) <= SHORT else ()
    return drawing.attempt(path, lambda to: _curves(rows, to, title, shown), [title])


def _curves(
    rows: list[dict[str, Any]], path: Path, title: str, steps: Sequence[Sequence[float]]
) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    figure = drawing.figure((10, 4.4), dpi=150)
    figure.suptitle(
        drawing.fitted(title, 700, 13, True), x=0.008, ha="left", fontsize=13, color=INK,
        weight="bold",
    )  # fmt: skip
    epochs = np.array([row["epoch"] for row in rows])
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        heading, seen = name, []
        if name == "loss" and len(steps):
            at, losses = np.array(steps, float).T
            drawing.curve(axes, at, losses, color=BLUE, lw=0.8, alpha=0.4, label="train, each step")
            seen.append(losses)
        for key, label, color in ((name, "train", BLUE), (f"val_{name}", "validation", ORANGE)):
            values = np.array([row.get(key, np.nan) for row in rows], float)
            if not np.isfinite(values).any():
                continue
            seen.append(values)
            drawing.curve(
                axes, epochs, values, color=color, lw=2 if len(rows) <= 200 else 1.2,
                marker="o" if len(rows) <= 40 else None, ms=3.5, label=label,
            )  # fmt: skip
            if key.startswith("val"):
                shown = np.where(np.isfinite(values), values, np.nan)
                best = int(np.nanargmax(shown) if name == "accuracy" else np.nanargmin(shown))
                heading = f"{name}: best validation {values[best]:.4g} in epoch {epochs[best]}"
                axes.plot(
                    epochs[best], values[best], "o", ms=10, mfc="none", mec=color, mew=1.6,
                    clip_on=False,
                )  # fmt: skip
        finite = np.concatenate([np.ones(0), *(v[np.isfinite(v)] for v in seen)])
        if name == "loss" and finite.size and finite.min() > 0 and finite.max() > 50 * finite.min():
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        elif name == "accuracy" and finite.size:
            low, high = axes.get_ylim()
            axes.set_ylim(max(low, -0.02), min(high, 1.02))
        axes.set_title(heading, loc="left", fontsize=11, color=INK)
        axes.set_xlabel("epoch", color=GREY)
        if len(rows):
            axes.set_xlim(epochs[0] - (1.1 if len(steps) else 0.5), epochs[-1] + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        drawing.plain(axes)
        if seen:
            axes.legend(frameon=False, labelcolor=INK, fontsize=10)
        else:
            drawing.say(axes, f"no finite {name}")
    drawing.save(figure, path)


def table(title: str, columns: list[str], rows: list[list[str]], note: str = "") -> None:
    """Print a table with a note below it, in color on a terminal; numbers are right-aligned."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    made = Table(
        title=escape(printable(title)), title_justify="left",
        caption=escape(note) or None, caption_justify="left",
    )  # fmt: skip
    for place, name in enumerate(columns):
        numbers = all(_NUMBER.fullmatch(row[place]) for row in rows)
        made.add_column(escape(name), overflow="fold", justify="right" if numbers else "left")
    for row in rows:
        made.add_row(*(escape(printable(cell)) for cell in row))
    console = Console()
    Console(width=None if console.is_terminal else 160, emoji=False).print(made)
