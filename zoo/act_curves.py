"""Activations as functions of one number: values, slopes, and a picture of their curves."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from zoo.lazy import keras
from zoo.vocabulary import ACTS, parse

POINTS = (-10.0, 0.0, 10.0)  # as in the lectures
REACH = 10.0
NEAR = 1e-9  # distance of the two sides of a kink
# Cells of the picture: columns, and their size in inches.
COLUMNS, WIDTH, HEIGHT = 5, 2.75, 2.65
INK, GREY, RULE, VALUE, SLOPE = "#1f2430", "#8a8f9c", "#e6e8ec", "#2b6cb0", "#dd6b20"


def act_values(name: str, x) -> tuple[np.ndarray, np.ndarray]:
    """Return an activation's values and slopes at numbers, in float64.

    At a kink, the slope is the one that training uses. Learned numbers (of prelu and swish_beta)
    have their initial values. Maxout, which takes the maximum of k linear maps of the layer's
    input, is computed for the maps x, -x/2, x/4, ...

    Args:
        name: an activation, such as "relu" or "leaky_relu:0.1"; see `zoo names act`.
        x: numbers of any shape.

    Raises:
        ValueError: the name is unknown, or the backend of Keras computes no gradients.
    """
    given, number = parse("act", name, ACTS)
    from zoo.layers.derivatives import gradients

    x = np.asarray(x, np.float64)
    with_dtype = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        layer = ACTS[given][0](number, "act", 2)
    finally:
        keras.config.set_dtype_policy(with_dtype)
    maps = (-0.5) ** np.arange(int(number or 2) if given == "maxout" else 1)
    inputs = keras.ops.convert_to_tensor(x.reshape(-1, 1), "float64")

    def function(one):
        return layer(one * keras.ops.convert_to_tensor(maps, "float64"))

    layer.build((None, len(maps)))
    y, slope = (keras.ops.convert_to_numpy(each) for each in gradients(function, inputs))
    return y.reshape(x.shape), slope.reshape(x.shape)


def checked_acts(names: Iterable[str]) -> list[str]:
    """Return the names of activations, all of them if there are none.

    Raises:
        ValueError: a name is unknown, or its number is not valid.
    """
    found = [part for name in names for part in name.split(",") if part] or list(ACTS)
    for name in found:
        parse("act", name, ACTS)
    return list(dict.fromkeys(found))


def plot_acts(path: str | Path, names: Iterable[str] = ()) -> Path:
    """Draw activations and their slopes from -10 to 10, with the numbers at -10, 0 and 10.

    Args:
        path: the path of the picture, which ends in .svg or .png. An existing file is replaced.
        names: activations, such as "relu" or "leaky_relu:0.1"; by default, all of them.

    Returns:
        The path.

    Raises:
        ValueError: a name is unknown, the suffix is another one, or the folder does not exist.
    """
    from matplotlib.figure import Figure

    from zoo.diagram.canvas import DPI, checked_path, settings, write

    path, found = checked_path(path), checked_acts(names)
    columns = min(COLUMNS, len(found))
    rows = -(-len(found) // columns)
    with settings():
        figure = Figure(figsize=(WIDTH * columns, HEIGHT * rows + 0.4), dpi=DPI, facecolor="white")
        top = 1 - 0.4 / (HEIGHT * rows + 0.4)
        _legend(figure, WIDTH * columns, HEIGHT * rows + 0.4)
        for place, name in enumerate(found):
            row, column = divmod(place, columns)
            _cell(figure, name, column / columns, top * (1 - (row + 1) / rows), 1 / columns,
                  top / rows)  # fmt: skip
        write(figure, path)
    return path


def _legend(figure, width: float, height: float) -> None:
    y = 1 - 0.22 / height
    for x, color, text in ((0.2, VALUE, "value"), (1.0, SLOPE, "slope")):
        figure.text((x + 0.08) / width, y, text, color=color, size=10, weight="bold", va="center")
    figure.text(1.8 / width, y, "at -10, 0 and 10", color=GREY, size=10, va="center")


def _cell(figure, name: str, left: float, low: float, width: float, height: float) -> None:
    """Draw one activation in a part of the figure, in fractions of the figure."""
    x = np.linspace(-REACH, REACH, 2001)
    y, slope = act_values(name, x)[0], act_values(name, x + NEAR)[1]
    given = parse("act", name, ACTS)[0]
    values = [_short(number) for number in act_values(name, POINTS)[0]]
    slopes = [_slope_at(name, point) for point in POINTS]
    inside = left + 0.1 * width, 0.82 * width
    title = f"{name}, of x and -x/2" if given == "maxout" else name
    figure.text(inside[0], low + 0.93 * height, title, color=INK, size=11, weight="bold")
    for numbers, color, bottom, share in ((y, VALUE, 0.52, 0.38), (slope, SLOPE, 0.27, 0.2)):
        axes = figure.add_axes((inside[0], low + bottom * height, inside[1], share * height))
        axes.axhline(0, color=GREY, lw=0.6)
        axes.plot(x, numbers, color=color, lw=1.8)
        at = [0, len(x) // 2, -1]
        if color == SLOPE and " | " in slopes[1]:
            at.remove(len(x) // 2)
        axes.plot(x[at], numbers[at], "o", color=color, ms=4, clip_on=False)
        span = max(float(np.ptp(numbers)), 0.5)
        axes.set_ylim(min(0, numbers.min()) - 0.08 * span, max(0, numbers.max()) + 0.08 * span)
        axes.set_xlim(-REACH, REACH)
        axes.set_xticks(POINTS, [])
        axes.grid(axis="x", color=RULE, lw=0.8)
        axes.locator_params(axis="y", nbins=3)
        axes.tick_params(length=0, colors=GREY, labelsize=7, pad=2)
        for spine in axes.spines.values():
            spine.set_visible(False)
    for line, (texts, color) in enumerate(((values, VALUE), (slopes, SLOPE))):
        for text, align, place in zip(texts, ("left", "center", "right"), (0, 0.5, 1), strict=True):
            figure.text(
                inside[0] + place * inside[1], low + (0.16 - 0.075 * line) * height, text,
                color=color, size=8, ha=align, va="center",
            )  # fmt: skip


def _slope_at(name: str, point: float) -> str:
    """Return the slope at a point, or the slopes on both sides of a kink."""
    before, after = act_values(name, [point - NEAR, point + NEAR])[1]
    if abs(before - after) < 1e-6:
        return _short((before + after) / 2)
    return f"{_short(before)} | {_short(after)}"


def _short(number: float) -> str:
    """Format a number with three digits, such as 0.25, -1, 4.54e-05 or 10."""
    return "0" if abs(number) < 1e-20 else f"{number:.3g}"
