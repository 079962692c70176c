"""What all pictures of recipes share: colours, figures, the style of axes, writing as PNG."""

from pathlib import Path
from typing import Any

from recipes.run import write

INK, GREY, RULE = "#1f2430", "#8a8f9c", "#e6e8ec"
BLUE, ORANGE, GREEN, RED, AMBER = "#2b6cb0", "#dd6b20", "#2f855a", "#c53030", "#b7791f"
SERIES = (BLUE, ORANGE, GREEN, "#6b46c1", RED, "#0f766e", AMBER, "#4a5568")


def figure(size: tuple[float, float], *, dpi: int = 130, layout: Any = "constrained") -> Any:
    """A white matplotlib figure of (width, height) inches, tied to no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=size, dpi=dpi, layout=layout, facecolor="white")
    FigureCanvasAgg(made)
    return made


def plain(axes: Any) -> None:
    """Style axes: rules across, no box, grey numbers."""
    axes.grid(axis="y", color=RULE, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=GREY, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)


def save(made: Any, path: Path) -> None:
    """Write a figure as a PNG, whole or not at all."""
    write(path, lambda file: made.savefig(file, format="png"), "wb")


def shorter(name: str, most: int, end: int = 0) -> str:
    """The start of a name that is too long, and `end` characters of its end."""
    return name if len(name) <= most else name[: most - 1 - end] + "…" + name[len(name) - end :]


def literal(text: str) -> str:
    """A text as matplotlib shows it literally: dollars in it enclose no formula."""
    return text.replace("$", r"\$")
