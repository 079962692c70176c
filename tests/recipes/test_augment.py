"""Ops against independent implementations, and their parser."""

import io
import math
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from recipes import augment
from recipes.augment import (
    OPS,
    CenterCrop,
    Flip,
    Mixup,
    PadCrop,
    RandomResizedCrop,
    Resize,
    ResizeShort,
    apply,
    apply_batch,
    decode_image,
    parse,
    parse_all,
)

pytestmark = pytest.mark.quick

# Every op, with its defaults and without.
SAMPLES = [
    Resize(11),
    Resize((7, 12), method="bicubic", antialias=False),
    Resize(20, method="nearest"),
    ResizeShort(10),
    CenterCrop(6),
    CenterCrop((30, 4)),
    PadCrop(),
    PadCrop(pad=0),
    Flip(),
    Flip(probability=1.0),
    RandomResizedCrop(9),
    RandomResizedCrop((5, 8), area=(0.5, 0.5), aspect=(1, 1), antialias=False),
    Mixup(),
    Mixup(alpha=1),
]
IMAGE_OPS = [op for op in SAMPLES if callable(op)]
SEED = (3, 4)


def seeds(count):
    return np.stack([np.full(count, 5), np.arange(count)], 1).astype(np.int32)


def draws(function, count):
    """function(seed) for many seeds, as one array or a tuple of them."""
    data = tf.data.Dataset.from_tensor_slices(seeds(count)).map(function).batch(count)
    return next(data.as_numpy_iterator())


