"""Describe how images are resized and cropped for a network, as data, and do it.

`recipes` writes the geometry of a run's evaluation into the run directory, and `zoo` executes it,
so that the network gets the same pixels in prediction as in evaluation. The preprocessing of
pretrained weights is described in the same way.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo import resampling
from zoo.options import checked, unknown

METHODS: dict[str, tuple[str, ...]] = {
    "tensorflow": resampling.METHODS,
    "pillow": ("bilinear", "bicubic", "nearest", "lanczos", "box", "hamming"),
}
TEN_CROP = 0.875  # side of the input over side of the resized image: 224 / 256, as in AlexNet
MOST_PIXELS = 1 << 27  # largest resized image; that of a narrow strip could fill the memory
_LUMA = (0.299, 0.587, 0.114)  # ITU-R 601-2


class TooLarge(ValueError):  # noqa: N818 - it names what was found
    """An image that a geometry would resize to more pixels than MOST_PIXELS."""


@dataclass(frozen=True)
class Resize:
    """Resize to height x width; the aspect ratio may change."""

    height: int
    width: int
    method: str = "bilinear"
    antialias: bool = True

    def size(self, height: int, width: int) -> tuple[int, int]:
        return self.height, self.width


@dataclass(frozen=True)
class ResizeShort:
    """Resize so that the shorter side has `side` pixels; the aspect ratio stays."""

    side: int
    method: str = "bilinear"
    antialias: bool = True

    def size(self, height: int, width: int) -> tuple[int, int]:
        short = min(height, width)
        return height * self.side // short, width * self.side // short


@dataclass(frozen=True)
class Cover:
    """Resize to the smallest size that covers height x width; the aspect ratio stays."""

    height: int
    width: int
    method: str = "bilinear"
    antialias: bool = True

    def size(self, height: int, width: int) -> tuple[int, int]:
        return covering(height, width, self.height, self.width)


@dataclass(frozen=True)
class CenterCrop:
    """Crop the central height x width pixels; a smaller image is padded with zeros."""

    height: int
    width: int


@dataclass(frozen=True)
class Grayscale:
    """Replace the three color channels by their luma, and keep the number of channels."""


Step = Resize | ResizeShort | Cover | CenterCrop | Grayscale
STEPS: dict[str, type] = {
    cls.__name__: cls for cls in (Resize, ResizeShort, Cover, CenterCrop, Grayscale)
}


@dataclass(frozen=True)
class Geometry:
    """The steps from the pixels of an image file to the input of a network.

    Attributes:
        steps: the steps in their order.
        library: the library whose arithmetic is used for resizing and cropping: "tensorflow" for
            runs of `recipes`, or "pillow" for pretrained weights, as in timm and torchvision.
    """

    steps: tuple[Step, ...] = ()
    library: str = "tensorflow"

    def __post_init__(self):
        if self.library not in METHODS:
            raise unknown("library of the geometry", str(self.library), METHODS)
        for step in self.steps:
            if min(getattr(step, name, 1) for name in ("height", "width", "side")) < 1:
                raise ValueError(f"{step!r}: each side must have 1 or more pixels")
            method = getattr(step, "method", "bilinear")
            if method not in METHODS[self.library]:
                raise unknown("interpolation", method, METHODS[self.library])

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Apply all steps to an image (height, width, channels) of values from 0 to 255."""
        for step in self.steps:
            pixels = _apply(step, pixels, self.library)
        return pixels

    @property
    def size(self) -> tuple[int, int] | None:
        """The height and width after all steps; None if they depend on the image."""
        sized = [step for step in self.steps if not isinstance(step, Grayscale)]
        if sized and isinstance(sized[-1], (Resize, CenterCrop)):
            return sized[-1].height, sized[-1].width
        return None

    def to_json(self) -> dict[str, Any]:
        steps = [{"step": type(s).__name__, **dataclasses.asdict(s)} for s in self.steps]
        return {"library": self.library, "steps": steps}


def from_json(value: Any) -> Geometry:
    """Return the geometry that `Geometry.to_json` described.

    Raises:
        ValueError: the value does not describe a geometry.
    """
    try:
        library, steps = value["library"], [dict(each) for each in value["steps"]]
        kinds = [each.pop("step") for each in steps]
    except (TypeError, KeyError, ValueError, AttributeError):
        raise ValueError(
            "geometry: there is no list of steps, or no library; it must be written as by to_json"
        ) from None
    return Geometry(tuple(map(_step, kinds, steps)), library)


def _step(kind: Any, given: dict[str, Any]) -> Step:
    if kind not in STEPS:
        raise unknown("step of the geometry", str(kind), STEPS)
    cls = STEPS[kind]
    try:
        return cls(**{name: checked(cls, name, value) for name, value in given.items()})
    except TypeError:
        names = [field.name for field in dataclasses.fields(cls)]
        raise ValueError(
            f"geometry: the step {kind} needs {', '.join(names)}, but has {', '.join(given)}"
        ) from None


