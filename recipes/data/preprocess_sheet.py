"""Draw how preprocessing changes images: raw, centered, scaled, decorrelated and whitened."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recipes import drawing
from recipes.data import preprocess
from recipes.data.batches import open_for, training_batches
from recipes.data.pipelines import clear_errors
from recipes.data.preview import png
from recipes.data.types import Data
from recipes.drawing import BLUE, GREY, INK, RULE
from recipes.recipe import Recipe
from zoo.terminal import plural

IMAGES = 6
POINTS = 512  # images in the scatter plots
STEPS = {
    "raw": "none",
    "centered": "center_image",
    "scaled": "standardize_image",
    "decorrelated": "pca",
    "whitened": "whiten",
}
ROTATED = ("pca", "whiten")


class Row(NamedTuple):
    """Preprocessed images, or the reason why there are none.

    Attributes:
        name: name of the step, such as "centered".
        kind: kind of preprocessing; see recipes.data.preprocess.KINDS.
        images: float32 (images, height, width, channels), or None.
        why: the reason.
    """

    name: str
    kind: str
    images: np.ndarray | None
    why: str = ""


def preprocessed(recipe: Recipe, data: Data, count: int = POINTS) -> list[Row]:
    """Return training images after each step, and after the recipe's own preprocessing.

    The images are random training images of the recipe's seed, after its eval_ops, and the same in
    each row. The statistics are those of the whole training set.

    Args:
        recipe: the recipe.
        data: its data.
        count: the number of images, or all if there are fewer.
    """
    batches, _ = training_batches(
        data.train, classes=len(data.classes), batch=min(count, data.train.count),
        ops=recipe.eval_ops, seed=recipe.seed, first_epoch=0, epochs=1,
    )  # fmt: skip
    raw = np.asarray(next(batches.as_numpy_iterator())[0], np.float32)
    steps = dict(STEPS)
    if recipe.preprocess in preprocess.KINDS and recipe.preprocess not in steps.values():
        steps["this recipe"] = recipe.preprocess
    return [_row(name, kind, recipe, data, raw) for name, kind in steps.items()]


def _row(name: str, kind: str, recipe: Recipe, data: Data, raw: np.ndarray) -> Row:
    if kind in ROTATED and raw[0].size > preprocess.MOST_DIMENSIONS:
        why = f"at most {preprocess.MOST_DIMENSIONS:,} dimensions, but an image has {raw[0].size:,}"
        return Row(name, kind, None, why)
    layer = preprocess.fit(kind, data, data.train, recipe.eval_ops)
    return Row(name, kind, raw if layer is None else np.asarray(layer(raw)))


@clear_errors()
def preprocess_sheet(recipe: Recipe, path: str | Path) -> str:
    """Draw training images after each step of preprocessing, and scatter plots of two dimensions.

    There is a row for raw, centered, scaled (each pixel divided by its standard deviation),
    decorrelated (pca) and whitened images, and for the recipe's own preprocessing if it is another
    one. The images are drawn as the network gets them: of decorrelated and whitened images, the
    first value is the coordinate along the first principal axis. Zero is gray, and the range is
    three standard deviations of the row. The scatter plots show two neighboring pixels of the
    first channel, of which one varies most, or the first two coordinates.

    Args:
        recipe: the recipe, whose data, eval_ops, seed and preprocess are used.
        path: the file of the picture; missing folders are created.

    Returns:
        A line for the user with the number of images and the path.

    Raises:
        ValueError: the data set cannot be opened, or the picture cannot be written there.
    """
    path = png(path)
    data = open_for(recipe)
    rows = preprocessed(recipe, data)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"to={str(path)!r}: cannot create the folder ({error.strerror}); choose another path"
        ) from None
    with drawing.settings([recipe.data]):
        drawing.save(_figure(recipe, rows), path)
    shown = min(IMAGES, len(rows[0].images))  # type: ignore[arg-type]
    return (
        f"{plural(shown, 'image')} after {plural(len(rows) - 1, 'step')} of preprocessing: {path}"
    )


def pixel_pair(raw: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the pixel of the first channel that varies most, and its neighbor."""
    deviation = raw[..., 0].std(0)
    y, x = map(int, np.unravel_index(deviation.argmax(), deviation.shape))
    height, width = deviation.shape
    if width > 1:
        return (y, x), (y, x + 1 if x + 1 < width else x - 1)
    return (y, x), (y + 1 if y + 1 < height else max(0, y - 1), x)


