"""Collect shapes and text, and draw them as one matplotlib figure.

Coordinates are in points, and y grows downwards. No display and no global state is needed. Shapes
with the same style are joined into one path, which keeps SVG files small; text stays text.
"""

import functools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from zoo.files import replacing

SUFFIXES = (".svg", ".png")
DPI = 200  # of a PNG


@contextmanager
def settings() -> Iterator[None]:
    """Draw within this context: it has fixed fonts and settings, independent of matplotlibrc."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        # If this font is not installed, a viewer uses another one, which is hardly ever wider.
        matplotlib.rcParams["font.sans-serif"] = ["DejaVu Sans"]
        matplotlib.rcParams["svg.fonttype"] = "none"
        matplotlib.rcParams["svg.hashsalt"] = "zoo"
        yield


@functools.cache
def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of a text in points, rounded to a half."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    width = text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]
    return round(2 * width) / 2


class Canvas:
    """Shapes and texts to be drawn: shapes in the order of `order`, then texts.

    The coordinates of all methods are in points, and y grows downwards.
    """

    def __init__(self):
        self.shapes: dict[tuple, list] = {}
        self.single: list[tuple] = []
        self.texts: list[tuple] = []

    def shape(self, points: list, codes: list, order: int, name: str = "", **style) -> None:
        """Add a path with matplotlib's path codes. With a `name`, it is an SVG group of that id."""
        if name:
            self.single.append((order, points, codes, style, name))
        else:
            self.shapes.setdefault((order, tuple(sorted(style.items()))), []).append(
                (points, codes)
            )

    def box(self, x, y, width, height, radius, order: int, **style) -> None:
        """Add a rectangle with rounded corners, or a circle if the radius is large enough."""
        r = min(radius, width / 2, height / 2)
        right, low = x + width, y + height
        path, codes = [(x + r, y)], [1]
        for fx, fy, cx, cy, tx, ty in (
            (right - r, y, right, y, right, y + r),
            (right, low - r, right, low, right - r, low),
            (x + r, low, x, low, x, low - r),
            (x, y + r, x, y, x + r, y),
        ):
            if 2 * r < height:  # a corner; else a quarter of a circle
                path += [(fx, fy), (cx, cy), (tx, ty)]
                codes += [2, 3, 3]
            else:
                path += [(fx, fy), (fx + 0.552 * (cx - fx), fy + 0.552 * (cy - fy))]
                path += [(tx + 0.552 * (cx - tx), ty + 0.552 * (cy - ty)), (tx, ty)]
                codes += [2, 4, 4, 4]
        self.shape([*path, path[-1]], [*codes, 79], order, **style)

    def polygon(self, points: list, order: int, **style) -> None:
        """Add a polygon."""
        codes = [1, *[2] * (len(points) - 1), 79]
        self.shape([*points, points[0]], codes, order, **style)

    def line(self, points, order: int, name: str = "", **style) -> None:
        """Add a line through points. It is straight if y stays the same, else an S-curve."""
        path, codes = [points[0]], [1]
        for (x0, y0), (x1, y1) in pairwise(points):
            if y0 == y1:
                path, codes = [*path, (x1, y1)], [*codes, 2]
            else:
                middle = (x0 + x1) / 2
                path += [(middle, y0), (middle, y1), (x1, y1)]
                codes += [4, 4, 4]
        self.shape(path, codes, order, name, facecolor="none", **style)

    def text(self, x, y, text: str, size, color, align="left", bold=False) -> None:
        """Add a line of text that is vertically centered at y."""
        self.texts.append((x, y + 0.36 * size, text, size, color, align, bold))

    def figure(self, width: float, height: float):
        """Return a matplotlib figure of this size in points."""
        from matplotlib.figure import Figure
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path as Outline

        figure = Figure(figsize=(width / 72, height / 72), dpi=DPI, facecolor="white")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(0, width), ylim=(height, 0))

        def add(points, codes, style, order, name=None):
            patch = PathPatch(Outline(points, codes), zorder=order, gid=name, **style)
            axes.add_artist(patch)
            patch.set_clip_on(False)

        for (order, style), parts in self.shapes.items():
            points = [point for part, _ in parts for point in part]
            add(points, [code for _, part in parts for code in part], dict(style), order)
        for order, points, codes, style, name in self.single:
            add(points, codes, style, order, name)
        for x, y, text, size, color, align, bold in self.texts:
            axes.text(
                x,
                y,
                text,
                size=size,
                color=color,
                ha=align,
                va="baseline",
                weight="bold" if bold else "normal",
                parse_math=False,
                zorder=100,
            )
        return figure


def write(figure, path: Path) -> None:
    """Write a figure in the format of the suffix. Never leave a partial file.

    Raises:
        ValueError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    kind = path.suffix.lower()[1:]
    # Without a date and a version, equal pictures are equal files.
    metadata = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}[kind]
    try:
        with replacing(path) as place:
            figure.savefig(place, format=kind, metadata=metadata)
            if kind == "svg":
                place.write_text(_shorter(place.read_text("utf-8")), "utf-8")
    except OSError as error:
        raise ValueError(f"cannot write {str(path)!r}: {error.strerror}") from error


def _shorter(svg: str) -> str:
    """Return the same picture in half the bytes: attributes that all texts share are set once."""
    font = "font-family: 'DejaVu Sans', sans-serif"
    svg = svg.replace(f"{font}; ", "").replace("text-anchor: start; ", "")
    svg = svg.replace('type="text/css">', f'type="text/css">text{{{font}}} ')
    svg = re.sub(r' transform="rotate\(-0 [^"]*"', "", svg)
    svg = re.sub(r'<g id="(?:text|patch)_\d+">\s*(<[^<>]+(?:/>|>[^<>]*</text>))\s*</g>', r"\1", svg)
    return re.sub(r"\s*\n([LCQz])", r"\1", svg)


def checked_path(path) -> Path:
    """Return the path for a picture.

    Raises:
        ValueError: it does not end in one of SUFFIXES, its folder does not exist, or it is a
            folder.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"to={str(path)!r}: does not end in .svg or .png; use one of these")
    if not path.parent.is_dir():
        raise ValueError(
            f"to={str(path)!r}: there is no folder {str(path.parent)!r}; create it first"
        )
    if path.is_dir():
        raise ValueError(f"to={str(path)!r}: this is a folder; pass the name of a file")
    return path
