"""Ops on batches, repeated images, and augmentation inside the pipeline."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from recipes.augment import (
    AugMix,
    AutoAugment,
    ColorJitter,
    CutMix,
    Cutout,
    Equalize,
    Flip,
    GaussianBlur,
    Lighting,
    Mixup,
    MixupOrCutMix,
    RandAugment,
    RandomErasing,
    RandomResizedCrop,
    RepeatedAugmentation,
    Resize,
    Rotate,
    ScaleJitter,
    Sharpness,
    Translate,
    TrivialAugment,
)
from recipes.data.batches import open_data, training_batches
from tests.recipes.pictures import SEED, draws
from tests.recipes.reading import assert_same, batches, order, rows

pytestmark = pytest.mark.quick


def test_mixup_mixes_neighbors_in_the_batch():
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


@pytest.mark.parametrize("op", [Mixup(probability=0.5), CutMix(), MixupOrCutMix()], ids=repr)
def test_mixing_needs_two_images(op):
    split = open_data("made_up:6x6x1:2:8", validation=0.0).train
    with pytest.raises(ValueError, match=r"mixes each image with another of its batch") as raised:
        training_batches(split, classes=2, batch=1, ops=(op,), seed=0, first_epoch=0, epochs=1)
    assert str(raised.value).startswith(repr(op))


@pytest.mark.parametrize("alpha", [0.001, 0.2, 1.0, 4.0])
def test_mixup_shares_are_beta(alpha):
    labels = np.eye(2, dtype=np.float32)
    images = np.zeros((2, 1, 1, 1), np.float32)
    share = draws(lambda seed: Mixup(alpha).batch(images, labels, seed)[1], 3000)[:, 0, 0]
    assert np.isfinite(share).all()
    assert abs(share.mean() - 0.5) < 0.03
    assert abs(share.var() - 1 / (4 * (2 * alpha + 1))) < 0.01


def _rectangles(count, **options):
    """Return which pixels come from another image, and the share of the image's own label."""
    images = np.stack([np.full((20, 30, 1), v, np.float32) for v in (0, 100, 200)])
    labels = np.eye(3, dtype=np.float32)
    op = CutMix(**options)
    mixed, soft = draws(lambda seed: op.batch(images, labels, seed), count)
    other = mixed != images
    assert (other == other[:, :1]).all()  # one rectangle per batch
    np.testing.assert_array_equal(mixed, np.where(other, np.roll(images, 1, 0), images))
    np.testing.assert_allclose(
        soft, soft[:, :1, :1] * labels + (1 - soft[:, :1, :1]) * np.roll(labels, 1, 0), atol=1e-6
    )
    return other[:, 0, ..., 0], soft[:, 0, 0]


def test_cutmix_labels_are_areas():
    other, share = _rectangles(600)
    np.testing.assert_allclose(share, 1 - other.mean((1, 2)), atol=1e-6)
    height, width = other.any(2).sum(1), other.any(1).sum(1)
    np.testing.assert_array_equal(height * width, other.sum((1, 2)))
    # Rectangles that lie within the image have its aspect ratio.
    whole = ~(other[:, [0, -1]].any((1, 2)) | other[:, :, [0, -1]].any((1, 2))) & (height > 3)
    assert whole.sum() > 20
    assert abs(width[whole] - 1.5 * height[whole]).max() <= 3
    # Every pixel is pasted about as often, least at the corners.
    often = other.mean(0)
    assert often[10, 15] > 0.3
    assert often.min() > 0.05


def test_cutmix_cuts_the_square_root_of_the_share():
    """A large alpha gives shares near 1/2, so the sides are sqrt(1/2) of the image's."""
    other, _ = _rectangles(300, alpha=1e5)
    inside = ~(other[:, [0, -1]].any((1, 2)) | other[:, :, [0, -1]].any((1, 2)))
    assert inside.sum() > 10
    assert set(other.any(2).sum(1)[inside]) == {14}
    assert set(other.any(1).sum(1)[inside]) == {20}  # an even number below 21.2


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("make", [Mixup, CutMix, MixupOrCutMix])
def test_batches_are_mixed_with_the_given_probability(make, probability):
    images = np.arange(4 * 64 * 3, dtype=np.float32).reshape(4, 8, 8, 3)
    labels = np.eye(4, dtype=np.float32)
    op = make(probability=probability)
    soft = draws(lambda seed: op.batch(images, labels, seed), 400)[1]
    np.testing.assert_allclose(soft.sum(-1), 1, rtol=1e-6)
    # A cut may be empty, a share nearly 1.
    mixed = (soft != labels).any((1, 2)).mean()
    assert probability * 0.8 - 0.06 <= mixed <= probability + 0.06


def test_mixup_or_cutmix_chooses_one_per_batch():
    images = np.stack([np.zeros((8, 8, 1)), np.full((8, 8, 1), 200)]).astype(np.float32)
    op = MixupOrCutMix(1.0, 1.0, switch=0.3)
    mixed = draws(lambda seed: op.batch(images, np.eye(2, dtype=np.float32), seed), 400)[0]
    blended = ((mixed > 1) & (mixed < 199)).any((1, 2, 3, 4)).mean()
    assert blended == pytest.approx(0.7, abs=0.08)