def cloud(row: Row, pair: Any) -> tuple[np.ndarray, np.ndarray, tuple[str, str]]:
    """Return two values of each image of a row, and their names.

    Args:
        row: the row, which has images.
        pair: two pixels, as (y, x).
    """
    assert row.images is not None
    if row.kind in ROTATED:
        flat = row.images.reshape(len(row.images), -1)
        return flat[:, 0], flat[:, min(1, flat.shape[1] - 1)], ("coordinate 1", "coordinate 2")
    (a, b), (c, d) = pair
    names = (f"pixel ({a}, {b})", f"pixel ({c}, {d})")
    return row.images[:, a, b, 0], row.images[:, c, d, 0], names


def _figure(recipe: Recipe, rows: list[Row]):
    raw = rows[0].images
    assert raw is not None
    shown = min(IMAGES, len(raw))
    width, side, head = 1.2 * shown + 4.6, 1.75, 0.5
    height = side * len(rows) + head
    figure = drawing.figure((width, height), dpi=110, layout=None)
    title = drawing.fitted(f"Preprocessing of {recipe.data}", 60 * width, 13, bold=True)
    figure.text(0.15 / width, 1 - 0.15 / height, title, va="top", fontsize=13, color=INK,
                weight="bold")  # fmt: skip
    pair = pixel_pair(raw)
    for place, row in enumerate(rows):
        low = 1 - (head + side * (place + 1)) / height
        figure.text(0.15 / width, low + 0.95 * side / height, row.name, fontsize=11, color=INK,
                    weight="bold", va="center")  # fmt: skip
        figure.text(0.15 / width, low + 0.8 * side / height, f'"{row.kind}"', fontsize=8,
                    color=GREY, family="monospace", va="center")  # fmt: skip
        if row.images is None:
            figure.text(1.7 / width, low + 0.5 * side / height, row.why, fontsize=9, color=GREY)
            continue
        numbers = f"mean {row.images.mean():.3g}\nsd {row.images.std():.3g}"
        figure.text(0.15 / width, low + 0.55 * side / height, numbers, fontsize=8, color=INK,
                    va="center", linespacing=1.5)  # fmt: skip
        for column in range(shown):
            axes = figure.add_axes(
                ((1.65 + 1.2 * column) / width, low + 0.35 / height, 1.12 / width, 1.2 / height)
            )
            _draw_image(axes, row, column)
        axes = figure.add_axes(
            ((width - 2.15) / width, low + 0.42 / height, 1.9 / width, 1.22 / height)
        )
        _draw_cloud(axes, row, pair)
    return figure


def _draw_image(axes: Any, row: Row, place: int) -> None:
    assert row.images is not None
    image = drawing.thumbnail(row.images[place])
    if row.kind == "none":
        low, high = 0.0, 255.0
    else:
        high = 3 * float(row.images.std()) or 1.0
        low = -high
    image = np.clip((image - low) / (high - low), 0, 1)
    shown = image[..., :3] if image.shape[-1] in (3, 4) else image[..., 0]
    how = "nearest" if max(image.shape) < 128 else "antialiased"
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation=how)
    axes.set_axis_off()


def _draw_cloud(axes: Any, row: Row, pair: Any) -> None:
    x, y, names = cloud(row, pair)
    reach = 1.1 * max(float(np.abs([x, y]).max()), 1e-6)
    axes.axhline(0, color=GREY, lw=0.7)
    axes.axvline(0, color=GREY, lw=0.7)
    axes.plot(x, y, "o", ms=2, color=BLUE, alpha=0.4, mew=0)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    axes.set_aspect("equal")
    axes.set_xlabel(names[0], fontsize=7, color=GREY, labelpad=1)
    axes.set_ylabel(names[1], fontsize=7, color=GREY, labelpad=1)
    axes.locator_params(nbins=3)
    axes.tick_params(labelsize=6, colors=GREY, length=0, pad=1)
    for spine in axes.spines.values():
        spine.set_color(RULE)
