"""Preprocessing against NumPy, with statistics of the training set only."""

import sys

import keras
import numpy as np
import pytest

from recipes.augment import Resize
from recipes.data import preprocess
from recipes.data.batches import in_memory, open_data
from recipes.data.types import Data
from tests import processes
from zoo import layers

pytestmark = pytest.mark.quick

FITTED = [kind for kind in preprocess.KINDS if kind not in ("none", "scale", "unit_interval")]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "preprocess"


def images(count, seed, shape=(4, 5, 3), mean=90):
    """Correlated pixels, whose mean and standard deviation differ by channel and position."""
    random = np.random.default_rng(seed)
    x = random.normal(0, 20, (count, *shape)).cumsum(2)
    x += mean + np.arange(shape[-1]) * 20 + np.arange(shape[0])[:, None, None] * 3
    return x.clip(0, 255).astype(np.uint8)


TRAIN, TEST = images(700, 0), images(300, 1, mean=150)


def split(x, name):
    fingerprint = f"{name}{x.shape}{x.sum()}"
    return in_memory(x, np.zeros(len(x), int), name=name, describe=str, fingerprint=fingerprint)


def data_of(train=TRAIN):
    return Data("arrays", ("a",), split(train, "train"), None, lambda: split(TEST, "test"))


def fit(kind, train=TRAIN, ops=(), batch=256):
    data = data_of(train)
    return preprocess.fit(kind, data, data.train, ops, batch)


def expected(kind, x):
    """Compute the definition with NumPy; pca and whiten by singular value decomposition."""
    train, x = TRAIN.astype(float), x.astype(float)
    match kind:
        case "scale":
            return x / 127.5 - 1
        case "unit_interval":
            return x / 255
        case "standardize_image":
            return (x - train.mean(0)) / train.std(0)
        case "center_channel":
            return x - train.mean((0, 1, 2))
        case "center_image":
            return x - train.mean(0)
        case "standardize":
            return (x - train.mean((0, 1, 2))) / train.std((0, 1, 2))
    flat = train.reshape(len(train), -1)
    _, singular, rows = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    rotated = (x.reshape(len(x), -1) - flat.mean(0)) @ rows.T
    if kind == "whiten":
        variance = singular**2 / len(train)
        rotated /= np.sqrt(variance + 1e-5 * variance.max())
    return rotated.reshape(x.shape)


@pytest.mark.parametrize("kind", [*FITTED, "scale", "unit_interval"])
def test_kinds_match_their_definitions_on_test_images(kind):
    layer = fit(kind)
    assert layer.name == "input_preprocess"
    result, wanted = np.array(layer(TEST.astype(np.float32))), expected(kind, TEST)
    assert result.shape == TEST.shape
    if kind in ("pca", "whiten"):  # the sign of an axis is arbitrary
        result, wanted = np.abs(result), np.abs(wanted)
    np.testing.assert_allclose(result, wanted, rtol=2e-4, atol=2e-3)
    assert not layer.trainable_weights


def test_statistics_are_those_of_the_training_set():
    for kind in FITTED:
        layer = fit(kind)
        assert abs(np.array(layer(TRAIN.astype(np.float32))).mean()) < 1e-3
        assert abs(np.array(layer(TEST.astype(np.float32))).mean()) > 0.1


def test_whitened_covariance_is_the_identity():
    x = np.array(fit("whiten")(TRAIN.astype(np.float32))).reshape(len(TRAIN), -1)
    np.testing.assert_allclose(np.cov(x.T, bias=True), np.eye(60), atol=0.02)
    x = np.array(fit("pca")(TRAIN.astype(np.float32))).reshape(len(TRAIN), -1)
    variances = x.var(0)
    covariance = np.cov(x.T, bias=True) - np.diag(variances)
    assert np.abs(covariance).max() < 1e-3 * variances.max()
    assert (np.diff(variances) < 1e-3).all()  # largest first


def test_none_gives_no_layer():
    assert fit("none") is None


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match="did you mean 'standardize'"):
        fit("standardise")


@pytest.mark.parametrize("kind", FITTED)
def test_statistics_do_not_depend_on_the_batch_size(kind, cache):
    one = [np.array(w) for w in built(fit(kind, batch=700)).weights]
    for file in cache.iterdir():
        file.unlink()
    for a, b in zip(one, built(fit(kind, batch=37)).weights, strict=True):
        np.testing.assert_allclose(a, np.array(b), rtol=1e-5, atol=1e-5)


def built(layer):
    layer(TRAIN[:1].astype(np.float32))
    return layer


