"""Automatic augmentation: magnitudes, operations against Pillow, and that only one is executed."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from recipes.augment import AugMix, AutoAugment, RandAugment, TrivialAugment, policy_ops
from recipes.augment.policies import POLICIES
from recipes.augment.policy_ops import FUNCTIONS, RANGES, WIDE, perform, values
from tests.recipes.pictures import distance, draws, photo, seeds, uniforms

pytestmark = pytest.mark.quick


def _affine(image, *matrix):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, fillcolor=(128, 128, 128))


# As torchvision and the authors call Pillow.
PILLOW = {
    "Identity": lambda x, v: x,
    "ShearX": lambda x, v: _affine(x, 1, v, 0, 0, 1, 0),
    "ShearY": lambda x, v: _affine(x, 1, 0, 0, v, 1, 0),
    "TranslateX": lambda x, v: _affine(x, 1, 0, -int(v * x.width), 0, 1, 0),
    "TranslateY": lambda x, v: _affine(x, 1, 0, 0, 0, 1, -int(v * x.height)),
    "SlideX": lambda x, v: _affine(x, 1, 0, -int(v), 0, 1, 0),
    "SlideY": lambda x, v: _affine(x, 1, 0, 0, 0, 1, -int(v)),
    "Rotate": lambda x, v: x.rotate(v, fillcolor=(128, 128, 128)),
    "Brightness": lambda x, v: ImageEnhance.Brightness(x).enhance(1 + v),
    "Color": lambda x, v: ImageEnhance.Color(x).enhance(1 + v),
    "Contrast": lambda x, v: ImageEnhance.Contrast(x).enhance(1 + v),
    "Sharpness": lambda x, v: ImageEnhance.Sharpness(x).enhance(1 + v),
    "Posterize": lambda x, v: ImageOps.posterize(x, int(v)),
    "Solarize": lambda x, v: ImageOps.solarize(x, v),
    "AutoContrast": lambda x, v: ImageOps.autocontrast(x),
    "Equalize": lambda x, v: ImageOps.equalize(x),
    "Invert": lambda x, v: ImageOps.invert(x),
}
VALUES = {"Posterize": (3.0, 8.0), "Solarize": (0.0, 141.7), "Rotate": (-20.0, 135.0)}
VALUES |= {"SlideX": (-7.9, 5.0), "SlideY": (-7.9, 5.0)}


def _far(one, two):
    """Return the share of pixels that differ; rounded positions may fall on the next pixel."""
    return (distance(one, two) > 2).any(-1).mean()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operations_match_pillow(name):
    image = photo(33, 40)
    for value in VALUES.get(name, (-0.3, 0.45)):
        expected = PILLOW[name](Image.fromarray(image), value)
        assert _far(FUNCTIONS[name](tf.constant(image), value), expected) < 0.01


def _magnitudes(names, ranges, shares):
    """What `values` makes of the shares, by name: of the draw above a half, then below."""
    order = list(ranges)
    return {
        name: [
            [float(values(ranges, order.index(name), share, sign)) for share in shares]
            for sign in (0.9, 0.1)
        ]
        for name in names
    }


def _posterize(bins, bits):
    return 8 - np.round(np.arange(bins) / ((bins - 1) / bits))


@pytest.mark.parametrize(
    ("ranges", "bins", "shear", "translate", "degrees", "enhance", "bits"),
    [
        (RANGES, 10, 0.3, 150 / 331, 30, 0.9, 4),  # AutoAugment
        (RANGES, 31, 0.3, 150 / 331, 30, 0.9, 4),  # RandAugment
        (WIDE, 31, 0.99, 32, 135, 0.99, 6),  # TrivialAugment, wide
    ],
    ids=["auto", "rand", "trivial"],
)
def test_magnitudes_match_torchvision(ranges, bins, shear, translate, degrees, enhance, bits):
    expected = {
        "ShearX": np.linspace(0, shear, bins),
        "ShearY": np.linspace(0, shear, bins),
        "Rotate": np.linspace(0, degrees, bins),
        **dict.fromkeys(
            ("Brightness", "Color", "Contrast", "Sharpness"), np.linspace(0, enhance, bins)
        ),
        "Posterize": _posterize(bins, bits),
        "Solarize": np.linspace(255, 0, bins),
    }
    moves = ("SlideX", "SlideY") if ranges is WIDE else ("TranslateX", "TranslateY")
    expected |= dict.fromkeys(moves, np.linspace(0, translate, bins))
    found = _magnitudes(expected, ranges, [m / (bins - 1) for m in range(bins)])
    for name, (above, below) in found.items():
        np.testing.assert_allclose(above, expected[name], rtol=1e-5, atol=1e-4, err_msg=name)
        signed = name not in ("Posterize", "Solarize")
        np.testing.assert_allclose(
            below, -expected[name] if signed else expected[name], rtol=1e-5, atol=1e-4
        )
    assert set(ranges) - set(expected) <= {"Identity", "AutoContrast", "Equalize", "Invert"}


def test_policies_are_pairs_of_known_operations():
    for rows in POLICIES.values():
        assert len(rows) == 25
        for name, probability, magnitude in (step for row in rows for step in row):
            assert name in RANGES
            assert 0 <= probability <= 1
            assert magnitude in range(10)


def _number(draw, count):
    return min(int(np.float32(draw) * np.float32(count)), count - 1)


def _value(ranges, name, share, sign):
    least, most, signed, whole = ranges[name]
    value = least + share * (most - least)
    value = round(value) if whole else value
    return -value if signed and sign < 0.5 else value


def _auto(image, seed, policy):
    shares = uniforms(seed, [5])
    for i, (name, probability, magnitude) in enumerate(POLICIES[policy][_number(shares[0], 25)]):
        if shares[1 + i] < probability:
            value = _value(RANGES, name, magnitude / 9, shares[3 + i])
            image = PILLOW[name](image, value)
    return image


def _rand(image, seed):
    names = [name for name in RANGES if name != "Invert"]
    for which, sign, _ in uniforms(seed, [2, 3]):
        name = names[_number(which, 14)]
        image = PILLOW[name](image, _value(RANGES, name, 9 / 10, sign))
    return image


def _trivial(image, seed):
    which, magnitude, sign = uniforms(seed, [3])
    name = list(WIDE)[_number(which, 14)]
    return PILLOW[name](image, _value(WIDE, name, _number(magnitude, 31) / 30, sign))


@pytest.mark.parametrize(
    ("op", "reference"),
    [
        pytest.param(AutoAugment(), lambda x, s: _auto(x, s, "imagenet"), marks=pytest.mark.full),
        (AutoAugment("cifar10"), lambda x, s: _auto(x, s, "cifar10")),
        (RandAugment(), _rand),
        (TrivialAugment(), _trivial),
    ],
    ids=["imagenet", "cifar10", "rand", "trivial"],
)
def test_random_policies_match_pillow(op, reference):
    """With the same random numbers, an op changes a photo as Pillow does."""
    image = photo(33, 40)
    found = draws(lambda seed: op(image, seed), 60)
    # A second operation multiplies the differences of the first: Equalize, Solarize.
    far = np.array(
        [
            (distance(one, reference(Image.fromarray(image), seed)) > 8).mean()
            for one, seed in zip(found, seeds(60), strict=True)
        ]
    )
    assert (far < 0.02).mean() > 0.9
    assert np.median(far) == 0
    assert len({x.tobytes() for x in found}) > 25


def test_rand_augment_skips_operations_with_their_probability():
    op = RandAugment(1, magnitude=7, deviation=0.5, probability=0.25)
    found = draws(lambda seed: op(photo(24, 20), seed), 300)
    changed = (found != photo(24, 20)).any((1, 2, 3)).mean()
    assert changed == pytest.approx(0.25 * 13 / 14, abs=0.08)


def test_only_the_chosen_operation_is_executed(monkeypatch):
    ran = []
    for name in FUNCTIONS:

        def note(image, value, name=name):
            def function(pixels):
                ran.append(name)
                return pixels

            return tf.numpy_function(function, [image], image.dtype, stateful=True)

        monkeypatch.setitem(policy_ops.FUNCTIONS, name, note)
    names = list(RANGES)
    numbers = tf.data.Dataset.range(len(names))
    image = tf.zeros([4, 4, 3], tf.uint8)
    for _ in numbers.map(lambda n: perform(RANGES, image, tf.cast(n, tf.int32), 0.1)):
        pass
    assert ran == names
    ran.clear()
    draws(lambda seed: RandAugment(2)(image, seed), 30)
    assert len(ran) == 60
    assert set(ran) <= set(names) - {"Invert"}


@pytest.mark.parametrize(
    "alpha",
    [0.5, pytest.param(1.0, marks=pytest.mark.full), pytest.param(5.0, marks=pytest.mark.full)],
)
def test_aug_mix_weights_are_dirichlet_and_beta(alpha):
    op = AugMix(alpha=alpha)
    weights, share = draws(lambda seed: op._weights(seed), 3000)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    assert abs(weights.mean(0) - 1 / 3).max() < 0.03
    assert weights.var(0) == pytest.approx(2 / 9 / (3 * alpha + 1), rel=0.15)
    assert abs(share.mean() - 0.5) < 0.03
    assert share.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_aug_mix_mixes_the_image_with_chains(monkeypatch):
    """With operations that add 1, the mean of the mixture shows the lengths of the chains."""
    for name in FUNCTIONS:
        monkeypatch.setitem(policy_ops.FUNCTIONS, name, lambda image, value: image + 1)
    image = tf.fill([2, 2, 1], 100.0)

    def both(seed, op):
        weights, share = op._weights(tf.random.split(seed, 3)[0])
        return op(image, seed)[0, 0, 0] - 100, weights, share

    fixed = AugMix(depth=2, width=4)
    added, _, share = draws(lambda seed: both(seed, fixed), 50)
    np.testing.assert_allclose(added, 2 * share, atol=1e-3)
    drawn = AugMix(width=1)
    added, _, share = draws(lambda seed: both(seed, drawn), 90)
    lengths = added / share
    np.testing.assert_allclose(lengths, np.round(lengths), atol=0.02)
    counts = np.unique(np.round(lengths), return_counts=True)
    assert counts[0].tolist() == [1, 2, 3]
    assert counts[1].min() > 15
