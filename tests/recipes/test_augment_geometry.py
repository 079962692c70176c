"""Ops that move pixels, against Pillow and NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from recipes.augment import Affine, Rotate, Shear, Translate
from recipes.augment.geometry import inverse_affine, warp
from tests.recipes.pictures import SEED, distance, draws, photo, uniforms

pytestmark = pytest.mark.quick

MATRICES = {
    "same": (1, 0, 0, 0, 1, 0),
    "moved": (1, 0, 3, 0, 1, -2),
    "half a pixel": (1, 0, 0.5, 0, 1, 0.25),
    "slanted": (1, 0.3, 0, 0, 1, 0),
    "smaller": (1.61, 0, -5, 0, 1.43, -3),
    "turned": (0.8, 0.6, -4, -0.6, 0.8, 11),
}


@pytest.mark.parametrize("matrix", MATRICES.values(), ids=MATRICES)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_warp_equals_pillows(matrix, dtype):
    image = photo(33, 40)
    for name in ("nearest", "bilinear"):
        expected = Image.fromarray(image).transform(
            (40, 33), Image.Transform.AFFINE, matrix, Image.Resampling[name.upper()],
            fillcolor=(128, 128, 128),
        )  # fmt: skip
        found = warp(image.astype(dtype), matrix, 128.0, name)
        assert found.dtype == dtype
        off = distance(found, expected).max(-1)
        # Because of rounding, a position may fall on the neighboring pixel.
        assert (off > 1).mean() < 0.01 or name == "bilinear"
        # At the border Pillow repeats the last pixel, TensorFlow mixes it with the fill.
        assert off[_inside(matrix, 33, 40)].max() <= 1.5 or name == "nearest"


def _inside(matrix, height, width):
    """Return which new pixels come from at least one pixel inside, or outside, of the image."""
    a, b, c, d, e, f = matrix
    y, x = np.mgrid[:height, :width] + 0.5
    x, y = a * x + b * y + c, d * x + e * y + f
    room = np.minimum(np.minimum(x, width - x), np.minimum(y, height - y))
    return (room >= 1) | (room <= -1)


@pytest.mark.parametrize("degrees", [0.0, 30.0, 180.0])
def test_rotate_equals_pillows(degrees):
    image, op = photo(33, 40), Rotate(degrees, fill=128, interpolation="nearest")
    for number in range(6):
        (draw,) = uniforms((5, number), [1])
        angle = -degrees + 2 * degrees * draw
        expected = Image.fromarray(image).rotate(-angle, fillcolor=(128, 128, 128))
        off = distance(op(image, (5, number)), expected).max(-1)
        assert (off > 1).mean() < 0.02


def _forward(turn, scale, x, y):
    """Return the matrix from old to new positions: shear along y, then x, rotate, scale."""
    turn, x, y = np.radians([turn, x, y])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    along_x = np.array([[1, -np.tan(x)], [0, 1]])
    along_y = np.array([[1, 0], [-np.tan(y), 1]])
    return scale * rotation @ along_y @ along_x


@pytest.mark.parametrize(
    "parts", [(0, 1, 0, 0), (25, 1, 0, 0), (0, 1.4, 0, 0), (0, 1, 20, 0), (-40, 0.7, 10, -15)]
)
def test_inverse_affine_inverts_numpys_product(parts):
    a, b, d, e = (float(v) for v in inverse_affine(*(tf.constant(float(p)) for p in parts)))
    np.testing.assert_allclose([[a, b], [d, e]], np.linalg.inv(_forward(*parts)), atol=1e-6)


@pytest.mark.parametrize("fill", [0.0, 9.0])
def test_translate_moves_whole_pixels(fill):
    image, op = photo(20, 30), Translate(0.5, fill)
    seen = []
    for number in range(10):
        x, y = ((-0.5 + u) for u in uniforms((5, number), [2]))
        right, down = round(x * 30), round(y * 20)
        expected = np.full((60, 90, 3), fill, np.uint8)
        expected[20 + down : 40 + down, 30 + right : 60 + right] = image
        np.testing.assert_array_equal(op(image, (5, number)), expected[20:40, 30:60])
        seen += [right > 0, down > 0]
    assert 5 < sum(seen) < 15


def test_translate_can_move_the_whole_image_away():
    found = draws(lambda seed: Translate(1.0, fill=3)(photo(4, 4), seed), 300)
    assert (found == 3).all((1, 2, 3)).mean() == pytest.approx(0.23, abs=0.08)


def test_affine_keeps_the_center_and_scales():
    """A disk in the center stays there, and its area grows with the square of the scale."""
    y, x = np.mgrid[-32:33, -32:33]
    disc = (255 * (x**2 + y**2 < 12**2)).astype(np.float32)[..., None]
    op = Affine(180, scale=(0.5, 2.0))
    found = draws(lambda seed: op(disc, seed), 200)[..., 0] / 255
    area = found.sum((1, 2)) / (disc.sum() / 255)
    assert abs((found * x).sum((1, 2)) / found.sum((1, 2))).max() < 0.05
    assert abs((found * y).sum((1, 2)) / found.sum((1, 2))).max() < 0.05
    assert 0.23 < area.min() < 0.3
    assert 3.7 < area.max() < 4.1
    assert abs(np.sqrt(area).mean() - 1.25) < 0.1


def test_affine_translates_within_its_limits():
    dot = np.zeros((41, 61, 1), np.float32)
    dot[20, 30] = 255
    found = draws(lambda seed: Affine(0, translate=(0.1, 0.2))(dot, seed), 200)[..., 0]
    rows, columns = (found.sum(axis).argmax(1) for axis in (2, 1))
    assert rows.min() == 20 - 4
    assert rows.max() == 20 + 4
    assert 30 - 12 <= columns.min() < 30 - 9
    assert 30 + 9 < columns.max() <= 30 + 12


def test_shear_slants_lines_by_its_angles():
    """Next to the middle row, a line through the center moves by the tangent of the angle."""
    image, op = np.zeros((41, 41, 1), np.float32), Shear(40.0)
    image[:, 20] = 255
    x, y = (-40 + 80 * u for u in uniforms(SEED, [2]))
    found = op(image, SEED).numpy()[..., 0]
    rows = [row for row in range(10, 31) if found[row].sum() > 0]
    centers = [(found[row] * np.arange(41)).sum() / found[row].sum() for row in rows]
    down = _forward(0, 1, x, y)[:, 1]
    assert np.polyfit(rows, centers, 1)[0] == pytest.approx(down[0] / down[1], abs=0.03)
