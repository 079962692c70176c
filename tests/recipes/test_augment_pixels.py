"""Color, tone, blur and erasing ops against Pillow, SciPy and NumPy."""

import colorsys
import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage

from recipes.augment import (
    AutoContrast,
    ColorJitter,
    Cutout,
    Equalize,
    GaussianBlur,
    Grayscale,
    Invert,
    Lighting,
    Posterize,
    RandomErasing,
    Solarize,
)
from recipes.augment.color import brightness, contrast, hue, saturation
from recipes.augment.filters import sharpness
from tests.recipes.pictures import SEED, distance, draws, photo, seeds, uniforms

pytestmark = pytest.mark.quick

PILLOW = {
    Invert(1.0): ImageOps.invert,
    Solarize(100, 1.0): lambda x: ImageOps.solarize(x, 100),
    Solarize(0, 1.0): lambda x: ImageOps.solarize(x, 0),
    Solarize(256, 1.0): lambda x: ImageOps.solarize(x, 256),
    Posterize(1, 1.0): lambda x: ImageOps.posterize(x, 1),
    Posterize(5, 1.0): lambda x: ImageOps.posterize(x, 5),
    Posterize(8, 1.0): lambda x: ImageOps.posterize(x, 8),
    Equalize(1.0): ImageOps.equalize,
    AutoContrast(1.0): ImageOps.autocontrast,
    Grayscale(1.0): lambda x: x.convert("L").convert("RGB"),
}
PICTURES = {
    "photo": photo(31, 40),
    "dark": photo(31, 40, seed=1) // 3 + 20,
    "two values": np.where(photo(20, 20) > 128, 200, 30).astype(np.uint8),
    "constant": np.full((7, 9, 3), 77, np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (64, 48, 3)).astype(np.uint8),
}


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("op", PILLOW, ids=repr)
def test_tone_ops_equal_pillows(op, name):
    image = PICTURES[name]
    expected = np.asarray(PILLOW[op](Image.fromarray(image)))
    rounded = isinstance(op, (AutoContrast, Grayscale))  # Pillow truncates, or rounds weights
    assert distance(op(image, SEED), expected).max() <= (1 if rounded else 0)
    of_floats = op(image.astype(np.float32), SEED)
    assert distance(of_floats, expected).max() <= (1 if rounded else 0)


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.7])
@pytest.mark.parametrize(
    ("function", "enhance"),
    [
        (brightness, ImageEnhance.Brightness),
        (contrast, ImageEnhance.Contrast),
        (saturation, ImageEnhance.Color),
        (sharpness, ImageEnhance.Sharpness),
    ],
    ids=["brightness", "contrast", "saturation", "sharpness"],
)
def test_enhancement_ops_equal_pillows(function, enhance, factor):
    for image in PICTURES.values():
        expected = np.asarray(enhance(Image.fromarray(image)).enhance(factor), float)
        found = np.clip(function(tf.constant(image, tf.float32), factor), 0, 255)
        # Pillow truncates, and rounds the gray value before.
        assert distance(found, expected).max() <= 1.5


@pytest.mark.parametrize("turn", [-0.5, -0.13, 0.0, 0.31])
def test_hue_equals_colorsys(turn):
    image = photo(9, 8).astype(np.float32)
    expected = np.empty_like(image)
    for place in np.ndindex(image.shape[:2]):
        h, s, v = colorsys.rgb_to_hsv(*image[place] / 255)
        expected[place] = np.multiply(colorsys.hsv_to_rgb((h + turn) % 1, s, v), 255)
    np.testing.assert_allclose(hue(tf.constant(image), turn), expected, atol=0.01)


def _jittered(image, order, factors):
    x = image.astype(float)
    for name in order:
        gray = x @ [0.299, 0.587, 0.114]
        if name == "brightness":
            x = x * factors[name]
        elif name == "contrast":
            x = gray.mean() + factors[name] * (x - gray.mean())
        else:
            x = gray[..., None] + factors[name] * (x - gray[..., None])
        x = x.clip(0, 255)
    return np.rint(x)


def test_color_jitter_applies_its_factors_in_every_order():
    image, op = photo(12, 10), ColorJitter(0.9, 0.5, 0.7)
    ranges = {"brightness": 0.9, "contrast": 0.5, "saturation": 0.7}
    orders = list(itertools.permutations(ranges))
    found = dict.fromkeys(orders, 0)
    for seed, result in zip(seeds(90), draws(lambda seed: op(image, seed), 90), strict=True):
        shares = uniforms(seed, [5])
        factors = {n: 1 - r + 2 * r * u for (n, r), u in zip(ranges.items(), shares, strict=False)}
        off = {order: distance(result, _jittered(image, order, factors)).max() for order in orders}
        best = min(off, key=off.get)
        assert off[best] <= 1
        found[best] += 1
    assert min(found.values()) >= 5  # the expected number of each is 15


