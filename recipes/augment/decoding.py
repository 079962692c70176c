"""Decode whole images or parts of them to the same pixels as zoo.image_reading."""

from __future__ import annotations

from zoo.lazy import tensorflow as tf

# JPEG comments that carry the EXIF orientation, because TensorFlow's decoders ignore EXIF.
_MARKS = [b"\xff\xd8\xff\xfe\x00\x04O%d" % value for value in range(9)]


def marked(data, orientation):
    """Insert the EXIF orientation (2 to 8, int32) into JPEG bytes, to have them decoded upright."""
    return tf.strings.join([tf.gather(_MARKS, orientation), tf.strings.substr(data, 2, -1)])


def decode_image(data, channels: int = 3):
    """Decode JPEG, PNG, BMP or GIF bytes (the first frame) to uint8 [H, W, channels].

    Args:
        channels: 1 (gray), 3 (RGB), or 4 (RGB and alpha; not for BMP and GIF).
    """

    def jpeg():
        # TensorFlow's default, the fast DCT, gives other pixels than other decoders.
        rgb = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
        turn = _orientation(data)
        rgb = tf.cond(turn > 1, lambda: _turned(rgb, turn), lambda: rgb)
        return _of_rgb(rgb, channels)

    def other():
        if channels == 4:
            return tf.io.decode_png(data, channels=4)
        return _of_rgb(tf.io.decode_image(data, channels=3, expand_animations=False), channels)

    image = tf.cond(tf.io.is_jpeg(data), jpeg, other)
    return tf.ensure_shape(image, [None, None, channels])


def jpeg_shape(data):
    """Return height, width and channels of the decoded, upright JPEG, int32."""
    shape = tf.io.extract_jpeg_shape(data)
    return tf.where(_orientation(data) > 4, tf.gather(shape, [1, 0, 2]), shape)


def decode_part(data, shape, box, channels: int):
    """Decode a part of a JPEG, to the same pixels as decoding the whole image and cropping it.

    libjpeg interpolates subsampled colors between neighbors, which are missing at the edge of a
    crop. Therefore two more pixels are decoded on each side.

    Args:
        data: the encoded bytes.
        shape: the result of `jpeg_shape`.
        box: top, left, height and width of the part, int32.
        channels: 1, 3 or 4, as in `decode_image`.
    """
    top, left, height, width = box
    first = tf.maximum(tf.stack([top, left]) - 2, 0)
    last = tf.minimum(tf.stack([top + height, left + width]) + 2, shape[:2])
    turn = _orientation(data)
    window = tf.concat([first, last - first], 0)
    window = tf.cond(turn > 1, lambda: _as_stored(window, shape, turn), lambda: window)
    part = tf.io.decode_and_crop_jpeg(data, window, channels=3, dct_method="INTEGER_ACCURATE")
    part = tf.cond(turn > 1, lambda: _turned(part, turn), lambda: part)
    part = tf.ensure_shape(_of_rgb(part, channels), [None, None, channels])
    top, left = top - first[0], left - first[1]
    return part[top : top + height, left : left + width]


def _orientation(data):
    """Return the orientation that `marked` inserted, int32; 0 or 1 for an upright image."""
    same = tf.equal(tf.strings.substr(data, 0, len(_MARKS[0])), _MARKS)
    return tf.argmax(tf.cast(same, tf.int32), output_type=tf.int32)


# EXIF orientations 5 to 8 are transposed; then some orientations are mirrored.
def _mirrors(turn):
    """Return whether the columns and whether the rows are in reverse order."""
    return tf.reduce_any(turn == [2, 3, 6, 7]), tf.reduce_any(turn == [3, 4, 7, 8])


def _turned(image, turn):
    columns, rows = _mirrors(turn)
    image = tf.cond(turn > 4, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    image = tf.cond(columns, lambda: tf.reverse(image, [1]), lambda: image)
    return tf.cond(rows, lambda: tf.reverse(image, [0]), lambda: image)


def _as_stored(box, shape, turn):
    """Convert a box of the upright image to the stored one: top, left, height, width."""
    columns, rows = _mirrors(turn)
    top, left, height, width = tf.unstack(box)
    left = tf.where(columns, shape[1] - left - width, left)
    top = tf.where(rows, shape[0] - top - height, top)
    box = tf.stack([top, left, height, width])
    return tf.where(turn > 4, tf.gather(box, [1, 0, 3, 2]), box)


def _of_rgb(rgb, channels: int):
    """Return RGB (3 channels), its luma (1), or RGB with an alpha of 255 (4)."""
    if channels == 3:
        return rgb
    if channels == 4:
        return tf.concat([rgb, tf.fill(tf.shape(rgb[..., :1]), tf.constant(255, tf.uint8))], -1)
    if channels != 1:
        raise ValueError(f"channels={channels}: must be 1 (gray), 3 (RGB) or 4 (RGB and alpha)")
    # ITU-R 601-2 in 16 bits, as in Pillow. The luma stored in a JPEG differs by up to 11 of 255.
    red, green, blue = tf.unstack(tf.cast(rgb, tf.int32), axis=-1)
    luma = tf.bitwise.right_shift(red * 19595 + green * 38470 + blue * 7471 + 0x8000, 16)
    return tf.cast(luma, tf.uint8)[..., None]
