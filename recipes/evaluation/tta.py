"""Test-time augmentation: the views of an image whose probabilities are averaged.

    one               the image after the recipe's eval_ops
    flip              the same and its mirror image
    shifts:N          the image, the image moved by N pixels to the top left and to the bottom
                      right, and their mirror images (Jordan 2024, section 3.5). Pixels from
                      outside are those mirrored at the border. The image counts half, and each
                      moved one a quarter. "shifts" is the same as "shifts:1"
    10crop            the center, the four corners and their mirror images (Krizhevsky et al.
                      2012, section 4.1). The crops have the network's input size; the image is
                      resized to cover the input's sides divided by 0.875 and rounded, such as
                      256 for 224 and 37 for 32
    10crop:5scales    ten crops at each of ResNet's scales: short sides of 224, 256, 384, 480 and
                      640 for an input of 224 (He et al. 2015, section 3.4), in proportion for
                      other inputs. The paper applies fully convolutional networks to the whole
                      image instead of ten crops
    10crop:SIDE,...   ten crops at each of these short sides, in pixels
    augment:N         N random augmentations by the recipe's own `augment`
    augment:N:OPS     N random augmentations by OPS after the eval_ops, such as
                      "augment:8:(Flip(), PadCrop(2))"

Crops replace Resize, ResizeShort and CenterCrop in eval_ops; other ops are applied before them. If
a recipe uses Resize, which does not keep the aspect ratio, its crops do not keep it either. Do not
flip images such as digits or letters, whose mirror images have another meaning.
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
from zoo.terminal import plural

NAMES = (
    "one", "flip", "shifts", "shifts:N", "10crop", "10crop:5scales", "10crop:SIDE,...", "augment:N",
    "augment:N:OPS",
)  # fmt: skip
# Deterministic ops that only change the size
SIZED = (Resize, ResizeShort, CenterCrop)
# Ops whose only random choice is whether to change the image
WHETHER = (Flip, Grayscale, Invert, Solarize, Posterize, AutoContrast, Equalize)
SIDES, SIDES_INPUT = (224, 256, 384, 480, 640), 224


@dataclass(frozen=True)
class Views:
    """The requested views of an image.

    Attributes:
        text: the views as the user wrote them.
        count: the number of views.
        sides: the short sides of the resized image in pixels, for crops; () for the default.
        relative: whether the sides are for an input of SIDES_INPUT pixels and are scaled.
        ops: the ops of "augment:N:OPS"; None for those of the recipe.
        weights: the weight of each view in the average; None if all are equal.
        pixels: the distance of the moved images of "shifts".
    """

    text: str
    count: int
    sides: tuple[int, ...] = ()
    relative: bool = False
    ops: tuple | None = None
    weights: tuple[float, ...] | None = None
    pixels: int = 1

    @property
    def kind(self) -> str:
        return self.text.partition(":")[0]

    def ops_for(self, recipe: Recipe, size: tuple[int, int], seed: int) -> tuple:
        """Return ops from a raw image to its views, [count, H, W, C]; for "one", [H, W, C].

        Args:
            recipe: the recipe of the network.
            size: height and width of the network's input.
            seed: the random seed of augmentation.

        Raises:
            ValueError: a side is shorter than the input, or the augmentation of the recipe has
                no random op for single images.
        """
        if self.kind == "one":
            return recipe.eval_ops
        if self.kind == "flip":
            return (*recipe.eval_ops, Mirrored())
        if self.kind == "shifts":
            return (*recipe.eval_ops, self.shifted(size))
        if self.kind == "augment" and self.ops is not None:
            return (*recipe.eval_ops, Augmented(self.ops, self.count, seed))
        if self.kind == "augment":
            if not any(map(is_random, recipe.augment)):
                raise ValueError(
                    f"tta={self.text!r}: augment={recipe.augment!r} of the recipe has no random"
                    " op for single images, so every view would be identical; name a random op,"
                    f" such as {self.text}:PadCrop(2)"
                )
            return (Augmented(recipe.augment, self.count, seed),)
        others = tuple(each for each in recipe.eval_ops if not isinstance(each, SIZED))
        stretch = next((each for each in recipe.eval_ops if isinstance(each, Resize)), None)
        return (*others, TenCrops(size, self.ratios(size), stretch))

    def shifted(self, size: tuple[int, int]) -> Shifted:
        """Return the op of "shifts" for images of this size."""
        if self.pixels >= min(size):
            raise ValueError(
                f"tta={self.text!r}: an image of {size[0]}x{size[1]} cannot be moved by"
                f" {plural(self.pixels, 'pixel')}; use at most {min(size) - 1}"
            )
        return Shifted(self.pixels)

    def ratios(self, size: tuple[int, int]) -> tuple[float, ...]:
        """Return the sides of the resized image divided by those of the input."""
        if not self.sides:
            return (1 / geometry.TEN_CROP,)
        if self.relative:
            return tuple(side / SIDES_INPUT for side in self.sides)
        if min(self.sides) < min(size):
            raise ValueError(
                f"tta={self.text!r}: a side of {plural(min(self.sides), 'pixel')} is too short for"
                f" crops of {size[0]}x{size[1]}; use at least {min(size)}"
            )
        return tuple(side / min(size) for side in self.sides)


def parse(text: str) -> Views:
    """Return the views of a text such as "10crop".

    Raises:
        ValueError: the text is none of NAMES, one of its ops does not transform single images, or
            none is random.
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
    if text == "shifts" or (kind == "shifts" and rest.isdecimal() and int(rest) > 0):
        return Views(text, 6, weights=(1 / 4, 1 / 4, *[1 / 8] * 4), pixels=int(rest or 1))
    if kind == "augment" and colon:
        number, colon, ops = rest.partition(":")
        if not number.isdecimal() or int(number) < 1:
            raise ValueError(f"tta={text!r}: N in augment:N must be a whole number of at least 1")
        return Views(text, int(number), ops=_image_ops(text, ops) if colon else None)
    raise unknown("tta", text, NAMES)


