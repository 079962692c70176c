"""Find image files and read their pixels: the one reader of training, evaluation and prediction.

What a file holds becomes 8-bit pixels by these rules:

- An image is turned upright by its orientation tag (EXIF 2.3, section 4.6.4, or XMP), in every
  format. A damaged tag, or a value other than 2 to 8, leaves the image as it is stored.
- Transparency is ignored: the colors under it are used, as in TensorFlow, torchvision and timm.
  With 4 channels alpha is the fourth, 255 where a file has none; a TIFF file of four plain bands
  keeps its bands.
- Palettes, CMYK, YCbCr and LAB become RGB; color becomes gray by ITU-R 601-2 luma.
- 16-bit gray is divided by 257 and rounded. 32-bit integers must lie within 16 bits; floating
  point numbers must lie within 0 to 1, or else within 0 to 255.
- The first frame of an animation or of a file of several pages is used.
"""

import io
import os
import stat
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from zoo.image_repair import JPEG, PNG, without_metadata
from zoo.stand_ins import explanation
from zoo.terminal import printable

ENDINGS = (
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
    ".jpx", ".mpo", ".pbm", ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".sgi", ".tga", ".tif",
    ".tiff", ".webp",
)  # fmt: skip
CHANNELS = (1, 3, 4)
# The first bytes of the formats that files without an ending may have.
_SIGNATURES = (JPEG + b"\xff", PNG, b"GIF8", b"BM", b"II*\0", b"MM\0*")
_SYSTEMS = (
    "__macosx", "thumbs.db", "desktop.ini", "@eadir", "lost+found", "$recycle.bin",
    "system volume information",
)  # fmt: skip
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_ORIENTATION = 274


class UnreadableImage(ValueError):  # noqa: N818 - it names what was found, as in reports
    """An image file that cannot be read.

    Attributes:
        path: the file.
        reason: why, in one line.
        temporary: the operating system did not give its content (permissions, a network), so that
            another attempt may succeed.
    """

    def __init__(self, path: str | Path, error: BaseException | str):
        self.path = Path(path)
        self.temporary = isinstance(error, OSError) and error.errno is not None
        text = str(error) or type(error).__name__
        if isinstance(error, OSError) and error.errno is not None:
            text = error.strerror or text
        if text.startswith("decoder error"):
            text = f"its pixels are damaged ({text})"
        self.reason = " ".join(text.replace(str(path), "the file").split())
        super().__init__(f"cannot read {printable(path, 'utf-8')}: {self.reason}")


def find_images(places: Iterable[str | Path]) -> list[Path]:
    """List files as given, and for each folder the images in it and in its subfolders, by name.

    Raises:
        ValueError: a folder contains no images.
    """
    found: list[Path] = []
    for place in map(Path, places):
        if not place.is_dir():
            found.append(place)
            continue
        inside, skipped = scan(place)
        if not inside:
            others = f" (skipped: {counted(skipped)})" if skipped else ""
            raise ValueError(
                f"no images in the folder '{printable(place)}'{others}; images end in"
                f" {', '.join(ENDINGS)}"
            )
        found += map(Path, inside)
    return found


def scan(folder: str | Path) -> tuple[list[str], Counter[str]]:
    """List the images in a folder and in its subfolders, and count the other files by ending.

    Hidden files and folders, `__MACOSX` and what operating systems leave in folders are left out
    and not counted. Links are followed, but not to a folder that this one is in; each folder is
    read once. A file without an ending is an image if it begins like one.

    Returns:
        The paths, sorted, and the number of skipped files by ending, in lower case.

    Raises:
        OSError: the folder cannot be listed.
    """
    found: list[str] = []
    skipped: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    top = os.fspath(folder)
    for parent in Path(os.path.realpath(top)).parents:
        above = os.stat(parent)
        seen.add((above.st_dev, above.st_ino))

    def unlisted(error: OSError) -> None:
        if error.filename == top:
            raise error
        skipped["folder that cannot be listed"] += 1

    for place, inside, names in os.walk(top, onerror=unlisted, followlinks=True):
        known = os.stat(place)
        if (known.st_dev, known.st_ino) in seen:
            inside.clear()
            continue
        seen.add((known.st_dev, known.st_ino))
        inside[:] = [name for name in inside if not is_hidden(name)]
        for name in names:
            path = os.path.join(place, name)
            ending = os.path.splitext(name)[1].lower()
            if is_hidden(name):
                continue
            if ending in ENDINGS or (not ending and _begins_like_an_image(path)):
                found.append(path)
            else:
                skipped[ending or "without an ending"] += 1
    return sorted(found), skipped


def is_hidden(name: str) -> bool:
    """Whether a file or folder is not the user's: hidden, or left by an operating system."""
    return name.startswith(".") or name.lower() in _SYSTEMS


def counted(endings: Counter[str]) -> str:
    return ", ".join(f"{count} {printable(ending)}" for ending, count in endings.most_common())


