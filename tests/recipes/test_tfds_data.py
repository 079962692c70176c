"""The digits and other data sets of TFDS."""

import socket
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from recipes.data import from_tfds
from recipes.data.batches import open_data
from tests.recipes.reading import assert_same, batches, order, rows

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def digits():
    return open_data("digits")


def test_digits_equal_those_of_scikit_learn(digits):
    from sklearn.datasets import load_digits

    source = load_digits()
    test = digits.open_test()
    assert (digits.train.count, digits.validation.count, test.count) == (1293, 144, 360)
    assert digits.shape == (8, 8, 1)
    assert digits.classes == tuple("0123456789")
    found = [e for s in (digits.train, digits.validation, test) for e in rows(s.elements())]
    # Every image once, with its label; the sets are disjoint.
    as_uint8 = np.round(source.images * 255 / 16).astype(np.uint8)
    expected = Counter((x.tobytes(), y) for x, y in zip(as_uint8, source.target, strict=True))
    assert Counter((e["image"].tobytes(), e["label"]) for e in found) == expected
    np.testing.assert_array_equal(np.round(as_uint8 / (255 / 16)), source.images)


def test_digits_are_stratified(digits):
    everything = Counter()
    test = Counter(e["label"] for e in rows(digits.open_test().elements()))
    for part in (digits.train, digits.validation):
        everything.update(e["label"] for e in rows(part.elements()))
    everything += test
    for label in range(10):
        assert abs(test[label] - everything[label] * 360 / 1797) < 1


def test_digits_are_the_same_in_every_data_directory(digits, tmp_path):
    from recipes.data.digits import Digits

    builder = Digits(data_dir=tmp_path)
    builder.download_and_prepare()
    again = builder.as_dataset(split="test").as_numpy_iterator()
    for one, two in zip(rows(digits.open_test().elements()), again, strict=True):
        np.testing.assert_array_equal(one["image"], two["image"])
        assert one["label"] == two["label"]


@pytest.mark.parametrize(
    ("fraction", "count"), [(0.0, None), (0.25, 359), (0.1, 144), (1e-4, 1), (0.9999, 1436)]
)
def test_fractions_of_the_training_set_are_split_off_for_validation(fraction, count):
    data = open_data("digits", validation=fraction)
    assert data.train.count == 1437 - (count or 0)
    assert (data.validation and data.validation.count) == count


@pytest.mark.parametrize("validation", [-0.1, 1.0, 1.5])
def test_validation_may_be_a_fraction(validation):
    with pytest.raises(ValueError, match="must be a fraction"):
        open_data("digits", validation=validation)


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ("test", "validation='test': this split of 'digits' is the test set"),
        ("train", "validation='train': this split of 'digits' is the training set"),
        ("trian", "did you mean 'train'"),
    ],
)
def test_validation_may_be_a_split(validation, message):
    with pytest.raises(ValueError, match=message):
        open_data("digits", validation=validation)


# TFDS


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar1O", "unknown data set 'cifar1O'; did you mean 'cifar10'"),
        ("digit", "did you mean 'digits'"),
        ("cifar10:9.9.9", "9.9.9"),
        ("mnist/x", "data='mnist/x': "),
        ("", "data='': |unknown data set"),
        ("recipes", "data='recipes': this is a folder; .* pass folder:recipes"),
    ],
)
def test_an_unknown_data_set_is_an_error(name, message):
    with pytest.raises(ValueError, match=message) as caught:
        open_data(name)
    assert len(str(caught.value)) < 600


