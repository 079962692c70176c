"""Read the headers of image files, and decide how TensorFlow reads each of them.

TensorFlow decodes 8-bit JPEG files, and upright 8-bit PNG files, from their own bytes; of a JPEG
only the part that an op crops. The pixels are the same as those of `zoo.image_reading`
(tests/recipes/test_image_files.py). Every other file is replaced by a copy of its pixels, which
image_copies.py makes.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from zoo.image_reading import opened, orientation

COPY = 0  # the `turn` of a file that TensorFlow reads from a copy
# PNG chunks that may contain an EXIF orientation, anywhere in the file.
_TURNING = (b"eXIf", b"Raw profile type", b"XML:com.adobe.xmp")
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_WHOLE = 1 << 16  # PNG files up to this size are read at once


class Header(NamedTuple):
    """What the header of an image file tells.

    Attributes:
        turn: the EXIF orientation, 1 to 8, of a file that TensorFlow decodes itself, or COPY.
        height, width: the size of the upright image.
        format: the name of the format in Pillow.
    """

    turn: int
    height: int
    width: int
    format: str


def header(path: str, channels: int) -> Header | None:
    """Read the header of a file; return None if only reading the whole file can tell."""
    try:
        with opened(path) as file:
            return _header(file, path, channels)
    except Exception:  # reading the whole file will report the reason
        return None


def _header(file: Any, path: str, channels: int) -> Header | None:
    width, height = file.size
    if file.format == "PNG":  # Pillow would read all pixels to find its orientation
        if _may_be_turned(path):
            return None
        # Pillow and TensorFlow decode different alphas for palettes with few colors.
        modes = ("L", "LA", "RGB", "RGBA", *(() if channels == 4 else ("P",)))
        plain = file.mode in modes and not file.is_animated
        return Header(1 if plain else COPY, height, width, "PNG")
    turn = orientation(file)
    if file.format in ("JPEG", "MPO"):
        upright = (height, width) if turn <= 4 else (width, height)
        return Header(turn if file.mode in ("L", "RGB") else COPY, *upright, "JPEG")
    # Some other formats are turned by Pillow when it loads them.
    return None if turn > 1 else Header(COPY, height, width, file.format)


def _may_be_turned(path: str) -> bool:
    """Return whether a PNG file may contain an EXIF orientation, before or after its pixels."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size <= _WHOLE:
            content = file.read()
            return any(chunk in content for chunk in _TURNING)
        file.seek(8)
        while len(start := file.read(8)) == 8:
            length, kind = int.from_bytes(start[:4], "big"), start[4:]
            if kind == b"IEND":
                return False
            text = file.read(32) if kind in _TEXTS else b""
            if kind in _TURNING or text.startswith(_TURNING):
                return True
            file.seek(length + 4 - len(text), os.SEEK_CUR)
    return False  # truncated: it is found when the pixels are read
