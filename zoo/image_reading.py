"""Find image files and read their pixels, for training, evaluation and prediction.

The content of a file is converted to 8-bit pixels by these rules:

- An image is rotated upright by its orientation tag (EXIF 2.3, section 4.6.4, or XMP), in every
  format. A damaged tag, or a value other than 2 to 8, leaves the image as it is stored.
- Transparency is ignored: the colors under it are used, as in TensorFlow, torchvision and timm.
  With 4 channels, alpha is the fourth, and 255 if a file has none. A TIFF file with four plain
  bands keeps its bands.
- Palettes, CMYK, YCbCr and LAB become RGB. Color becomes gray by ITU-R 601-2 luma.
- 16-bit gray is divided by 257 and rounded. 32-bit integers must fit into 16 bits. Floating point
  numbers must be in the range 0 to 1, or else 0 to 255.
- The first frame of an animation, or the first page of a file with several pages, is used.
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
# The first bytes of the formats that are recognized in files without a suffix.
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
        reason: the reason, in one line.
        temporary: whether another attempt may succeed, because the operating system could not read
            the file (permissions, a network).
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
    """Return the given files, and for each folder its images, including those in subfolders.

    The images of a folder are sorted by path.

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
                f"images='{printable(place)}': there are no images in this folder{others}; the"
                f" names of images end in {', '.join(ENDINGS)}"
            )
        found += map(Path, inside)
    return found


def scan(folder: str | Path) -> tuple[list[str], Counter[str]]:
    """List the images in a folder and its subfolders, and count the other files by suffix.

    Hidden files and folders, and those that operating systems create, such as `__MACOSX`, are
    neither listed nor counted. Links are followed, except to a folder that contains this one. Each
    folder is read once. A file without a suffix is an image if its first bytes are those of one.

    Returns:
        The sorted paths, and the number of skipped files by suffix, in lower case.

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
    """Return whether a file or folder is hidden, or was created by an operating system."""
    return name.startswith(".") or name.lower() in _SYSTEMS


def counted(endings: Counter[str]) -> str:
    """Return "3 .txt, 1 .heic" for the numbers of skipped files."""
    return ", ".join(f"{count} {printable(ending)}" for ending, count in endings.most_common())


def read_image(path: str | Path, channels: int = 3) -> np.ndarray:
    """Read an image file.

    Args:
        path: the file.
        channels: 1 (gray), 3 (RGB) or 4 (RGB and alpha).

    Returns:
        uint8 (height, width, channels), upright.

    Raises:
        UnreadableImage: the file does not exist, is not an image, or is damaged.
        ValueError: the number of channels is not 1, 3 or 4.
    """
    if channels not in CHANNELS:
        raise ValueError(f"channels={channels!r}: must be 1 (gray), 3 (RGB) or 4 (RGB and alpha)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of large images and unusual headers
        return read_quietly(path, channels)


def read_quietly(path: str | Path, channels: int) -> np.ndarray:
    """Read an image file in a thread. The caller must ignore Pillow's warnings for all threads."""
    from PIL import Image

    try:
        try:
            with opened(path) as file:
                return pixels_of(file, channels)
        except ValueError as error:
            if isinstance(error, UnreadableImage) or "too large" not in str(error):
                raise
            # Pillow limits texts and color profiles, also those after the pixels of PNG files.
            with Image.open(io.BytesIO(without_metadata(Path(path).read_bytes()))) as file:
                return pixels_of(file, channels)
    except UnreadableImage:
        raise
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        reason = f"it has more than {limit:,} pixels; make it smaller"
        raise UnreadableImage(path, reason) from None
    except Exception as error:  # Pillow raises errors of many kinds for damaged files
        raise UnreadableImage(path, error) from None


def pixels_of(image: Any, channels: int) -> np.ndarray:
    """Return the pixels of a Pillow image, as `read_image` does.

    Only an image that comes from a file unchanged is rotated upright, because changed copies keep
    the orientation tag.

    Raises:
        Exception: the image is damaged.
    """
    if image.format == "EPS":
        raise ValueError("it is EPS, a program that is never run; convert it to PNG")
    image.load()
    plain_bands = channels == 4 and _has_four_plain_bands(image)
    upright = image if image.format is None else _turned(image, orientation(image))
    return np.ascontiguousarray(_pixels(upright, channels, plain_bands))


def opened(path: str | Path) -> Any:
    """Open an image file with Pillow, which reads only its header.

    Raises:
        Exception: the file is damaged; errors of any kind are possible.
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
            # Perhaps only the metadata is damaged, or larger than Pillow allows.
            return Image.open(io.BytesIO(without_metadata(content)))
        except UnidentifiedImageError:
            reason = explanation(content[:100]) or "it is not an image of a known format"
            raise UnreadableImage(path, reason) from None


def orientation(image: Any) -> int:
    """Return the EXIF orientation of an image that Pillow has loaded: 1 (upright) to 8."""
    try:
        value = image.getexif().get(_ORIENTATION)
        return int(value) if value in range(2, 9) else 1
    except Exception:  # a damaged EXIF block can cause errors of any kind
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
    """Return whether it is TIFF with a fourth band that is not alpha. Pillow reads it as RGB."""
    return file.format == "TIFF" and file.mode == "RGB" and file.tag_v2.get(277, 3) >= 4


def _pixels(image: Any, channels: int, plain_bands: bool) -> np.ndarray:
    from PIL import Image

    if plain_bands:
        pixels = np.frombuffer(image.tobytes("raw", "RGBX"), np.uint8)
        return pixels.reshape(image.height, image.width, 4)
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(_eight_bits(np.asarray(image), image.mode))
    if image.mode in ("RGBa", "La"):  # colors multiplied by alpha
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
