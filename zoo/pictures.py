"""Draw heat maps over photos, filters, and nearest images, with Pillow."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from zoo import lettering
from zoo.files import replacing
from zoo.graph import layers_of
from zoo.lazy import keras

# All sizes are in pixels.
SIDE = 224  # smallest side of an overlay
THUMB = 160  # side of a thumbnail
GAP = 8
TILE, GRID = 40, 320  # smallest sides of a filter, and of a picture of filters
CAPTION = 34  # height of the two lines of text under a thumbnail
TEXT = 11
WHITE, INK, FRAME = (255, 255, 255), (40, 40, 40), (200, 60, 40)


def checked_path(path: str | Path) -> Path:
    """Return a path, or raise a ValueError if it does not end in .png."""
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"to={str(path)!r}: does not end in .png; pictures are written as PNG")
    return Path(path)


def save(picture: Image.Image, path: Path) -> Path:
    """Write a PNG file, and create its folder. Never leave a partial file.

    Raises:
        ValueError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as place:
            picture.save(place, "PNG")
    except OSError as error:
        raise ValueError(f"cannot write {str(path)!r}: {error.strerror or error}") from None
    return path


def as_image(pixels: np.ndarray) -> Image.Image:
    """Return an RGB image for an array (height, width, 1 or 3) with values from 0 to 255."""
    whole = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return Image.fromarray(whole[..., 0] if whole.shape[-1] == 1 else whole).convert("RGB")


def overlay(pixels: np.ndarray, heat: np.ndarray) -> Image.Image:
    """Draw a heat map over an image. Its color is more opaque where the values are higher.

    Args:
        pixels: the image that the network takes, (height, width, 1 or 3), from 0 to 255.
        heat: the heat map, (h, w) in [0, 1]. It is resized to the image.
    """
    import matplotlib

    image = as_image(pixels)
    larger = max(1, math.ceil(SIDE / min(image.size)))
    image = image.resize((image.width * larger, image.height * larger), Image.Resampling.BICUBIC)
    stretched = Image.fromarray(heat.astype(np.float32)).resize(
        image.size, Image.Resampling.BILINEAR
    )
    share = np.clip(np.asarray(stretched), 0, 1)[..., None]
    color = 255 * matplotlib.colormaps["turbo"](share[..., 0])[..., :3]
    opacity = 0.15 + 0.5 * share
    return as_image((1 - opacity) * np.asarray(image) + opacity * color)


