"""Open a data set by name, and make batches of images in 0..255 and one-hot labels."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from recipes.augment import apply, apply_batch, repeat_of
from recipes.data.balance import balanced
from recipes.data.types import Data, Split, in_memory, permutation
from zoo.lazy import tensorflow as tf
from zoo.terminal import plural

if TYPE_CHECKING:
    from recipes.recipe import Recipe

__all__ = [
    "Data",
    "Split",
    "evaluation_batches",
    "in_memory",
    "open_data",
    "open_for",
    "training_batches",
    "training_images",
]

MOST_BATCHES = 200  # the most batches from which batch norms recompute their statistics
_MADE_UP = re.compile(r"made_up:(\d+)x(\d+)x(\d+):(\d+)(?::(\d+))?")


def open_data(
    name: str,
    *,
    validation: float | str = 0.1,
    seed: int = 0,
    bad_images: int | None = 0,
    channels: int = 3,
) -> Data:
    """Open the training and validation sets of a data set.

    Args:
        name: "digits"; the name of any TFDS data set ("cifar10", "cifar10:3.0.2");
            "folder:PATH", with images in PATH/train/CLASS and PATH/test/CLASS or
            PATH/validation/CLASS (also training, valid, val, testing, ignoring case), or in
            PATH/CLASS, a fifth of which is then the test set; subfolders of classes are included;
            "made_up:HxWxC:CLASSES[:COUNT]", COUNT (default 64) random training images.
        validation: the fraction of the training set that is held out for validation, 0 for
            none; or the name of a split such as "validation", other than the training and the
            test set.
        seed: the random seed of a folder's validation set and of the pixels of made-up images.
        bad_images: the largest number of unreadable files that are skipped in each split of a
            folder; None for no limit.
        channels: the number of channels that a folder's images are read with: 1, 3 or 4.

    Raises:
        ValueError: the data set, folder or split does not exist or cannot be downloaded, it has
            fewer than two classes or no labels, or more than `bad_images` files of a split
            cannot be read.
    """
    if not isinstance(validation, str) and not 0 <= validation < 1:
        raise ValueError(
            f"validation={validation!r}: must be a fraction from 0 to below 1, or the name of a"
            " split"
        )
    if name.startswith("folder:"):
        from recipes.data.folder import open_folder

        return open_folder(name, validation, seed, bad_images, channels)
    if name.startswith("made_up"):
        return _made_up(name, validation, seed)
    from recipes.data.from_tfds import open_tfds

    return open_tfds(name, validation)


def open_for(recipe: Recipe, **others: Any) -> Data:
    """Open the data set of a recipe.

    With sampling="balanced", the training set uses each class equally often.

    Args:
        recipe: the recipe.
        others: arguments of `open_data` that replace those of the recipe.
    """
    arguments = {
        "name": recipe.data,
        "validation": recipe.validation,
        "seed": recipe.seed,
        "bad_images": recipe.bad_images,
        "channels": channels_of(recipe),
    }
    data = open_data(**{**arguments, **others})
    if recipe.sampling == "balanced":
        data = dataclasses.replace(data, train=balanced(data.train))
    return data


def channels_of(recipe: Recipe) -> int:
    """Return the number of channels to read a folder's images with, from recipe or network."""
    if recipe.channels is not None:
        return recipe.channels
    shape = recipe.options.get("input_shape")
    channels = shape[-1] if isinstance(shape, tuple) and len(shape) == 3 else None
    return channels if channels in (1, 3, 4) else 3


def training_batches(
    split: Split,
    *,
    classes: int,
    batch: int,
    ops: tuple,
    seed: int,
    first_epoch: int,
    epochs: int,
) -> tuple[tf.data.Dataset, int]:
    """Return the batches of the epochs first_epoch..epochs-1 as one dataset.

    The order of an epoch is a function of (seed, epoch). The augmentation of an image is a
    function of (seed, epoch, index) and the number of its repetition, and that of a batch of
    (seed, epoch, number of the batch). A run that resumes therefore gets the same batches as an
    uninterrupted one. An incomplete last batch of an epoch is dropped.

    Args:
        split: the training set.
        classes: the number of classes.
        batch: the batch size.
        ops: the augmentation.
        seed: the random seed of order and augmentation.
        first_epoch, epochs: the range of epochs.

    Returns:
        A dataset of (images float32 [B, H, W, C] in 0..255, labels float32 [B, classes]), and
        the number of batches in an epoch.

    Raises:
        ValueError: the split has fewer images than a batch, or images of different sizes.
    """
    steps = split.count // batch
    if steps == 0:
        raise ValueError(
            f"batch_size={batch}: more than the {plural(split.count, 'image')} of the"
            f" {split.name} set; use at most {split.count}"
        )

    repeats = repeat_of(ops)

    def items_of(epoch):
        items = split.order(_seed(seed, epoch))
        copies = repeats.repeat(items, batch) if repeats else items.map(lambda *item: (0, item))
        return copies.take(steps * batch).map(lambda copy, item: (epoch, copy, item))

    @_without_autograph
    def element(epoch, copy, item):
        example = split.lookup(*item)
        own = tf.random.experimental.stateless_fold_in(_seed(seed, epoch), example["index"])
        if repeats:
            own = tf.random.experimental.stateless_fold_in(own, copy)
        if "draw" in example:  # an image that balanced sampling repeats
            own = tf.random.experimental.stateless_fold_in(own, example["draw"])
        return _image(example, split, ops, own), example["label"]

    @_without_autograph
    def mix(step, pair):
        images, labels = pair
        epoch, number = first_epoch + step // steps, step % steps
        # Negative, so that it differs from the index of every image.
        own = tf.random.experimental.stateless_fold_in(_seed(seed, epoch), -1 - number)
        images, labels = _as_floats(images, labels, classes)
        return apply_batch(ops, images, labels, own)

    order = tf.data.Dataset.range(first_epoch, epochs).flat_map(items_of)
    elements = order.map(element, tf.data.AUTOTUNE, deterministic=True)
    batches = _batched(elements, batch, split, drop_remainder=True).enumerate()
    batches = batches.map(mix, tf.data.AUTOTUNE, deterministic=True)
    length = tf.data.experimental.assert_cardinality(max(epochs - first_epoch, 0) * steps)
    return _finished(batches.apply(length)), steps