def of_source(
    size: tuple[int, int], crop: float = 1.0, interpolation: str = "bilinear"
) -> Geometry:
    """Return the geometry of timm and torchvision: cover size / crop, then crop the center.

    Args:
        size: height and width of the network's input.
        crop: side of the crop over side of the resized image.
        interpolation: interpolation method of Pillow.
    """
    # timm rounds down. 0.02 allows for ratios that are given with four digits.
    tall, wide = (math.floor(side / crop + 0.02) for side in size)
    return Geometry((Cover(tall, wide, interpolation), CenterCrop(*size)), "pillow")


def covering(height: Any, width: Any, tall: Any, wide: Any, larger: Any = max) -> tuple[Any, Any]:
    """Return the smallest height and width with an image's aspect ratio that cover tall x wide.

    Args:
        height, width: size of the image: integers, or tensors if `larger` accepts them.
        tall, wide: size to cover.
        larger: function that returns the larger of two sides.
    """
    return larger(tall, height * wide // width), larger(wide, width * tall // height)


def ten_crop_sides(size: tuple[int, int], ratio: float = 1 / TEN_CROP) -> tuple[int, int]:
    """Return the size that an image is resized to cover before ten crops of `size` are taken."""
    tall, wide = (round(side * ratio) for side in size)
    return tall, wide


def five_corners(down: Any, right: Any) -> list[tuple[Any, Any]]:
    """Return the top and left of five crops: the center and the corners, left before right.

    Args:
        down, right: differences of height and width between the image and a crop.
    """
    return [(down // 2, right // 2), (0, 0), (0, right), (down, 0), (down, right)]


def ten_crops(
    pixels: np.ndarray, geometry: Geometry, size: tuple[int, int], ratio: float = 1 / TEN_CROP
) -> np.ndarray:
    """Return ten crops of an image: the center, the four corners, and their mirror images.

    Krizhevsky et al. 2012, section 4.1. They replace the resizing and cropping of the geometry: the
    image is resized to cover `size` times `ratio`, rounded, with the same interpolation. If the
    geometry changes the aspect ratio (Resize), so does this.

    Returns:
        An array (10, height, width, channels).
    """
    sides = ten_crop_sides(size, ratio)
    resizing = [s for s in geometry.steps if isinstance(s, (Resize, ResizeShort, Cover))]
    stretch = next((s for s in resizing if isinstance(s, Resize)), None)
    like = stretch or next(iter(resizing), Cover(*sides))
    kind = Resize if stretch else Cover
    others = [s for s in geometry.steps if isinstance(s, Grayscale)]
    steps = (*others, kind(*sides, like.method, like.antialias))
    pixels = Geometry(steps, geometry.library)(pixels)
    height, width = size
    corners = five_corners(len(pixels) - height, pixels.shape[1] - width)
    five = [pixels[y : y + height, x : x + width] for y, x in corners]
    return np.stack([*five, *(view[:, ::-1] for view in five)])


def fitted(pixels: np.ndarray, size: tuple[int, int], library: str) -> np.ndarray:
    """Return an image that is resized to cover the network's input size, and cropped to it."""
    return Geometry((Cover(*size), CenterCrop(*size)), library)(pixels)


def _apply(step: Step, pixels: np.ndarray, library: str) -> np.ndarray:
    if isinstance(step, CenterCrop):
        return _center_crop(pixels, step.height, step.width, library)
    if isinstance(step, Grayscale):
        return _grayscale(pixels)
    height, width = step.size(*pixels.shape[:2])
    if height * width > MOST_PIXELS:
        raise TooLarge(
            f"its {pixels.shape[0]}x{pixels.shape[1]} pixels would be resized to {height}x{width};"
            " crop it, because it is too long and narrow"
        )
    if library == "pillow":
        return _resized_by_pillow(pixels, height, width, step.method)
    return resampling.resize(pixels, height, width, step.method, step.antialias)


def _center_crop(pixels: np.ndarray, height: int, width: int, library: str) -> np.ndarray:
    for axis, side in enumerate((height, width)):
        extra = pixels.shape[axis] - side
        if extra >= 0:
            # torchvision rounds, TensorFlow rounds down.
            start = round(extra / 2) if library == "pillow" else extra // 2
            pixels = np.take(pixels, range(start, start + side), axis)
        else:
            padding = [(0, 0)] * pixels.ndim
            padding[axis] = (-extra // 2, -extra - -extra // 2)
            pixels = np.pad(pixels, padding)
    return pixels


def _grayscale(pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[-1] != 3:
        return pixels
    gray = pixels.astype(np.float32) @ np.asarray(_LUMA, np.float32)
    if np.issubdtype(pixels.dtype, np.integer):
        gray = np.rint(gray)
    return np.repeat(np.clip(gray, 0, 255).astype(pixels.dtype)[..., None], 3, -1)


def _resized_by_pillow(pixels: np.ndarray, height: int, width: int, method: str) -> np.ndarray:
    from PIL import Image

    how = Image.Resampling[method.upper()]
    if pixels.dtype == np.uint8 and pixels.shape[-1] == 3:
        return np.asarray(Image.fromarray(pixels).resize((width, height), how))
    kind = np.uint8 if pixels.dtype == np.uint8 else np.float32
    channels = [
        np.asarray(Image.fromarray(channel).resize((width, height), how))
        for channel in np.moveaxis(pixels, -1, 0).astype(kind)
    ]
    return np.clip(np.stack(channels, -1), 0, 255)