def test_statistics_are_of_the_images_after_the_ops():
    means = fit("center_image", ops=(Resize((2, 2)),))
    means(np.zeros((1, 2, 2, 3), np.float32))
    resized = np.stack([Resize((2, 2))(image, (0, 0)) for image in TRAIN[:50]])
    assert np.array(means.weights[0]).shape == (2, 2, 3)
    np.testing.assert_allclose(np.array(means.weights[0]), resized.mean(0), atol=15)


def test_constant_channels_and_pixels_stay_finite():
    flat = TRAIN.copy()
    flat[:, 0] = 0
    flat[..., 1] = 7
    for kind in FITTED:
        assert np.isfinite(np.array(fit(kind, flat)(flat.astype(np.float32)))).all()
    standard = np.array(fit("standardize", flat)(flat.astype(np.float32)))
    assert not standard[..., 1].any()
    each = np.array(fit("standardize_image", flat)(flat.astype(np.float32)))
    assert not each[:, 0].any()
    np.testing.assert_allclose(each[:, 1:, :, 0].std(0), 1, rtol=1e-4)


@pytest.mark.parametrize("kind", ["pca", "whiten"])
def test_too_many_dimensions_for_whitening_are_an_error(kind):
    data = open_data("made_up:40x40x3:2")
    with pytest.raises(ValueError, match=r"at most 4,096 dimensions, .* 40x40x3 has 4,800"):
        preprocess.fit(kind, data, data.train, ())
    assert preprocess.fit(kind, data, data.train, (Resize(5),)) is not None


@pytest.mark.parametrize("kind", FITTED)
def test_statistics_are_cached(kind, cache, monkeypatch):
    first = [np.array(w) for w in built(fit(kind)).weights]
    (file,) = cache.iterdir()
    calls = []
    compute = preprocess._parameters
    monkeypatch.setattr(
        preprocess, "_parameters", lambda *arguments: calls.append(1) or compute(*arguments)
    )
    whole = file.read_bytes()
    for content, computed in (
        (whole, 0),
        (whole[: len(whole) // 2], 1),
        (b"", 1),
        (b"no archive", 1),
        (whole[:100] + bytes([whole[100] ^ 255]) + whole[101:], 1),
    ):
        file.write_bytes(content)
        calls.clear()
        again = built(fit(kind)).weights
        assert len(calls) == computed
        assert file.read_bytes() == whole
        for a, b in zip(first, again, strict=True):
            np.testing.assert_array_equal(a, np.array(b))


def test_the_cache_distinguishes_data_ops_and_kind(cache):
    fit("center_image")
    fit("center_image", ops=(Resize(3),))
    fit("center_channel")
    fit("center_image", TRAIN[:500])
    assert len(list(cache.iterdir())) == 4


def test_statistics_of_a_large_set_are_those_of_every_kth_image(monkeypatch, cache):
    whole = built(fit("standardize")).weights
    monkeypatch.setattr(preprocess, "MOST_IMAGES", len(TRAIN) - 1)
    monkeypatch.setattr(preprocess, "SAMPLE", len(TRAIN) // 3 - 1)
    found = built(fit("standardize")).weights
    step = len(TRAIN) // (len(TRAIN) // 3 - 1)
    np.testing.assert_allclose(found[0], TRAIN[::step].mean((0, 1, 2)), rtol=1e-5)
    assert np.abs(np.array(found[0]) - np.array(whole[0])).max() > 1e-3


def test_the_validation_set_is_left_out():
    one, other = (open_data("digits", validation=fraction) for fraction in (0.0, 0.5))
    means = []
    for data in (one, other):
        layer = preprocess.fit("center_channel", data, data.train, ())
        layer(np.zeros((1, 8, 8, 1), np.float32))
        elements = data.train.elements().as_numpy_iterator()
        mean = np.mean([element["image"] for element in elements])
        np.testing.assert_allclose(np.array(layer.weights[0]), mean, rtol=1e-6)
        means.append(mean)
    assert abs(means[0] - means[1]) > 0.01


@pytest.mark.not_quick
def test_a_saved_model_contains_its_preprocessing(tmp_path):
    inputs = keras.Input((4, 5, 3))
    model = keras.Model(inputs, fit("whiten")(inputs))
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", TEST[:3].astype(np.float32))
    np.save(tmp_path / "y.npy", np.array(model(TEST[:3].astype(np.float32))))
    code = (
        "import sys, keras, zoo, numpy as np; p = sys.argv[1];"
        "model = keras.models.load_model(p + '/model.keras');"
        "y = np.array(model(np.load(p + '/x.npy')));"
        "np.testing.assert_allclose(y, np.load(p + '/y.npy'), rtol=1e-5, atol=1e-5)"
    )
    processes.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert isinstance(model.get_layer("input_preprocess"), layers.Affine)
