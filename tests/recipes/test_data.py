"""Batches: their images, their order, and their augmentation."""

import numpy as np
import pytest
import tensorflow as tf

from recipes.augment import (
    AlternatingFlip,
    Flip,
    Lighting,
    Mixup,
    PadCrop,
    RepeatedAugmentation,
    Resize,
)
from recipes.data.batches import evaluation_batches, in_memory, open_data, training_batches
from tests.recipes.reading import assert_same, batches, order, rows

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def digits():
    return open_data("digits")


def test_batches_are_images_and_one_hot_labels(digits):
    found, steps = batches(digits.train, batch=100, epochs=2)
    assert steps == 12
    assert len(found) == 24
    images, labels = found[0]
    assert images.shape == (100, 8, 8, 1)
    assert images.dtype == labels.dtype == np.float32
    assert labels.shape == (100, 10)
    assert set(np.unique(labels)) == {0, 1}
    assert images.max() == 255
    # The remainder of an epoch is dropped, and differs from epoch to epoch.
    known = {
        e["image"].astype(np.float32).tobytes(): e["label"] for e in rows(digits.train.elements())
    }
    for epoch in (found[:12], found[12:]):
        seen = order(epoch)
        assert len(set(seen)) > 1190  # a few digits are identical
        answers = [label for _, labels in epoch for label in labels.argmax(1)]
        assert [known[image] for image in seen] == answers
    assert set(order(found[:12])) != set(order(found[12:]))


AUGMENT = (Resize(16), PadCrop(2), Flip(), Mixup(0.4))


@pytest.mark.parametrize("ops", [(), AUGMENT], ids=["plain", "augmented"])
def test_a_resumed_run_gets_the_same_batches(digits, ops):
    whole, steps = batches(digits.train, ops=ops, batch=128, epochs=4)
    again, _ = batches(digits.train, ops=ops, batch=128, first_epoch=2, epochs=4)
    assert_same(whole[2 * steps :], again)
    assert order(whole[:steps]) != order(whole[steps : 2 * steps])
    assert batches(digits.train, first_epoch=4, epochs=4)[0] == []


@pytest.mark.parametrize("threads", [1, 7])
def test_the_number_of_parallel_calls_does_not_change_batches(digits, threads):
    arguments = {"classes": 10, "batch": 64, "ops": AUGMENT, "seed": 5}
    dataset, _ = training_batches(digits.train, first_epoch=0, epochs=2, **arguments)
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    tf.random.set_seed(threads)
    assert_same(rows(dataset.with_options(options)), rows(dataset))


def test_augmentation_depends_only_on_seed_epoch_and_index(digits):
    """An image gets the same crop with another batch size, and so at another position."""
    ops = (PadCrop(3), Flip())
    one = sorted(order(batches(digits.train, ops=ops, batch=1293)[0]))
    other = sorted(order(batches(digits.train, ops=ops, batch=431)[0]))
    assert one == other
    assert one != sorted(order(batches(digits.train, ops=ops, batch=431, seed=1)[0]))


def test_alternating_flip_shows_each_image_in_both_directions_in_two_epochs():
    pixels = np.random.default_rng(0).integers(0, 256, size=(300, 4, 4, 1), dtype=np.uint8)
    split = in_memory(
        pixels, np.arange(300) % 10, name="train", describe=str, fingerprint="random"
    )  # fmt: skip
    mirrored = {image.tobytes(): (i, way) for way in (0, 1) for i, image in
                enumerate(pixels[:, :, :: 1 - 2 * way].astype(np.float32))}  # fmt: skip

    def directions(*more):
        """Return whether each image was mirrored each time that it was shown."""
        found, _ = batches(split, ops=(AlternatingFlip(), *more), batch=100, epochs=4)
        shown = [[] for _ in pixels]
        for images, _ in found:
            for image in images:
                index, way = mirrored[image.tobytes()]
                shown[index].append(way)
        return shown

    ways = np.array(directions())
    np.testing.assert_array_equal(ways, np.stack([ways[:, 0], 1 - ways[:, 0]] * 2, axis=1))
    assert abs(ways[:, 0].mean() - 0.5) < 4 * 0.5 / 300**0.5
    for each in directions(RepeatedAugmentation(2)):  # twice in an epoch: once in each direction
        assert sum(each) == len(each) / 2