def _image_ops(tta: str, text: str) -> tuple:
    ops = parse_all(text)
    if not ops:
        raise ValueError(f"tta={tta!r}: names no op; write ops such as augment:8:PadCrop(2)")
    if idle := [repr(each) for each in ops if not callable(each)]:
        does = "does" if len(idle) == 1 else "do"
        raise ValueError(
            f"tta={tta!r}: {' and '.join(idle)} {does} not transform single images; name ops"
            " that do, such as PadCrop(2)"
        )
    if not any(map(is_random, ops)):
        raise ValueError(
            f"tta={tta!r}: these ops are all deterministic, so every view would be identical;"
            " add a random op such as PadCrop(2)"
        )
    return ops


def is_random(op) -> bool:
    """Return whether the result of an op for an image depends on the seed."""
    share = getattr(op, "probability", None)
    settled = share == 0 or (share == 1 and isinstance(op, WHETHER))
    return callable(op) and not isinstance(op, SIZED) and not settled


def parse_all_of(given: str | Sequence[str] | bool | None, runs: int) -> list[Views]:
    """Return the views of each run.

    Args:
        given: one text for all runs or one for each, as a sequence or separated by ";". None and
            False are the same as "one", and True as "10crop".
        runs: the number of runs.

    Raises:
        ValueError: a text is invalid (see `parse`), or their number is not 1 or that of the runs.
    """
    if given is None or isinstance(given, bool):
        given = "10crop" if given else "one"
    texts = given.split(";") if isinstance(given, str) else list(given)
    found = [parse(text.strip()) for text in texts]
    if len(found) not in (1, runs):
        raise ValueError(
            f"tta={';'.join(texts)!r}: {plural(len(found), 'entry', 'entries')} for"
            f" {plural(runs, 'run')}; give one for all runs, or one for each"
        )
    return found * runs if len(found) == 1 else found


@dataclass(frozen=True)
class Mirrored:
    """Stack the image and its mirror image."""

    def __call__(self, image, seed):
        return tf.stack([image, tf.reverse(image, [1])])


@dataclass(frozen=True)
class Shifted:
    """Stack the image and two moved ones, each with its mirror image.

    Attributes:
        pixels: how far the image is moved to the top left and to the bottom right.
    """

    pixels: int

    def __call__(self, image, seed):
        n, (height, width, _) = self.pixels, image.shape
        padded = tf.pad(image, [[n, n], [n, n], [0, 0]], "REFLECT")
        moved = [image, *(padded[s : s + height, s : s + width] for s in (2 * n, 0))]
        return tf.stack([view for each in moved for view in (each, tf.reverse(each, [1]))])


@dataclass(frozen=True)
class TenCrops:
    """Stack ten crops for each ratio: center, corners, and the mirror images of these five.

    The corners are in the order top left, top right, bottom left, bottom right.

    Attributes:
        size: height and width of a crop.
        ratios: the sides of the resized image divided by `size`.
        stretch: the recipe's op for resizing if that does not keep the aspect ratio, else None.
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
    """Stack the results of applying ops to the image `times` times with different seeds."""

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
