"""A judgement as pictures: confusion matrix, reliability diagram, the worst images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.augment import decode_image
from recipes.drawing import BLUE, GREY, INK, ORANGE, RULE, literal, shorter
from recipes.judging.metrics import BINS
from recipes.split import Split
from zoo.lazy import tensorflow as tf

NAMED = 40  # more classes have no names and numbers in the matrix
CELLS = 250  # of a side of the matrix
PAIRS = 12
COLUMNS = 6


def confusion(judged: dict[str, Any], path: Path) -> None:
    """Draw the confusion matrix: blue what was right, orange what was taken for another.

    The colours are shares of a true class (row), those of errors up to the largest.
    """
    counts, classes = np.array(judged["confusion"]), judged["classes"]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    n, named = len(classes), len(classes) <= NAMED
    side = 0.42 * n + 2.2 if named else 8.0
    names = [literal(name) for name in shortened(classes)]
    label = 0.09 * max(map(len, names)) if named else 0.0
    width, height = max(side, 4.6) + label, max(side, 4.6) + label
    figure = drawing.figure((width, height + (0 if named else 0.2 * PAIRS)))
    _title(figure, "confusion matrix", _what(judged))
    axes = figure.add_subplot() if named else figure.add_gridspec(
        2, 1, height_ratios=(8, 0.25 * PAIRS)
    )  # fmt: skip
    grid = axes if named else figure.add_subplot(axes[0])
    grid.imshow(_colours(share), interpolation="nearest", extent=(-0.5, n - 0.5, n - 0.5, -0.5))
    grid.set_xlabel("taken for", color=GREY)
    grid.set_ylabel("true class", color=GREY)
    grid.tick_params(colors=INK, length=0, labelsize=9)
    for spine in grid.spines.values():
        spine.set_color(RULE)
    if not named:
        grid.tick_params(colors=GREY)
        below = figure.add_subplot(axes[1])
        below.set_axis_off()
        below.text(0, 1, "\n".join(_pairs(counts, classes)), va="top", fontsize=9, color=INK,
                   transform=below.transAxes, linespacing=1.5)  # fmt: skip
    else:
        turned = max(map(len, names)) > 3
        grid.set_xticks(range(n), names, rotation=90 if turned else 0)
        grid.set_yticks(range(n), names)
        grid.set_xticks(np.arange(n + 1) - 0.5, minor=True)
        grid.set_yticks(np.arange(n + 1) - 0.5, minor=True)
        grid.grid(which="minor", color=RULE, lw=0.8)
        grid.tick_params(which="minor", length=0)
        for i in range(n):
            grid.annotate(f"{share[i, i]:.2f}", (n - 0.5, i), (5, 0), "data", "offset points",
                          va="center", fontsize=9, color=GREY)  # fmt: skip
        for i, j in zip(*np.nonzero(counts), strict=True):
            dark = i == j and share[i, j] > 0.4
            grid.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=9,
                      color="white" if dark else INK)  # fmt: skip
    drawing.save(figure, path)


def calibration(judged: dict[str, Any], path: Path) -> None:
    """Draw the reliability diagram: accuracy by confidence, and how many images are where."""
    bins = [one for one in judged["calibration"] if one["images"]]
    figure = drawing.figure((5.4, 6.2))
    error = judged["ece"]
    _title(figure, f"calibration: ECE {error:.4f}", _what(judged))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color=GREY, lw=1, ls=(0, (4, 3)), zorder=3)
    left = np.array([one["from"] for one in bins])
    accuracy = np.array([one.get("accuracy", 0.0) for one in bins])
    confidence = np.array([one.get("confidence", 0.0) for one in bins])
    images = np.array([one["images"] for one in bins])
    wide, inset = 1 / BINS, 0.06 / BINS
    shape = {"width": wide - 2 * inset, "align": "edge"}
    both = np.minimum(accuracy, confidence)
    above.bar(left + inset, both, color=BLUE, label="accuracy", **shape)
    above.bar(left + inset, accuracy - both, bottom=both, color=BLUE, alpha=0.35,
              label="less sure than right", **shape)  # fmt: skip
    above.bar(left + inset, confidence - both, bottom=both, color=ORANGE, alpha=0.4,
              label="surer than right", **shape)  # fmt: skip
    above.set_ylabel("accuracy", color=GREY)
    above.set_ylim(0, 1.02)
    above.legend(frameon=False, labelcolor=INK, fontsize=9, loc="upper left")
    below.bar(left + inset, images / max(images.sum(), 1), color=GREY, **shape)
    below.set_ylabel("share of images", color=GREY)
    below.set_xlabel(f"confidence, in {BINS} bins", color=GREY)
    below.set_xlim(0, 1)
    for axes in (above, below):
        drawing.plain(axes)
    drawing.save(figure, path)


def worst(judged: dict[str, Any], part: Split, path: Path) -> None:
    """Draw the images of the highest loss as they are stored, with what they were taken for."""
    listed, classes = judged["worst"], [literal(c) for c in shortened(judged["classes"], 12)]
    images = stored(part, [one["place"] for one in listed])
    columns = min(COLUMNS, max(len(listed), 3))
    rows = -(-len(listed) // columns)
    width, height = 1.85 * columns + 0.2, 2.25 * rows + 0.65
    figure = drawing.figure((width, height), layout=None)
    _title(figure, "the worst images", f"highest loss first; {_what(judged)}")
    places = figure.add_gridspec(
        rows, columns, left=0.1 / width, right=1 - 0.1 / width, bottom=0.1 / height,
        top=1 - 1.0 / height, wspace=0.08, hspace=0.32,
    )  # fmt: skip
    grid = [figure.add_subplot(places[i // columns, i % columns]) for i in range(len(listed))]
    for axes in grid:
        axes.set_axis_off()
        axes.set_anchor("NW")
    for axes, one, image in zip(grid, listed, images, strict=True):
        axes.imshow(image if image.shape[-1] in (3, 4) else image[..., 0],
                    interpolation="nearest" if max(image.shape) < 128 else "antialiased",
                    cmap="gray", vmin=0, vmax=255)  # fmt: skip
        said, right = "not finite", False
        if one["predicted"] is not None:
            right = one["predicted"] == one["true"]
            said = f"{classes[one['predicted']]}, p = {one['probability']:.2f}"
        axes.set_title(f"{'right' if right else 'taken for'} {said}", fontsize=8, loc="left",
                       color=GREY if right else ORANGE, pad=2.5)  # fmt: skip
        known = one["true_probability"]
        text = "true " + classes[one["true"]]
        text += "" if known is None or right else f", p = {known:.2f}"
        axes.annotate(text, (0, 1), (0, 14), "axes fraction", "offset points", fontsize=8,
                      color=INK, weight="bold", annotation_clip=False)  # fmt: skip
    drawing.save(figure, path)


def stored(part: Split, places: list[int]) -> list[np.ndarray]:
    """The images at some places of the fixed order, uint8 [H, W, C], read again one by one."""
    wanted = tf.constant(sorted(places), tf.int64)

    def lookup(place, item):
        return place, part.lookup(*(item if isinstance(item, tuple) else (item,)))["image"]

    items = part.order(None).enumerate()
    items = items.filter(lambda place, item: tf.reduce_any(place == wanted)).map(lookup)
    found = {int(place): image for place, image in items}
    images = [found[place] for place in places]
    if part.encoded:
        images = [decode_image(image, part.shape[-1]) for image in images]
    return [np.asarray(image) for image in images]


def _colours(share: np.ndarray) -> np.ndarray:
    """White to blue on the diagonal, white to orange elsewhere, in 0..1: [C, C, 3] or smaller.

    A cell is a block of classes where there are more than CELLS: its largest error, and the
    mean of what was right.
    """
    n, block = len(share), -(-len(share) // CELLS)
    cells = -(-n // block)
    errors = np.zeros((cells * block, cells * block))
    errors[:n, :n] = share * (1 - np.eye(n))
    errors = errors.reshape(cells, block, cells, block).max(axis=(1, 3))
    starts = np.arange(0, n, block)
    right = np.add.reduceat(np.diag(share), starts) / np.diff([*starts, n])
    strength = 0.8 * np.sqrt(errors / max(errors.max(), 1e-9))
    diagonal = np.arange(cells)
    strength[diagonal, diagonal] = 0
    orange, blue = (np.array([int(c[i : i + 2], 16) for i in (1, 3, 5)]) / 255
                    for c in (ORANGE, BLUE))  # fmt: skip
    colours = 1 - strength[..., None] * (1 - orange)
    colours[diagonal, diagonal] = 1 - 0.9 * right[:, None] * (1 - blue)
    return colours


def _pairs(counts: np.ndarray, classes: list[str]) -> list[str]:
    errors = counts * (1 - np.eye(len(counts), dtype=int))
    places = np.argsort(-errors, axis=None, kind="stable")[:PAIRS]
    rows, columns = np.unravel_index(places, errors.shape)
    names = [literal(name) for name in shortened(classes, 40)]
    return [
        f"{names[i]} taken for {names[j]}: {errors[i, j]} of {counts[i].sum()}"
        for i, j in zip(rows, columns, strict=True)
        if errors[i, j]
    ]


def shortened(names: Sequence[str], most: int = 16) -> list[str]:
    """The names in `most` characters, none like another: their starts, or as many of their ends.

    What only a longer end, or none at all, tells apart has that, or its number at the end.
    """
    found: dict[int, str] = {}
    for end in (0, most // 2, *range(1, most)):
        cut = [shorter(name, most, end) for name in names]
        often = Counter([*cut, *found.values()])
        found |= {i: cut[i] for i in range(len(cut)) if i not in found and often[cut[i]] == 1}
    return [
        found.get(i) or f"{shorter(name, most - 1 - len(str(i)))}{i}"
        for i, name in enumerate(names)
    ]


def _what(judged: dict[str, Any]) -> str:
    """In one line what was judged, and how good it is."""
    right = round(judged["top1"] * judged["samples"])
    several = f"{judged['average']} of {len(judged['members'])}, " if judged["average"] else ""
    return (
        f"{several}{judged['split']} set of {literal(shorter(judged['data'], 40))}: "
        f"{judged['top1']:.4f} ({right} of {judged['samples']})"
    )


def _title(figure, title: str, below: str) -> None:
    """A title and a line below it, at the left; the drawing keeps clear of them."""
    width, height = figure.get_size_inches()
    figure.text(0.1 / width, 1 - 0.08 / height, title, va="top", fontsize=13, color=INK,
                weight="bold")  # fmt: skip
    figure.text(0.1 / width, 1 - 0.34 / height, below, va="top", fontsize=9, color=GREY)
    if engine := figure.get_layout_engine():
        engine.set(rect=(0, 0.08 / height, 1, 1 - 0.63 / height))
