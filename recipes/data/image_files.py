"""Check the image files of a data set once, and decide how TensorFlow reads each.

8-bit JPEG files, and such PNG files if they are upright, are decoded from their own bytes by
TensorFlow, JPEG only in part where an op crops. The pixels are those of `zoo.image_reading`
(tests/recipes/test_image_files.py). Every other file is read once by `zoo.image_reading`, as
`zoo predict` reads it, and its pixels are kept in a PNG file in the cache, which is decoded in its
place.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recipes.augment import decode_image
from recipes.data.types import write_cached
from zoo.files import cache_dir
from zoo.image_reading import UnreadableImage, opened, orientation, read_quietly
from zoo.lazy import tensorflow as tf
from zoo.quiet import held_back

TOGETHER = 512  # files that are decoded between two looks at libjpeg's warnings
WARNING = re.compile(r"Corrupt JPEG data|Premature end of JPEG|Invalid (SOS|JPEG)|Warning: ")
VERSION = 2  # of what the cache holds: a change of the pixels that are read needs another one
# Chunks of PNG that may turn an image upside down, wherever they stand in the file.
_TURNING = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")


@dataclass(frozen=True)
class Files:
    """Image files in the order of their classes and names.

    Attributes:
        paths: where they are.
        labels: their classes' numbers.
        names: their paths in their classes' folders.
    """

    paths: tuple[str, ...]
    labels: tuple[int, ...]
    names: tuple[str, ...]

    def only(self, indices: list[int]) -> Files:
        return Files(
            tuple(self.paths[i] for i in indices),
            tuple(self.labels[i] for i in indices),
            tuple(self.names[i] for i in indices),
        )


@dataclass(frozen=True)
class Checked:
    """The readable ones of some image files.

    Attributes:
        files: the files that can be read.
        sources: the paths of what TensorFlow decodes for them, the files or copies in the cache.
        turns: EXIF's orientations of those, 1 but for JPEG files that are stored turned.
        bad: path and reason of those that cannot be read.
        fingerprint: changes when a file comes, goes or changes.
        size: height and width of all images, None where they differ.
        copied: the sizes in bytes of the copies made now.
    """

    files: Files
    sources: list[bytes]
    turns: list[int]
    bad: dict[str, str]
    fingerprint: str
    size: tuple[int, int] | None
    copied: list[int]


@dataclass
class _Answer:
    """What the cache holds of a list of files, by their places in it."""

    bad: dict[int, str] = field(default_factory=dict)
    retry: list[int] = field(default_factory=list)  # those of `bad` that may be read next time
    copies: list[int] = field(default_factory=list)
    turns: dict[int, int] = field(default_factory=dict)  # JPEG files' orientations from 2
    sizes: set[tuple[int, int]] = field(default_factory=set)  # two are enough


def digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:32]


def checked(files: Files, channels: int = 3) -> Checked:
    """Read and decode all files, once: the answer is kept for the same list of files.

    Files that the operating system did not let us read are tried again each time.
    """
    count = len(files.paths)
    fingerprint = digest(repr([(path, *_size_and_time(path)) for path in files.paths]))
    if channels != 3:
        fingerprint += f"-{channels}"
    cache = cache_dir() / "folders" / f"{digest(f'{VERSION} {fingerprint}')}.json"
    answer = _cached(cache, count)
    todo = list(range(count)) if answer is None else answer.retry
    copied: list[int] = []
    if answer is None:
        answer = _Answer()
    if todo:
        fresh = _examined(files.paths, todo, channels, copied)
        answer.bad = {i: why for i, why in answer.bad.items() if i not in set(todo)} | fresh.bad
        answer.retry = fresh.retry
        answer.copies = sorted({*answer.copies, *fresh.copies})
        answer.turns |= fresh.turns
        answer.sizes |= fresh.sizes
        _keep(cache, count, answer)
    sources: list[str] = list(files.paths)
    bad = dict(answer.bad)
    made, lost = _copies([files.paths[i] for i in answer.copies], channels, copied)
    for i in answer.copies:
        path = files.paths[i]
        if path in lost:
            bad[i] = lost[path].reason
        else:
            sources[i] = made[path]
    good = [i for i in range(count) if i not in bad]
    if answer.copies or answer.turns:
        fingerprint += f"-read{VERSION}"
    if lost or answer.retry:  # which is no function of the files alone
        fingerprint += "-" + digest(repr(sorted(bad)))[:8]
    return Checked(
        files=files.only(good),
        sources=[os.fsencode(sources[i]) for i in good],
        turns=[answer.turns.get(i, 1) for i in good],
        bad={files.paths[i]: bad[i] for i in sorted(bad)},
        fingerprint=fingerprint,
        size=next(iter(answer.sizes)) if len(answer.sizes) == 1 else None,
        copied=copied,
    )


def tell_copies(sizes: list[int]) -> None:
    """Print in one sentence how many copies were made, and where they are."""
    if sizes:
        print(
            f"{len(sizes)} image{'s' * (len(sizes) > 1)} kept as upright 8-bit copies"
            f" ({max(1, round(sum(sizes) / 1e6)):,} MB) in {cache_dir() / 'images'}",
            file=sys.stderr,
        )


def _examined(paths: tuple[str, ...], todo: list[int], channels: int, copied: list[int]) -> _Answer:
    answer = _Answer()
    own = _in_threads(lambda i: _plain_turn(paths[i], channels), todo)
    plain = {i: turn for i, turn in zip(todo, own, strict=True) if turn}
    sizes = _decoded([paths[i] for i in plain], channels)
    for i, turn in plain.items():
        if size := sizes.get(paths[i]):
            answer.sizes.add(size if turn <= 4 else (size[1], size[0]))
            if turn > 1:
                answer.turns[i] = turn
    others = [i for i in todo if i not in plain or paths[i] not in sizes]
    made, lost = _copies([paths[i] for i in others], channels, copied, answer.sizes)
    for i in others:
        if paths[i] in made:
            answer.copies.append(i)
            continue
        answer.bad[i] = lost[paths[i]].reason
        if lost[paths[i]].temporary:
            answer.retry.append(i)
    return answer


def _plain_turn(path: str, channels: int) -> int:
    """The orientation of a file that TensorFlow decodes as `zoo.image_reading` does, by its header.

    0 where it does not.
    """
    try:
        with opened(path) as file:
            if file.format in ("JPEG", "MPO"):
                return orientation(file) if file.mode in ("L", "RGB") else 0
            # Pillow and TensorFlow find different alphas for palettes of few colors.
            modes = ("L", "LA", "RGB", "RGBA", *(() if channels == 4 else ("P",)))
            if file.format != "PNG" or file.mode not in modes or file.is_animated:
                return 0
        content = Path(path).read_bytes()
        return 0 if any(chunk in content for chunk in _TURNING) else 1
    except Exception:  # the full reading has the reason
        return 0


def _decoded(paths: list[str], channels: int) -> dict[str, tuple[int, int]]:
    """Height and width of the files that TensorFlow decodes without a warning of libjpeg's.

    The library writes its warnings to stderr at every decoding, of which training does many.
    """
    found: dict[str, tuple[int, int]] = {}
    for start in range(0, len(paths), TOGETHER):
        some = paths[start : start + TOGETHER]
        with held_back(WARNING) as warned:
            sizes = _decoded_together(some, channels)
        if not warned:
            found |= sizes
            continue
        for path in sizes:
            with held_back(WARNING) as warned:
                size = _decoded_together([path], channels)
            found |= {} if warned else size
    return found


def _decoded_together(paths: list[str], channels: int) -> dict[str, tuple[int, int]]:
    encoded = tf.constant([os.fsencode(path) for path in paths])

    def measure(index):
        image = decode_image(tf.io.read_file(encoded[index]), channels)
        return index, tf.shape(image)[:2]

    arrived = tf.data.Dataset.range(len(paths)).map(measure, tf.data.AUTOTUNE).ignore_errors()
    return {
        paths[int(index)]: (int(size[0]), int(size[1]))
        for index, size in arrived.as_numpy_iterator()
    }


def _copies(
    paths: list[str],
    channels: int,
    copied: list[int],
    sizes: set[tuple[int, int]] | None = None,
) -> tuple[dict[str, str], dict[str, UnreadableImage]]:
    """The copies of files in the cache, made where they are not there, and what went wrong.

    Args:
        copied: gets the sizes of the new copies, in bytes.
        sizes: gets the images' heights and widths, two at most.
    """
    from PIL import Image

    where = cache_dir() / "images"
    made: dict[str, str] = {}
    lost: dict[str, UnreadableImage] = {}

    def copy(path: str) -> None:
        place = where / f"{digest(repr((VERSION, channels, path, *_size_and_time(path))))}.png"
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

    _in_threads(copy, paths)
    return made, lost


def _in_threads(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of large images and odd headers
            return list(pool.map(function, items))
    finally:
        pool.shutdown(cancel_futures=True)


def _cached(cache: Path, count: int) -> _Answer | None:
    """What the cache holds; None if that is nothing, or damaged."""
    try:
        found = json.loads(cache.read_text("utf-8"))
        answer = _Answer(
            {int(i): str(why) for i, why in found["bad"].items()},
            [int(i) for i in found["retry"]],
            [int(i) for i in found["copies"]],
            {int(i): int(turn) for i, turn in found["turns"].items()},
            {(int(height), int(width)) for height, width in found["sizes"]},
        )
        places = (*answer.bad, *answer.retry, *answer.copies, *answer.turns)
        whole = found["count"] == count and all(0 <= i < count for i in places)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return answer if whole and {*answer.retry} <= {*answer.bad} else None


def _keep(cache: Path, count: int, answer: _Answer) -> None:
    content = {
        "count": count,
        "bad": answer.bad,
        "retry": answer.retry,
        "copies": answer.copies,
        "turns": answer.turns,
        "sizes": sorted(answer.sizes)[:2],
    }
    write_cached(cache, json.dumps(content).encode())


def _size_and_time(path: str) -> tuple[int, int]:
    """In bytes and nanoseconds; below zero for what is not there: a link that leads nowhere."""
    try:
        stat = os.stat(path)
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns
