"""Image files of a data set: pixels of each format, lossless copies, and cached checks."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from recipes.augment import RandomResizedCrop, ScaleJitter, decode_image
from recipes.augment.decoding import marked
from recipes.data import image_checks, image_headers
from recipes.data.batches import open_data
from recipes.data.file_lists import Files, packed
from recipes.data.image_checks import Checks
from tests.recipes.folders import make_folder, pixels, spoil, write
from tests.recipes.pictures import photo
from tests.recipes.reading import rows
from zoo import image_reading, terminal
from zoo.image_reading import read_image

pytestmark = pytest.mark.quick


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    path = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CONVNET_ZOO_CACHE", str(path))
    terminal.print_once.cache_clear()
    return path


def checked(paths, channels, cache):
    """Return the checks of all these files, the paths that TensorFlow decodes, and their turns."""
    checks = Checks(
        Files(packed("/", paths), np.zeros(len(paths), np.int32)), channels, cache / "x"
    )
    checks.read_headers()
    checks.verify_all(range(len(paths)))
    sources = [checks.source(number) for number in range(len(paths))]
    return checks, sources, np.maximum(checks.turns.astype(int), 1)


def turned_at_the_end(png):
    """Write a PNG file with EXIF orientation 6 after its pixels."""
    end, exif = png.rindex(b"IEND") - 4, turned(6)["exif"].tobytes().removeprefix(b"Exif\0\0")
    chunk = b"eXIf" + exif
    chunk = struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:end] + chunk + png[end:]


def turned(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return {"exif": exif}


COLOR = Image.fromarray(photo(61, 83))
ALPHA = Image.merge("RGBA", [*COLOR.split(), COLOR.convert("L")])
DEEP = np.arange(61 * 83, dtype=np.uint16).reshape(61, 83) * 12
# Those that TensorFlow decodes itself, and those that are copied.
PLAIN = {
    "color.jpg": (COLOR, {"quality": 90}),
    "progressive.jpeg": (COLOR, {"progressive": True, "subsampling": 1}),
    "gray.jpe": (COLOR.convert("L"), {"format": "JPEG"}),
    "rgb.jfif": (COLOR, {"format": "JPEG", "keep_rgb": True}),
    "upright.jpg": (COLOR, turned(1)),
    "rgb.png": (COLOR, {}),
    "rgba.png": (ALPHA, {}),
    "gray.png": (COLOR.convert("L"), {}),
    "gray alpha.png": (ALPHA.convert("LA"), {}),
    **{f"turned {value}.jpg": (COLOR, turned(value)) for value in range(2, 9)},
}
COPIED = {
    "inks.jpg": (COLOR.convert("CMYK"), {}),
    "turned.png": (COLOR, turned(3)),
    "bits.png": (COLOR.convert("1"), {}),
    "deep.png": (Image.fromarray(DEEP), {}),
    "x.bmp": (COLOR, {}),
    "x.gif": (COLOR, {}),
    "x.webp": (ALPHA, {"quality": 80}),
    "x.tif": (COLOR, turned(8)),
    "deep.tiff": (Image.fromarray(DEEP), {}),
    "float.tif": (Image.fromarray(DEEP.astype(np.float32) / 65535), {}),
    "x.ppm": (COLOR, {}),
    "several.webp": (COLOR, {"save_all": True, "append_images": [ALPHA]}),
    "several.png": (COLOR, {"save_all": True, "append_images": [ALPHA]}),
}
PALETTES = {
    "palette.png": (COLOR.quantize(200), {}),
    "clear.png": (ALPHA.quantize(9), {}),
    "four bits.png": (COLOR.quantize(10), {"bits": 4}),
}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_training_reads_the_pixels_of_prediction(tmp_path, channels, cache):
    """For each format and mode, with whole images and crops."""
    kinds = {**PLAIN, **COPIED, **PALETTES}
    for name, (image, options) in kinds.items():
        image.save(tmp_path / name, **options)
    late = tmp_path / "x.ppm"
    late.write_bytes(turned_at_the_end((tmp_path / "rgb.png").read_bytes()))
    assert read_image(late, channels).shape == (83, 61, channels)
    paths = [str(tmp_path / name) for name in kinds]
    found, sources, turns = checked(paths, channels, cache)
    assert not found.bad
    for number, path in enumerate(paths):
        height, width = found.sizes[found.codes[number] - 1]
        assert read_image(path).shape[:2] == (height, width), path
    copied = {n for n, s in zip(kinds, sources, strict=True) if s != os.fsencode(tmp_path / n)}
    assert copied == {*COPIED} | ({*PALETTES} if channels == 4 else set())
    crops = (RandomResizedCrop(24, area=(0.3, 0.6)), ScaleJitter((30, 40), 28))
    for path, source, turn in zip(paths, sources, turns, strict=True):
        expected = read_image(path, channels)
        data = tf.io.read_file(source)
        data = marked(data, turn) if turn > 1 else data
        np.testing.assert_array_equal(decode_image(data, channels), expected, err_msg=path)
        for crop in crops:
            part = crop.decode(data, (1, 2), channels)
            np.testing.assert_array_equal(part, crop(expected, (1, 2)), err_msg=f"{path} {crop}")


def test_a_data_set_may_have_1_or_4_channels(tmp_path):
    name = make_folder(tmp_path)
    for channels in (1, 4):
        data = open_data(name, validation=0, channels=channels)
        assert data.shape == (10, 12, channels)
        for element in rows(data.train.elements()):
            path = data.train.describe(int(element["index"]))
            np.testing.assert_array_equal(element["image"], read_image(path, channels))


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_rotated_photos_are_read_upright(tmp_path, cache, capsys, ending):
    for name in ("cat", "dog"):
        for number in range(3):
            write(tmp_path / name / f"{number}.{ending}", number, 24, 40, **turned(6 - number))
    before = {path: path.read_bytes() for path in tmp_path.rglob(f"*.{ending}")}
    printed = []
    for _ in range(3):  # checked, from the cache, and without the copies
        data = open_data(f"folder:{tmp_path}", validation=0)
        for split in (data.train, data.open_test()):
            for element in rows(split.elements()):
                path = split.describe(int(element["index"]))
                seen = element["image"]
                seen = np.asarray(decode_image(seen, 3)) if split.encoded else seen
                np.testing.assert_array_equal(seen, read_image(path, 3))
        printed.append(capsys.readouterr().err)
        if len(printed) == 2:
            for copy in (cache / "images").glob("*"):
                copy.unlink()
    sentence = f"stored upright 8-bit copies of 6 images (1 MB) in {cache / 'images'}\n"
    assert printed == ([sentence, "", ""] if ending == "png" else [""] * 3)
    assert {path: path.read_bytes() for path in before} == before


def test_photos_that_are_all_rotated_alike_have_one_size(tmp_path):
    """Photos of a phone held upright have the size of the upright image."""
    for name in ("cat", "dog"):
        for number in range(3):
            write(tmp_path / name / f"{number}.jpg", number, 24, 40, **turned(8))
    data = open_data(f"folder:{tmp_path}", validation=0)
    assert data.shape == data.open_test().shape == (40, 24, 3)
    assert not data.train.encoded
    for element in rows(data.train.elements()):
        path = data.train.describe(int(element["index"]))
        np.testing.assert_array_equal(element["image"], read_image(path, 3))


def test_a_damaged_rotated_photo_is_a_bad_image(tmp_path):
    name = make_folder(tmp_path)
    path = write(tmp_path / "train" / "cat" / "turned.jpg", 0, 60, 80, **turned(6))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"1 image of the train set cannot .*turned\.jpg \("):
        open_data(name, validation=0)


def test_extraneous_bytes_in_a_file_are_no_error(tmp_path):
    name = make_folder(tmp_path)
    path = write(tmp_path / "train" / "cat" / "more.jpg")
    content = path.read_bytes()
    scan = content.index(b"\xff\xda")
    path.write_bytes(content[:scan] + b"\0\0\0" + content[scan:] + b"trailing")
    data = open_data(name, validation=0)
    assert data.train.count == 13
    (image,) = (
        e["image"]
        for e in rows(data.train.elements())
        if data.train.describe(int(e["index"])) == str(path)
    )
    np.testing.assert_array_equal(image, read_image(path, 3))


@pytest.mark.not_quick
def test_checks_are_cached_until_a_file_changes(tmp_path, cache, monkeypatch):
    name = make_folder(tmp_path, ("",))
    checks, headers = [], []
    check, header = Checks._decodes, image_checks.header
    monkeypatch.setattr(Checks, "_decodes", lambda self, i: checks.append(i) or check(self, i))
    monkeypatch.setattr(image_checks, "header", lambda *a: headers.append(a[0]) or header(*a))

    def checked(seed=0):
        checks.clear()
        headers.clear()
        data = open_data(name, validation=0.2, seed=seed)
        assert data.train.count == 8
        return len(headers), len(checks)

    assert checked() == (12, 12)
    assert checked() == (0, 0)
    assert checked(seed=1) == (0, 0)  # other images are held out for validation
    (file,) = (cache / "folders").iterdir()
    with np.load(file) as content:
        whole = dict(content)
    for damage in (
        b"[",
        {},
        whole | {"turns": whole["turns"][1:]},
        whole | {"turns": whole["turns"] + 77},
        whole | {"bad": np.frombuffer(b"[]", np.uint8)},
    ):
        if isinstance(damage, bytes):
            file.write_bytes(damage)
        else:
            np.savez(file, **damage)
        assert checked() == (12, 12), damage
        assert checked() == (0, 0)
    os.utime(open_data(name, validation=0).train.describe(0), (0, 0))
    assert checked() == (1, 1)
    write(tmp_path / "cat" / "7.png", 99)
    data = open_data(name, validation=0.2)
    assert data.train.count + data.validation.count + data.open_test().count == 13
    assert len(checks) == 2


def test_files_that_could_not_be_opened_are_tried_again(tmp_path, monkeypatch):
    """Unlike damaged files, because permissions change neither size nor modification time."""
    name = make_folder(tmp_path)
    closed = tmp_path / "train" / "cat" / "0.png"
    damaged = spoil(tmp_path / "train" / "dog" / "1.png")
    opened, tries = image_reading.opened, []

    def refused(path):
        tries.append(path)
        if path == str(closed):
            raise PermissionError(13, "Permission denied", path)
        return opened(path)

    with monkeypatch.context() as patch:
        for module in (image_reading, image_headers):
            patch.setattr(module, "opened", refused)
        with pytest.raises(ValueError, match=r"2 images .*0\.png \(Permission denied\)"):
            open_data(name, validation=0)
        fingerprint = open_data(name, validation=0, bad_images=2).train.fingerprint
        tries.clear()
        open_data(name, validation=0, bad_images=2)
        assert {*tries} == {str(closed)}
    data = open_data(name, validation=0, bad_images=1)
    assert data.train.fingerprint != fingerprint
    found = {data.train.describe(int(e["index"])): e["image"] for e in rows(data.train.elements())}
    np.testing.assert_array_equal(found[str(closed)], pixels(0))
    np.testing.assert_array_equal(found[str(damaged)], found[str(damaged.with_name("2.png"))])
    tries.clear()
    monkeypatch.setattr(image_headers, "opened", refused)
    open_data(name, validation=0, bad_images=1)
    assert tries == []


def test_warnings_of_libjpeg_are_suppressed(tmp_path, capfd, cache):
    """Extra bytes before the end of a file are no reason to skip it or to warn in each epoch."""
    paths = []
    for i in range(4):
        out = io.BytesIO()
        photo = np.random.default_rng(i).integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(photo).save(out, "JPEG")
        jpeg, junk = out.getvalue(), bytes(range(8)) if i % 2 else b""
        paths.append(str(tmp_path / f"{i}.jpg"))
        (tmp_path / f"{i}.jpg").write_bytes(jpeg[:-2] + junk + jpeg[-2:])
    tf.io.decode_jpeg(tf.io.read_file(paths[1]))
    assert "Corrupt JPEG data" in capfd.readouterr().err  # otherwise, the test would prove nothing
    found, sources, _ = checked(paths, 3, cache)
    assert found.bad == {}
    assert len(found.copied) == 2
    read = [decode_image(tf.io.read_file(source), 3) for source in sources]
    assert "JPEG" not in capfd.readouterr().err
    for path, image in zip(paths, read, strict=True):
        with Image.open(path) as file:
            np.testing.assert_array_equal(image, np.asarray(file))
