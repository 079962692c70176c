"""Resizing and cropping equal those of TensorFlow and Pillow, and are stored as data."""

import itertools
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from zoo import geometry, resampling
from zoo.geometry import CenterCrop, Cover, Geometry, Grayscale, Resize, ResizeShort

SIZES = [(1, 1), (2, 7), (33, 50), (64, 32), (97, 31), (120, 201)]
TARGETS = [(1, 1), (8, 8), (31, 17), (37, 53), (64, 100)]


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    shape = (height, width, channels)
    return np.random.default_rng(height * 1000 + width).integers(0, 256, shape, dtype="uint8")


@pytest.mark.quick
@pytest.mark.parametrize("method", resampling.METHODS)
@pytest.mark.parametrize("antialias", [True, False])
def test_resizing_equals_tensorflows(method, antialias):
    for size, target in itertools.product(SIZES, TARGETS):
        pixels = noise(*size)
        expected = tf.image.resize(tf.cast(pixels, tf.float32), target, method, False, antialias)
        expected = np.clip(expected, 0, 255)
        floats = resampling.resize(pixels.astype("float32"), *target, method, antialias)
        # Both sum in float32: pixels up to 255 and, for "area", coordinates up to 201.
        np.testing.assert_allclose(floats, expected, atol=5e-3, err_msg=f"{size} to {target}")
        whole = resampling.resize(pixels, *target, method, antialias)
        assert whole.dtype == np.uint8
        away = np.abs(whole - expected)
        assert away.max() <= 0.5 + 5e-3
    assert resampling.resize(pixels, *pixels.shape[:2], method) is pixels


@pytest.mark.quick
@pytest.mark.parametrize("size", [(8, 8), (5, 12), (9, 4), (3, 3), (7, 8)])
def test_center_crops_equal_tensorflows(size):
    for target in [(4, 4), (5, 3), (8, 11), (1, 2)]:
        expected = tf.image.resize_with_crop_or_pad(noise(*size), *target)
        found = Geometry((CenterCrop(*target),))(noise(*size))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.quick
@pytest.mark.parametrize("method", ["bilinear", "bicubic", "nearest", "lanczos"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_for_pretrained_weights_are_resized_as_by_pillow(method, channels):
    pixels = 96 + noise(70, 41, channels) // 4  # no overshoot beyond 0 to 255
    shown = geometry.of_source((32, 32), 0.875, method)(pixels)
    how = Image.Resampling[method.upper()]
    whole = np.stack(
        [Image.fromarray(pixels[..., c]).resize((36, 61), how) for c in range(channels)], -1
    )
    np.testing.assert_array_equal(shown, whole[14:46, 2:34])  # torchvision rounds 14.5 to 14
    floats = geometry.of_source((32, 32), 0.875, method)(pixels.astype("float32"))
    assert np.abs(floats - shown).max() <= 1.6  # 8 bits are rounded after each axis


@pytest.mark.quick
@pytest.mark.parametrize("size", SIZES)
def test_covering_gives_the_smallest_size_that_covers_the_target(size):
    for tall, wide in TARGETS:
        found = geometry.covering(*size, tall, wide)
        assert found[0] >= tall
        assert found[1] >= wide
        assert found[0] == tall or found[1] == wide


@pytest.mark.quick
def test_a_geometry_survives_a_round_trip_through_json():
    steps = (
        Grayscale(),
        Resize(31, 40, "bicubic", antialias=False),
        ResizeShort(24),
        Cover(20, 21, "area"),
        CenterCrop(20, 20),
    )
    for given in (Geometry(steps), geometry.of_source((32, 48), 0.9, "bicubic")):
        assert geometry.from_json(json.loads(json.dumps(given.to_json()))) == given


@pytest.mark.quick
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"library": "opencv"}, "unknown library of the geometry 'opencv'"),
        ({"steps": [{"step": "Invert"}]}, "unknown step of the geometry 'Invert'"),
        (
            {"steps": [{"step": "Resize", "height": 3}]},
            "the step Resize needs height, width, method",
        ),
        ({"steps": [{"step": "ResizeShort", "side": 0}]}, "1 or more pixels"),
        ({"steps": [{"step": "ResizeShort", "side": "3"}]}, "side='3': must be an integer"),
        ({"steps": [{"step": "ResizeShort", "side": 3, "by": 3}]}, "unknown option 'by'"),
        (
            {"steps": [{"step": "Resize", "height": 3, "width": 3, "method": "cubic"}]},
            "unknown interpolation 'cubic'",
        ),
        ({"steps": 3}, "no list of steps"),
        ({"steps": [{}]}, "no list of steps"),
    ],
)
def test_an_invalid_description_is_an_error(changes, words):
    with pytest.raises(ValueError, match=words):
        geometry.from_json(Geometry().to_json() | changes)
    with pytest.raises(ValueError, match="no list of steps"):
        geometry.from_json(None)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("steps", "size"),
    [
        ((), None),
        ((ResizeShort(9), CenterCrop(5, 4)), (5, 4)),
        ((CenterCrop(5, 4), Resize(7, 8), Grayscale()), (7, 8)),
        ((CenterCrop(5, 4), ResizeShort(3)), None),
        ((Resize(5, 4), Cover(9, 9)), None),
    ],
)
def test_the_size_after_all_steps_is_known_if_it_is_fixed(steps, size):
    assert Geometry(steps).size == size
    if size is not None:
        assert Geometry(steps)(noise(11, 30)).shape[:2] == size
