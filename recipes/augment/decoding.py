"""From encoded bytes to pixels, whole or a part, as zoo.image_reading decodes them."""

from __future__ import annotations

from zoo.lazy import tensorflow as tf


def decode_image(data, channels: int = 3):
    """Encoded JPEG, PNG, BMP or GIF (first frame) -> uint8 [H, W, channels].

    Args:
        channels: 1 (gray), 3 (RGB) or 4 (RGB and alpha, not of BMP and GIF).
    """

    def jpeg():
        # TF's default is the fast DCT, which differs from other decoders' pixels.
        rgb = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
        return _of_rgb(rgb, channels)

    def other():
        if channels == 4:
            return tf.io.decode_png(data, channels=4)
        return _of_rgb(tf.io.decode_image(data, channels=3, expand_animations=False), channels)

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
        data, tf.concat([first, last - first], 0), channels=3, dct_method="INTEGER_ACCURATE"
    )
    part = tf.ensure_shape(_of_rgb(part, channels), [None, None, channels])
    top, left = top - first[0], left - first[1]
    return part[top : top + height, left : left + width]


def _of_rgb(rgb, channels: int):
    """RGB, its luma, or RGB with an alpha of 255."""
    if channels == 3:
        return rgb
    if channels == 4:
        return tf.concat([rgb, tf.fill(tf.shape(rgb[..., :1]), tf.constant(255, tf.uint8))], -1)
    if channels != 1:
        raise ValueError(f"channels={channels}: images are decoded to 1, 3 or 4 channels")
    # ITU-R 601-2 in 16 bits, as Pillow computes it; JPEG's own luma differs by up to 11 of 255.
    red, green, blue = tf.unstack(tf.cast(rgb, tf.int32), axis=-1)
    luma = tf.bitwise.right_shift(red * 19595 + green * 38470 + blue * 7471 + 0x8000, 16)
    return tf.cast(luma, tf.uint8)[..., None]
