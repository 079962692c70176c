"""Draw contact sheets that show how a recipe augments its training images."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from recipes import drawing
from recipes.augment import apply, apply_batch, decode_image, repeat_of
from recipes.data.batches import open_for, turn_of
from recipes.data.pipelines import clear_errors
from recipes.data.types import Split
from recipes.drawing import GREY, INK
from recipes.recipe import Recipe
from zoo.lazy import tensorflow as tf
from zoo.lettering import shorter, visible
from zoo.terminal import plural

IMAGES = 6
VIEWS = 5
_LABELS = 2  # labels written above a mixed image
_WIDTH, _BOLD = 28, 24  # characters of a title that fit in a column


def png(path: str | Path) -> Path:
    """Return the path of a picture.

    Raises:
        ValueError: the path does not end in .png.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"to={str(path)!r}: does not end in .png; pictures are written as PNG")
    return path


@clear_errors()
def contact_sheet(
    recipe: Recipe, path: str | Path, *, images: int = IMAGES, views: int = VIEWS
) -> str:
    """Draw training images next to augmented views of them, as a PNG.

    Each row shows an image as it is stored, then as it is augmented in the first epochs, with its
    labels, which are soft if the ops mix images. The views are those of the epochs 0, 1, ... in
    `recipes.train`, except that only the images of the sheet are mixed with each other.

    Args:
        recipe: the recipe, whose data, augment and seed are used.
        path: the file of the picture; missing folders are created.
        images: the number of images (rows).
        views: the number of augmented views of each image.

    Returns:
        A line for the user with the number of images and views, and the path.

    Raises:
        ValueError: the data set cannot be opened, the ops give images of different sizes, or
            the picture cannot be written there.
    """
    path = png(path)
    data = open_for(recipe)
    images = min(images, data.train.count)
    shown, labels, numbers = _first_of_classes(data.train, images, recipe.seed)
    originals = [_decoded(image, data.train) for image in shown]
    seen = [
        _epoch(recipe, data.train, shown, labels, numbers, epoch, len(data.classes))
        for epoch in range(views)
    ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"to={str(path)!r}: cannot create the folder ({error.strerror}); choose another path"
        ) from None
    with drawing.settings([recipe.data, *map(str, data.classes)]):
        drawing.save(_figure(recipe, data.classes, originals, labels, seen), path)
    return f"{plural(len(originals), 'image')}, {plural(views, 'view')} of each: {path}"


def _first_of_classes(split: Split, count: int, seed: int):
    """Return images, labels and indices of `count` elements, of different classes if possible."""
    found: list[dict[str, Any]] = []
    spare: list[dict[str, Any]] = []
    elements = split.elements(tf.constant([seed, 0]))
    for element in elements.take(40 * count).as_numpy_iterator():
        new = element["label"] not in {other["label"] for other in found}
        (found if new else spare).append(element)
        if len(found) == count:
            break
    chosen = (found + spare)[:count]
    return tuple([element[key] for element in chosen] for key in ("image", "label", "index"))


def _decoded(image, split: Split) -> np.ndarray:
    return np.asarray(decode_image(image, split.shape[-1]) if split.encoded else image)


def _epoch(recipe: Recipe, split: Split, shown, labels, numbers, epoch: int, classes: int):
    """Return the images as they are augmented in an epoch, and their soft labels."""
    fold = tf.random.experimental.stateless_fold_in
    seed = tf.constant([recipe.seed, epoch])

    @tf.function(autograph=False)  # autograph would change the error messages
    def view(image, index):
        own = fold(seed, index)
        if repeat_of(recipe.augment):
            own = fold(own, tf.zeros([], tf.int64))
        turn = turn_of(recipe.seed, epoch, index)
        return apply(recipe.augment, image, split.encoded, own, split.shape, turn)

    views = [view(tf.constant(i), tf.constant(n)) for i, n in zip(shown, numbers, strict=True)]
    sizes = {tuple(image.shape) for image in views}
    if len(sizes) > 1:
        found = ", ".join(sorted("x".join(map(str, size[:2])) for size in sizes)[:3])
        raise ValueError(
            f"augment: gives images of {len(sizes)} sizes ({found}, ...), which cannot form a"
            " batch; add Resize(size) or another op that gives all images the same size"
        )
    batch = tf.cast(tf.stack(views), tf.float32)
    soft = tf.one_hot(labels, classes)
    batch, soft = apply_batch(recipe.augment, batch, soft, fold(seed, -1))
    return batch.numpy(), soft.numpy()


