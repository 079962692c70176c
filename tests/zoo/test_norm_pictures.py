"""The picture of the values that each norm normalizes together."""

from xml.etree import ElementTree

import numpy as np
import pytest

from zoo import __main__
from zoo.diagram.norms import CHANGED, SHAPE, in_words, normalized_together

pytestmark = pytest.mark.quick
N, C = CHANGED[0], CHANGED[-1]


@pytest.mark.parametrize(
    ("norm", "images", "channels", "words"),
    [
        ("batch", range(SHAPE[0]), [C], "6 means: one per channel"),
        ("layer", [N], range(SHAPE[-1]), "4 means: one per image"),
        ("instance", [N], [C], "24 means: one per image and channel"),
        ("group:2", [N], [0, 1, 2], "8 means: one per image and group of 3"),
        ("group:3", [N], [2, 3], "12 means: one per image and group of 2"),
    ],
)
def test_values_that_are_normalized_together(norm, images, channels, words):
    """Wu & He 2018, figure 2."""
    expected = np.zeros(SHAPE, bool)
    expected[np.ix_(list(images), range(SHAPE[1]), range(SHAPE[2]), list(channels))] = True
    found = normalized_together(norm)
    np.testing.assert_array_equal(found, expected)
    assert in_words(found) == words


def test_the_command_draws_the_norms_it_is_given(tmp_path, capsys):
    path = tmp_path / "norms.svg"
    assert __main__.main(["plot", "--norms", "group:3", "batch", "--to", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    root = ElementTree.parse(path).getroot()
    texts = ["".join(e.itertext()) for e in root.iter() if e.tag.endswith("}text")]
    assert [text for text in texts if text in ("batch", "layer", "group:3")] == ["group:3", "batch"]
    assert "12 means: one per image and group of 2" in texts


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--norms", "bach"], "unknown norm 'bach'; did you mean 'batch'?"),
        (["--norms", "lrn"], "norms=lrn: not a layer after each kernel; choose from batch"),
        (["--norms", "--to", "norms.jpg"], "to='norms.jpg': does not end in .svg or .png"),
        (["resnet50", "--norms"], "resnet50: --norms draws no network"),
        (["--norms", "--act=elu"], "--act: --norms draws no network"),
        ([], "NAME is missing"),
    ],
)
def test_a_wrong_argument_is_a_one_line_error(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert __main__.main(["plot", *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
