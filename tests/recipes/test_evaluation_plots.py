"""Plots of an evaluation, tested by the contents of the figures rather than by pixels."""

import os
import warnings

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from recipes import drawing
from recipes.data.batches import open_data
from recipes.evaluation import metrics, plots, report
from tests.recipes.drawn import keep, overlaps, strings
from zoo import lettering

ODD = [
    "class_with_a_long_name_a", "class_with_a_long_name_b", "$a_{$", "x^2_{i", "new\nline\t",
    "caf\udce9", "\ud800", "猫の写真" * 20, "שלום", "🐱", "W" * 40, "a\\$b", "", "%s {0} <b>",
]  # fmt: skip


@pytest.fixture
def drawn(monkeypatch):
    found = []
    keep(monkeypatch, found)
    return found


def evaluated(scores, truth, classes, file="/photos/test/{}/image-{}.jpg"):
    found = metrics.compute_all(np.asarray(scores, float), np.eye(len(classes))[truth], classes)
    found |= {"data": "folder:photos", "split": "test", "average": None, "members": [{}]}
    for one in found["worst"]:
        one["image"] = file.format(classes[one["true"]], one["place"])
    return found | {"classes": list(classes), "loss_of": "softmax cross-entropy"}


def some(classes, count=60, skill=1.5):
    rng = np.random.default_rng(0)
    truth = np.arange(count) % len(classes)
    scores = rng.normal(size=(count, len(classes))) + skill * np.eye(len(classes))[truth]
    return evaluated(scores, truth, classes), open_data(
        f"made_up:8x8x3:{len(classes)}:{max(count, 2 * len(classes))}", validation=0.0
    ).train


# Calibration


def test_calibration_bars_show_the_accuracy_even_above_the_confidence(drawn, tmp_path):
    # Two classes: 8 images at confidence 0.62 of which 7 are right, 4 at 0.98 of which 1 is.
    confidence = np.array([0.62] * 8 + [0.98] * 4)
    right = np.array([1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0], bool)
    scores = np.stack([np.log(confidence), np.log(1 - confidence)], 1)
    found = evaluated(scores, np.where(right, 0, 1), ["cat", "dog"])
    plots.calibration(found, tmp_path / "calibration.png")
    (figure,) = drawn
    above, below = figure.axes
    ece = (8 * (7 / 8 - 0.62) + 4 * (0.98 - 1 / 4)) / 12
    assert f"Calibration (ECE = {ece:.4f})" in strings(figure)
    assert [bar.get_height() for bar in above.patches] == pytest.approx([7 / 8, 1 / 4])
    assert [round(bar.get_x(), 1) for bar in above.patches] == [0.6, 0.9]  # empty bins: no bar
    assert [bar.get_height() for bar in below.patches] == [8, 4]
    assert [text.get_text() for text in below.texts] == ["8", "4"]
    (marks,) = above.collections
    np.testing.assert_allclose([line[0, 1] for line in marks.get_segments()], [0.62, 0.98])
    (diagonal,) = above.lines
    np.testing.assert_array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    entries = {text.get_text() for text in above.get_legend().get_texts()}
    assert entries == {"accuracy", "mean confidence", "perfect calibration"}
    assert above.get_legend().get_window_extent().y0 >= above.get_window_extent().y1 - 1
    assert not overlaps(figure)


@pytest.mark.parametrize("count", [1, 2, 5000])
def test_calibration_of_few_and_many_images_is_legible(count, drawn, tmp_path):
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(count, 3)) * rng.uniform(0, 9, (count, 1))
    plots.calibration(evaluated(scores, np.zeros(count, int), list("abc")), tmp_path / "c.png")
    assert not overlaps(drawn[0])
    assert sum(bar.get_height() for bar in drawn[0].axes[1].patches) == count


def test_calibration_without_finite_scores_has_empty_axes(drawn, tmp_path):
    found = evaluated(np.full((4, 2), np.nan), np.zeros(4, int), ["a", "b"])
    plots.calibration(found, tmp_path / "calibration.png")
    plots.confusion(found, tmp_path / "confusion.png")
    assert "Calibration (no finite scores)" in strings(drawn[0])
    assert not drawn[0].axes[0].patches


# The worst mistakes


