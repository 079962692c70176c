"""The ops of a recipe, in their order."""

from __future__ import annotations

from recipes.augment.decoding import decode_image
from zoo.lazy import tensorflow as tf


def apply(ops: tuple, image, encoded: bool, seed, shape: tuple = (None, None, 3)):
    """Run the image kinds of `ops` in order, each with its own seed.

    Args:
        ops: ops of any kind; those that have no image kind are passed over.
        image: [H, W, C], or encoded bytes if `encoded`, decoded first.
        seed: int32 [2]; the op at position i draws from fold_in(seed, i).
        shape: what is known of the decoded image's.

    Returns:
        The image, [H', W', C], of the data type it came in (uint8 if encoded).
    """

    def decoded():
        return tf.ensure_shape(decode_image(image, shape[-1]), shape) if encoded else image

    for position, each in enumerate(ops):
        if not callable(each):
            continue
        own = tf.random.experimental.stateless_fold_in(seed, position)
        if encoded and hasattr(each, "decode"):
            image = each.decode(image, own, shape[-1])
        else:
            image = each(decoded(), own)
        encoded = False
    return decoded()


def apply_batch(ops: tuple, images, labels, seed):
    """Run the batch kinds of `ops` in order on float images and soft labels."""
    for position, each in enumerate(ops):
        if hasattr(each, "batch"):
            own = tf.random.experimental.stateless_fold_in(seed, position)
            images, labels = each.batch(images, labels, own)
    return images, labels


def repeat_of(ops: tuple):
    """The op of `ops` that repeats images, None if there is none."""
    found = [each for each in ops if hasattr(each, "repeat")]
    if len(found) > 1:
        raise ValueError(f"augment: {found} repeat images twice; take one of them")
    return found[0] if found else None
