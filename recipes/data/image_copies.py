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
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from recipes.data.types import write_cached
from zoo.files import cache_dir
from zoo.image_reading import read_quietly
from zoo.terminal import plural

VERSION = 2  # version of the cache; increase it if the decoded pixels change


def copy_of(path: str, channels: int) -> Path:
    """Return the place of a file's copy in the cache, which may not exist."""
    name = digest(repr((VERSION, channels, path, *size_and_time(path))))
    return cache_dir() / "images" / f"{name}.png"


def make_copy(path: str, channels: int, copied: list[int]) -> tuple[Path, tuple[int, int]]:
    """Return the copy of a file, making it if it is missing, and its height and width.

    Args:
        path: the file.
        channels: the number of channels of the copy.
        copied: a list to which the size of a new copy in bytes is added.

    Raises:
        UnreadableImage: the file cannot be read.
    """
    from PIL import Image

    place = copy_of(path, channels)
    if not place.exists():
        pixels = read_quietly(path, channels)
        out = io.BytesIO()
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
        image.save(out, "PNG", compress_level=1)
        write_cached(place, out.getvalue())
        copied.append(len(out.getvalue()))
    with Image.open(place) as file:
        return place, (file.height, file.width)


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


def in_threads(
    function: Callable[[Any], Any], items: Iterable[Any], threads: int | None = None
) -> Iterator[Any]:
    """Yield the results of a function for all items in order, computed in threads.

    Args:
        function: the function.
        items: its arguments.
        threads: the number of threads; None for one per CPU core.
    """
    pool = ThreadPoolExecutor(threads or os.cpu_count())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large images and odd headers
            yield from pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)


def size_and_time(path: str | bytes) -> tuple[int, int]:
    """Return a file's size in bytes and time in nanoseconds; both are -1 for a broken link."""
    try:
        stat = os.stat(path)
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns
