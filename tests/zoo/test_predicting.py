"""zoo.predict: the images and models that it accepts, and the table that it returns."""

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import zoo
from zoo import image_inputs, imagenet_names, inference, predicting

SIZE = (32, 32)


def pixels(seed: int = 0, height: int = 32, width: int = 32, channels: int = 3) -> np.ndarray:
    shape = (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")


@pytest.fixture(scope="module")
def model():
    before = keras.layers.Rescaling(1 / 127.5, -1, name="input_rescaling")
    return zoo.build("toy_vgg", seed=0, num_classes=3, preprocess=before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    (root / "deeper").mkdir()
    for i, name in enumerate(("a.png", "b.png", "deeper/c [1].png")):
        Image.fromarray(pixels(i)).save(root / name)
    (root / "broken.png").write_bytes((root / "a.png").read_bytes()[:300])
    return root


def expected(model, *images) -> np.ndarray:
    logits = np.asarray(model(np.stack(images).astype("float32")), "float64")
    return np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)


@pytest.mark.quick
def test_the_table_has_a_row_per_image_and_a_column_per_class(model, folder):
    with pytest.warns(UserWarning, match="cannot read .*broken.png"):
        table = zoo.predict(model, folder, classes=["cat", "dog", "cat"])
    assert [*table] == ["file", "class", "probability", "cat", "dog", "cat (2)"]
    assert [*table["file"]] == [
        str(folder / n) for n in ("a.png", "b.png", "broken.png", "deeper/c [1].png")
    ]
    assert table.iloc[2].isna().sum() == 5
    known = table.dropna()
    shares = expected(model, *(pixels(i) for i in range(3)))
    np.testing.assert_allclose(known[["cat", "dog", "cat (2)"]], shares, rtol=1e-4)
    np.testing.assert_allclose(known["probability"], shares.max(-1), rtol=1e-4)
    assert [*known["class"]] == [("cat", "dog", "cat")[n] for n in shares.argmax(-1)]


@pytest.mark.quick
def test_top_gives_a_row_for_each_of_the_most_probable_classes(model, folder):
    files = [folder / "a.png", folder / "broken.png", folder / "b.png"]
    with pytest.warns(UserWarning, match="cannot read"):
        table = zoo.predict(model, files, top=2)
    assert [*table["rank"]] == [1, 2, 1, 1, 2]
    order = (-expected(model, pixels(0), pixels(1))).argsort(-1)[:, :2].ravel()
    assert [*table["class"].dropna()] == [f"class {n}" for n in order]
    assert table["class"].isna().sum() == 1
    assert len(zoo.predict(model, files[0], top=9)) == 3


@pytest.mark.quick
@pytest.mark.parametrize(
    "given",
    [
        lambda folder: np.stack([pixels(0), pixels(1)]),
        lambda folder: np.stack([pixels(0), pixels(1)]).astype("float32"),
        lambda folder: [pixels(0).astype(int), pixels(1).astype("float64")],
        lambda folder: (Image.fromarray(pixels(i)) for i in range(2)),
        lambda folder: str(folder / "?.png"),
        lambda folder: pd.Series([str(folder / "a.png"), str(folder / "b.png")]),
        lambda folder: [Image.open(folder / "a.png"), pixels(1)],
        lambda folder: keras.ops.convert_to_tensor(np.stack([pixels(0), pixels(1)])),
        lambda folder: [np.dstack([pixels(i), pixels(9)[..., :1]]) for i in range(2)],  # alpha
    ],
)
def test_images_may_be_arrays_pillow_images_paths_or_patterns(model, folder, given):
    table = zoo.predict(model, given(folder))
    columns = [f"class {n}" for n in range(3)]
    np.testing.assert_allclose(table[columns], expected(model, pixels(0), pixels(1)), rtol=1e-4)


@pytest.mark.quick
def test_images_in_memory_are_named_by_index_or_file(model, folder):
    with Image.open(folder / "a.png") as file:
        table = zoo.predict(model, [pixels(), str(folder / "deeper" / "c [1].png"), file])
    names = [str(folder / name) for name in ("deeper/c [1].png", "a.png")]
    assert [*table["file"]] == ["[0]", *names]


@pytest.mark.quick
def test_images_are_converted_between_gray_and_color():
    rng = np.random.default_rng(0)
    batch = rng.integers(0, 256, (5, 8, 9), dtype="uint8")
    assert len(image_inputs.listed(batch, 1)) == 5
    assert len(image_inputs.listed(batch[..., :3], 1)) == 1  # a color image
    (one,) = image_inputs.listed(batch[0], 3)
    np.testing.assert_array_equal(one.read(3), np.repeat(batch[0][..., None], 3, -1))
    color = pixels(3, 7, 9)
    (one,) = image_inputs.listed(color, 1)
    luma = np.asarray(Image.fromarray(color).convert("L"))[..., None]
    np.testing.assert_array_equal(one.read(1), luma)
    (one,) = image_inputs.listed(color + np.float32(0.25) * (color < 255), 1)
    assert np.abs(one.read(1) - luma).max() < 1.5
    assert one.read(4).shape == (7, 9, 4)
    assert one.read(4)[..., 3].min() == 255


@pytest.mark.quick
def test_exif_orientation_applies_only_to_unmodified_pillow_images(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated to the right
    Image.fromarray(pixels(0, 20, 30)).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as file:
        upright = np.rot90(pixels(0, 20, 30), -1)
        (one,) = image_inputs.listed(file, 3)
        np.testing.assert_array_equal(one.read(3), upright)
        turned = file.rotate(-90, expand=True)  # rotated by the user, which keeps the tag
        (one,) = image_inputs.listed(turned, 3)
        np.testing.assert_array_equal(one.read(3), upright)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("images", "words"),
    [
        (
            pixels() / 255,
            r"values from 0.* to 1; pass raw pixels from 0 to 255 \(multiply by 255\)",
        ),
        (pixels() / 127.5 - 1, r"values from -1 to 1; .*\(undo the normalization\)"),
        (pixels().astype(int) * 2, "values from 0 to 510"),
        (pixels() > 9, "only True and False"),
        (np.full((8, 8, 3), np.nan), "not finite"),
        (pixels().transpose(2, 0, 1), r"shape \(3, 32, 32\); pass .*, with the channels last"),
        (pixels()[None].transpose(0, 3, 1, 2), "has 32 channels, but the network takes 3"),
        (pixels(channels=2), r"shape \(32, 32, 2\)"),
        (np.zeros((0, 8, 3), "uint8"), "no pixels"),
        (np.zeros(5), r"shape \(5,\)"),
        ([], r"images=\[\]: there are no images"),
        (3, "images=3: not a path"),
        ([b"abc"], "not a path"),
        ("nowhere/*.png", "no file has this name or matches this pattern"),
        ("nowhere", "images='nowhere': there is no such file or folder"),
    ],
)
def test_a_wrong_image_is_an_error(model, images, words):
    with pytest.raises(ValueError, match=words):
        zoo.predict(model, images)


@pytest.mark.quick
def test_a_wrong_path_is_an_error_before_the_network_is_opened(tmp_path, model, folder):
    for images, words in (
        ("nowhere", "no such file or folder"),
        (tmp_path, "there are no images in this folder"),
        (["a.png", str(tmp_path)], "there are no images in this folder"),
    ):
        with pytest.raises(ValueError, match=words):
            zoo.predict("a network that is not opened", images)
    with pytest.warns(UserWarning, match=r"cannot read nowhere\.png: No such file"):
        table = zoo.predict(model, ["nowhere.png", folder / "a.png"])
    assert [*table["class"].isna()] == [True, False]


@pytest.mark.quick
def test_black_float_images_count_as_raw_pixels(model):
    shares = expected(model, np.zeros((32, 32, 3)))
    table = zoo.predict(model, np.zeros((32, 32, 3), "float32"))
    np.testing.assert_allclose(table.iloc[0, 3:].astype(float), shares[0], rtol=1e-4)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("toy_vgg",), {}, "weights=None: toy_vgg would have random weights"),
        (("resnte50",), {"weights": "imagenet"}, "did you mean 'resnet50'"),
        ((3,), {}, "model=3: not a run directory, a saved model"),
        (
            (keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)]),),
            {},
            "not a classifier; pass a model that takes one batch of images",
        ),
        ((None,), {"weights": "imagenet"}, "weights=.imagenet.: only applies to the name"),
        ((None,), {"act": "elu"}, "act=.elu.: only applies to the name"),
        ((None,), {"classes": ["a"]}, "1 name for 3 outputs"),
        ((None,), {"top": 0}, "top=0: must be a positive integer"),
        ((None,), {"top": True}, "top=True"),
    ],
)
def test_a_wrong_argument_is_an_error(model, arguments, options, words):
    (given,) = arguments
    with pytest.raises(ValueError, match=words):
        zoo.predict(model if given is None else given, pixels(), **options)


@pytest.mark.quick
def test_a_network_without_preprocessing_warns():
    plain = zoo.build("toy_vgg", num_classes=3, seed=0)
    with pytest.warns(UserWarning, match="no preprocessing layer"):
        zoo.predict(plain, pixels())
    raw = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    assert zoo.predict(raw, pixels()).shape == (1, 5)


def test_a_model_in_memory_keeps_the_geometry_and_classes_of_its_source(tmp_path):
    path = tmp_path / "it.weights.h5"
    options = {"input_shape": (64, 64, 3), "preprocess": "timm/mobilenetv3_small_100.lamb_in1k"}
    zoo.build("mobilenet_v3_small", seed=0, input_shape=(64, 64, 3)).save_weights(path)
    model = zoo.build("mobilenet_v3_small", weights=path, **options)
    source = zoo.source("mobilenet_v3_small", options["preprocess"])
    assert source.interpolation == "bicubic"
    image = pixels(0, 90, 120)
    table = zoo.predict(model, image, top=1)
    again = zoo.predict("mobilenet_v3_small", image, top=1, weights=path, **options)
    pd.testing.assert_frame_equal(table, again)
    assert table["class"][0] in imagenet_names.names()
    side = int(64 / source.crop + 0.02)
    whole = Image.fromarray(image).resize((120 * side // 90, side), Image.Resampling.BICUBIC)
    left, top = round((whole.width - 64) / 2), round((side - 64) / 2)
    seen = np.asarray(whole)[top : top + 64, left : left + 64]
    np.testing.assert_allclose(table["probability"][0], expected(model, seen).max(), rtol=1e-3)


@pytest.mark.quick
def test_an_image_too_narrow_to_resize_is_reported(model):
    images = [np.zeros((1, 60_000, 3), "uint8"), pixels()]
    shown = zoo.geometry.Geometry((zoo.geometry.ResizeShort(256), zoo.geometry.CenterCrop(*SIZE)))
    network = inference.Network("x", model, (), SIZE, shown)
    with pytest.warns(UserWarning, match=r"cannot read \[0\]: its 1x60000 pixels would be resized"):
        table = predicting.table(network, images, None, False)
    assert [*table["class"].isna()] == [True, False]
