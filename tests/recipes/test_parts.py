"""The batches of a run that resumes within an epoch, and of each of several workers."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from recipes.augment import CutMix, Flip, Mixup, PadCrop, RepeatedAugmentation
from recipes.data import from_tfds
from recipes.data.balance import balanced
from recipes.data.batches import evaluation_batches, open_data, training_batches
from recipes.data.parts import range_of_part
from tests.recipes.reading import assert_same, rows

OPS = (PadCrop(2), Flip())
SETTINGS = {"classes": 10, "batch": 64, "seed": 3, "epochs": 3}


@pytest.fixture(scope="module")
def digits():
    return open_data("digits").train


@pytest.fixture(scope="module")
def streamed():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(from_tfds, "IN_MEMORY", 0)
        return open_data("digits").train


def watched(split, seen):
    """Return the split, noting the index of each image that is looked up."""

    def lookup(*item):
        example = split.lookup(*item)

        def note(index):
            seen.append(int(index))
            return index

        index = tf.numpy_function(note, [example["index"]], tf.int64)
        return {**example, "index": tf.ensure_shape(index, [])}

    return dataclasses.replace(split, lookup=lookup)


MIXED, REPEATED = (Mixup(0.4),), (RepeatedAugmentation(3), CutMix())


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        pytest.param("indexed", MIXED, marks=pytest.mark.quick),
        ("balanced", REPEATED),
        pytest.param("streamed", REPEATED, marks=pytest.mark.full),
        pytest.param("balanced stream", MIXED, marks=pytest.mark.full),
    ],
)
def test_a_run_continues_within_an_epoch(kind, more, digits, streamed):
    split = streamed if "stream" in kind else digits
    split = balanced(split) if "balanced" in kind else split
    whole, steps = training_batches(split, ops=OPS + more, first_epoch=0, **SETTINGS)
    whole = rows(whole)
    assert len(whole) == 3 * steps
    for epoch, step in ((0, 7), (2, steps - 1)):
        late, _ = training_batches(
            split, ops=OPS + more, first_epoch=epoch, first_step=step, **SETTINGS
        )
        assert late.cardinality() == (3 - epoch) * steps - step
        assert_same(rows(late), whole[epoch * steps + step :])


@pytest.mark.quick
def test_skipped_batches_are_neither_read_nor_decoded(digits):
    seen = []
    settings = SETTINGS | {"epochs": 1}
    late, steps = training_batches(
        watched(digits, seen), ops=(), first_epoch=0, first_step=18, **settings
    )
    assert len(rows(late)) == steps - 18 == 2
    assert len(seen) == 2 * 64


def test_a_whole_epoch_may_be_skipped(digits):
    late, steps = training_batches(digits, ops=(), first_epoch=0, first_step=20, **SETTINGS)
    assert steps == 20
    next_epoch, _ = training_batches(digits, ops=(), first_epoch=1, **SETTINGS)
    assert_same(rows(late), rows(next_epoch))
    with pytest.raises(ValueError, match="first_step=21: an epoch has 20 batches; use 0 to 20"):
        training_batches(digits, ops=(), first_epoch=0, first_step=21, **SETTINGS)


@pytest.mark.parametrize("workers", [2, 4])
@pytest.mark.parametrize("kind", ["indexed", "balanced", "repeated"])
def test_workers_together_get_the_batches_of_one_process(workers, kind, digits):
    """In the middle of an epoch, with the same augmentation of each image."""
    split = balanced(digits) if kind == "balanced" else digits
    settings = SETTINGS | {"ops": OPS + ((RepeatedAugmentation(3),) if kind == "repeated" else ())}
    settings |= {"first_epoch": 1, "first_step": 2}
    whole, steps = training_batches(split, **settings)
    seen = [[] for _ in range(workers)]
    parts = [
        training_batches(watched(split, seen[worker]), part=(worker, workers), **settings)
        for worker in range(workers)
    ]
    assert {found for _, found in parts} == {steps}
    assert {len(each) for each in seen} == {0}
    together = [
        tuple(map(np.concatenate, zip(*pieces, strict=True)))
        for pieces in zip(*(rows(part) for part, _ in parts), strict=True)
    ]
    assert_same(together, rows(whole))
    # Each worker looks up its own images only.
    assert {len(each) for each in seen} == {(2 * steps - 2) * 64 // workers}


def test_the_first_worker_mixes_its_rows_with_the_share_of_one_process(digits):
    settings = SETTINGS | {"first_epoch": 0, "epochs": 1}
    plain = rows(training_batches(digits, ops=(), **settings)[0])
    mixed = rows(training_batches(digits, ops=(Mixup(0.4),), **settings)[0])
    part = rows(training_batches(digits, ops=(Mixup(0.4),), part=(0, 2), **settings)[0])
    for (images, labels), (_, whole), (own, _) in zip(plain, mixed, part, strict=True):
        # The share of the first image follows from the mixed labels of the whole batch.
        row = next(i for i in range(1, 64) if labels[i].argmax() != labels[i - 1].argmax())
        share = whole[row, labels[row].argmax()]
        rolled = np.roll(images[:32], 1, axis=0)
        np.testing.assert_allclose(own, share * images[:32] + (1 - share) * rolled, atol=1e-3)


@pytest.mark.parametrize("kind", ["plain", "balanced"])
def test_workers_read_their_own_ranges_of_records(kind, streamed):
    split = balanced(streamed) if kind == "balanced" else streamed
    for worker in range(3):
        seen, settings = [], SETTINGS | {"batch": 60, "ops": (), "epochs": 2}
        part, steps = training_batches(
            watched(split, seen), first_epoch=0, part=(worker, 3), **settings
        )
        assert [len(images) for images, _ in rows(part)] == [20] * 2 * steps
        start, end = range_of_part(split.count, (worker, 3))
        assert start <= min(seen) < max(seen) < end
        if kind == "plain":
            assert len({*seen[: 20 * steps]}) == 20 * steps
        assert seen[: 20 * steps] != seen[20 * steps :]


def test_workers_share_the_evaluation(digits, streamed):
    """1,293 images: the last of 13 batches has 93."""
    whole = rows(evaluation_batches(digits, classes=10, batch=100, ops=OPS))
    for workers in (2, 5):
        parts = [
            rows(evaluation_batches(digits, classes=10, batch=100, ops=OPS, part=(w, workers)))
            for w in range(workers)
        ]
        for number, batch in enumerate(whole):
            pieces = [part[number] for part in parts]
            together = tuple(map(np.concatenate, zip(*pieces, strict=True)))
            assert_same([together], [batch])
        own = [
            rows(evaluation_batches(streamed, classes=10, batch=100, ops=OPS, part=(w, workers)))
            for w in range(workers)
        ]
        flat = [batch for part in own for batch in part]
        assert_same(
            [tuple(map(np.concatenate, zip(*flat, strict=True)))],
            [tuple(map(np.concatenate, zip(*whole, strict=True)))],
        )


def test_a_batch_must_be_divisible_by_the_workers(digits):
    with pytest.raises(ValueError, match="batch_size=64: is not divisible by the 3 workers"):
        training_batches(digits, ops=(), first_epoch=0, part=(0, 3), **SETTINGS)
    with pytest.raises(ValueError, match="batch=2: less than the 3 workers; use at least 3"):
        evaluation_batches(digits, classes=10, batch=2, ops=(), part=(0, 3))


def test_the_parts_of_workers_are_not_divided_again(digits):
    part, _ = training_batches(digits, ops=(), first_epoch=0, part=(0, 2), **SETTINGS)
    policy = part.options().experimental_distribute.auto_shard_policy
    assert policy == tf.data.experimental.AutoShardPolicy.OFF
