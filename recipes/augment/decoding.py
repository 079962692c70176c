"""From encoded bytes to pixels, whole or a part."""

from __future__ import annotations

from zoo.lazy import tensorflow as tf


def decode_image(data, channels: int = 3):
    """Encoded JPEG, PNG, BMP or GIF (first frame) -> uint8 [H, W, channels], as Pillow would."""

    def jpeg():
        # TF's default is the fast DCT, which differs from other decoders' pixels.
        return tf.io.decode_jpeg(data, channels=channels, dct_method="INTEGER_ACCURATE")

    def other():
        return tf.io.decode_image(data, channels=channels, expand_animations=False)

    image = tf.cond(tf.io.is_jpeg(data), jpeg, other)
    return tf.ensure_shape(image, [None, None, channels])


def decode_part(data, shape, box, channels: int):
    """The part `box` of a JPEG of `shape`: the same pixels as decoding all of it gives.

    libjpeg interpolates subsampled colour between neighbours, which a crop's edge lacks: so
    two pixels more are decoded on each side.

    Args:
        box: top, left, height and width, int32.
    """
    top, left, height, width = box
    first = tf.maximum(tf.stack([top, left]) - 2, 0)
    last = tf.minimum(tf.stack([top + height, left + width]) + 2, shape[:2])
    part = tf.io.decode_and_crop_jpeg(
        data,
        tf.concat([first, last - first], 0),
        channels=channels,
        dct_method="INTEGER_ACCURATE",
    )
    top, left = top - first[0], left - first[1]
    return tf.ensure_shape(part, [None, None, channels])[top : top + height, left : left + width]
