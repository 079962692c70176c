"""Exported files give the logits of the network in their own runtimes."""

import sys
import zipfile

import keras
import numpy as np
import onnx
import pytest

import zoo
from tests import processes
from tests.zoo.exports import SUFFIXES, images, logits, network, rarely, relative_difference
from zoo import exporting, registry

# Exports that take longest; the full tier runs them.
SLOWEST = {
    ("toy_efficientnet", "tflite"),
    ("toy_googlenet", "tflite"),
    ("toy_inception", "tflite"),
    ("toy_nasnet", "keras"),
    ("toy_nasnet", "tflite"),
    ("toy_senet", "tflite"),
}


def smallest():
    """Yield the first toy of each family with each target.

    TFLite exports include a SavedModel. Four families have all kinds of layers that Keras files of
    folded networks contain; test_folding.py folds each family.
    """
    for family in registry.families():
        for toy in list(registry.family(family).toys)[:1]:
            for to in SUFFIXES:
                few = {"keras": ("alexnet", "googlenet"), "saved_model": ()}.get(to)
                often = few is None or family in ("resnet", "mobilenet", *few)
                often &= (toy, to) not in SLOWEST
                yield (toy, to) if often else rarely(toy, to)


@pytest.mark.parametrize(("toy", "to"), smallest())
def test_one_network_of_each_family_exports_to_each_target(toy, to, tmp_path):
    model = network(toy)
    path = tmp_path / f"it{SUFFIXES[to]}"
    done = zoo.export(model, path)
    assert (done.path, done.to) == (path, to)
    x = images(channels=model.input.shape[-1], size=model.input.shape[1])
    expected = model(x).numpy()
    assert relative_difference(expected[:1], expected[1:]) > 0.01  # the outputs depend on the image
    assert done.difference <= 1e-3
    assert relative_difference(logits(path, x), expected) <= 1e-3
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.full
@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize("to", ["saved_model", "onnx", "tflite"])
def test_every_toy_exports_folded_and_unfolded(toy, to, fold, tmp_path):
    model = network(toy)
    done = zoo.export(model, tmp_path / f"it{SUFFIXES[to]}", fold=fold)
    assert done.difference <= 1e-3


@pytest.mark.full
@pytest.mark.parametrize("to", ["saved_model", "onnx", "tflite"])
@pytest.mark.parametrize(
    "options",
    [
        {"act": "elu"},
        {"act": "prelu"},
        {"act": "swish_beta"},
        {"act": "maxout:2"},
        {"norm": "group"},
        {"norm": "layer"},
        {"init": "fixup", "norm": "none"},
        {"padding": "tf"},
        {"recompute": True},
    ],
    ids=str,
)
def test_every_kind_of_style_exports(options, to, tmp_path):
    done = zoo.export(network("toy_resnet", **options), tmp_path / f"it{SUFFIXES[to]}")
    assert done.difference <= 1e-3


@pytest.mark.parametrize("to", ["saved_model", "onnx", "tflite"])
def test_an_export_with_a_fixed_batch_takes_only_that_batch(to, tmp_path):
    path = tmp_path / f"it{SUFFIXES[to]}"
    zoo.export(network("toy_vgg"), path, batch=2)
    assert logits(path, images(2)).shape == (2, 10)
    if to == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        assert session.get_inputs()[0].shape == [2, 32, 32, 3]
        assert session.get_inputs()[0].type == "tensor(float)"
    if to == "tflite":
        from ai_edge_litert.interpreter import Interpreter

        (image,) = Interpreter(model_path=str(path)).get_input_details()
        assert list(image["shape_signature"]) == [2, 32, 32, 3]
    if to == "saved_model":
        with pytest.raises(Exception, match="shape"):
            logits(path, images(3))


@pytest.mark.parametrize("to", [rarely("keras"), rarely("saved_model"), "onnx"])
def test_exports_of_varying_input_sizes_take_any_size(to, tmp_path):
    path = tmp_path / f"it{SUFFIXES[to]}"
    model = network("toy_resnet", input_shape=(None, None, 3))
    zoo.export(model, path)
    for size in (32, 41):
        x = images(2, size)
        assert relative_difference(logits(path, x), model(x).numpy()) <= 1e-3