def read_image(path: str | Path, channels: int = 3) -> np.ndarray:
    """Read an image file.

    Args:
        path: the file.
        channels: 1 (gray), 3 (RGB) or 4 (RGB and alpha).

    Returns:
        uint8 (height, width, channels), upright.

    Raises:
        UnreadableImage: there is no such file, it is not an image, or it is damaged.
        ValueError: another number of channels.
    """
    if channels not in CHANNELS:
        raise ValueError(f"channels={channels!r}: images are read with 1, 3 or 4 channels")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # large images and odd headers
        return read_quietly(path, channels)


def read_quietly(path: str | Path, channels: int) -> np.ndarray:
    """`read_image` for threads, whose caller must ignore Pillow's warnings."""
    from PIL import Image

    try:
        try:
            with opened(path) as file:
                return pixels_of(file, channels)
        except ValueError as error:
            if isinstance(error, UnreadableImage) or "too large" not in str(error):
                raise
            # Pillow limits texts and color profiles, in PNG files also those behind the pixels.
            with Image.open(io.BytesIO(without_metadata(Path(path).read_bytes()))) as file:
                return pixels_of(file, channels)
    except UnreadableImage:
        raise
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        reason = f"it has more than {limit:,} pixels; make it smaller"
        raise UnreadableImage(path, reason) from None
    except Exception as error:  # Pillow raises what a damaged file makes of its parsers
        raise UnreadableImage(path, error) from None


def pixels_of(image: Any, channels: int) -> np.ndarray:
    """Return the pixels of an image of Pillow's, as `read_image`; any exception for a damaged one.

    An image is turned upright only as it came from a file: changed copies keep the tag.
    """
    if image.format == "EPS":
        raise ValueError("it is EPS, a program that would be run; convert it to PNG")
    image.load()
    plain_bands = channels == 4 and _has_four_plain_bands(image)
    upright = image if image.format is None else _turned(image, orientation(image))
    return np.ascontiguousarray(_pixels(upright, channels, plain_bands))


def opened(path: str | Path) -> Any:
    """Open an image file with Pillow, which reads its header only.

    Raises:
        Exception: any, for a damaged file.
    """
    from PIL import Image, UnidentifiedImageError

    if not stat.S_ISREG(os.stat(path).st_mode):
        raise UnreadableImage(path, "it is not a regular file")
    try:
        return Image.open(path)
    except Image.DecompressionBombError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        content = Path(path).read_bytes()
        try:
            # Metadata alone may be damaged, or be larger than Pillow allows.
            return Image.open(io.BytesIO(without_metadata(content)))
        except UnidentifiedImageError:
            reason = explanation(content[:100]) or "it is not an image of a known format"
            raise UnreadableImage(path, reason) from None


def orientation(image: Any) -> int:
    """Return EXIF's orientation, 1 (upright) to 8, of an image that Pillow has loaded."""
    try:
        value = image.getexif().get(_ORIENTATION)
        return int(value) if value in range(2, 9) else 1
    except Exception:  # of a damaged block any
        return 1


def _turned(image: Any, value: int):
    from PIL.Image import Transpose

    how = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(value)
    return image if how is None else image.transpose(how)


def _has_four_plain_bands(file: Any) -> bool:
    """Whether it is TIFF with a fourth band that is not alpha: Pillow calls it RGB."""
    return file.format == "TIFF" and file.mode == "RGB" and file.tag_v2.get(277, 3) >= 4


def _pixels(image: Any, channels: int, plain_bands: bool) -> np.ndarray:
    from PIL import Image

    if plain_bands:
        pixels = np.frombuffer(image.tobytes("raw", "RGBX"), np.uint8)
        return pixels.reshape(image.height, image.width, 4)
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(_eight_bits(np.asarray(image), image.mode))
    if image.mode in ("RGBa", "La"):  # colors times alpha
        image = image.convert(image.mode.upper())
    if image.mode not in ("1", "L", "LA", "RGB", "RGBA", "P", "PA"):
        image = image.convert("RGB")
    pixels = np.asarray(image.convert(_MODES[channels]))
    return pixels.reshape(*pixels.shape[:2], channels)


def _eight_bits(values: np.ndarray, mode: str) -> np.ndarray:
    values = values.astype(np.float64)
    low, high = values.min(), values.max()
    if mode == "F":
        if not (low >= 0 and high <= 255):
            raise ValueError(
                f"its floating point numbers range from {low:g} to {high:g}; convert it to 8 bits"
            )
        scale = 255.0 if high <= 1 else 1.0
    else:
        if not (low >= 0 and high <= 65535):
            raise ValueError(
                f"its integers range from {low:.0f} to {high:.0f}; convert it to 8 or 16 bits"
            )
        scale = 1 / 257
    return np.rint(values * scale).astype(np.uint8)


def _begins_like_an_image(path: str) -> bool:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            start = file.read(12)
    except OSError:
        return False
    return start.startswith(_SIGNATURES) or (start[:4] == b"RIFF" and start[8:] == b"WEBP")