def test_mistakes_are_drawn_with_their_files(drawn, tmp_path):
    part = open_data("made_up:8x8x3:3:9", validation=0.0).train
    scores = 4 * np.eye(3)[[0, 1, 2, 0, 1, 2]]
    scores[1] = [3, 0, 0]
    scores[4] = [0, np.nan, 0]
    found = evaluated(scores, np.array([0, 1, 2, 0, 1, 2]), ["cat", "dog", "fox"])
    assert [one["place"] for one in found["worst"]] == [4, 1]
    plots.worst(found, part, tmp_path / "worst.png")
    (figure,) = drawn
    assert len(figure.axes) == 2
    p = np.exp([3, 0]) / (np.exp(3) + 2)
    assert [text.get_text() for text in figure.axes[1].texts] == [
        "image-1.jpg",
        f"true: dog\u200e ({p[1]:.2f})",
        f"predicted: cat\u200e ({p[0]:.2f})",
    ]
    assert figure.axes[0].texts[2].get_text() == "predicted: none (scores not finite)"
    assert any("all 2 mistakes" in text for text in strings(figure))
    for axes, place in zip(figure.axes, (4, 1), strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), plots.stored(part, [place])[0])
    assert not overlaps(figure)


@pytest.mark.quick
@pytest.mark.parametrize("size", [(2000, 1500, 3), (3, 4000, 1), (512, 30, 3), (1, 1, 1)])
def test_large_photos_are_shrunk_by_averaging_pixels(size):
    image = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
    found = drawing.thumbnail(image)
    assert found.dtype == np.uint8
    if max(size) < 1024:
        assert found is image
        return
    assert 512 <= max(found.shape) < 1024
    down, across = size[0] // found.shape[0], size[1] // found.shape[1]
    for y, x in ((0, 0), (found.shape[0] - 1, 7)):
        block = image[y * down : (y + 1) * down, x * across : (x + 1) * across]
        np.testing.assert_array_equal(found[y, x], np.rint(block.mean(axis=(0, 1))))


def test_the_plot_of_mistakes_says_if_there_are_none(drawn, tmp_path):
    found, part = some(["cat", "dog"], 6, skill=90)
    plots.worst(found, part, tmp_path / "worst.png")
    assert strings(drawn[0]) == [
        "No mistakes", "test set of folder:photos: accuracy 1.0000 (6 of 6)",
    ]  # fmt: skip


# Names


def test_unusual_names_do_not_overlap(drawn, tmp_path):
    found, part = some(ODD)
    found = {**found, "worst": [{**w, "image": "/x/\udcff猫$" + "y" * 90} for w in found["worst"]]}
    assert report.draw_all(found, part, tmp_path) == [
        "confusion.png", "calibration.png", "worst.png",
    ]  # fmt: skip
    for figure in drawn:
        assert not overlaps(figure)
    names = [label.get_text() for label in drawn[0].axes[0].get_yticklabels()]
    assert len(set(names)) == len(ODD)
    assert names[0] == "class_wit…g_name_a"
    assert names[1] == "class_wit…g_name_b"
    assert names[2:7] == [r"\$a_{\$", "x^2_{i", r"new\nline\t", r"caf\xe9", r"\ud800"]


@pytest.mark.parametrize("count", [2, 10, 41, pytest.param(1000, marks=pytest.mark.full)])
def test_many_classes_stay_legible(count, drawn, tmp_path):
    classes = [f"n{i:05d}_species_of_long_names" for i in range(count)]
    found, _ = some(classes, 4 * count)
    plots.confusion(found, tmp_path / "confusion.png")
    (figure,) = drawn
    assert not overlaps(figure)
    assert max(figure.bbox.size) < 4000
    pairs = [text for text in strings(figure) if " predicted as " in text]
    assert bool(pairs) == (count > plots.COUNTED)
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert (labels == lettering.shortened(classes, plots.LABEL)) == (count <= plots.NAMED)


def test_a_class_without_images_has_no_recall(drawn, tmp_path):
    scores = 5 * np.eye(3)[[0, 1]]
    plots.confusion(evaluated(scores, np.array([0, 1]), list("abc")), tmp_path / "c.png")
    assert [text for text in strings(drawn[0]) if text in ("1.00", "-", "0.00")] == [
        "1.00",
        "1.00",
        "-",
    ]


@pytest.mark.quick
def test_shortened_names_stay_distinct():
    def short(*names, most=16):
        found = lettering.shortened(names, most)
        assert all(lettering.width(each) <= most for each in found)
        assert len(set(found)) == len(names)
        return found

    assert short("cat", "a" * 16) == ["cat", "a" * 16]
    assert short("n" * 20, "cat") == ["n" * 8 + "…" + "n" * 7, "cat"]
    assert short("golden_retriever_young", "golden_retriever_old") == [
        "golden_r…r_young", "golden_r…ver_old",
    ]  # fmt: skip
    short(*(f"American_Staffordshire_{i}" for i in range(30)), most=12)
    short(*("a" * 20 + middle + "b" * 20 for middle in "xyz"), "cat")
    short("a" * 30, "a" * 31, "a" * 15 + "…")
    short("\udce9", r"\xe9", "é")
    assert lettering.shorter("猫" * 10, 9) == "猫猫…猫猫"


