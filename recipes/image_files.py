"""Image files: which can be decoded, of what size, and which are stored turned.

A camera writes down how it was held (EXIF's Orientation) and leaves the pixels as the sensor has
them. People, and `zoo predict`, see such a photograph upright, TensorFlow as it is
stored: so it is read from an upright copy, which is kept with what else is computed from data.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import warnings
from dataclasses import dataclass

from recipes.augment import decode_image
from recipes.split import cache_dir, write_atomically
from zoo.lazy import tensorflow as tf

CHANNELS = 3
ORIENTATION, TURNED = 274, range(2, 9)  # EXIF 2.3, section 4.6.4; 1 is upright


@dataclass(frozen=True)
class Files:
    """Image files and their labels, in the order of their classes and names."""

    paths: tuple[str, ...]
    labels: tuple[int, ...]

    def only(self, indices: list[int]) -> Files:
        return Files(tuple(self.paths[i] for i in indices), tuple(self.labels[i] for i in indices))

    def encoded(self) -> list[bytes]:
        return [os.fsencode(path) for path in self.paths]  # old archives' names are no UTF-8


@dataclass(frozen=True)
class Checked:
    """What is known of files once all of them were read.

    Attributes:
        files: those to read, in the place of the ones given: upright copies of those turned.
        bad: the indices of those that do not decode.
        turned: the indices of those stored turned.
        fingerprint: another one where a file came, went or changed.
        size: of all images that do decode, height and width; None where they differ.
    """

    files: Files
    bad: list[int]
    turned: list[int]
    fingerprint: str
    size: tuple[int, int] | None


def digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:32]


def checked(files: Files) -> Checked:
    """All files are read and decoded, once: the answer is kept for the same list of files."""
    count = len(files.paths)
    fingerprint = digest(repr([(path, *_size_and_time(path)) for path in files.paths]))
    cache = cache_dir() / "folders" / f"{fingerprint}.json"
    try:
        found = json.loads(cache.read_text())
        bad, turned, size = found["bad"], found["turned"], found["size"]
        if found["count"] == count and all(
            isinstance(i, int) and 0 <= i < count for i in (*bad, *turned)
        ):
            size = None if size is None else (int(size[0]), int(size[1]))
            return Checked(_upright(files, turned), bad, turned, fingerprint, size)
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        pass
    turned = [i for i, path in enumerate(files.paths) if _is_turned(path)]
    upright = _upright(files, turned)
    bad, size = _decoded(upright)
    answer = {"count": count, "bad": bad, "turned": turned, "size": size}
    write_atomically(cache, json.dumps(answer).encode())
    return Checked(upright, bad, turned, fingerprint, size)


def _decoded(files: Files) -> tuple[list[int], tuple[int, int] | None]:
    """The indices that do not decode, and the others' one size, None if they differ."""
    paths = tf.constant(files.encoded())

    def measure(index):
        image = decode_image(tf.io.read_file(paths[index]), CHANNELS)
        return index, tf.shape(image)[:2]

    arrived = tf.data.Dataset.range(len(files.paths)).map(measure, tf.data.AUTOTUNE).ignore_errors()
    bad, sizes = set(range(len(files.paths))), set()
    for index, size in arrived.as_numpy_iterator():
        bad.discard(int(index))
        sizes.add((int(size[0]), int(size[1])))
    return sorted(bad), sizes.pop() if len(sizes) == 1 else None


def _is_turned(path: str) -> bool:
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large images and odd headers
        try:
            with Image.open(path) as file:
                if file.getexif().get(ORIENTATION) not in TURNED:
                    return False
                file.load()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            return False  # TensorFlow will tell whether it is an image
    return True


def _upright(files: Files, turned: list[int]) -> Files:
    paths, made = list(files.paths), 0
    for index in turned:
        copy = cache_dir() / "upright" / digest(repr((paths[index], *_size_and_time(paths[index]))))
        if not copy.exists():
            write_atomically(copy, _turned_back(paths[index]))
            made += 1
        paths[index] = str(copy)
    if made:
        where = cache_dir() / "upright"
        print(f"{made} photographs are stored turned: upright copies in {where}", file=sys.stderr)
    return Files(tuple(paths), files.labels)


def _turned_back(path: str) -> bytes:
    from PIL import Image, ImageOps

    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as file:
            upright = ImageOps.exif_transpose(file).convert("RGB")
            kind = {"format": "JPEG", "quality": 95, "subsampling": 0}
            upright.save(out, **({"format": "PNG"} if file.format == "PNG" else kind), exif=b"")
    return out.getvalue()


def _size_and_time(path: str) -> tuple[int, int]:
    """In bytes and nanoseconds; below zero for what is not there: a link that leads nowhere."""
    try:
        stat = os.stat(path)
    except OSError:
        return -1, -1
    return stat.st_size, stat.st_mtime_ns
