"""Apply the ops of a recipe in order."""

from __future__ import annotations

from recipes.augment.decoding import decode_image
from zoo.lazy import tensorflow as tf


def apply(
    ops: tuple,
    image,
    encoded: bool,
    seed,
    shape: tuple = (None, None, 3),
    turn: tuple | None = None,
):
    """Apply the ops that transform single images in order, each with its own seed.

    Args:
        ops: ops of any kind. Those that only transform batches or repeat images are skipped.
        image: [H, W, C], or its encoded bytes.
        encoded: whether `image` is encoded.
        seed: int32 [2]. The op at position i uses fold_in(seed, i).
        shape: the shape of the decoded image as far as it is known.
        turn: in training, the seed of the image, int32 [2], which is the same in all epochs, and
            the number of times that it was shown before.

    Returns:
        The image, [H', W', C], with its original data type (uint8 if it was encoded).
    """

    def decoded():
        return tf.ensure_shape(decode_image(image, shape[-1]), shape) if encoded else image

    for position, each in enumerate(ops):
        if not callable(each):
            continue
        own = tf.random.experimental.stateless_fold_in(seed, position)
        if turn is not None and hasattr(each, "in_turn"):
            fixed = tf.random.experimental.stateless_fold_in(turn[0], position)
            image = each.in_turn(decoded(), fixed, turn[1])
        elif encoded and hasattr(each, "decode"):
            image = each.decode(image, own, shape[-1])
        else:
            image = each(decoded(), own)
        encoded = False
    return decoded()


def apply_batch(ops: tuple, images, labels, seed):
    """Apply the ops that transform batches in order to float images and soft labels."""
    for position, each in enumerate(ops):
        if hasattr(each, "batch"):
            own = tf.random.experimental.stateless_fold_in(seed, position)
            images, labels = each.batch(images, labels, own)
    return images, labels


def repeat_of(ops: tuple):
    """Return the op that repeats images, or None.

    Raises:
        ValueError: there are several.
    """
    found = [each for each in ops if hasattr(each, "repeat")]
    if len(found) > 1:
        several = " and ".join(map(repr, found))
        raise ValueError(f"augment: {several} repeat images twice; use only one of them")
    return found[0] if found else None