def _figure(recipe: Recipe, classes, originals, labels, seen):
    rows, columns = len(originals), 1 + len(seen)
    width = 1.75 * columns + 0.2
    ops = textwrap.wrap(
        ", ".join(repr(each) for each in recipe.augment) or "no augmentation", int(14.5 * width)
    )
    head = 0.72 + 0.16 * len(ops)
    height = 1.95 * rows + head
    figure = drawing.figure((width, height), dpi=110, layout=None)
    title = drawing.fitted(f"Training images of {recipe.data}", 71 * width, 13, bold=True)
    figure.text(0.012, 1 - 0.12 / height, title, va="top", fontsize=13, color=INK, weight="bold")
    figure.text(0.012, 1 - 0.4 / height, "\n".join(ops), va="top", fontsize=8, color=GREY,
                family="monospace", linespacing=1.4)  # fmt: skip
    grid = figure.add_gridspec(
        rows, columns, left=0.012, right=0.988, bottom=0.08 / height,
        top=1 - (head + 0.22) / height, wspace=0.06, hspace=0.24,
    )  # fmt: skip
    for row in range(rows):
        size = "x".join(map(str, originals[row].shape[:2]))
        name = _cut(str(classes[labels[row]]), _BOLD - 2 - len(size))
        cells = [(originals[row], f"{name}  {size}", True)]
        cells += [(batch[row], _named(soft[row], classes), False) for batch, soft in seen]
        for column, (image, title, bold) in enumerate(cells):
            axes = figure.add_subplot(grid[row, column])
            how = "nearest" if max(image.shape) < 128 else "antialiased"
            axes.imshow(
                _shown(drawing.thumbnail(image)), interpolation=how, cmap="gray", vmin=0, vmax=255
            )
            axes.set_axis_off()
            axes.set_anchor("NW")
            if row == 0:
                heading = f"epoch {column}" if column else "as stored"
                axes.annotate(
                    heading, (0, 1), (0, 16), "axes fraction", "offset points", fontsize=9,
                    color=INK,
                )  # fmt: skip
            axes.set_title(
                drawing.fitted(title, 119, 7.5, bold), fontsize=7.5,
                color=INK if bold else GREY, pad=2.5, loc="left",
                weight="bold" if bold else "normal",
            )  # fmt: skip
    return figure


def _shown(image: np.ndarray) -> np.ndarray:
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return image if image.shape[-1] in (3, 4) else image[..., 0]


def _named(soft: np.ndarray, classes) -> str:
    """Format a soft label as "cat" or "cat 0.70, dog 0.30"."""
    largest = np.argsort(-soft, kind="stable")[:_LABELS]
    held = [place for place in largest if soft[place] >= 0.005]
    if len(held) == 1:
        return _cut(str(classes[held[0]]), _WIDTH)
    room = _WIDTH - len("? 0.00, ? 0.00") + 2
    names = [str(classes[place]) for place in held]
    most = max(room // 2, room - min(len(name) for name in names))
    return ", ".join(
        f"{_cut(name, most)} {soft[place]:.2f}" for name, place in zip(names, held, strict=True)
    )


def _cut(text: str, most: int) -> str:
    """Shorten a text to `most` characters, keeping its start and its end."""
    return shorter(visible(text), most)