def test_a_data_set_that_cannot_be_downloaded_is_an_error(monkeypatch, tmp_path):
    import tensorflow_datasets as tfds

    def refuse(*_):
        raise socket.gaierror("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    monkeypatch.setattr(
        from_tfds, "_builder", lambda name: tfds.builder(name, data_dir=str(tmp_path))
    )
    with pytest.raises(
        ValueError, match=r"data='mnist': is not prepared in .* cannot be downloaded"
    ):
        open_data("mnist")


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_test_set_without_labels_is_rejected(in_memory, tmp_path, monkeypatch):
    """In the data of some competitions, all labels are -1."""
    from recipes.data.digits import Digits

    examples = Digits._generate_examples

    def without_labels_in_the_test_set(self, images, labels, indices):
        unknown = len(indices) == self.TEST
        return examples(self, images, labels * 0 - 1 if unknown else labels, indices)

    monkeypatch.setattr(Digits, "_generate_examples", without_labels_in_the_test_set)
    builder = Digits(data_dir=tmp_path)
    builder.download_and_prepare()
    monkeypatch.setattr(from_tfds, "_builder", lambda name: builder)
    if not in_memory:
        monkeypatch.setattr(from_tfds, "IN_MEMORY", 0)
    data = open_data("digits")
    assert data.train.count == 1293
    with pytest.raises(ValueError, match="data='digits': split 'test' has no labels"):
        data.open_test()


class Shards:
    """The digits in four files, read as a data set that is too large for memory."""

    def __init__(self, root, monkeypatch):
        import tensorflow_datasets as tfds

        from recipes.data.digits import Digits

        builder = Digits(data_dir=root)
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=4))
        monkeypatch.setattr(from_tfds, "_builder", lambda name: builder)
        monkeypatch.setattr(from_tfds, "IN_MEMORY", 0)
        self.data = open_data("digits")


@pytest.fixture
def shards(tmp_path, monkeypatch):
    return Shards(tmp_path, monkeypatch).data


def test_streamed_shards_contain_the_same_images(shards, digits):
    assert len(shards.train.order(None).element_spec) == 2
    assert shards.train.encoded
    found = sorted(
        (tf.io.decode_png(e["image"]).numpy().tobytes(), int(e["label"]))
        for part in (shards.train, shards.validation)
        for e in rows(part.elements())
    )
    expected = sorted(
        (e["image"].tobytes(), int(e["label"]))
        for part in (digits.train, digits.validation)
        for e in rows(part.elements())
    )
    assert found == expected
    assert [e["index"] for e in rows(shards.train.elements())] == list(range(1293))


def test_streamed_indices_survive_shuffling(shards):
    fixed = {int(e["index"]): e["image"] for e in rows(shards.train.elements())}
    shuffled = tf.data.Dataset.range(1).flat_map(lambda epoch: shards.train.order([0, 1]))
    shuffled = rows(shuffled.map(shards.train.lookup))
    indices = [int(e["index"]) for e in shuffled]
    assert sorted(indices) == list(range(1293))
    assert indices != sorted(indices)
    # The order mixes all files, instead of shuffling within each file.
    assert min(indices[:50]) < 323 < 970 < max(indices[:50])
    assert all(fixed[int(e["index"])] == e["image"] for e in shuffled)


@pytest.mark.not_quick
def test_streamed_order_ignores_the_global_seed(shards):
    tf.random.set_seed(1)
    one, _ = batches(shards.train, batch=64, epochs=2)
    tf.random.set_seed(2)
    two, _ = batches(shards.train, batch=64, epochs=2)
    assert_same(one, two)
    assert order(one[:20]) != order(one[20:])
    assert order(batches(shards.train, batch=64, seed=1)[0]) != order(one[:20])
    assert_same(batches(shards.train, batch=64, first_epoch=1, epochs=2)[0], one[20:])


def test_a_tfds_test_set_is_not_read_before_it_is_opened(monkeypatch):
    read = []
    reading = from_tfds._split
    monkeypatch.setattr(
        from_tfds,
        "_split",
        lambda info, name, *rest: read.append(name) or reading(info, name, *rest),
    )
    data = open_data("digits")
    assert read == ["train", "validation"]
    data.open_test()
    assert read == ["train", "validation", "test"]