def test_factors_of_color_jitter_are_uniform():
    image = np.full((1, 1, 3), 100, np.float32)
    op = ColorJitter(0.4, 0, 0)
    factor = draws(lambda seed: op(image, seed), 1000)[:, 0, 0, 0] / 100
    assert 0.6 <= factor.min() < 0.61
    assert 1.39 < factor.max() <= 1.4
    assert abs(factor.mean() - 1) < 0.03
    assert abs(factor.std() - 0.8 / math.sqrt(12)) < 0.02


def test_lighting_has_the_covariance_of_the_paper():
    image = np.full((3, 4, 3), 100, np.float32)
    found = draws(lambda seed: Lighting(0.1)(image, seed), 3000) - 100
    assert (found == found[:, :1, :1]).all()  # one shift per image
    values = np.array([0.2175, 0.0188, 0.0045]) * 255 * 0.1
    vectors = np.array(
        [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
    )
    expected = vectors @ np.diag(values**2) @ vectors.T
    np.testing.assert_allclose(np.cov(found[:, 0, 0].T), expected, atol=0.08 * expected.max())
    assert abs(found.mean()) < 0.3


def test_lighting_needs_three_channels():
    with pytest.raises(ValueError, match="Lighting: channels=1: needs images with 3 channels"):
        Lighting()(np.zeros((4, 4, 1), np.uint8), SEED)


@pytest.mark.parametrize("deviation", [0.4, 1.5, 4.0])
def test_blur_equals_scipys(deviation):
    image = photo(30, 22).astype(np.float32)
    op = GaussianBlur((deviation, deviation), 1.0)
    radius = math.ceil(3 * deviation)
    expected = np.stack(
        [ndimage.gaussian_filter(c, deviation, mode="mirror", radius=radius) for c in image.T], -1
    ).transpose(1, 0, 2)
    np.testing.assert_allclose(op(image, SEED), expected, atol=0.01)


@pytest.mark.parametrize("make", [Invert, Grayscale, RandomErasing, Equalize])
@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_images_are_changed_with_the_given_probability(make, probability):
    image = photo(18, 16) // 2 + 10
    changed = (draws(lambda seed: make(probability)(image, seed), 500) != image).any((1, 2, 3))
    deviation = math.sqrt(probability * (1 - probability) / 500)
    assert abs(changed.mean() - probability) <= 3.5 * deviation


@pytest.mark.parametrize("size", [4, 5])
def test_centers_of_cutout_squares_are_uniform(size):
    image = np.full((12, 10, 3), 50, np.uint8)
    cut = draws(lambda seed: Cutout(size, value=9)(image, seed), 2000)
    assert set(np.unique(cut)) == {9, 50}
    seen = set()
    for hole in (cut == 9)[..., 0]:
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        assert hole.sum() == len(rows) * len(columns)  # a rectangle
        assert min(len(rows), len(columns)) >= 1
        assert max(len(rows), len(columns)) <= size
        seen.add((rows[0], rows[-1], columns[0], columns[-1]))
    assert len(seen) == 12 * 10  # each pixel is a center
    # Inside, each pixel is covered by size^2 of the 120 places.
    assert abs((cut[:, 6, 5, 0] == 9).mean() - size**2 / 120) < 0.04


def test_rectangles_of_random_erasing_have_the_stated_distributions():
    op = RandomErasing(1.0, area=(0.05, 0.2), aspect=(0.5, 2.0), value=0.0)
    image = np.full((60, 80, 1), 255, np.uint8)
    holes = draws(lambda seed: op(image, seed), 400)[..., 0] == 0
    area = holes.mean((1, 2))
    heights, widths = holes.any(2).sum(1), holes.any(1).sum(1)
    np.testing.assert_array_equal(heights * widths, holes.sum((1, 2)))
    assert 0.04 < area.min() < 0.06
    assert 0.19 < area.max() < 0.21
    assert abs(area.mean() - 0.125) < 0.01
    aspect = heights / widths
    assert 0.45 < aspect.min() < aspect.max() < 2.2
    assert abs(np.log(aspect).mean()) < 0.08


def test_random_erasing_leaves_noise_or_the_image():
    image = np.full((40, 40, 3), 200, np.float32)
    hole = RandomErasing(1.0, area=(0.5, 0.5))(image, SEED).numpy()
    noise = hole[(hole != 200).any(-1)]
    assert len(noise) > 600
    assert abs(noise.mean() - 127.5) < 6
    assert noise.std() == pytest.approx(256 / math.sqrt(12), rel=0.1)
    # Twice as high as the image is wide, so no rectangle fits.
    thin = np.full((4, 40, 3), 200, np.uint8)
    same = RandomErasing(1.0, area=(0.9, 0.9), aspect=(3.0, 3.0))(thin, SEED)
    np.testing.assert_array_equal(same, thin)
