"""Exports that are impossible or fail their check are one-line errors and change no files."""

import keras
import numpy as np
import pytest

import zoo
from tests.zoo.exports import SUFFIXES, images, logits, network, rarely
from zoo.exporting import checking


@pytest.mark.quick
@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        ("it.onnx", {"to": "tflite"}, "to='tflite': .* has the suffix of onnx files"),
        ("it", {"to": "onnx"}, "onnx files must end in .onnx"),
        ("it.pb", {}, "unknown suffix; use one of .keras, .onnx, .tflite, .safetensors"),
        ("it.onnx", {"to": "onxx"}, "did you mean 'onnx'"),
        (
            "it.onnx",
            {"dtype": "bfloat16"},
            "dtype='bfloat16': not available for onnx; valid: float32, float16, int8$",
        ),
        ("it.onnx", {"dtype": "float61"}, "did you mean 'float16'"),
        ("it.onnx", {"batch": 0}, "batch=0: not a positive integer"),
        ("it.onnx", {"batch": 2.0}, "batch=2.0: not"),
        ("it.onnx", {"naming": "timm"}, "naming='timm': applies only to safetensors, not to onnx"),
        ("it.safetensors", {"naming": "tim"}, "did you mean 'timm'"),
        ("it.safetensors", {"batch": 2}, "batch=2: does not apply to safetensors"),
        ("full", {}, "contains other things than a SavedModel"),
        ("full", {"to": "saved_model"}, "contains other things than a SavedModel"),
        ("file", {}, "is a file, but a SavedModel is a folder"),
        ("full.onnx", {}, "is a folder, but onnx writes a file"),
    ],
)
def test_invalid_arguments_are_one_line_errors(path, options, words, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    (tmp_path / "full.onnx").mkdir()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=words) as caught:
        zoo.export(None, tmp_path / path, **options)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"


@pytest.mark.quick
def test_objects_that_are_no_networks_and_unwritable_paths_are_errors(tmp_path):
    with pytest.raises(ValueError, match=r"model='resnet18': not a functional keras\.Model"):
        zoo.export("resnet18", tmp_path / "it.keras")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"path='.*it\.keras': the file cannot be written: "):
        zoo.export(zoo.build("toy_mlp"), tmp_path / "file" / "it.keras")


@pytest.mark.parametrize("to", ["keras", "saved_model"])
def test_a_failed_check_changes_no_files(to, tmp_path, monkeypatch):
    """The check fails because float16 differs from the network by more than zero."""
    path = tmp_path / f"it{SUFFIXES[to]}"
    model = network("toy_vgg")
    before = zoo.export(model, path)
    old = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    monkeypatch.setitem(checking.TOLERANCES, "float16", 0.0)
    words = (
        r"output \d of image \d is .*, not .*; that is .* of the largest logit, more than the "
        rf"tolerance of 0; '{path}' is not written"
    )
    with pytest.raises(ValueError, match=words):
        zoo.export(model, path, dtype="float16")
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == old
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    with pytest.raises(ValueError, match="more than the tolerance of 0"):
        zoo.export(model, tmp_path / f"new{SUFFIXES[to]}", dtype="float16")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    # If the check passes, the file is replaced.
    monkeypatch.undo()
    other = network("toy_vgg", num_classes=7)
    assert zoo.export(other, path).difference <= 1e-3
    assert logits(path, images()).shape == (2, 7)
    assert before.path == path
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.quick
def test_networks_without_finite_outputs_are_not_written(tmp_path):
    model = zoo.build("toy_mlp", act="relu")
    (kernel, bias) = model.get_layer("head_dense").get_weights()
    model.get_layer("head_dense").set_weights([kernel * np.nan, bias])
    with pytest.raises(ValueError, match="outputs on random pixels from 0 to 255 are not finite"):
        zoo.export(model, tmp_path / "it.keras")
    assert not list(tmp_path.iterdir())


@keras.saving.register_keras_serializable(package="tests")
class Digamma(keras.layers.Layer):
    """An operation that neither TFLite nor ONNX has."""

    def call(self, x):
        import tensorflow as tf

        return tf.math.digamma(tf.abs(x) + 1)


@pytest.mark.parametrize("to", ["onnx", rarely("tflite")])
def test_an_unsupported_layer_is_named(to, tmp_path):
    whole = network("toy_vgg")
    model = keras.Model(whole.input, Digamma(name="the_odd_one")(whole.output), name="toy_vgg")
    words = f"to='{to}': the converter cannot write toy_vgg; "
    with pytest.raises(ValueError, match=rf"{words}.* the_odd_one \(Digamma\)") as caught:
        zoo.export(model, tmp_path / f"it{SUFFIXES[to]}")
    assert "\n" not in str(caught.value)
    assert "stage1" not in str(caught.value).split(":")[1]
    assert not list(tmp_path.iterdir())


def test_numerically_unstable_networks_are_named(tmp_path):
    model = zoo.build(
        "mlp", hidden=(50,) * 30, act="tanh", init="normal:1", input_shape=(8, 8, 1), seed=0,
        preprocess=keras.layers.Rescaling(1 / 2550, name="input_rescaling"),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"computes other logits .* when pixels change by a mill"):
        zoo.export(model, tmp_path / "it.onnx")
    assert not list(tmp_path.iterdir())