def test_mixup_differs_from_batch_to_batch(digits):
    found, steps = batches(digits.train, ops=(Mixup(1.0),), batch=64, epochs=2)
    shares = [round(float(labels.max(1).min()), 6) for _, labels in found]
    assert len(set(shares)) > steps


def test_a_batch_size_above_the_number_of_images_is_an_error(digits):
    with pytest.raises(
        ValueError,
        match=r"batch_size=2000: more than the 1,293 images of the train set",
    ):
        batches(digits.train, batch=2000)


def test_evaluation_batches_contain_all_images_in_order(digits):
    test = digits.open_test()
    found = rows(evaluation_batches(test, classes=10, batch=100, ops=(Mixup(),)))
    assert [len(x) for x, _ in found] == [100, 100, 100, 60]
    elements = rows(test.elements())
    np.testing.assert_array_equal(
        np.concatenate([x for x, _ in found]), np.stack([e["image"] for e in elements])
    )
    np.testing.assert_array_equal(
        np.concatenate([y for _, y in found]).argmax(1), [e["label"] for e in elements]
    )
    np.testing.assert_array_equal([e["index"] for e in elements], np.arange(360))


@pytest.mark.parametrize(
    "made",
    [
        lambda part: batches(part, ops=(Lighting(),)),
        lambda part: evaluation_batches(part, classes=10, batch=4, ops=(Lighting(),)),
        lambda part: batches(part, ops=(Whole(),)),
    ],
    ids=["training", "evaluation", "batch"],
)
def test_the_error_of_an_op_contains_no_tensorflow_traceback(digits, made):
    with pytest.raises(
        ValueError, match=r"\A\w+: channels=1: needs images with 3 channels \(RGB\)\Z"
    ):
        made(digits.train)


class Whole:
    """A batch op that raises an error for every batch."""

    def batch(self, images, labels, seed):
        raise ValueError(f"Whole: channels={images.shape[-1]}: needs images with 3 channels (RGB)")


def test_data_sets_are_sharded_by_elements(digits):
    dataset, steps = training_batches(
        digits.train, classes=10, batch=64, ops=(), seed=0, first_epoch=1, epochs=4
    )
    policy = dataset.options().experimental_distribute.auto_shard_policy
    assert policy == tf.data.experimental.AutoShardPolicy.DATA
    assert dataset.cardinality() == 3 * steps


# Made-up data


def test_made_up_data_has_the_shape_classes_and_counts_of_its_name():
    data = open_data("made_up:6x5x2:3:20", validation=0.25)
    assert data.shape == (6, 5, 2)
    assert data.classes == ("0", "1", "2")
    assert (data.train.count, data.validation.count, data.open_test().count) == (20, 5, 5)
    one, two = rows(data.train.elements()), rows(data.train.elements())
    assert one[0]["image"].shape == (6, 5, 2)
    assert one[0]["image"].dtype == np.uint8
    np.testing.assert_array_equal(one[3]["image"], two[3]["image"])
    assert not np.array_equal(one[0]["image"], rows(data.open_test().elements())[0]["image"])
    everything = np.stack([e["image"] for e in one])
    assert abs(everything.mean() - 127.5) < 10
    assert [e["label"] for e in one[:4]] == [0, 1, 2, 0]
    assert open_data("made_up:6x5x2:3").train.count == 64
    assert open_data("made_up:6x5x2:3", validation=0.0).validation is None


@pytest.mark.parametrize("name", ["made_up", "made_up:3x3:2", "made_up:0x3x3:2", "made_up:3x3x3:0"])
def test_wrong_names_of_made_up_data_are_errors(name):
    with pytest.raises(ValueError, match="made_up:HxWxC"):
        open_data(name)
