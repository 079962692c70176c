"""Photographs as a network sees them: found, read, resized and cut.

They are resized as timm and torchvision do: the shorter side to the input's over the crop ratio,
by Pillow, and the middle is cut out.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from zoo import image_reading
from zoo.image_reading import find_images as find_images
from zoo.inference import Network

BATCH = 32  # views at a time
TTA_CROP = 0.875  # 224 of 256 pixels, as AlexNet


def read_image(path: str | Path, channels: int):
    """A PIL image, upright, of 3 channels or of 1.

    Raises:
        ValueError: there is no such file, or it is not an image; in one line.
    """
    from PIL import Image

    pixels = image_reading.read_image(path, channels)
    return Image.fromarray(pixels[..., 0] if channels == 1 else pixels)


def views(image, network: Network, tta: bool = False) -> np.ndarray:
    """What the network sees of a PIL image: float32 (views, height, width, channels), 0 to 255.

    One view, the middle; with `tta` ten: the middle, the four corners (top left, top right,
    bottom left, bottom right), and their mirror images, as in Krizhevsky et al. 2012,
    section 4.1, of an image whose sides are at least 1/0.875 of the input's.
    """
    from PIL import Image

    height, width = network.size
    crop = min(network.crop, TTA_CROP) if tta else network.crop
    # timm rounds down; the ratios are given with four digits.
    tall, wide = (math.floor(n / crop + 0.02) for n in network.size)
    if not network.stretch:
        if tall * image.width >= wide * image.height:
            wide = image.width * tall // image.height
        else:
            tall = image.height * wide // image.width
    how = Image.Resampling[network.interpolation.upper()]
    pixels = np.asarray(image.resize((wide, tall), how), np.float32)
    pixels = pixels.reshape(tall, wide, network.channels)
    down, right = tall - height, wide - width
    corners = [(round(down / 2), round(right / 2))]
    if tta:
        corners += [(0, 0), (0, right), (down, 0), (down, right)]
    cut = np.stack([pixels[y : y + height, x : x + width] for y, x in corners])
    return np.concatenate([cut, cut[:, :, ::-1]]) if tta else cut


def batches(
    network: Network,
    paths: Iterable[Path],
    unreadable: Callable[[Path, ValueError], object],
    tta: bool = False,
) -> Iterator[list[tuple[Path, np.ndarray]]]:
    """Files and their views, some at a time; what cannot be read goes to `unreadable`."""
    some: list[tuple[Path, np.ndarray]] = []
    for path in paths:
        try:
            some.append((path, views(read_image(path, network.channels), network, tta)))
        except ValueError as error:
            unreadable(path, error)
            continue
        if len(some) * len(some[0][1]) + len(some[0][1]) > BATCH:
            yield some
            some = []
    if some:
        yield some
