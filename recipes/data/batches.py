"""Open a data set by name, and make batches of images in 0..255 and one-hot labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from recipes.augment import apply, apply_batch, repeat_of
from recipes.data.balance import balanced
from recipes.data.parts import order_of, rows, rows_of_part
from recipes.data.types import Data, Split, in_memory, located
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


def open_data(
    name: str,
    *,
    validation: float | str = 0.1,
    seed: int = 0,
    bad_images: int | None = 0,
    channels: int = 3,
    classes: tuple[int | str, ...] = (),
    images: int | None = None,
    per_class: int | None = None,
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
        seed: the random seed of a folder's validation set, of the choice of training images and
            of the pixels of made-up images.
        bad_images: the largest number of unreadable files that are skipped in each split of a
            folder; None for no limit.
        channels: the number of channels that a folder's images are read with: 1, 3 or 4.
        classes: the names or positions of the classes to use, which are numbered from 0 in this
            order in all sets; () for all.
        images, per_class: the number of training images to use, in total or of each class, which
            `recipes.data.subset.Subset` chooses; None for all. The validation set is split off
            before.

    Raises:
        ValueError: the data set, folder or split does not exist or cannot be downloaded, it has
            fewer than two classes or no labels, more than `bad_images` files of a split cannot be
            read, one of `classes` does not exist, or there are too few images.
    """
    if not isinstance(validation, str) and not 0 <= validation < 1:
        raise ValueError(
            f"validation={validation!r}: must be a fraction from 0 to below 1, or the name of a"
            " split"
        )
    from recipes.data.subset import Subset

    subset = Subset(classes, images, per_class, seed)
    if name.startswith("folder:"):
        from recipes.data.folder import open_folder

        return open_folder(name, validation, seed, bad_images, channels, subset)
    if name.startswith("made_up"):
        from recipes.data.made_up import open_made_up

        return open_made_up(name, validation, seed, subset)
    from recipes.data.from_tfds import open_tfds

    return open_tfds(name, validation, subset)


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
        "classes": recipe.classes,
        "images": recipe.images,
        "per_class": recipe.per_class,
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
    first_step: int = 0,
    part: tuple[int, int] = (0, 1),
) -> tuple[tf.data.Dataset, int]:
    """Return the batches of the epochs first_epoch..epochs-1 as one dataset.

    The order of an epoch is a function of (seed, epoch). The augmentation of an image is a
    function of (seed, epoch, index) and the number of its repetition, and that of a batch of
    (seed, epoch, number of the batch). A run that resumes therefore gets the same batches as an
    uninterrupted one. An incomplete last batch of an epoch is dropped.

    Skipped batches and the rows of other workers are left out of the order before any image is
    read. A TFDS data set that does not fit in memory has no random access, so there the records of
    skipped batches are read, but not decoded.

    Args:
        split: the training set.
        classes: the number of classes.
        batch: the batch size, the sum over all workers.
        ops: the augmentation.
        seed: the random seed of order and augmentation.
        first_epoch, epochs: the range of epochs.
        first_step: the number of batches of the first epoch to skip.
        part: the number of this worker, from 0, and the number of workers. Each worker gets its
            own batch / workers consecutive rows of each batch, so that all workers together get
            the images of one process. Ops on batches, such as Mixup, mix the rows of one worker. A
            TFDS data set that does not fit in memory is divided into ranges of records instead:
            each worker shuffles its own, and batches differ from those of one process.

    Returns:
        A dataset of (images float32 [B, H, W, C] in 0..255, labels float32 [B, classes]), where
        B = batch / workers, and the number of batches in an epoch.

    Raises:
        ValueError: the split has fewer images than a batch, or images of different sizes, or the
            batch is not divisible by the number of workers.
    """
    steps = split.count // batch
    if steps == 0:
        raise ValueError(
            f"batch_size={batch}: more than the {plural(split.count, 'image')} of the"
            f" {split.name} set; use at most {split.count}"
        )
    if batch % part[1]:
        raise ValueError(
            f"batch_size={batch}: is not divisible by the {part[1]} workers; use a multiple of"
            f" {part[1]}"
        )
    if not 0 <= first_step <= steps:
        raise ValueError(f"first_step={first_step}: an epoch has {steps} batches; use 0 to {steps}")

    repeats = repeat_of(ops)
    own_batch = rows(batch, part)
    streamed = split.order_of_part is not None
    chosen = own_batch if streamed else batch  # the items of a batch before rows are left out
    images = repeats.images(chosen) if repeats else chosen

    def items_of(epoch):
        skipped = tf.where(epoch == first_epoch, tf.constant(first_step, tf.int64), 0)
        items = order_of(split, _seed(seed, epoch), part).skip(skipped * images)
        copies = repeats.repeat(items, chosen) if repeats else items.map(lambda *item: (0, item))
        copies = copies.take((steps - skipped) * chosen)
        if part[1] > 1 and not streamed:
            copies = rows_of_part(copies, batch, part)
        return copies.map(lambda copy, item: (epoch, copy, *item))

    @_without_autograph
    def element(epoch, copy, *item):
        example = split.lookup(*item)
        own = tf.random.experimental.stateless_fold_in(_seed(seed, epoch), example["index"])
        fixed, shown = turn_of(seed, epoch, example["index"])
        if repeats:
            own = tf.random.experimental.stateless_fold_in(own, copy)
            shown += copy
        if "draw" in example:  # an image that balanced sampling repeats
            own = tf.random.experimental.stateless_fold_in(own, example["draw"])
            shown += example["draw"]
        return _image(example, split, ops, own, (fixed, shown)), example["label"]

    @_without_autograph
    def mix(step, pair):
        images, labels = pair
        epoch, number = first_epoch + step // steps, step % steps
        # Negative, so that it differs from the index of every image.
        own = tf.random.experimental.stateless_fold_in(_seed(seed, epoch), -1 - number)
        images, labels = _as_floats(images, labels, classes)
        return apply_batch(ops, images, labels, own)

    order = located(tf.data.Dataset.range(first_epoch, epochs).flat_map(items_of), split)
    elements = order.map(element, tf.data.AUTOTUNE, deterministic=True)
    batches = _batched(elements, own_batch, split, drop_remainder=True).enumerate(first_step)
    batches = batches.map(mix, tf.data.AUTOTUNE, deterministic=True)
    length = max((epochs - first_epoch) * steps - first_step, 0)
    batches = batches.apply(tf.data.experimental.assert_cardinality(length))
    return _finished(batches, part), steps


def training_images(recipe: Recipe) -> tf.data.Dataset:
    """Return up to MOST_BATCHES batches of training images, augmented as in the first epoch."""
    data = open_for(recipe)
    batches, _ = training_batches(
        data.train, classes=len(data.classes), batch=recipe.batch_size, ops=recipe.augment,
        seed=recipe.seed, first_epoch=0, epochs=1,
    )  # fmt: skip
    return batches.take(MOST_BATCHES).map(lambda images, labels: images)


def evaluation_batches(
    split: Split, *, classes: int, batch: int, ops: tuple, part: tuple[int, int] = (0, 1)
) -> tf.data.Dataset:
    """Return all images of a split in its fixed order, in batches like `training_batches`.

    The last batch may be smaller. Ops on single images use the seed (0, index); ops on batches
    are not applied.

    Args:
        split, classes, ops: as in `training_batches`.
        batch: the batch size, the sum over all workers.
        part: the number of this worker, from 0, and the number of workers. Each image is in the
            batches of exactly one worker, whose batches are slices of those of one process (of a
            TFDS data set that does not fit in memory, batches of its own range of records). A
            worker has one batch less than another if the last batch has too few images.

    Raises:
        ValueError: images have different sizes, or the batch is smaller than the number of
            workers.
    """
    if batch < part[1]:
        raise ValueError(f"batch={batch}: less than the {part[1]} workers; use at least {part[1]}")

    @_without_autograph
    def element(*item):
        example = split.lookup(*item)
        own = tf.cast(tf.stack([tf.zeros([], tf.int64), example["index"]]), tf.int32)
        return _image(example, split, ops, own), example["label"]

    order = order_of(split, None, part)
    if part[1] > 1 and split.order_of_part is None:
        order = rows_of_part(order, batch, part)
    elements = located(order, split).map(element, tf.data.AUTOTUNE, deterministic=True)
    batches = _batched(elements, rows(batch, part), split, drop_remainder=False)
    batches = batches.map(lambda images, labels: _as_floats(images, labels, classes))
    if part[1] == 1 and split.locate is not None and split.check is None:
        # No image will be left out, which TensorFlow cannot know.
        length = tf.data.experimental.assert_cardinality(-(-split.count // batch))
        batches = batches.apply(length)
    return _finished(batches, part)


def _without_autograph(function: Callable) -> Callable:
    """Exclude a function from autograph, which would add its own trace to error messages."""
    return tf.autograph.experimental.do_not_convert(function)


def _seed(seed: int, epoch):
    return tf.stack([tf.constant(seed, tf.int32), tf.cast(epoch, tf.int32)])


def turn_of(seed: int, epoch, index) -> tuple:
    """Return the seed of an image in all epochs, and the number of epochs before this one."""
    # A negative epoch, so that the seed differs from those of all epochs.
    fixed = tf.random.experimental.stateless_fold_in(_seed(seed, -1), index)
    return fixed, tf.cast(epoch, tf.int64)


def _image(example: dict[str, Any], split: Split, ops: tuple, seed, turn: tuple | None = None):
    return apply(ops, example["image"], split.encoded, seed, split.shape, turn)


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


def _finished(batches: tf.data.Dataset, part: tuple[int, int]) -> tf.data.Dataset:
    options = tf.data.Options()
    options.deterministic = True
    # Sharding by files could leave workers without any, so data sets are sharded by elements,
    # and not at all if this worker has only its own part.
    policies = tf.data.experimental.AutoShardPolicy
    sharding = policies.OFF if part[1] > 1 else policies.DATA
    options.experimental_distribute.auto_shard_policy = sharding
    return batches.with_options(options).prefetch(tf.data.AUTOTUNE)