@pytest.fixture
def cjk_font(tmp_path):
    """A font with a character that those of Matplotlib lack: U+732B, as a filled box."""
    pen = TTGlyphPen(None)
    for move, point in ((pen.moveTo, (0, 0)), (pen.lineTo, (0, 900)), (pen.lineTo, (900, 900))):
        move(point)
    pen.closePath()
    made = FontBuilder(1000, isTTF=True)
    made.setupGlyphOrder([".notdef", "cat"])
    made.setupCharacterMap({0x732B: "cat"})
    glyph = pen.glyph()
    made.setupGlyf({".notdef": glyph, "cat": glyph})
    made.setupHorizontalMetrics({".notdef": (1000, 0), "cat": (1000, 0)})
    made.setupHorizontalHeader(ascent=900, descent=-100)
    made.setupNameTable({"familyName": "Test Sans CJK", "styleName": "Regular"})
    made.setupOS2()
    made.setupPost()
    made.save(tmp_path / "cjk.ttf")
    before = list(font_manager.fontManager.ttflist)

    def forget():
        for cached in (lettering._fonts, lettering._font_with, lettering._glyphs):
            cached.cache_clear()
        font_manager.fontManager._findfont_cached.cache_clear()

    font_manager.fontManager.addfont(tmp_path / "cjk.ttf")
    forget()
    yield "Test Sans CJK"
    font_manager.fontManager.ttflist[:] = before
    forget()


def test_an_installed_font_draws_characters_that_the_default_lacks(cjk_font):
    assert lettering.visible("a猫犬") == "a猫\\u72ac"
    assert lettering.families(["cat", "猫"]) == [lettering.FAMILY, cjk_font]
    assert lettering.pillow_font("猫", 11).getname()[0] == cjk_font
    with drawing.settings(["猫"]), warnings.catch_warnings():
        warnings.simplefilter("error")  # no glyph is missing
        figure = drawing.figure((3, 1))
        figure.text(0.1, 0.1, "猫")
        figure.canvas.draw()


# Failures


@pytest.mark.parametrize("broken", ["confusion", "calibration", "worst"])
def test_a_plot_that_fails_prints_one_line_and_the_others_are_drawn(
    broken, tmp_path, monkeypatch, capsys
):
    found, part = some(["cat", "dog"], 6)
    names = ["confusion.png", "calibration.png", "worst.png"]
    assert report.draw_all(found, part, tmp_path) == names

    def fail(*_):
        raise RuntimeError("no such\nink")

    monkeypatch.setattr(plots, broken, fail)
    capsys.readouterr()
    rest = [name for name in names if name != f"{broken}.png"]
    assert report.draw_all(found, part, tmp_path) == rest
    shown = capsys.readouterr()
    assert shown.err == f"{tmp_path}/{broken}.png was not drawn: RuntimeError: no such ink\n"
    assert sorted(os.listdir(tmp_path)) == sorted(rest)  # an older plot is removed


def test_a_path_that_cannot_be_written_is_named(tmp_path, capsys):
    (tmp_path / "worst.png").mkdir()
    found, part = some(["cat", "dog"], 6)
    assert len(report.draw_all(found, part, tmp_path)) == 2
    assert "worst.png was not drawn: IsADirectoryError" in capsys.readouterr().err


def test_a_full_disk_affects_only_plots(tmp_path, capsys):
    import resource

    found, part = some(["cat", "dog"], 6)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, hard))
    try:
        report.write_all(found, tmp_path)
        assert not report.draw_all(found, part, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == ["evaluation.json"]
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" was not drawn: ")[1] for line in lines] == ["OSError: File too large"] * 3


def test_a_users_matplotlibrc_does_not_apply(tmp_path, monkeypatch):
    import matplotlib

    monkeypatch.setitem(matplotlib.rcParams, "text.usetex", True)
    monkeypatch.setitem(matplotlib.rcParams, "font.family", ["No Such Font"])
    found, part = some(["50 %", "a_b"], 6)
    assert len(report.draw_all(found, part, tmp_path)) == 3
    assert matplotlib.rcParams["text.usetex"]