# In the input pipeline


@pytest.fixture(scope="module")
def made_up():
    return open_data("made_up:24x20x3:5:60", validation=0.0).train


CHAIN = (
    ScaleJitter((20, 26), 16),
    Flip(),
    Rotate(20),
    Translate(0.2),
    ColorJitter(hue=0.1),
    Lighting(),
    Equalize(),
    Sharpness(),
    GaussianBlur((0.1, 1.0)),
    TrivialAugment(),
    Cutout(4),
    RandomErasing(),
    MixupOrCutMix(),
)
DRAWN = (RandomResizedCrop(16), AutoAugment(), RandAugment(), AugMix(), CutMix())


@pytest.mark.parametrize(
    "ops",
    [
        pytest.param(CHAIN, marks=pytest.mark.not_quick, id="chain"),
        pytest.param(DRAWN, marks=pytest.mark.full, id="drawn"),
    ],
)
def test_the_number_of_parallel_calls_does_not_change_batches(made_up, ops):
    arguments = {"classes": 5, "batch": 12, "ops": ops, "seed": 5}
    dataset, _ = training_batches(made_up, first_epoch=0, epochs=2, **arguments)
    found = []
    for threads in (1, 5):
        options = tf.data.Options()
        options.threading.private_threadpool_size = threads
        options.autotune.enabled = threads > 1
        tf.random.set_seed(threads)
        found.append(rows(dataset.with_options(options)))
    assert_same(*found)
    # A run that resumes at the second epoch gets the same batches; every epoch is different.
    again, steps = batches(made_up, **arguments, first_epoch=1, epochs=2)
    assert_same(found[0][steps:], again)
    assert not set(order(found[0][:steps])) & set(order(found[0][steps:]))


def test_each_image_is_augmented_differently_in_each_epoch():
    same = open_data("made_up:1x1x3:1:40", validation=0.0).train
    flat = Resize((12, 16), method="nearest")
    found, _ = batches(same, ops=(flat, Cutout(4, value=0)), batch=40, classes=1, epochs=3)
    holes = [(image == 0).all(-1).tobytes() for images, _ in found for image in images]
    assert len(set(holes)) > 80  # of 192 places, 120 draws


@pytest.mark.parametrize(("times", "batch"), [(3, 12), (2, 8), (4, 10)])
def test_repeats_of_an_image_are_in_one_batch_and_differ(made_up, times, batch):
    plain = {image.tobytes() for images, _ in batches(made_up, classes=5)[0] for image in images}
    ops = (RepeatedAugmentation(times),)
    found, steps = batches(made_up, ops=ops, batch=batch, classes=5)
    assert steps == len(found) == 60 // batch
    seen = order(found)
    assert set(seen) <= plain
    assert math.ceil(len(seen) / times) <= len(set(seen)) <= math.ceil(len(seen) / times) + times
    for images, _ in found:
        of_batch = [image.tobytes() for image in images]
        assert all(one != other for one, other in itertools.pairwise(of_batch))
        if batch % times == 0:
            assert {of_batch.count(image) for image in of_batch} == {times}
    # Each copy is augmented differently.
    viewed, _ = batches(made_up, ops=(*ops, Cutout(2)), batch=batch, classes=5)
    assert len(set(order(viewed))) > 0.9 * len(seen)


@pytest.mark.parametrize(("times", "batch"), [(3, 10), (3, 16), (7, 9), (4, 3), (1, 7)])
def test_a_batch_size_that_is_no_multiple_is_filled_with_more_repeats(made_up, times, batch):
    """It has as few images as possible, equally often, and none in two batches of an epoch."""
    found, steps = batches(made_up, ops=(RepeatedAugmentation(times),), batch=batch, classes=5)
    assert steps == len(found) == 60 // batch
    held = [[image.tobytes() for image in images] for images, _ in found]
    for own in held:
        assert len(own) == batch
        assert len(set(own)) == math.ceil(batch / times)
        often = {own.count(image) for image in own}
        assert max(often) <= times
        assert max(often) - min(often) <= 1
    assert sum(len(set(own)) for own in held) == len({image for own in held for image in own})


@pytest.mark.parametrize("batch", [12, 10])
def test_repeats_depend_only_on_the_epoch(made_up, batch):
    ops = (RepeatedAugmentation(3), Flip(), Mixup())
    whole, steps = batches(made_up, ops=ops, batch=batch, classes=5, epochs=3)
    again, _ = batches(made_up, ops=ops, batch=batch, classes=5, first_epoch=1, epochs=3)
    assert_same(whole[steps:], again)
    assert order(whole[:steps]) != order(whole[steps : 2 * steps])


def test_two_ops_that_repeat_images_are_rejected(made_up):
    with pytest.raises(ValueError, match="repeat images twice"):
        batches(made_up, ops=(RepeatedAugmentation(2), RepeatedAugmentation(3)), classes=5)
