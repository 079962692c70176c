"""Names in a file identify its network and options; what remains ambiguous is reported."""

import logging

import numpy as np
import pytest
from safetensors.numpy import save_file

import zoo
from tests.zoo import torch_writing as writing
from zoo.checkpoints.identifying import options_like
from zoo.checkpoints.layouts import layouts

SMALL = {"width": 0.25, "depth": 0.1, "input_shape": (32, 32, 3), "num_classes": 3}


def write(model, naming, path):
    tensors = next(ts for layout, ts in layouts(model) if layout.name == naming)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({t.name: np.ascontiguousarray(t.outward()) for t in tensors}, path)
    return path


def made_with(model):
    """Return the padding and epsilon of the stem, by which the two sets of options differ."""
    conv, norm = model.get_layer("stem_conv"), model.get_layer("stem_norm")
    return conv.get_config()["padding"], norm.get_config()["epsilon"]


@pytest.fixture(scope="module")
def network():
    return zoo.build("efficientnet_b0", seed=0, **SMALL)


PLAIN, TF = ("symmetric", 1e-5), ("same", 1e-3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tf_efficientnet_b0-1234.safetensors", TF),
        ("tf_efficientnet_b0_ns-1234.safetensors", TF),
        ("efficientnet_b0_ra-1234.safetensors", PLAIN),
        ("models--timm--tf_efficientnet_b0.aa_in1k/snapshots/1/model.safetensors", TF),
        ("tf_efficientnet_b0.aa_in1k/model.safetensors", TF),
    ],
)
def test_the_file_name_decides_between_networks_with_equal_tensors(
    network, tmp_path, caplog, name, expected
):
    path = write(network, "timm", tmp_path / name)
    assert made_with(zoo.build("efficientnet_b0", weights=path, **SMALL)) == expected
    assert not caplog.text


@pytest.mark.quick
def test_ambiguous_files_warn(network, tmp_path, caplog):
    """The message is one sentence; passing the options decides."""
    path = write(network, "timm", tmp_path / "model.safetensors")
    assert made_with(zoo.build("efficientnet_b0", weights=path, **SMALL)) == PLAIN
    assert len(caplog.records) == 1
    assert (
        "can contain weights of timm's efficientnet_b0 or of timm's tf_efficientnet_b0, whose "
        "tensors have the same names and shapes; efficientnet_b0 is built as the former; for the "
        "latter, pass norm_epsilon=0.001, padding='tf'"
    ) in caplog.text
    caplog.clear()
    options = {"norm_epsilon": 1e-3, "padding": "tf"}
    assert made_with(zoo.build("efficientnet_b0", weights=path, **SMALL, **options)) == TF
    assert not caplog.text


@pytest.mark.quick
def test_the_architecture_in_a_checkpoint_decides(network, tmp_path, caplog):
    tensors = next(ts for layout, ts in layouts(network) if layout.name == "timm")
    state = {f"module.{t.name}": np.ascontiguousarray(t.outward()) for t in tensors}
    writing.save({"arch": "tf_efficientnet_b0", "state_dict": state}, tmp_path / "last.pth.tar")
    model = zoo.build("efficientnet_b0", weights=tmp_path / "last.pth.tar", **SMALL)
    assert made_with(model) == TF
    assert "can contain weights of" not in caplog.text


@pytest.mark.parametrize(
    ("naming", "expected"),
    [("torchvision", PLAIN), ("keras", TF), ("efficientnet_pytorch", TF)],
    ids=["torchvision", "keras", "efficientnet_pytorch"],
)
def test_the_layout_decides_between_libraries(network, tmp_path, caplog, naming, expected):
    path = write(network, naming, tmp_path / "model.safetensors")
    assert made_with(zoo.build("efficientnet_b0", weights=path, **SMALL)) == expected
    assert not caplog.text
    own = {"padding": "symmetric" if expected == TF else "tf"}
    model = zoo.build("efficientnet_b0", weights=path, **SMALL, **own)
    assert made_with(model) == (PLAIN[0] if expected == TF else TF[0], expected[1])
    if expected == TF:
        library = "keras.applications" if naming == "keras" else naming
        assert f"are from {library}, which has 'tf'" in caplog.text


@pytest.mark.quick
def test_load_weights_warns_if_the_options_of_the_network_differ(network, tmp_path, caplog):
    """It cannot set options itself; the advice in its warning works."""
    path = write(network, "keras", tmp_path / "model.safetensors")
    zoo.load_weights(zoo.build("efficientnet_b0", **SMALL), path)
    assert (
        "will give other logits, because stem_conv has padding='symmetric', not 'same'"
        in caplog.text
    )
    assert "build it with zoo.build('efficientnet_b0', weights=FILE)" in caplog.text
    caplog.clear()
    zoo.load_weights(zoo.build("efficientnet_b0", weights=path, **SMALL), path)
    assert not caplog.text


def test_our_own_exports_set_no_options_of_other_libraries(tmp_path, caplog):
    """This also holds for exports that use the names of timm."""
    own = {**SMALL, "norm_epsilon": 1e-2}
    model = zoo.build("efficientnet_b0", seed=0, **own)
    with caplog.at_level(logging.ERROR):
        zoo.export(model, tmp_path / "a.safetensors", naming="timm")
    model.save_weights(tmp_path / "a.weights.h5")
    for name in ("a.safetensors", "a.weights.h5"):
        again = zoo.build("efficientnet_b0", weights=tmp_path / name, **SMALL)
        assert made_with(again) == PLAIN  # our defaults
    assert not caplog.text


def test_options_like_finds_the_options_of_a_given_network(network, caplog):
    """They serve to build a similar network, for which only some options are known."""
    given = {key: SMALL[key] for key in ("width", "depth")}
    assert options_like(network, given) == {}
    options = {"padding": "tf", "norm_epsilon": 1e-3}
    assert options_like(zoo.build("efficientnet_b0", **SMALL, **options), given) == options
    assert not caplog.text
    options_like(zoo.build("efficientnet_b0", **SMALL, norm_epsilon=1e-2), given)
    assert (
        "layers that differ from every known source: stem_norm has epsilon=0.01, not 1e-05"
        in caplog.text
    )
