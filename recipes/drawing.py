"""Shared code for all figures: colors, the style of axes, fonts, and writing PNG files."""

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
    """Return a white matplotlib figure of (width, height) inches that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=size, dpi=dpi, layout=layout, facecolor="white")
    FigureCanvasAgg(made)
    return made


def plain(axes: Any) -> None:
    """Style axes with horizontal grid lines, no frame, and gray tick labels."""
    axes.grid(axis="y", color=RULE, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=GREY, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GREY)


def curve(axes: Any, x: Any, y: Any, **style: Any) -> None:
    """Draw a line through the finite points, and a dot for a point without finite neighbors."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    whole = np.isfinite(y)
    padded = np.pad(whole, 1)
    alone = whole & ~padded[:-2] & ~padded[2:]
    (line,) = axes.plot(x, np.where(whole, y, np.nan), **style)
    if alone.any():
        axes.plot(x[alone], y[alone], "o", ms=5, color=line.get_color(), zorder=line.zorder)


def say(axes: Any, text: str) -> None:
    """Write a text in the center of axes without data."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", color=ORANGE, fontsize=12)


def save(made: Any, path: Path) -> None:
    """Write a figure as a PNG, completely or not at all."""
    write(path, lambda file: made.savefig(file, format="png"), "wb")


def thumbnail(image: np.ndarray, most: int = 512) -> np.ndarray:
    """Shrink a large image [H, W, C] by a whole factor, so that many photos fit in memory.

    Images of at most `most` pixels per side are unchanged, and no side becomes less than a pixel.
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
    """Escape a text so that matplotlib draws it literally: "$" does not start a formula."""
    return visible(text).replace("$", r"\$")


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of a text in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size, weight="bold" if bold else "normal")
    return text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]


def fitted(text: str, points: float, size: float, bold: bool = False) -> str:
    """Escape a text for matplotlib, shortened in the middle to a width in points."""
    cut = lettering.fitted(text, points, lambda each: text_width(each, size, bold))
    return literal(cut)


@contextlib.contextmanager
def settings(texts: Iterable[str] = ()) -> Iterator[None]:
    """Use matplotlib's defaults, with fonts that contain the characters of the texts.

    The user's matplotlibrc is ignored, because settings such as LaTeX would fail on class names.
    """
    import matplotlib

    log = logging.getLogger("matplotlib")
    level = log.level
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams["font.family"] = lettering.families(texts)
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing|.*constrained_layout not applied")
        log.setLevel(logging.ERROR)  # suppresses messages about the font cache
        try:
            yield
        finally:
            log.setLevel(level)


def attempt(path: Path, paint: Callable[[Path], object], texts: Iterable[str] = ()) -> bool:
    """Draw one picture; if that fails, print one line on stderr and go on.

    The numbers in a picture are worth more than the picture, so no failure here, such as a full
    disk or an unreadable font, may prevent them from being reported.

    Args:
        path: the file of the picture. An older picture is removed if the new one cannot be drawn.
        paint: a function that draws the picture and writes it to the path.
        texts: the names in the picture; see `settings`.

    Returns:
        Whether the picture was drawn.
    """
    try:
        with settings(texts):
            paint(path)
    except Exception as error:  # any error, as explained above
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        reason = textwrap.shorten(f"{type(error).__name__}: {cause}", 200)
        print(f"{visible(str(path))} was not drawn: {reason}", file=sys.stderr)
        return False
    return True
