"""Store upright 8-bit PNG copies of the image files that TensorFlow does not decode correctly.

`zoo.image_reading` reads each of these files once, as `zoo predict` does, and a lossless copy of
its pixels is kept in the cache.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from recipes.data.types import write_cached
from zoo.files import cache_dir
from zoo.image_reading import UnreadableImage, read_quietly
from zoo.terminal import plural

VERSION = 2  # version of the cache; increase it if the decoded pixels change


def make_copies(
    paths: list[str],
    channels: int,
    copied: list[int],
    sizes: set[tuple[int, int]] | None = None,
) -> tuple[dict[str, str], dict[str, UnreadableImage]]:
    """Return the copies of files in the cache, making missing ones, and the errors.

    Args:
        paths: the files.
        channels: the number of channels of the copies.
        copied: a list to which the sizes of new copies in bytes are added.
        sizes: a set to which at most two different (height, width) are added.
    """
    from PIL import Image

    where = cache_dir() / "images"
    made: dict[str, str] = {}
    lost: dict[str, UnreadableImage] = {}

    def copy(path: str) -> None:
        place = where / f"{digest(repr((VERSION, channels, path, *size_and_time(path))))}.png"
        if not place.exists():
            try:
                pixels = read_quietly(path, channels)
            except UnreadableImage as error:
                lost[path] = error
                return
            out = io.BytesIO()
            image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
            image.save(out, "PNG", compress_level=1)
            write_cached(place, out.getvalue())
            copied.append(len(out.getvalue()))
        if sizes is not None and len(sizes) < 2:
            with Image.open(place) as file:
                sizes.add((file.height, file.width))
        made[path] = str(place)

    in_threads(copy, paths)
    return made, lost


def print_copies(sizes: list[int]) -> None:
    """Print one line about the number, size and location of new copies."""
    if sizes:
        print(
            f"stored upright 8-bit copies of {plural(len(sizes), 'image')}"
            f" ({max(1, round(sum(sizes) / 1e6)):,} MB) in {cache_dir() / 'images'}",
            file=sys.stderr,
        )


def digest(text: str) -> str:
    """Return 32 hexadecimal digits that identify a text, which may hold any path."""
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:32]


def in_threads(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Return the results of a function for all items, computed in one thread per CPU core."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large images and odd headers
            return list(pool.map(function, items))
    finally:
        pool.shutdown(cancel_futures=True)


def size_and_time(path: str) -> tuple[int, int]:
    """Return a file's size in bytes and time in nanoseconds; both are -1 for a broken link."""
    try:
        stat = os.stat(path)
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns
