"""Ops that resize, crop and decode against other implementations, and properties of all ops."""

import io
import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from recipes.augment import (
    AugMix,
    AutoAugment,
    CenterCrop,
    Flip,
    Lighting,
    Mixup,
    PadCrop,
    RandAugment,
    RandomResizedCrop,
    Resize,
    ResizeShort,
    ScaleJitter,
    TrivialAugment,
    apply,
    apply_batch,
    decode_image,
)
from tests.recipes.pictures import SAMPLES, SEED, distance, draws, encoded, photo, uniforms

pytestmark = pytest.mark.quick

IMAGE_OPS = [op for op in SAMPLES if callable(op)]
# Their graphs hold an operation of each kind, which takes seconds to trace.
LONG = (AugMix, AutoAugment, RandAugment, TrivialAugment)
# Not with their defaults: the default ones stand for them at every change.
SAMPLES_OF_LONG = [op for op in IMAGE_OPS if isinstance(op, LONG) and op != type(op)()]


def _cases():
    for op in IMAGE_OPS:
        for dtype, shape in [
            (np.uint8, (13, 9, 3)),
            (np.float32, (8, 14, 1)),
            (np.uint8, (8, 14, 1)),
            (np.float32, (13, 9, 3)),
            (np.uint8, (2, 1, 3)),
        ]:
            if isinstance(op, Lighting) and shape[-1] == 1:
                continue
            first = (dtype, shape) == (np.uint8, (13, 9, 3))
            second = (dtype, shape) == (np.float32, (8, 14, 1)) and not isinstance(op, LONG)
            late = not (first or second) or op in SAMPLES_OF_LONG
            marks = [pytest.mark.full] if late else []
            yield pytest.param(op, shape, dtype, marks=marks, id=f"{op}-{shape}-{dtype.__name__}")


@pytest.mark.parametrize(("op", "shape", "dtype"), _cases())
def test_every_op_keeps_dtype_and_range_eagerly_and_in_graphs(op, shape, dtype):
    image = np.random.default_rng(0).choice([0, 1, 128, 254, 255], shape).astype(dtype)
    traced = tf.function(op).get_concrete_function(
        tf.TensorSpec(shape, dtype), tf.TensorSpec([2], tf.int32)
    )
    result = op(image=tf.constant(image), seed=tf.constant(SEED))
    assert result.dtype == dtype
    assert traced.structured_outputs.shape == result.shape
    assert 0 <= result.numpy().min() <= result.numpy().max() <= 255
    # Sines and products of matrices differ in the last bit, and so, rarely, does a rounding.
    off = distance(result, traced(tf.constant(image), tf.constant(SEED)))
    assert off.max() <= (1 if dtype == np.uint8 else 1e-3)
    assert (off > 1e-3).mean() < 0.01


FIXED = ("Resize(", "ResizeShort(", "CenterCrop(", "PadCrop(pad=0)", "probability=1.0)", "hue=0.0)")
ALWAYS_RANDOM = ("Sharpness(change=3", "RandAugment(count=2", "ColorJitter(brightness=0.4")
RANDOM = [
    pytest.param(op, marks=[pytest.mark.full] if isinstance(op, LONG) else [], id=repr(op))
    for op in IMAGE_OPS
    if repr(op).startswith(ALWAYS_RANDOM) or not any(text in repr(op) for text in FIXED)
]


@pytest.mark.parametrize("op", RANDOM)
def test_random_ops_depend_only_on_the_image_and_the_seed(op):
    image = photo(16, 16)
    tf.random.set_seed(1)
    one = draws(lambda seed: op(image, seed), 12)
    tf.random.set_seed(2)
    two = draws(lambda seed: op(image, seed), 12, threads=4)
    np.testing.assert_array_equal(one, two)
    assert len({x.tobytes() for x in one}) > 1


@pytest.mark.parametrize("size", [(32, 32), (10, 7), (40, 12)])
@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_resize_equals_pillows(size, method):
    image = photo(24, 20)
    expected = Image.fromarray(image).resize(size[::-1], Image.Resampling[method.upper()])
    result = Resize(size, method)(image, SEED).numpy().astype(int)
    # Pillow's bicubic kernel has a = -0.5, as TF's; it rounds between its two passes.
    assert np.abs(result - np.asarray(expected).astype(int)).max() <= 2


@pytest.mark.parametrize("shape", [(50, 33), (33, 50), (20, 20), (7, 90)])
def test_resize_short_gives_the_shorter_side_its_size(shape):
    result = ResizeShort(16)(photo(*shape), SEED)
    short = min(shape)
    assert result.shape == (shape[0] * 16 // short, shape[1] * 16 // short, 3)
    assert min(result.shape[:2]) == 16
    unknown = tf.function(
        ResizeShort(16),
        input_signature=[tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([2], tf.int32)],
    )
    np.testing.assert_array_equal(unknown(photo(*shape), SEED), result)


def test_center_crop_takes_the_center_and_pads():
    image = photo(20, 30)
    np.testing.assert_array_equal(CenterCrop((10, 6))(image, SEED), image[5:15, 12:18])
    padded = CenterCrop(24)(image, SEED).numpy()
    np.testing.assert_array_equal(padded[2:22], image[:, 3:27])
    assert padded[:2].max() == padded[22:].max() == 0


def test_pad_crop_offsets_are_uniform():
    image = np.arange(1, 26, dtype=np.uint8).reshape(5, 5, 1)
    padded = np.pad(image, [(1, 1), (1, 1), (0, 0)])
    crops = {padded[y : y + 5, x : x + 5].tobytes(): 0 for y in range(3) for x in range(3)}
    for crop in draws(lambda seed: PadCrop(1)(image, seed), 1800):
        crops[crop.tobytes()] += 1  # a KeyError is a crop that is none of the nine
    chi_squared = sum((n - 200) ** 2 / 200 for n in crops.values())
    assert chi_squared < 26.1  # 8 degrees of freedom, one in a thousand


@pytest.mark.parametrize("probability", [0.0, 0.3, 0.5, 1.0])
def test_flip_flips_with_its_probability(probability):
    image = photo(6, 5)
    results = draws(lambda seed: Flip(probability)(image, seed), 1000)
    flipped = (results == image[:, ::-1]).all((1, 2, 3))
    assert (flipped | (results == image).all((1, 2, 3))).all()
    deviation = math.sqrt(probability * (1 - probability) / 1000)
    assert abs(flipped.mean() - probability) <= 3.5 * deviation


def test_boxes_of_random_resized_crop_have_the_stated_distributions():
    op = RandomResizedCrop(8)
    top, left, height, width = draws(lambda seed: tuple(op._box([300, 400, 3], seed)), 2000)
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 300).all()
    assert (left + width <= 400).all()
    area, aspect = height * width / 120_000, width / height
    assert 0.075 < area.min() < 0.1
    assert area.max() <= 1
    assert 0.72 < aspect.min() < aspect.max() < 1.36
    # Small parts always fit: their areas are uniform, their aspects log-uniform.
    small = area < 0.5
    assert abs(area[small].mean() - 0.29) < 0.01
    assert abs(np.log(aspect[small]).mean()) < 0.02
    # The places are uniform: their share of the room left has mean 1/2.
    assert abs((top / np.maximum(300 - height, 1)).mean() - 0.5) < 0.03
    assert abs((left / np.maximum(400 - width, 1)).mean() - 0.5) < 0.03


@pytest.mark.parametrize(
    ("shape", "expected"), [((300, 10), (13, 10)), ((10, 300), (10, 13)), ((1, 1), (1, 1))]
)
def test_random_resized_crop_falls_back_to_a_center_crop(shape, expected):
    op = RandomResizedCrop(8, area=(1.0, 1.0))
    top, left, height, width = (int(x) for x in op._box([*shape, 3], SEED))
    assert (height, width) == expected
    assert top == (shape[0] - height) // 2
    assert left == (shape[1] - width) // 2


