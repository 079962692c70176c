"""Test-time augmentation: the views of an image whose probabilities are averaged.

    one               what the recipe's eval_ops make of it
    flip              that, and its mirror image
    10crop            the middle and the four corners, and their mirror images (Krizhevsky et
                      al. 2012, section 4.1): cuts of the network's input size out of the image
                      resized so that it covers the input's sides over 0.875, rounded: 256 for
                      224, 37 for 32
    10crop:5scales    ten crops at each of ResNet's scales, short sides of 224, 256, 384, 480
                      and 640 for an input of 224 (He et al. 2015, section 3.4), and in
                      proportion for another; fixed cuts stand for the paper's networks, which
                      went over the whole image
    10crop:SIDE,...   ten crops at these short sides, in pixels
    augment:N         the recipe's own augmentation, N times
    augment:N:OPS     OPS on what the eval_ops make, N times: "augment:8:(Flip(), PadCrop(2))"

Crops take the place of Resize, ResizeShort and CenterCrop in eval_ops; other ops run before
them. A recipe that resizes without regard to the aspect ratio (Resize) has its crops so, too.
A mirror image of a digit or a letter is another sign: whether to flip is yours to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recipes.augment import (
    AutoContrast,
    CenterCrop,
    Equalize,
    Flip,
    Grayscale,
    Invert,
    Posterize,
    Resize,
    ResizeShort,
    Solarize,
    apply,
    parse_all,
)
from recipes.augment.pixels import sides as sides_of
from recipes.augment.sizes import resize
from recipes.recipe import Recipe
from zoo import geometry
from zoo.lazy import tensorflow as tf
from zoo.options import unknown

NAMES = (
    "one", "flip", "10crop", "10crop:5scales", "10crop:SIDE,...", "augment:N", "augment:N:OPS",
)  # fmt: skip
SIZED = (Resize, ResizeShort, CenterCrop)  # without a draw
# What draws whether it changes an image, not how
WHETHER = (Flip, Grayscale, Invert, Solarize, Posterize, AutoContrast, Equalize)
SIDES, SIDES_INPUT = (224, 256, 384, 480, 640), 224


@dataclass(frozen=True)
class Views:
    """The views of an image that are asked for.

    Attributes:
        text: as they were written.
        count: how many they are.
        sides: of crops: short sides in pixels; () for the usual one.
        relative: whether the sides are those of a network of SIDES_INPUT pixels.
        ops: of "augment:N:OPS"; None for the recipe's own.
    """

    text: str
    count: int
    sides: tuple[int, ...] = ()
    relative: bool = False
    ops: tuple | None = None

    @property
    def kind(self) -> str:
        return self.text.partition(":")[0]

    def ops_for(self, recipe: Recipe, size: tuple[int, int], seed: int) -> tuple:
        """The ops that make of a raw image its views, [count, H, W, C]; of it alone for "one".

        Args:
            recipe: the network's.
            size: height and width of the network's input.
            seed: of augmentation.

        Raises:
            ValueError: crops of sides below the input's, or a recipe whose augmentation of
                images draws nothing.
        """
        if self.kind == "one":
            return recipe.eval_ops
        if self.kind == "flip":
            return (*recipe.eval_ops, Mirrored())
        if self.kind == "augment" and self.ops is not None:
            return (*recipe.eval_ops, Augmented(self.ops, self.count, seed))
        if self.kind == "augment":
            if not any(map(_draws, recipe.augment)):
                raise ValueError(
                    f"views {self.text!r}: the recipe has no augmentation of images that draws"
                    f" (augment={recipe.augment!r}), so that all views would be one; name ops"
                    f" that draw: {self.text}:OPS, as {self.text}:PadCrop(2)"
                )
            return (Augmented(recipe.augment, self.count, seed),)
        others = tuple(each for each in recipe.eval_ops if not isinstance(each, SIZED))
        stretch = next((each for each in recipe.eval_ops if isinstance(each, Resize)), None)
        return (*others, TenCrops(size, self._ratios(size), stretch))

    def _ratios(self, size: tuple[int, int]) -> tuple[float, ...]:
        """Sides of the resized image over the input's."""
        if not self.sides:
            return (1 / geometry.TEN_CROP,)
        if self.relative:
            return tuple(side / SIDES_INPUT for side in self.sides)
        if min(self.sides) < min(size):
            raise ValueError(
                f"views {self.text!r}: a side of {min(self.sides)} pixels is too short for crops"
                f" of {size[0]}x{size[1]}"
            )
        return tuple(side / min(size) for side in self.sides)


