"""Reading image files of every mode, orientation, damage and name, and finding them in folders."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from zoo.image_reading import UnreadableImage, find_images, read_image, scan
from zoo.terminal import printable

pytestmark = pytest.mark.quick

NOISE = np.random.default_rng(0).integers(0, 256, (6, 9, 4)).astype(np.uint8)
RGB, ALPHA = NOISE[..., :3], NOISE[..., 3]
# ITU-R 601-2, in Pillow's fixed point.
LUMA = ((RGB @ np.array([19595, 38470, 7471]) + 0x8000) >> 16).astype(np.uint8)


def saved(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


@pytest.mark.parametrize("ending", ["png", "tif", "webp", "bmp", "ppm", "tga", "gif"])
def test_lossless_formats_keep_their_pixels(tmp_path, ending):
    image = Image.fromarray(RGB)
    if ending == "gif":
        image = image.quantize(64)
    path = saved(
        tmp_path / f"x.{ending}", image, **({"lossless": True} if ending == "webp" else {})
    )
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read_image(path, 3), expected)
    np.testing.assert_array_equal(read_image(path, 4)[..., :3], expected)
    assert (read_image(path, 4)[..., 3] == 255).all()
    assert read_image(path, 1).shape == (6, 9, 1)
    if ending != "gif":
        np.testing.assert_array_equal(read_image(path, 1)[..., 0], LUMA)


def test_alpha_is_dropped_or_read_and_palettes_become_colors(tmp_path):
    path = saved(tmp_path / "rgba.png", NOISE)
    np.testing.assert_array_equal(read_image(path, 3), RGB)
    np.testing.assert_array_equal(read_image(path, 4), NOISE)
    np.testing.assert_array_equal(read_image(path, 1)[..., 0], LUMA)
    gray = Image.merge("LA", [Image.fromarray(LUMA), Image.fromarray(ALPHA)])
    path = saved(tmp_path / "la.png", gray)
    np.testing.assert_array_equal(read_image(path, 3), np.repeat(LUMA[..., None], 3, 2))
    np.testing.assert_array_equal(read_image(path, 4)[..., 3], ALPHA)
    indexed = Image.fromarray((np.arange(54) % 3).reshape(6, 9).astype(np.uint8), mode="P")
    indexed.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    colors = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]])
    for name, transparency in (("one.png", 1), ("several.png", b"\x00\x80\xff")):
        path = saved(tmp_path / name, indexed, transparency=transparency)
        np.testing.assert_array_equal(read_image(path, 3), colors[np.asarray(indexed)])
    assert set(np.unique(read_image(path, 4)[..., 3])) == {0, 128, 255}
    bits = saved(tmp_path / "bits.png", Image.fromarray(LUMA > 99))
    np.testing.assert_array_equal(read_image(bits, 1)[..., 0], np.where(LUMA > 99, 255, 0))


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_16_bit_gray_images_are_scaled_to_8_bits(tmp_path, ending):
    deep = (np.arange(54).reshape(6, 9) * 1236).astype(np.uint16)
    path = saved(tmp_path / f"deep.{ending}", deep)
    expected = np.rint(deep / 257).astype(np.uint8)
    np.testing.assert_array_equal(read_image(path, 1)[..., 0], expected)
    np.testing.assert_array_equal(read_image(path, 3), np.repeat(expected[..., None], 3, 2))


def test_floats_and_32_bit_integers_are_scaled_or_are_errors(tmp_path):
    ramp = np.arange(54).reshape(6, 9)
    for factor, expected in ((1 / 53, np.rint(ramp * 255 / 53)), (4.0, ramp * 4)):
        path = saved(tmp_path / "x.tif", (ramp * factor).astype(np.float32))
        np.testing.assert_array_equal(read_image(path, 1)[..., 0], expected)
    path = saved(tmp_path / "x.tif", (ramp * 1236).astype(np.int32))
    np.testing.assert_array_equal(read_image(path, 1)[..., 0], np.rint(ramp * 1236 / 257))
    for wrong in (ramp * 9.0, ramp - 1.0, ramp * np.nan):
        path = saved(tmp_path / "x.tif", wrong.astype(np.float32))
        with pytest.raises(UnreadableImage, match=r"x\.tif: its floating point numbers range"):
            read_image(path, 1)
    path = saved(tmp_path / "x.tif", (ramp * 100_000).astype(np.int32))
    with pytest.raises(UnreadableImage, match="its integers range from 0 to 5300000; convert"):
        read_image(path, 1)


def test_the_fourth_band_of_a_tiff_without_alpha_is_kept(tmp_path):
    bands = Image.frombytes("RGBX", (9, 6), NOISE.tobytes())
    path = saved(tmp_path / "bands.tif", bands)
    np.testing.assert_array_equal(read_image(path, 4), NOISE)
    np.testing.assert_array_equal(read_image(path, 3), RGB)


def test_cmyk_images_become_rgb(tmp_path):
    color = np.full((16, 16, 3), (200, 90, 30), np.uint8)
    path = saved(tmp_path / "inks.jpg", Image.fromarray(color).convert("CMYK"), quality=100)
    with Image.open(path) as file:
        assert file.mode == "CMYK"
    assert np.abs(read_image(path, 3).astype(int) - color).max() <= 3


@pytest.mark.parametrize("ending", ["gif", "webp", "apng", "tif"])
def test_the_first_frame_of_an_animation_is_read(tmp_path, ending):
    frames = [Image.new("RGB", (9, 6), c) for c in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    options = {"lossless": True} if ending == "webp" else {}
    kind = "PNG" if ending == "apng" else None
    path = tmp_path / f"several.{ending}"
    frames[0].save(path, kind, save_all=True, append_images=frames[1:], **options)
    assert (read_image(path, 3) == (200, 0, 0)).all()


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "lzw.tif"])
def test_exif_orientations_are_applied_in_each_format(tmp_path, ending):
    """Pillow's ImageOps is the reference; orientation 1 stands for the stored pixels."""
    options = {"jpg": {"quality": 95}, "webp": {"lossless": True}}.get(ending, {})
    if ending == "lzw.tif":
        options = {"compression": "tiff_lzw"}
    plain = read_image(saved(tmp_path / f"plain.{ending}", RGB, **options), 3)
    for value in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = value
        path = saved(tmp_path / f"{value}.{ending}", RGB, exif=exif, **options)
        reference = Image.fromarray(plain)
        reference.getexif()[0x0112] = value
        np.testing.assert_array_equal(
            read_image(path, 3), np.asarray(ImageOps.exif_transpose(reference)), err_msg=str(value)
        )


def test_an_orientation_in_xmp_is_applied(tmp_path):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="3"/></x:xmpmeta>'
    path = saved(tmp_path / "x.jpg", RGB, xmp=xmp)
    plain = read_image(saved(tmp_path / "plain.jpg", RGB), 3)
    np.testing.assert_array_equal(read_image(path, 3), plain[::-1, ::-1])


def jpeg(exif):
    out = io.BytesIO()
    Image.fromarray(RGB).save(out, "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    return out.getvalue()[:2] + segment + out.getvalue()[2:]


def entries(*rows, after=b""):
    """Return an EXIF block; each row is a tag, type, count and four bytes."""
    body = b"".join(struct.pack("<HHI", *row[:3]) + row[3] for row in rows)
    count = struct.pack("<H", len(rows))
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + count + body + bytes(4) + after


TURN = (274, 3, 1, struct.pack("<I", 6))
SIGNED = (282, 10, 1, struct.pack("<I", 38))
ODD = {
    "turned": (entries(TURN), True),
    "a long": (entries((274, 4, 1, struct.pack("<I", 6))), True),
    "text": (entries((274, 2, 4, b"6\0\0\0")), False),
    "not a number": (entries((274, 11, 1, struct.pack("<f", np.nan))), False),
    "infinite": (entries((274, 11, 1, struct.pack("<f", np.inf))), False),
    "nine": (entries((274, 3, 1, struct.pack("<I", 9))), False),
    "0/0": (entries((274, 5, 1, struct.pack("<I", 26)), after=bytes(8)), False),
    "signed 1/0": (entries(TURN, SIGNED, after=struct.pack("<ii", -1, 0)), True),
    "two resolutions": (entries(TURN, (282, 3, 2, struct.pack("<HH", 72, 0))), True),
    "a block cut off": (entries(TURN)[:20], False),
    "empty": (b"Exif\0\0", False),
    "points nowhere": (b"Exif\0\0MM\0*\xff\xff\xff\xff", False),
}


@pytest.mark.parametrize("name", ODD)
def test_an_image_with_damaged_exif_is_read(tmp_path, name):
    exif, turned = ODD[name]
    (tmp_path / "x.jpg").write_bytes(jpeg(exif))
    (tmp_path / "plain.jpg").write_bytes(jpeg(b"nothing"))
    plain = read_image(tmp_path / "plain.jpg", 3)
    np.testing.assert_array_equal(
        read_image(tmp_path / "x.jpg", 3), np.rot90(plain, -1) if turned else plain
    )


def test_an_image_is_read_even_if_pillow_raises_for_its_metadata(tmp_path, monkeypatch):
    """Future versions of Pillow may raise other errors."""
    path = tmp_path / "x.jpg"
    path.write_bytes(jpeg(entries(TURN)))
    (tmp_path / "plain.jpg").write_bytes(jpeg(b"nothing"))
    plain = read_image(tmp_path / "plain.jpg", 3)
    real = Image.Image.getexif

    def raising(self):
        if "exif" in self.info:
            raise OverflowError("cannot convert float infinity to integer")
        return real(self)

    monkeypatch.setattr(Image.Image, "getexif", raising)
    np.testing.assert_array_equal(read_image(path, 3), plain)


def chunk(kind, data):
    """Return a chunk of a PNG file (ISO/IEC 15948, section 5.3)."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


LONG = zlib.compress(b"x" * (2 << 20))
WRONG = chunk(b"tEXt", b"Title\0x")[:-1] + b"?"


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize(
    "added",
    [chunk(b"zTXt", b"prompt\0\0" + LONG), chunk(b"iCCP", b"profile\0\0" + LONG), WRONG],
    ids=["text", "profile", "checksum"],
)
def test_a_png_with_damaged_metadata_is_read(tmp_path, added, last):
    """Pillow opens no file with long texts or a wrong checksum, though its pixels are intact."""
    path = saved(tmp_path / "x.png", NOISE)
    content = path.read_bytes()
    place = len(content) - 12 if last else 33  # before the end, or after the header
    path.write_bytes(content[:place] + added + content[place:])
    np.testing.assert_array_equal(read_image(path, 4), NOISE)


def test_a_damaged_file_is_a_one_line_error_with_its_name(tmp_path, monkeypatch):
    whole = io.BytesIO()
    Image.fromarray(np.tile(RGB, (20, 20, 1))).save(whole, "PNG")
    for name, content, reason in (
        ("empty.jpg", b"", "the file is empty"),
        ("text.png", b"no image", "not an image of a known format"),
        ("cut.png", whole.getvalue()[: len(whole.getvalue()) // 2], "truncated"),
        ("cut.jpg", jpeg(b"")[:400], "."),
        ("start.jpg", b"\xff\xd8\xff\xe1\xff", "it is not an image of a known format"),
        ("lfs.png", b"version https://git-lfs.github.com/spec/v1\n", "run `git lfs pull`"),
        ("page.jpg", b"\n<!DOCTYPE html>", "it is a web page, not the file; download"),
        ("program.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 6\n", "it is EPS"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UnreadableImage, match=reason) as raised:
            read_image(tmp_path / name, 3)
        assert str(raised.value).startswith(f"cannot read {tmp_path / name}: ")
        assert "\n" not in str(raised.value)
        assert not raised.value.temporary
    with pytest.raises(UnreadableImage, match="No such file") as raised:
        read_image(tmp_path / "nothing.png", 3)
    assert raised.value.temporary
    os.mkfifo(tmp_path / "pipe.png")
    for place in ("pipe.png", "."):
        with pytest.raises(UnreadableImage, match="it is not a regular file"):
            read_image(tmp_path / place, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(UnreadableImage, match="it has more than 20 pixels"):
        read_image(saved(tmp_path / "large.png", RGB), 3)
    with pytest.raises(ValueError, match=r"channels=5: must be 1 \(gray\), 3 \(RGB\) or 4"):
        read_image(tmp_path / "large.png", 5)


def test_folders_are_searched_for_images_without_hidden_and_other_files(tmp_path):
    for name in ("a.JPG", "b/c.jfif", "b/d/e.webp", "z/f.tif", "b.png"):
        saved(tmp_path / name, RGB, format="PNG")
    saved(tmp_path / "noending", RGB, format="PNG")
    for name in (".hidden/x.png", "__MACOSX/b/._c.png", "b/.x.png", "b/Thumbs.db"):
        saved(tmp_path / name, RGB, format="PNG")
    for name in ("notes.txt", "README", "b/photo.jpg~", "b/list.TXT"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "b/again").symlink_to(tmp_path)
    (tmp_path / "b/itself").symlink_to("itself")
    found, skipped = scan(tmp_path)
    names = [os.path.relpath(path, tmp_path) for path in found]
    assert names == ["a.JPG", "b.png", "b/c.jfif", "b/d/e.webp", "noending", "z/f.tif"]
    assert skipped == {".txt": 2, ".jpg~": 1, "without an ending": 2}
    assert [str(path) for path in find_images([tmp_path])] == found
    given = tmp_path / "notes.txt"
    assert find_images([given, tmp_path / "z"]) == [given, tmp_path / "z/f.tif"]
    (tmp_path / "none").mkdir()
    (tmp_path / "none/x.heic").write_bytes(b"")
    with pytest.raises(
        ValueError,
        match=r"images='.*none': there are no images in this folder \(skipped: 1 \.heic\)",
    ):
        find_images([tmp_path / "none"])


def test_links_to_a_parent_folder_are_not_followed(tmp_path):
    saved(tmp_path / "cat/1.png", RGB)
    saved(tmp_path / "dog/1.png", RGB)
    (tmp_path / "cat/all").symlink_to(tmp_path)
    assert scan(tmp_path / "cat")[0] == [str(tmp_path / "cat/1.png")]


def test_names_with_control_characters_are_printed_escaped():
    assert printable(os.fsdecode(b"caf\xe9\n.png")) == "caf\\xe9\\n.png"
    assert printable("犬 [1] $x$.png", "utf-8") == "犬 [1] $x$.png"
