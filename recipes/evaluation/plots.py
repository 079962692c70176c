"""Plots of an evaluation: confusion matrix, reliability diagram, and the worst mistakes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.augment import decode_image
from recipes.data.types import Split, located
from recipes.drawing import BLUE, GREY, INK, ORANGE, RULE, literal
from recipes.evaluation.metrics import BINS
from zoo import lettering
from zoo.lazy import tensorflow as tf
from zoo.lettering import visible

COUNTED, NAMED = 40, 120  # the largest numbers of classes whose counts, or names, are drawn
LABEL = 18  # characters of a class name
CELLS = 250  # the largest number of cells along a side of the matrix
PAIRS = 12  # frequent mistakes that are listed
COLUMNS = 6  # mistakes in a row
CELL = 2.1  # inches for a mistake
LEFT_TO_RIGHT = "\u200e"  # keeps text after a Hebrew or Arabic name to its right


def confusion(result: dict[str, Any], path: Path) -> None:
    """Draw the confusion matrix: blue for correct predictions, orange for mistakes.

    Colors show fractions of the true class (row); orange is scaled to the largest mistake. Counts
    are drawn for up to COUNTED classes and names for up to NAMED. With more than CELLS classes, a
    cell stands for several. Without counts, the most frequent mistakes are listed below.
    """
    counts, classes = np.array(result["confusion"]), result["classes"]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    n = len(classes)
    counted, named = n <= COUNTED, n <= NAMED
    cell, size = (0.42, 9.0) if counted else (0.125, 6.5)
    names = [literal(name) for name in lettering.shortened(classes, LABEL)] if named else []
    label = max((drawing.text_width(name, size) for name in names), default=0) / 72
    side = max(cell * n + 2.2 if named else 8.0, 5.2) + label
    pairs = [] if counted else _pairs(counts, classes)
    below = 0.2 * len(pairs) + 0.2 if pairs else 0.0
    figure = drawing.figure((side, side + below))
    _title(figure, "Confusion matrix", _what(result))
    if pairs:
        upper, lower = figure.subfigures(2, 1, height_ratios=(side, below))
        lower.text(
            0.1 / side, 1, "\n".join(pairs), va="top", fontsize=9, color=INK, linespacing=1.5
        )
    grid = (upper if pairs else figure).add_subplot()
    grid.imshow(_colors(share), interpolation="nearest", extent=(-0.5, n - 0.5, n - 0.5, -0.5))
    grid.set_xlabel("predicted class", color=GREY)
    grid.set_ylabel("true class", color=GREY)
    grid.tick_params(colors=INK if named else GREY, length=0, labelsize=size if named else 9)
    for spine in grid.spines.values():
        spine.set_color(RULE)
    if named:
        turned = label > 0.9 * (side - label - 1.8) / n  # names wider than a cell
        grid.set_xticks(range(n), names, rotation=90 if turned else 0)
        grid.set_yticks(range(n), names)
    if counted:
        grid.set_xticks(np.arange(n + 1) - 0.5, minor=True)
        grid.set_yticks(np.arange(n + 1) - 0.5, minor=True)
        grid.grid(which="minor", color=RULE, lw=0.8)
        grid.tick_params(which="minor", length=0)
        for i in range(n):
            recall = f"{share[i, i]:.2f}" if counts[i].any() else "-"
            grid.annotate(recall, (n - 0.5, i), (5, 0), "data", "offset points",
                          va="center", fontsize=9, color=GREY)  # fmt: skip
        for i, j in zip(*np.nonzero(counts), strict=True):
            dark = i == j and share[i, j] > 0.4
            grid.text(j, i, str(counts[i, j]), ha="center", va="center",
                      fontsize=9 if counts[i, j] < 1000 else 6.5 if counts[i, j] < 100000 else 5,
                      color="white" if dark else INK)  # fmt: skip
    drawing.save(figure, path)


def calibration(result: dict[str, Any], path: Path) -> None:
    """Draw the reliability diagram: the accuracy, mean confidence and size of each bin."""
    bins = [one for one in result["calibration"] if one["images"]]
    from matplotlib.ticker import MaxNLocator

    figure = drawing.figure((5.8, 6.4))
    ece = result["ece"]
    known = ece is not None and np.isfinite(ece)
    title = f"Calibration (ECE = {ece:.4f})" if known else "Calibration (no finite scores)"
    _title(figure, title, _what(result))
    figure.get_layout_engine().set(hspace=0.06)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    left = np.array([one["from"] for one in bins])
    accuracy = np.array([one["accuracy"] for one in bins])
    confidence = np.array([one["confidence"] for one in bins])
    images = np.array([one["images"] for one in bins], int)
    wide, inset = 1 / BINS, 0.06 / BINS
    shape = {"width": wide - 2 * inset, "align": "edge"}
    above.bar(left + inset, accuracy, color=BLUE, alpha=0.75, label="accuracy", **shape)
    above.hlines(confidence, left, left + wide, color=ORANGE, lw=2.5, label="mean confidence")
    above.plot([0, 1], [0, 1], color=GREY, lw=1, ls=(0, (4, 3)), label="perfect calibration")
    above.set_ylabel("accuracy", color=GREY)
    above.set_ylim(0, 1.03)
    # The legend is outside because it would hide bars: those of low confidence are at the left.
    above.legend(frameon=False, labelcolor=INK, fontsize=9, ncols=3, loc="lower left",
                 bbox_to_anchor=(-0.02, 1.0), borderaxespad=0.2, columnspacing=1.4)  # fmt: skip
    below.bar(left + inset, images, color=GREY, **shape)
    most = int(images.max(initial=1))
    for place, count in zip(left + wide / 2, images, strict=True):
        below.annotate(f"{count}" if count < 10000 else f"{count / 1000:.0f}k", (place, count),
                       (0, 1.5), textcoords="offset points", ha="center", va="bottom",
                       fontsize=6.5, color=INK)  # fmt: skip
    below.set_ylim(0, 1.25 * most)
    below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    below.set_ylabel("images", color=GREY)
    below.set_xlabel(f"confidence ({BINS} bins)", color=GREY)
    below.set_xlim(0, 1)
    for axes in (above, below):
        drawing.plain(axes)
    below.tick_params(axis="x", pad=7)
    drawing.save(figure, path)


def worst(result: dict[str, Any], part: Split, path: Path) -> None:
    """Draw the mistakes with the highest loss: stored images, files, classes, probabilities."""
    listed = result["worst"]
    total = result["samples"] - round(result["top1"] * result["samples"])
    columns = min(COLUMNS, max(len(listed), 3))
    rows = -(-len(listed) // columns)
    width, height = CELL * columns + 0.2, (CELL + 0.45) * rows + 0.75
    figure = drawing.figure((width, height), layout=None)
    if not listed:
        _title(figure, "No mistakes", _what(result))
        drawing.save(figure, path)
        return
    images = stored(part, [one["place"] for one in listed], drawing.thumbnail)
    shown = f"all {total} mistakes" if total > 1 else "the only mistake"
    if len(listed) < total:
        shown = f"{len(listed)} of {total} mistakes"
    _title(figure, "Worst mistakes", f"{shown}, highest loss first; {_what(result)}")
    classes = lettering.shortened(result["classes"], 20)
    points = 72 * (CELL - 0.12)
    for number, (one, image) in enumerate(zip(listed, images, strict=True)):
        place = (number % columns, number // columns)
        axes = figure.add_axes(
            (
                (0.1 + CELL * place[0]) / width,
                1 - (0.65 + (CELL + 0.45) * (place[1] + 1)) / height,
                (CELL - 0.12) / width,
                (CELL - 0.12) / height,
            )
        )
        axes.set_axis_off()
        axes.set_anchor("NW")
        axes.imshow(image if image.shape[-1] in (3, 4) else image[..., 0],
                    interpolation="nearest" if max(image.shape) < 128 else "antialiased",
                    cmap="gray", vmin=0, vmax=255)  # fmt: skip
        predicted = "predicted: none (scores not finite)"
        if one["predicted"] is not None:
            predicted = _class("predicted", classes[one["predicted"]], one["probability"], points)
        true = _class("true", classes[one["true"]], one["true_probability"], points)
        lines = (
            (drawing.fitted(_file(one["image"]), points, 7), 7, GREY),
            (true, 8, INK),
            (predicted, 8, ORANGE),
        )
        for offset, (text, size, color) in zip((24, 13.5, 3), lines, strict=True):
            axes.annotate(text, (0, 1), (0, offset), "axes fraction", "offset points",
                          fontsize=size, color=color, annotation_clip=False)  # fmt: skip
    drawing.save(figure, path)


def _class(role: str, name: str, probability: float | None, points: float) -> str:
    """Return a line such as "true: cat (0.12)", with the name shortened to fit."""
    known = "" if probability is None else f" ({probability:.2f})"
    rest = drawing.text_width(f"{role}: {known}", 8)
    return f"{role}: {drawing.fitted(name, points - rest, 8)}{LEFT_TO_RIGHT}{known}"


def _file(image: str) -> str:
    """Return the file name of an image, or its position in the data set."""
    return os.path.basename(image) if os.path.isabs(image) or os.path.exists(image) else image


def stored(
    part: Split, places: list[int], shrink: Callable[[np.ndarray], np.ndarray] = np.asarray
) -> list[np.ndarray]:
    """Return the images, uint8 [H, W, C], at some positions of the split's fixed order."""
    wanted = tf.constant(sorted(places), tf.int64)

    def flat(place, item):
        return place, *(item if isinstance(item, tuple) else (item,))

    items = part.order(None).enumerate()
    items = items.filter(lambda place, item: tf.reduce_any(place == wanted)).map(flat)
    items = located(items, part)
    images = items.map(lambda place, *item: (place, part.lookup(*item)["image"]))
    found = {int(place): image for place, image in images}
    each = (found[place] for place in places)
    if part.encoded:  # decoded one at a time, because large photos need much memory
        each = (decode_image(image, part.shape[-1]) for image in each)
    return [shrink(np.asarray(image)) for image in each]


def _colors(share: np.ndarray) -> np.ndarray:
    """Return the colors, [C, C, 3] or smaller in 0..1: blue on the diagonal, orange elsewhere.

    With more than CELLS classes, a cell is a block of classes and shows the largest mistake in
    it, or on the diagonal the mean recall.
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
    colors = 1 - strength[..., None] * (1 - orange)
    colors[diagonal, diagonal] = 1 - 0.9 * right[:, None] * (1 - blue)
    return colors


def _pairs(counts: np.ndarray, classes: list[str]) -> list[str]:
    """Return the most frequent mistakes, one per line."""
    errors = counts * (1 - np.eye(len(counts), dtype=int))
    places = np.argsort(-errors, axis=None, kind="stable")[:PAIRS]
    rows, columns = np.unravel_index(places, errors.shape)
    names = [literal(name) for name in lettering.shortened(classes, 40)]
    return [
        f"{names[i]} predicted as {names[j]}: {errors[i, j]} of {counts[i].sum()}"
        for i, j in zip(rows, columns, strict=True)
        if errors[i, j]
    ]


def _what(result: dict[str, Any]) -> str:
    """Return one line about what was evaluated and its accuracy."""
    right = round(result["top1"] * result["samples"])
    several = f"{result['average']} of {len(result['members'])}, " if result["average"] else ""
    return (
        f"{several}{result['split']} set of {lettering.shorter(visible(result['data']), 34)}: "
        f"accuracy {result['top1']:.4f} ({right} of {result['samples']})"
    )


def _title(figure, title: str, below: str) -> None:
    """Write a title and a line below it at the top left, and reserve space for them."""
    width, height = figure.get_size_inches()
    figure.text(0.1 / width, 1 - 0.08 / height, title, va="top", fontsize=13, color=INK,
                weight="bold")  # fmt: skip
    figure.text(0.1 / width, 1 - 0.34 / height, drawing.fitted(below, 72 * (width - 0.2), 9),
                va="top", fontsize=9, color=GREY)  # fmt: skip
    if engine := figure.get_layout_engine():
        engine.set(rect=(0, 0.08 / height, 1, 1 - 0.63 / height))