def explanation(
    original: np.ndarray,
    pixels: np.ndarray,
    heat: np.ndarray,
    name: str,
    label: str,
    probability: float,
) -> Image.Image:
    """Draw an image next to its heat map, with the file's name, the class and its probability.

    Args:
        original: the image as it was read, (height, width, 1, 3 or 4), from 0 to 255.
        pixels, heat: the arguments of `overlay`.
        name: the name of the file.
        label, probability: the class that the heat map explains, and its probability.
    """
    hot = overlay(pixels, heat)
    left = as_image(original[..., :3])
    share = min(hot.height / left.height, 2 * hot.height / left.width)
    sides = (max(1, round(left.width * share)), max(1, round(left.height * share)))
    left = left.resize(sides, Image.Resampling.BICUBIC if share > 1 else Image.Resampling.LANCZOS)
    wide = max(left.width, SIDE)
    line = 18
    canvas = Image.new("RGB", (wide + hot.width + 3 * GAP, hot.height + line + 2 * GAP), WHITE)
    canvas.paste(left, (GAP + (wide - left.width) // 2, GAP + (hot.height - left.height) // 2))
    canvas.paste(hot, (wide + 2 * GAP, GAP))
    draw = ImageDraw.Draw(canvas)
    left_edge, right_edge, below = wide + 2 * GAP, wide + 2 * GAP + hot.width, hot.height + GAP + 17
    number, font = _lettered(f"{probability:.3f}", hot.width, 13)
    draw.text((right_edge, below), number, INK, font, anchor="rs")
    room = hot.width - GAP - font.getlength(number)
    for x, text, most in ((GAP, name, wide), (left_edge, label, room)):
        fitting, font = _lettered(text, most, 13)
        draw.text((x, below), fitting, INK, font, anchor="ls")
    return canvas


def _lettered(text: str, wide: float, size: int) -> tuple[str, Any]:
    """Return a text shortened to a width in pixels, and the font to draw it with."""
    font = lettering.pillow_font(text, size)
    return lettering.fitted(lettering.covered(text, font), wide, font.getlength), font


def first_kernel(model) -> np.ndarray:
    """Return the kernel of the first convolution, (height, width, channels, filters).

    A dense layer applied to the flattened image counts as a convolution with filters of the size of
    the image.

    Raises:
        ValueError: the network has neither.
    """
    for layer in layers_of(model):
        if isinstance(layer, keras.layers.Conv2D):
            return np.asarray(layer.kernel, np.float32)
        if isinstance(layer, keras.layers.Dense):
            shape = model.input.shape[1:]
            if None not in shape and layer.kernel.shape[0] == math.prod(shape):
                return np.asarray(layer.kernel, np.float32).reshape(*shape, -1)
    raise ValueError(
        f"model={model.name}: has no convolution and no dense layer on the image; choose another "
        "network"
    )


def filter_grid(kernel: np.ndarray) -> Image.Image:
    """Draw filters as a grid of tiles, each scaled from its minimum to its maximum.

    Filters with three channels are drawn in color. For others, each channel is a gray tile. Values
    that are not finite are drawn as zero.

    Args:
        kernel: the kernel of a convolution, (height, width, channels, filters).
    """
    height, width, channels, _ = kernel.shape
    tiles = np.moveaxis(np.nan_to_num(np.asarray(kernel, np.float64), posinf=0, neginf=0), -1, 0)
    if channels != 3:
        tiles = np.moveaxis(tiles, -1, 1).reshape(-1, height, width, 1)
    least, most = (f(tiles, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    tiles = 255 * (tiles - least) / np.where(most > least, most - least, 1)
    columns = math.ceil(math.sqrt(len(tiles)))
    larger = max(1, round(max(TILE, GRID / columns) / max(height, width)))
    across, down = width * larger + 2, height * larger + 2
    grid = Image.new("RGB", (columns * across + 2, -(-len(tiles) // columns) * down + 2), WHITE)
    for i, tile in enumerate(tiles):
        image = as_image(tile).resize((across - 2, down - 2), Image.Resampling.NEAREST)
        grid.paste(image, (2 + i % columns * across, 2 + i // columns * down))
    return grid


def evenly(distances: list[float]) -> list[str]:
    """Return distances as texts with the same number of decimals: five digits for the largest."""
    largest = max(distances, default=0)
    decimals = max(0, 4 - math.floor(math.log10(largest))) if largest > 0 else 0
    return [f"{distance:.{decimals}f}" for distance in distances]


def sheet(query: Image.Image, nearest: list[tuple[Image.Image, str, str]]) -> Image.Image:
    """Draw the query in a frame, and rows of the nearest images.

    Args:
        query: the query.
        nearest: the nearest images, with their names and distances.
    """
    columns = min(4, max(1, len(nearest)))
    rows = max(1, -(-len(nearest) // columns))
    step, tall, gap = THUMB + 8, THUMB + CAPTION + 8, 16
    canvas = Image.new("RGB", (8 + step * (columns + 1) + gap, 8 + tall * rows), WHITE)
    draw = ImageDraw.Draw(canvas)

    def put(image: Image.Image, x: int, y: int, *lines: str) -> None:
        image = image.convert("RGB")
        share = THUMB / max(image.size)
        image = image.resize([max(1, round(n * share)) for n in image.size])
        canvas.paste(image, (x + (THUMB - image.width) // 2, y + (THUMB - image.height) // 2))
        for i, line in enumerate(lines):
            fitting, font = _lettered(line, THUMB, TEXT)
            draw.text((x, y + THUMB + 14 + 14 * i), fitting, INK, font, anchor="ls")

    put(query, 8, 8, "query")
    draw.rectangle((5, 5, 10 + THUMB, 10 + THUMB), outline=FRAME, width=2)
    for i, (image, name, distance) in enumerate(nearest):
        x, y = 8 + gap + step * (1 + i % columns), 8 + tall * (i // columns)
        put(image, x, y, name, distance)
    return canvas
