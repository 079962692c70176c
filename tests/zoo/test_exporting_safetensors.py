"""Exports to safetensors have the names and shapes of torchvision, timm and other libraries."""

import json
import re

import numpy as np
import pytest
from safetensors.numpy import load_file

import zoo
from tests.zoo.recorded import recorded
from zoo.__main__ import main

OFTEN = (
    "torchvision--googlenet_bn",
    "torchvision--mobilenet_v3_small",
    "efficientnet_pytorch--efficientnet_b0",
    "timm--resnetv2_50",
    "timm--seresnet50",
)


@pytest.mark.parametrize("fixture", recorded(OFTEN))
def test_tensors_have_the_librarys_names_and_shapes(fixture, tmp_path, caplog):
    with np.load(fixture) as file:
        theirs, facts = (json.loads(str(file[part])) for part in ("tensors", "facts"))
    shape = (facts["size"], facts["size"], 3)
    make = {"input_shape": shape, **facts["options"]}
    model = zoo.build(facts["model"], seed=1, **make)
    path = tmp_path / "it.safetensors"
    library = "timm_legacy" if "legacy" in fixture.stem else fixture.stem.split("--")[0]
    done = zoo.export(model, path, naming=library)
    assert done.difference == 0
    assert "will give other logits" not in caplog.text
    ours = load_file(path)
    counts = {name: a for name, a in ours.items() if name.endswith(".num_batches_tracked")}
    norms = {name for name in ours if name.endswith(".running_var")}
    assert counts.keys() == {n.replace("running_var", "num_batches_tracked") for n in norms}
    assert all(a.dtype == np.int64 and a.shape == () and a == 0 for a in counts.values())
    weights = {name: list(a.shape) for name, a in ours.items() if name not in counts}
    # Our networks lack the auxiliary heads.
    aux = re.compile(r"(aux[12]|AuxLogits)\.")
    assert weights == {name: shape for name, shape in theirs.items() if not aux.match(name)}
    assert {a.dtype for name, a in ours.items() if name not in counts} == {np.dtype("float32")}
    again = zoo.build(facts["model"], seed=2, **make)
    zoo.load_weights(again, path)
    for a, b in zip(model.weights, again.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


@pytest.mark.quick
def test_metadata_of_safetensors_describes_the_network_and_its_input(tmp_path, capfd):
    path = tmp_path / "it.safetensors"
    model = zoo.build("resnet18", preprocess="torchvision", input_shape=(32, 32, 3), seed=0)
    zoo.export(model, path, dtype="bfloat16", naming="timm")
    length = int.from_bytes(path.read_bytes()[:8], "little")
    header = json.loads(path.read_bytes()[8 : 8 + length])
    assert header["conv1.weight"]["dtype"] == "BF16"
    about = header["__metadata__"]
    assert (about["network"], about["naming"]) == ("resnet18", "torchvision")
    assert about["input"].startswith("pixels 0 to 255, red first, times [0.017")
    again = zoo.build("resnet18", weights=path, input_shape=(32, 32, 3))
    for a, b in zip(model.weights, again.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=2**-8, atol=1e-30)
    assert main(["export", "toy_vgg", str(tmp_path / "b.safetensors"), "--no-fold"]) == 0
    assert "--no-fold has no effect" in capfd.readouterr().err


@pytest.mark.quick
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"act": "elu"},
            "naming=torchvision: that library's network will .* this resnet18.* type='ELU', not",
        ),
        ({"stem": "cifar"}, r"because here stem_conv has strides=\(1, 1\), not \(2, 2\), and 1 m"),
        ({"num_classes": 3}, None),
    ],
)
def test_differences_from_the_librarys_network_warn(options, words, tmp_path, caplog):
    model = zoo.build("resnet18", input_shape=(32, 32, 3), **options)
    zoo.export(model, tmp_path / "it.safetensors")
    assert re.search(words, caplog.text) if words else not caplog.text


@pytest.mark.quick
def test_a_package_whose_networks_share_their_options_is_compared(tmp_path, caplog):
    """efficientnet_pytorch has no table of sources: all its networks pad as TensorFlow does."""
    small = {"width": 0.25, "depth": 0.1, "input_shape": (32, 32, 3), "num_classes": 3}
    path = tmp_path / "it.safetensors"
    zoo.export(zoo.build("efficientnet_lite0", **small), path, naming="efficientnet_pytorch")
    assert not caplog.text
    zoo.export(zoo.build("efficientnet_b0", **small), path, naming="efficientnet_pytorch")
    assert "naming=efficientnet_pytorch: that library's network will give other logits" in (
        caplog.text
    )


@pytest.mark.quick
def test_networks_that_no_other_library_has_are_errors(tmp_path):
    for name, options, words in (
        ("lenet5", {}, "export to keras, saved_model, onnx or tflite"),
        ("toy_vgg", {"act": "prelu"}, "has layers that torchvision and timm do not have; export"),
    ):
        with pytest.raises(ValueError, match=words):
            zoo.export(zoo.build(name, **options), tmp_path / "it.safetensors")
    with pytest.raises(
        ValueError, match=r"naming='timm': not available for googlenet_bn; valid: torchvision"
    ):
        zoo.export(
            zoo.build("googlenet_bn", input_shape=(64, 64, 3)),
            tmp_path / "it.safetensors",
            naming="timm",
        )
    assert not list(tmp_path.iterdir())