def training_images(recipe: Recipe) -> tf.data.Dataset:
    """Return up to MOST_BATCHES batches of training images, augmented as in the first epoch."""
    data = open_for(recipe)
    batches, _ = training_batches(
        data.train, classes=len(data.classes), batch=recipe.batch_size, ops=recipe.augment,
        seed=recipe.seed, first_epoch=0, epochs=1,
    )  # fmt: skip
    return batches.take(MOST_BATCHES).map(lambda images, labels: images)


def evaluation_batches(split: Split, *, classes: int, batch: int, ops: tuple) -> tf.data.Dataset:
    """Return all images of a split in its fixed order, in batches like `training_batches`.

    The last batch may be smaller. Ops on single images use the seed (0, index); ops on batches
    are not applied.
    """

    @_without_autograph
    def element(*item):
        example = split.lookup(*item)
        own = tf.cast(tf.stack([tf.zeros([], tf.int64), example["index"]]), tf.int32)
        return _image(example, split, ops, own), example["label"]

    elements = split.order(None).map(element, tf.data.AUTOTUNE, deterministic=True)
    batches = _batched(elements, batch, split, drop_remainder=False)
    batches = batches.map(lambda images, labels: _as_floats(images, labels, classes))
    return _finished(batches)


def _without_autograph(function: Callable) -> Callable:
    """Exclude a function from autograph, which would add its own trace to error messages."""
    return tf.autograph.experimental.do_not_convert(function)


def _seed(seed: int, epoch):
    return tf.stack([tf.constant(seed, tf.int32), tf.cast(epoch, tf.int32)])


def _image(example: dict[str, Any], split: Split, ops: tuple, seed):
    return apply(ops, example["image"], split.encoded, seed, split.shape)


def _as_floats(images, labels, classes: int):
    return tf.cast(images, tf.float32), tf.one_hot(labels, classes)


def _batched(elements, batch: int, split: Split, drop_remainder: bool):
    shape = elements.element_spec[0].shape
    if not shape.is_fully_defined():
        raise ValueError(
            f"augment or eval_ops: the images of the {split.name} set may differ in size ({shape})"
            " after these ops; add Resize(size) or another op that gives all images the same size"
        )
    return elements.batch(batch, drop_remainder=drop_remainder)


def _finished(batches: tf.data.Dataset) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    # Sharding by files could leave workers without any, so data sets are sharded by elements.
    sharding = tf.data.experimental.AutoShardPolicy.DATA
    options.experimental_distribute.auto_shard_policy = sharding
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)


def made_up_numbers(name: str) -> list[int]:
    """Return height, width, channels, classes and count of "made_up:HxWxC:CLASSES[:COUNT]".

    Raises:
        ValueError: the name does not have this form.
    """
    match = _MADE_UP.fullmatch(name)
    if not match or min(numbers := [int(n) for n in match.groups("64")]) < 1:
        raise ValueError(
            f"data={name!r}: must be made_up:HxWxC:CLASSES[:COUNT], such as made_up:32x32x3:10"
        )
    return numbers


def _made_up(name: str, validation: float | str, seed: int) -> Data:
    height, width, channels, classes, count = made_up_numbers(name)

    def split(number: int, split_name: str, size: int) -> Split:
        def lookup(index):
            own = tf.random.experimental.stateless_fold_in(_seed(seed, number), index)
            shape = [height, width, channels]
            pixels = tf.random.stateless_uniform(shape, own, 0, 256, tf.int32)
            return {"image": tf.cast(pixels, tf.uint8), "label": index % classes, "index": index}

        return Split(
            name=split_name,
            count=size,
            encoded=False,
            shape=(height, width, channels),
            order=lambda key: permutation(size, key),
            lookup=lookup,
            describe=lambda index: f"{split_name} image {index}",
            fingerprint=f"{name}/{seed}/{split_name}/{size}",
        )

    fraction = 0.1 if isinstance(validation, str) else validation
    held_out = max(1, round(count * fraction)) if fraction else 0
    return Data(
        name=name,
        classes=tuple(str(number) for number in range(classes)),
        train=split(0, "train", count),
        validation=split(1, "validation", held_out) if held_out else None,
        open_test=lambda: split(2, "test", max(1, count // 4)),
    )