def photo(height, width, seed=0):
    """A smooth colour image, uint8."""
    noise = np.random.default_rng(seed).integers(0, 256, (height // 6 + 2, width // 6 + 2, 3))
    smooth = Image.fromarray(noise.astype(np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return np.asarray(smooth)


def encoded(image, kind="JPEG", **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


def test_every_op_has_a_sample():
    assert {type(op) for op in SAMPLES} == set(OPS.values())


@pytest.mark.parametrize("op", SAMPLES, ids=repr)
def test_parse_reads_repr(op):
    assert parse(repr(op)) == op
    assert parse_all(repr(op)) == (op,)
    assert eval(repr(op), dict(OPS)) == op  # runnable source
    assert hash(parse(repr(op))) == hash(op)


def test_parse_all():
    expected = (Resize(32), Flip(0.25), PadCrop(4))
    assert parse_all("(Resize(32), Flip(0.25), PadCrop(pad=4))") == expected
    assert parse_all(" [Resize(size=32), Flip(0.25), PadCrop()] ") == expected
    assert parse_all("()") == parse_all("[]") == ()
    assert parse_all(repr(expected)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Fliip()", "did you mean 'Flip'"),
        ("Flip(probabilty=0.2)", "did you mean 'probability'"),
        ("Flip", "written as a call"),
        ("Resize()", "Resize needs size"),
        ("Resize(32, size=32)", "twice"),
        ("Flip(0.1, 2)", "takes 1 arguments"),
        ("Resize('32')", "not an int"),
        ("Flip(probability=True)", "not a number"),
        ("Resize(32, method='linear')", "bilinear"),
        ("PadCrop(pad=-1)", "0 or more"),
        ("Resize(", "not an op"),
        ("", "not an op"),
        ("3", "not an op"),
        ("(Flip(), 3)", "not an op"),
        ("__import__('os').system('true')", "not an op"),
        ("__import__('os')", "unknown op"),
        ("Resize(__import__('os').getpid())", "not a plain value"),
        ("Resize(size=(lambda: 3)())", "not a plain value"),
        ("Resize(9**9**9)", "not a plain value"),
        ("Flip(**{'probability': 1})", "unknown argument"),
        ("Flip(*(1,))", "not a plain value"),
        ("Resize.__init__(3)", "not an op"),
        ("Flip()\nFlip()", "not an op"),
        ("Flip(\0)", "not an op"),
        ("(" * 500 + ")" * 500, "not an op"),
    ],
)
def test_parse_refuses(text, message):
    for function in (parse, parse_all):
        with pytest.raises(ValueError, match=message):
            function(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: PadCrop(-1),
        lambda: PadCrop(1.5),
        lambda: Flip(-0.1),
        lambda: Flip(1.1),
        lambda: Flip(math.nan),
        lambda: Flip(None),
        lambda: Resize(0),
        lambda: Resize((3, 0)),
        lambda: Resize((3, 3, 3)),
        lambda: ResizeShort(0),
        lambda: CenterCrop(-2),
        lambda: RandomResizedCrop(0),
        lambda: RandomResizedCrop(8, area=(0.0, 1.0)),
        lambda: RandomResizedCrop(8, area=(0.5, 0.1)),
        lambda: RandomResizedCrop(8, area=(0.5, 1.1)),
        lambda: RandomResizedCrop(8, aspect=(2.0, 1.0)),
        lambda: RandomResizedCrop(8, aspect=(0.0, 1.0)),
        lambda: Mixup(0),
        lambda: Mixup(-1.0),
        lambda: Mixup(math.inf),
    ],
)
def test_bad_arguments(make):
    with pytest.raises(ValueError, match=r"^(PadCrop|Flip|Resize|CenterCrop|Random|Mixup)\w*: "):
        make()


def test_an_op_is_registered_once():
    with pytest.raises(ValueError, match="registered already"):
        augment.op(Flip)


def test_importing_and_parsing_leave_tensorflow_alone():
    code = (
        "import sys; from recipes import augment, data, preprocess;"
        "augment.parse_all('(Resize(32), Flip(), Mixup())');"
        "bad = {'tensorflow', 'keras', 'pandas', 'tensorflow_datasets', 'sklearn'};"
        "assert not bad & set(sys.modules), bad & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("shape", [(13, 9, 3), (8, 14, 1)])
@pytest.mark.parametrize("op", IMAGE_OPS, ids=repr)
def test_type_range_and_static_shape(op, shape, dtype):
    image = np.random.default_rng(0).choice([0, 1, 128, 254, 255], shape).astype(dtype)
    traced = tf.function(op).get_concrete_function(
        tf.TensorSpec(shape, dtype), tf.TensorSpec([2], tf.int32)
    )
    result = op(image=tf.constant(image), seed=tf.constant(SEED))
    assert result.dtype == dtype
    assert traced.structured_outputs.shape == result.shape
    assert 0 <= result.numpy().min() <= result.numpy().max() <= 255
    np.testing.assert_array_equal(result, traced(tf.constant(image), tf.constant(SEED)))


@pytest.mark.parametrize("op", [PadCrop(2), Flip(), RandomResizedCrop(8)], ids=repr)
def test_a_function_of_the_seed_alone(op):
    image = photo(16, 16)
    tf.random.set_seed(1)
    one = draws(lambda seed: op(image, seed), 16)
    tf.random.set_seed(2)
    two = draws(lambda seed: op(image, seed), 16)
    np.testing.assert_array_equal(one, two)
    assert len({x.tobytes() for x in one}) > 1


@pytest.mark.parametrize("size", [(32, 32), (10, 7), (40, 12)])
@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_resize_is_pillows(size, method):
    image = photo(24, 20)
    expected = Image.fromarray(image).resize(size[::-1], Image.Resampling[method.upper()])
    result = Resize(size, method)(image, SEED).numpy().astype(int)
    # Pillow's bicubic kernel has a = -0.5, as TF's; it rounds between its two passes.
    assert np.abs(result - np.asarray(expected).astype(int)).max() <= 2


@pytest.mark.parametrize("shape", [(50, 33), (33, 50), (20, 20), (7, 90)])
def test_resize_short(shape):
    result = ResizeShort(16)(photo(*shape), SEED)
    short = min(shape)
    assert result.shape == (shape[0] * 16 // short, shape[1] * 16 // short, 3)
    assert min(result.shape[:2]) == 16
    unknown = tf.function(
        ResizeShort(16),
        input_signature=[tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([2], tf.int32)],
    )
    np.testing.assert_array_equal(unknown(photo(*shape), SEED), result)


def test_center_crop():
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
def test_flip_flips_its_share(probability):
    image = photo(6, 5)
    results = draws(lambda seed: Flip(probability)(image, seed), 1000)
    flipped = (results == image[:, ::-1]).all((1, 2, 3))
    assert (flipped | (results == image).all((1, 2, 3))).all()
    deviation = math.sqrt(probability * (1 - probability) / 1000)
    assert abs(flipped.mean() - probability) <= 3.5 * deviation


def test_random_resized_crop_boxes():
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
def test_random_resized_crop_falls_back_to_the_centre(shape, expected):
    op = RandomResizedCrop(8, area=(1.0, 1.0))
    top, left, height, width = (int(x) for x in op._box([*shape, 3], SEED))
    assert (height, width) == expected
    assert top == (shape[0] - height) // 2
    assert left == (shape[1] - width) // 2


def test_random_resized_crop_is_the_parts_resize():
    image, op = photo(40, 50), RandomResizedCrop((12, 9))
    top, left, height, width = (int(x) for x in op._box(image.shape, SEED))
    part = Image.fromarray(image[top : top + height, left : left + width])
    expected = np.asarray(part.resize((9, 12), Image.Resampling.BILINEAR)).astype(int)
    assert np.abs(op(image, SEED).numpy().astype(int) - expected).max() <= 1


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
@pytest.mark.parametrize("grey", [False, True])
def test_decode_is_decoding_and_the_op(kind, options, grey):
    image = photo(75, 58)
    if grey:
        image = image[..., 0]
        options = {key: value for key, value in options.items() if key != "subsampling"}
    data = encoded(image, kind, **options)
    op = RandomResizedCrop(24, area=(0.02, 0.9))
    whole = decode_image(data)
    expected = draws(lambda seed: op(whole, seed), 40)
    np.testing.assert_array_equal(draws(lambda seed: op.decode(data, seed), 40), expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_decode_image_is_pillows(kind, mode):
    data = encoded(np.asarray(Image.fromarray(photo(45, 38)).convert(mode)), kind)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(decode_image(data), np.asarray(image.convert("RGB")))


def test_mixup_mixes_neighbours():
    images = np.random.default_rng(0).uniform(0, 255, (6, 4, 4, 3)).astype(np.float32)
    labels = np.eye(6, dtype=np.float32)
    mixed, soft = (x.numpy() for x in Mixup(1.0).batch(images, labels, SEED))
    share = soft[0, 0]
    assert 0 < share < 1
    np.testing.assert_allclose(soft.sum(1), 1, rtol=1e-6)
    for i in range(6):
        np.testing.assert_allclose(
            mixed[i], share * images[i] + (1 - share) * images[i - 1], rtol=1e-5, atol=1e-3
        )
        np.testing.assert_allclose(soft[i], share * labels[i] + (1 - share) * labels[i - 1])
    assert mixed.dtype == soft.dtype == np.float32


@pytest.mark.parametrize("alpha", [0.001, 0.2, 1.0, 4.0])
def test_mixup_shares_are_beta(alpha):
    labels = np.eye(2, dtype=np.float32)
    images = np.zeros((2, 1, 1, 1), np.float32)
    share = draws(lambda seed: Mixup(alpha).batch(images, labels, seed)[1], 3000)[:, 0, 0]
    assert np.isfinite(share).all()
    assert abs(share.mean() - 0.5) < 0.03
    assert abs(share.var() - 1 / (4 * (2 * alpha + 1))) < 0.01


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
