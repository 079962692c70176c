"""Activations as functions of one number, and their picture."""

from xml.etree import ElementTree

import keras
import numpy as np
import pytest
from scipy.special import erf, expit

import zoo
from zoo import __main__
from zoo.act_curves import _slope_at
from zoo.vocabulary import ACTS

pytestmark = pytest.mark.quick
X = np.array([[-10.0, -0.7], [0.3, 10.0]])


def elu(x, a=1.0):
    return np.where(x > 0, x, a * np.expm1(x))


FORMULAS = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.maximum(x, 0.01 * x),
    "leaky_relu:0.1": lambda x: np.maximum(x, 0.1 * x),
    "prelu": lambda x: np.maximum(x, 0.25 * x),
    "elu": elu,
    "selu": lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772),
    "celu": elu,
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2))) / 2,
    "silu": lambda x: x * expit(x),
    "swish": lambda x: x * expit(x),
    "swish_beta": lambda x: x * expit(x),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "hard_swish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "sigmoid": expit,
    "hard_sigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "tanh": np.tanh,
    "softplus": lambda x: np.log1p(np.exp(x)),
    "maxout": lambda x: np.maximum(x, -x / 2),
    "linear": lambda x: x,
}


def test_values_and_slopes_are_those_of_the_formulas():
    """The slopes equal central differences, and the dtype policy stays."""
    assert set(ACTS) <= set(FORMULAS)
    for name, formula in FORMULAS.items():
        values, slopes = zoo.act_values(name, X)
        assert values.dtype == slopes.dtype == np.float64
        np.testing.assert_allclose(values, formula(X), rtol=1e-7, atol=1e-12, err_msg=name)
        h = 1e-5
        expected = (formula(X + h) - formula(X - h)) / (2 * h)
        np.testing.assert_allclose(slopes, expected, rtol=1e-5, atol=1e-9, err_msg=name)
    assert keras.config.dtype_policy().name == "float32"
    assert [_slope_at("relu", x) for x in (-10, 0, 10)] == ["0", "0 | 1", "1"]
    assert _slope_at("celu", 0) == "1"
    assert _slope_at("sigmoid", 10) == "4.54e-05"


def test_the_command_draws_all_activations_or_those_that_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert __main__.main(["plot", "--acts", "relu", "tanh,leaky_relu:0.1", "--to=two.svg"]) == 0
    assert __main__.main(["plot", "--acts", "elu"]) == 0
    assert capsys.readouterr().out.split() == ["two.svg", "acts.png"]
    root = ElementTree.parse("two.svg").getroot()
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    titles = [text for text in texts if text and text.split(":")[0] in ACTS]
    assert titles == ["relu", "tanh", "leaky_relu:0.1"]
    assert {"0 | 1", "8.24e-09", "0.1 | 1"} <= set(texts)
    assert (tmp_path / "acts.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--acts", "rellu"], "did you mean 'relu'?"),
        (["--acts", "relu:2"], "relu takes no number"),
        (["resnet50", "--acts", "relu"], "resnet50: --acts draws no network"),
        (["--acts", "relu", "--norm=batch"], "--norm: --acts draws no network"),
        (["--acts", "--to=acts.jpg"], "does not end in .svg or .png"),
        (["--acts", "relu", "--norms"], "--norms, --acts: these are two pictures"),
        ([], "NAME is missing; pass the name of a network, or --norms or --acts"),
    ],
)
def test_wrong_arguments_are_explained(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert __main__.main(["plot", *arguments]) == 2
    printed = capsys.readouterr()
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
