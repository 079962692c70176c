"""What all pictures of recipes share: colors, figures, the style of axes, fonts, and writing."""

import contextlib
import logging
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zoo import lettering
from zoo.files import write
from zoo.lettering import visible

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


def curve(axes: Any, x: Any, y: Any, **style: Any) -> None:
    """Draw a line through the finite points, with a dot where a point stands alone."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    whole = np.isfinite(y)
    beside = np.pad(whole, 1)
    alone = whole & ~beside[:-2] & ~beside[2:]
    (line,) = axes.plot(x, np.where(whole, y, np.nan), **style)
    if alone.any():
        axes.plot(x[alone], y[alone], "o", ms=5, color=line.get_color(), zorder=line.zorder)


def say(axes: Any, text: str) -> None:
    """Write a text in the middle of axes that have nothing to show."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=ORANGE, fontsize=12)


def save(made: Any, path: Path) -> None:
    """Write a figure as a PNG, completely or not at all."""
    write(path, lambda file: made.savefig(file, format="png"), "wb")


def thumbnail(image: np.ndarray, most: int = 512) -> np.ndarray:
    """Return an image [H, W, C] shrunk by a whole number, so that large photos fit in memory.

    Neither side becomes less than a pixel, and none that is at most `most` shrinks.
    """
    height, width = image.shape[:2]
    by = max(1, max(height, width) // most)
    down, across = min(by, height), min(by, width)
    if by == 1:
        return image
    height, width = height // down, width // across
    blocks = image[: height * down, : width * across].reshape(height, down, width, across, -1)
    return np.rint(blocks.mean(axis=(1, 3))).astype(image.dtype)


def literal(text: str) -> str:
    """Return a text as matplotlib draws it literally: visible, and no dollar starts a formula."""
    return visible(text).replace("$", r"\$")


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of a text in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size, weight="bold" if bold else "normal")
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]


def fitted(text: str, points: float, size: float, bold: bool = False) -> str:
    """Return a text for matplotlib, shortened in the middle to a width in points."""
    cut = lettering.fitted(text, points, lambda each: text_width(each, size, bold))
    return literal(cut)


@contextlib.contextmanager
def settings(texts: Iterable[str] = ()) -> Iterator[None]:
    """Draw with matplotlib's defaults, in fonts that have the characters of the texts.

    The user's matplotlibrc does not apply: with LaTeX, for instance, class names are errors.
    """
    import matplotlib

    log = logging.getLogger("matplotlib")
    level = log.level
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams["font.family"] = lettering.families(texts)
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing|.*constrained_layout not applied")
        log.setLevel(logging.ERROR)  # no line about the cache of fonts
        try:
            yield
        finally:
            log.setLevel(level)


def attempt(path: Path, paint: Callable[[Path], object], texts: Iterable[str] = ()) -> bool:
    """Draw one picture; if that fails, print one line on stderr and go on.

    The numbers that a picture shows are worth more than the picture, so nothing that goes wrong
    here, such as a full disk or a font that cannot be read, may prevent them from being reported.

    Args:
        path: the picture's file. An older one is removed if the new one cannot be drawn.
        paint: draws the picture and writes it to the path.
        texts: names that the picture shows; see `settings`.

    Returns:
        Whether the picture was drawn.
    """
    try:
        with settings(texts):
            paint(path)
    except Exception as error:  # of any kind, see above
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        reason = textwrap.shorten(f"{type(error).__name__}: {cause}", 200)
        print(f"{visible(str(path))} was not drawn: {reason}", file=sys.stderr)
        return False
    return True