def test_random_resized_crop_resizes_the_cropped_part():
    image, op = photo(40, 50), RandomResizedCrop((12, 9))
    top, left, height, width = (int(x) for x in op._box(image.shape, SEED))
    part = Image.fromarray(image[top : top + height, left : left + width])
    expected = np.asarray(part.resize((9, 12), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(op(image, SEED).numpy().astype(int) - expected).max() <= 1


def _shares(old, new):
    """Return how much of each old pixel each new pixel covers, [new, old]."""
    edges = np.arange(new + 1)[:, None] * (old / new)
    covered = np.clip(edges - np.arange(old), 0, 1)
    return np.diff(covered, axis=0) * (new / old)


@pytest.mark.parametrize("size", [(12, 9), (8, 45), (64, 70)])
def test_random_resized_crop_by_area_averages_the_covered_pixels(size):
    image, op = photo(40, 50), RandomResizedCrop(size, method="area")
    top, left, height, width = (int(x) for x in op._box(image.shape, SEED))
    part = image[top : top + height, left : left + width]
    if height <= size[0] and width <= size[1]:
        expected = Image.fromarray(part).resize(size[::-1], Image.Resampling.BILINEAR)
    else:
        rows, columns = _shares(height, size[0]), _shares(width, size[1])
        expected = np.einsum("ih,hwc,jw->ijc", rows, part, columns)
    assert distance(op(image, SEED), expected).max() <= 1


@pytest.mark.parametrize("shape", [(40, 52), (75, 33)])
def test_scale_jitter_crops_the_resized_image(shape):
    image, op = photo(*shape), ScaleJitter((20, 60), (16, 14))
    seen = set()
    for number in range(12):
        first, *corner = uniforms((5, number), [3])
        side = 20 + int(first * 41)
        height, width = (n * side // min(shape) for n in shape)
        whole = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        top, left = int(corner[0] * (height - 15)), int(corner[1] * (width - 13))
        expected = np.asarray(whole)[top : top + 16, left : left + 14]
        assert distance(op(image, (5, number)), expected).max() <= 1
        seen.add(side)
    assert min(seen) < 30 < 50 < max(seen)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"subsampling": 0, "quality": 90}),
        ("JPEG", {"subsampling": 1, "quality": 70}),
        ("JPEG", {"subsampling": 2, "quality": 80}),
        ("JPEG", {"subsampling": 2, "progressive": True}),
        ("PNG", {}),
        ("BMP", {}),
    ],
)
@pytest.mark.parametrize("gray", [False, True])
def test_op_decode_equals_decoding_followed_by_the_op(kind, options, gray):
    image = photo(75, 58)
    if gray:
        image = image[..., 0]
        options = {key: value for key, value in options.items() if key != "subsampling"}
    data = encoded(image, kind, **options)
    whole = decode_image(data)
    jitter = (ScaleJitter((20, 90), 18),) if "quality" in options and not gray else ()
    for op in (RandomResizedCrop(24, area=(0.02, 0.9)), *jitter):
        expected = draws(lambda seed, op=op: op(whole, seed), 40)
        found = draws(lambda seed, op=op: op.decode(data, seed), 40)
        np.testing.assert_allclose(found, expected, rtol=0, atol=isinstance(op, ScaleJitter))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_decode_image_equals_pillows(kind, mode):
    data = encoded(np.asarray(Image.fromarray(photo(45, 38)).convert(mode)), kind)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(decode_image(data), np.asarray(image.convert("RGB")))


def test_apply_runs_image_ops_in_order_each_with_its_own_seed():
    image = photo(20, 20)
    fold = tf.random.experimental.stateless_fold_in
    ops = (PadCrop(3), Mixup(), Resize(12), PadCrop(3))
    expected = PadCrop(3)(image, fold(SEED, 0))
    expected = PadCrop(3)(Resize(12)(expected, fold(SEED, 2)), fold(SEED, 3))
    np.testing.assert_array_equal(apply(ops, image, False, SEED), expected)
    np.testing.assert_array_equal(apply((), image, False, SEED), image)
    assert not np.array_equal(fold(SEED, 0), fold(SEED, 3))


@pytest.mark.parametrize(
    "ops", [(), (Mixup(),), (Flip(1.0),), (Mixup(), RandomResizedCrop(9), Flip())]
)
def test_apply_decodes_bytes(ops):
    data = encoded(photo(30, 40))
    np.testing.assert_array_equal(
        apply(ops, data, True, SEED), apply(ops, decode_image(data), False, SEED)
    )
    assert apply(ops, data, True, SEED, (None, None, 1)).shape[-1] == 1


def test_apply_batch_runs_batch_ops_only():
    images = np.random.default_rng(0).uniform(0, 255, (4, 3, 3, 1)).astype(np.float32)
    labels = np.eye(4, dtype=np.float32)
    same = apply_batch((Flip(), PadCrop()), images, labels, SEED)
    np.testing.assert_array_equal(same[0], images)
    mixed, soft = apply_batch((Flip(), Mixup(1.0)), images, labels, SEED)
    own = tf.random.experimental.stateless_fold_in(SEED, 1)
    np.testing.assert_array_equal(mixed, Mixup(1.0).batch(images, labels, own)[0])
    assert soft.shape == (4, 4)