@pytest.mark.parametrize("to", ["keras", rarely("saved_model"), rarely("onnx"), "tflite"])
def test_float16_exports_are_smaller_and_keep_the_logits(to, tmp_path):
    model = network("toy_vgg")
    sizes = {}
    for dtype in ("float32", "float16"):
        path = tmp_path / f"{dtype}{SUFFIXES[to]}"
        done = zoo.export(model, path, dtype=dtype)
        files = [path] if path.is_file() else list(path.rglob("*.data-*"))
        sizes[dtype] = sum(file.stat().st_size for file in files)
    assert 0 < done.difference <= 1e-2
    assert sizes["float16"] < 0.7 * sizes["float32"]
    x = images()
    assert logits(path, x).dtype == np.float32
    assert relative_difference(logits(path, x), model(x).numpy()) <= 1e-2


def test_keras_alone_opens_a_keras_file(tmp_path, python):
    model = network("toy_resnet")
    zoo.export(model, tmp_path / "it.keras", batch=2)
    np.save(tmp_path / "x.npy", images())
    program = (
        "import keras, numpy as np, sys\n"
        f"model = keras.saving.load_model({str(tmp_path / 'it.keras')!r})\n"
        f"y = model(np.load({str(tmp_path / 'x.npy')!r}))\n"
        f"np.save({str(tmp_path / 'y.npy')!r}, y)\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'zoo']\n"
    )
    python(program)
    assert relative_difference(np.load(tmp_path / "y.npy"), model(images()).numpy()) <= 1e-3


@pytest.mark.quick
def test_layers_that_keras_alone_cannot_open_warn(tmp_path, caplog):
    zoo.export(network("toy_alexnet"), tmp_path / "it.keras")
    assert "Keras has no equivalent of stem_lrn" in caplog.text
    caplog.clear()
    zoo.export(network("toy_preact_resnet"), tmp_path / "other.keras")
    assert not caplog.records


def test_networks_of_mixed_precision_are_exported_in_float32(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = network("toy_vgg")
    finally:
        keras.config.set_dtype_policy("float32")
    done = zoo.export(model, tmp_path / "it.onnx")
    assert done.difference <= 1e-3
    assert (
        relative_difference(logits(tmp_path / "it.onnx", images()), model(images()).numpy()) <= 0.1
    )


def test_auxiliary_heads_are_left_out(tmp_path):
    model = network("toy_googlenet_bn", depths=(1, 3, 1), aux=True)
    assert len(model.outputs) == 3
    zoo.export(model, tmp_path / "it.onnx")
    x = images()
    assert relative_difference(logits(tmp_path / "it.onnx", x), model(x)[0].numpy()) <= 1e-3


MEMORY = """
import resource, sys, zoo
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MiB
model = zoo.build("resnet18", input_shape=(32, 32, 3), seed=0)
before = peak()
zoo.export(model, sys.argv[1])
print(peak() - before)
"""


@pytest.mark.full  # slow
def test_onnx_does_not_copy_the_weights_many_times(tmp_path):
    """tf2onnx alone holds about 70 copies of each; the weights of ResNet-18 have 45 MiB."""
    path = tmp_path / "it.onnx"
    done = processes.run([sys.executable, "-c", MEMORY, path], check=True)
    assert float(done.stdout) < 1_000
    graph = onnx.load(path).graph
    assert [each.name for each in graph.input] == ["image"]
    held = {each.name for each in graph.initializer}
    assert not [n.op_type for n in graph.node if held.issuperset(n.input)]


def test_exports_have_the_permissions_of_new_files(tmp_path):
    (tmp_path / "new").write_text("")
    model = network("toy_mlp")
    for name in ("it.keras", "it.safetensors"):
        target = model if name.endswith("keras") else network("toy_vgg")
        exporting.export(target, tmp_path / name)
        assert (tmp_path / name).stat().st_mode == (tmp_path / "new").stat().st_mode
    assert zipfile.is_zipfile(tmp_path / "it.keras")
