"""Draw which values each norm normalizes together, as in figure 2 of Wu & He 2018.

The picture is measured: one value of a batch of feature maps is changed, and the values whose
normalized outputs change share its mean and variance.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.diagram.canvas import Canvas, checked_path, settings, write
from zoo.diagram.frames import GREY, INK
from zoo.style import Style
from zoo.vocabulary import NORMS

DEFAULT = ("batch", "layer", "instance", "group:2")
# A small batch: images, height, width and channels, and the value that is changed.
SHAPE, CHANGED = (4, 3, 3, 6), (1, 1, 1, 2)
RED, BLUE, PALE = "#dc2626", "#3b82f6", "#e6e8ec"
# All lengths are in points.
CELL, GAP = 8.0, 5.0
STEP = SHAPE[1] * CELL + GAP
PANEL = (SHAPE[3] * STEP - GAP, SHAPE[0] * STEP - GAP)
LEFT, TOP, BETWEEN, HEAD, MARGIN = 66.0, 66.0, 34.0, 56.0, 18.0
PER_ROW = 4


def plot_norms(path: str | Path, names: Sequence[str] = DEFAULT) -> Path:
    """Draw which values of four images with six channels each norm normalizes together.

    Args:
        path: the path of the picture, which ends in .svg or .png. An existing file is replaced.
        names: norms, as for `norm` of `zoo.build`, such as "batch" or "group:3".

    Returns:
        The path.

    Raises:
        ValueError: no layer has one of the names, or the path is wrong.
    """
    path = checked_path(path)
    for name in names:
        if not Style(norm=name).has_norm:
            valid = [known for known, norm in NORMS.items() if norm.layer is not None]
            raise ValueError(
                f"norms={name}: not a layer after each kernel; choose from {', '.join(valid)}"
            )
    together = {name: normalized_together(name) for name in names}
    with settings():
        canvas, width, height = _drawn(together)
        write(canvas.figure(width, height), path)
    return path


def normalized_together(name: str) -> np.ndarray:
    """Return which values of a batch of SHAPE share their statistics with the value CHANGED.

    The result is a boolean array (images, height, width, channels), for training mode.
    """
    import keras

    inputs = keras.Input(SHAPE[1:])
    norm = keras.Model(inputs, Style(norm=name).normalize(inputs, name="stage1_norm"))
    maps = np.random.default_rng(0).normal(size=SHAPE).astype("float32")
    changed = maps.copy()
    changed[CHANGED] += 1
    before, after = (
        keras.ops.convert_to_numpy(norm(keras.ops.convert_to_tensor(x), training=True))
        for x in (maps, changed)
    )
    return np.abs(after - before) > 1e-4


def in_words(together: np.ndarray) -> str:
    """Describe the values that have a mean and a variance of their own."""
    images = together.any(axis=(1, 2, 3)).sum()
    channels = together.any(axis=(0, 1, 2)).sum()
    parts = [] if images > 1 else ["image"]
    if channels < SHAPE[3]:
        parts.append("channel" if channels == 1 else f"group of {channels}")
    count = together.size // together.sum()
    return f"{count} means: one per {' and '.join(parts)}"


def _drawn(together: dict[str, np.ndarray]) -> tuple[Canvas, float, float]:
    """Return the picture, its width and its height."""
    canvas = Canvas()
    rows = -(-len(together) // PER_ROW)
    columns = min(len(together), PER_ROW)
    width = LEFT + columns * (PANEL[0] + BETWEEN) - BETWEEN + MARGIN
    height = TOP + rows * (HEAD + PANEL[1]) + 2 * MARGIN + 8
    canvas.text(MARGIN, 26, "Which values are normalized together", 17, INK, bold=True)
    canvas.text(MARGIN, 47, "4 images (rows) with 6 channels (columns) of 3x3 pixels", 10, GREY)
    for i, (name, values) in enumerate(together.items()):
        left = LEFT + (i % PER_ROW) * (PANEL[0] + BETWEEN)
        top = TOP + (i // PER_ROW) * (HEAD + PANEL[1]) + HEAD
        canvas.text(left, top - 38, name, 12, INK, bold=True)
        canvas.text(left, top - 22, in_words(values), 8.5, GREY)
        _maps(canvas, values, left, top, labels=i % PER_ROW == 0)
    low = height - MARGIN
    for x, color, text in (
        (MARGIN, RED, "a value"),
        (
            MARGIN + 62,
            BLUE,
            "the values normalized with the same mean and variance, in training",
        ),
    ):
        canvas.box(x, low - CELL / 2, CELL, CELL, 1, 1, facecolor=color, edgecolor="none")
        canvas.text(x + CELL + 5, low, text, 9, GREY)
    return canvas, width, height


def _maps(canvas: Canvas, values: np.ndarray, left: float, top: float, labels: bool) -> None:
    """Draw the feature maps of all images and channels, one small square for each value."""
    for c in range(SHAPE[3]):
        middle = left + c * STEP + (STEP - GAP) / 2
        canvas.text(middle, top - 8, str(c + 1), 8, GREY, "center")
    for (n, y, x, c), shared in np.ndenumerate(values):
        color = RED if (n, y, x, c) == CHANGED else BLUE if shared else PALE
        place = (left + c * STEP + x * CELL, top + n * STEP + y * CELL)
        canvas.box(*place, CELL - 1, CELL - 1, 1, 1, facecolor=color, edgecolor="none")
    for n in range(SHAPE[0] if labels else 0):
        canvas.text(
            left - 10, top + n * STEP + (STEP - GAP) / 2, f"image {n + 1}", 9, GREY, "right"
        )