def parse(text: str) -> Views:
    """The views that a text asks for.

    Raises:
        ValueError: it is none of NAMES, or of its ops one does nothing to an image, or none draws.
    """
    kind, colon, rest = text.partition(":")
    if text in ("one", "flip"):
        return Views(text, 1 if text == "one" else 2)
    if text == "10crop":
        return Views(text, 10)
    if text == "10crop:5scales":
        return Views(text, 50, SIDES, relative=True)
    if kind == "10crop" and rest and all(n.strip().isdecimal() for n in rest.split(",")):
        sides = tuple(int(n) for n in rest.split(","))
        return Views(text, 10 * len(sides), sides)
    if kind == "augment" and colon:
        number, colon, ops = rest.partition(":")
        if not number.isdecimal() or int(number) < 1:
            raise ValueError(f"views {text!r}: N in augment:N is a whole number from 1")
        return Views(text, int(number), ops=_image_ops(text, ops) if colon else None)
    raise unknown("views", text, NAMES)


def _image_ops(views: str, text: str) -> tuple:
    ops = parse_all(text)
    if not ops:
        raise ValueError(f"views {views!r}: it names no op, as augment:8:PadCrop(2) does")
    if idle := [repr(each) for each in ops if not callable(each)]:
        does = "does" if len(idle) == 1 else "do"
        raise ValueError(
            f"views {views!r}: {' and '.join(idle)} {does} nothing to an image alone; name ops"
            " of images, as augment:8:PadCrop(2) does"
        )
    if not any(map(_draws, ops)):
        raise ValueError(
            f"views {views!r}: nothing in it draws, so that all views would be one; name ops that"
            " draw, as augment:8:PadCrop(2) does"
        )
    return ops


def _draws(op) -> bool:
    """Whether an op makes something else of an image from seed to seed."""
    share = getattr(op, "probability", None)
    settled = share == 0 or (share == 1 and isinstance(op, WHETHER))
    return callable(op) and not isinstance(op, SIZED) and not settled


def parse_all_of(given: str | Sequence[str] | None, runs: int) -> list[Views]:
    """Those of each of some runs: one text for all, or a text for each, ";" between them.

    Raises:
        ValueError: as `parse`, or not as many as runs.
    """
    given = "one" if given is None else given
    texts = given.split(";") if isinstance(given, str) else list(given)
    found = [parse(text.strip()) for text in texts]
    if len(found) not in (1, runs):
        raise ValueError(f"{len(found)} views for {runs} runs: give one for all, or one for each")
    return found * runs if len(found) == 1 else found


@dataclass(frozen=True)
class Mirrored:
    """The image and its mirror image."""

    def __call__(self, image, seed):
        return tf.stack([image, tf.reverse(image, [1])])


@dataclass(frozen=True)
class TenCrops:
    """At each ratio the middle and the corners (top left, top right, bottom left, bottom right).

    Then the mirror images of these five, and so on with the next ratio.

    Attributes:
        size: of a crop.
        ratios: of the resized image to `size`, which it covers so many times.
        stretch: the resizing, if it does not keep the aspect ratio.
    """

    size: tuple[int, int]
    ratios: tuple[float, ...]
    stretch: Resize | None = None

    def __call__(self, image, seed):
        views = []
        for ratio in self.ratios:
            five = self._five(image, *geometry.ten_crop_sides(self.size, ratio))
            views += [*five, *(tf.reverse(view, [1]) for view in five)]
        return tf.stack(views)

    def _five(self, image, tall: int, wide: int) -> list:
        if self.stretch:
            image = resize(image, (tall, wide), self.stretch.method, self.stretch.antialias)
        else:
            height, width = sides_of(image)
            larger = max if isinstance(height, int) else tf.maximum
            tall, wide = geometry.covering(height, width, tall, wide, larger)
            image = resize(image, (tall, wide))
        height, width = self.size
        return [
            tf.ensure_shape(image[y : y + height, x : x + width], [height, width, image.shape[-1]])
            for y, x in geometry.five_corners(tall - height, wide - width)
        ]


@dataclass(frozen=True)
class Augmented:
    """What ops make of the image, `times` times, each with a seed of its own."""

    ops: tuple
    times: int
    seed: int

    def __call__(self, image, seed):
        fold = tf.random.experimental.stateless_fold_in
        image, own = tf.convert_to_tensor(image), fold(seed, self.seed)
        views = tf.map_fn(
            lambda time: apply(self.ops, image, False, fold(own, time), tuple(image.shape)),
            tf.range(self.times),
            fn_output_signature=image.dtype,
        )
        return tf.ensure_shape(views, [self.times, *views.shape[1:]])
