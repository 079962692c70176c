"""Convert what users pass as images (files, folders, patterns, arrays, ...) to one list."""

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo import image_reading, sample_photos
from zoo.image_reading import UnreadableImage


@dataclass(frozen=True)
class Item:
    """One image.

    Attributes:
        name: the path of the file, or the index among the given images, such as "[3]".
        value: the path, a Pillow image, or an array (height, width, channels) with values from 0
            to 255.
    """

    name: str
    value: Any

    def read(self, channels: int) -> np.ndarray:
        """Return its pixels (height, width, channels): uint8, or float32 for a float32 array.

        Raises:
            UnreadableImage: the file, or the Pillow image, cannot be read.
        """
        if isinstance(self.value, Path):
            return image_reading.read_image(self.value, channels)
        if isinstance(self.value, np.ndarray):
            return _with_channels(self.value, channels)
        try:
            return image_reading.pixels_of(self.value, channels)
        except Exception as error:  # Pillow reads the pixels of its file only now
            raise UnreadableImage(self.name, error) from None


def file(path: Path) -> Item:
    """Return the item of an image file."""
    return Item(sample_photos.name_of(path), path)


def listed(images: Any, channels: int) -> list[Item]:
    """Return all images that a user passed, as a list.

    Args:
        images: a path, a folder (including subfolders), a pattern such as "photos/*.jpg", a Pillow
            image, an array (height, width[, channels]) or (images, height, width[, channels]) of
            raw pixels from 0 to 255, or an iterable of any of these.
        channels: the number of channels that the network takes. It distinguishes several gray
            images in one array from one color image.

    Raises:
        ValueError: there are no images, a folder is empty, or an array does not contain raw pixels.
    """
    if isinstance(images, (str, os.PathLike)):
        place = os.path.expanduser(sample_photos.located(images))
        if not os.path.lexists(place) and not glob.has_magic(place):
            raise ValueError(
                f"images={os.fspath(images)!r}: there is no such file or folder; check the path"
            )
    found: list[Item] = []
    _add(found, images, channels)
    if not found:
        raise ValueError(f"images={images!r}: there are no images; pass at least one")
    return found


def paths_listed(images: Any) -> Any:
    """Check paths before a network is opened, and return them as a list.

    Images other than paths are returned as they are, because they depend on the network.

    Raises:
        ValueError: as in `listed`.
    """
    several = images if isinstance(images, (list, tuple)) else [images]
    if not all(isinstance(each, (str, os.PathLike)) for each in several):
        return images
    return [item.value for item in listed(images, channels=3)]


def _add(found: list[Item], images: Any, channels: int) -> None:
    from PIL import Image

    if isinstance(images, (str, os.PathLike)):
        found += [file(path) for path in _paths(images)]
    elif isinstance(images, Image.Image):
        found.append(Item(getattr(images, "filename", "") or f"[{len(found)}]", images))
    elif hasattr(images, "__array__") and (array := np.asarray(images)).dtype.kind in "biuf":
        for one in _several(_raw(array), channels):
            found.append(Item(f"[{len(found)}]", one))
    elif isinstance(images, Iterable) and not isinstance(images, (bytes, dict)):
        for each in images:
            _add(found, each, channels)
    else:
        raise ValueError(
            f"images={images!r}: not a path, a folder, a Pillow image, an array or a list of these"
        )


def _paths(place: str | os.PathLike) -> list[Path]:
    return image_reading.find_images(expanded(place))


def expanded(place: str | os.PathLike) -> list[Path]:
    """Return the files and folders that a path, "~", a pattern or the name of a sample photo means.

    A path of an existing file is not a pattern. A path without a pattern need not exist.

    Raises:
        ValueError: nothing matches the pattern, or there is no such sample photo.
    """
    path = os.path.expanduser(sample_photos.located(place))
    if os.path.lexists(path) or not glob.has_magic(path):
        return [Path(path)]
    matches = sorted(glob.glob(path, recursive=True))
    if not matches:
        raise ValueError(f"images={str(place)!r}: no file has this name or matches this pattern")
    return [Path(match) for match in matches]


def _raw(array: np.ndarray) -> np.ndarray:
    """Check that an array contains raw pixels, and return integers as uint8, others as float32."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        raise ValueError("images: an array has only True and False; pass raw pixels from 0 to 255")
    low, high = (array.min(), array.max()) if array.size else (0, 0)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(
            "images: an array has values that are not finite; pass raw pixels from 0 to 255"
        )
    if low < 0 or high > 255 or (array.dtype.kind == "f" and 0 < high <= 1):
        advice = "multiply by 255" if low >= 0 and high <= 1 else "undo the normalization"
        raise ValueError(
            f"images: an array has values from {low:g} to {high:g}; pass raw pixels from 0 to 255"
            f" ({advice}), because the network's own preprocessing is applied to them"
        )
    whole = array.dtype.kind != "f" or bool((array == np.rint(array)).all())
    return array.astype(np.uint8 if whole else np.float32)


def _several(array: np.ndarray, channels: int) -> list[np.ndarray]:
    """Return the images in an array, each (height, width, channels)."""
    if array.ndim == 4:
        return list(array)
    if array.ndim == 2:
        return [array[..., None]]
    if array.ndim == 3 and array.shape[-1] in (channels, 1, 3, 4):
        return [array]
    if array.ndim == 3 and channels == 1:
        return list(array[..., None])
    raise ValueError(
        f"images: an array has shape {array.shape}; pass (height, width, channels) or"
        " (images, height, width, channels), with the channels last"
    )


def _with_channels(array: np.ndarray, channels: int) -> np.ndarray:
    """Convert an array to a number of channels, in the same way as the pixels of files."""
    given = array.shape[-1]
    if 0 in array.shape:
        raise ValueError(f"images: an array of shape {array.shape} has no pixels; leave it out")
    if given == channels:
        return array
    if given == 1 and channels in (3, 4):
        color = np.repeat(array, 3, -1)
    elif given in (3, 4) and channels in (1, 3, 4):
        color = array[..., :3]
    else:
        raise ValueError(
            f"images: an array of shape {array.shape} has {given} channels, but the network takes"
            f" {channels}; convert it, with the channels last"
        )
    if channels == 4:
        return np.concatenate([color, np.full_like(color[..., :1], 255)], -1)
    return color if channels == 3 else _luma(color)


def _luma(color: np.ndarray) -> np.ndarray:
    """Convert colors to gray by ITU-R 601-2 luma; uint8 as Pillow rounds it."""
    if color.dtype == np.uint8:
        from PIL import Image

        return np.asarray(Image.fromarray(np.ascontiguousarray(color)).convert("L"))[..., None]
    return color @ np.asarray([[0.299], [0.587], [0.114]], np.float32)
