"""Exports in 8-bit integers compute in integers and keep the network's classes."""

from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.__main__ import main
from zoo.exporting import checking

TFLITE = pytest.param("it.tflite", id="tflite")
ONNX = pytest.param("it.onnx", id="onnx")


def network(name="toy_resnet", **options):
    """Return a network that takes raw pixels and whose logits depend on them."""
    before = keras.layers.Rescaling(1 / 64, -2.0, name="input_rescaling")
    return zoo.build(name, preprocess=before, seed=0, **options)


def pixels(n=16, size=32):
    return checking.pixels((n, size, size, 3), seed=3).astype(np.uint8)


def lite(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    return interpreter


def tflite_logits(path, images):
    """Run a TFLite file of integers, and return its logits as real numbers."""
    interpreter = lite(path)
    (image,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for one in images:
        interpreter.set_tensor(image["index"], one[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(output["index"])[0].astype("float32"))
    scale, zero = output["quantization"]
    return (np.stack(found) - zero) * scale


def onnx_logits(path, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images.astype("float32")})[0]


def test_tflite_computes_in_integers_on_raw_pixels(tmp_path):
    model, images = network(), pixels()
    done = zoo.export(model, tmp_path / "it.tflite", dtype="int8", calibration=images)
    interpreter = lite(done.path)
    (image,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert image["dtype"] == np.uint8
    assert image["quantization"] == (1.0, 0)
    assert output["dtype"] == np.int8
    kinds = {np.dtype(each["dtype"]) for each in interpreter.get_tensor_details()}
    assert kinds <= {np.dtype(kind) for kind in ("uint8", "int8", "int32")}
    theirs, ours = tflite_logits(done.path, images), model.predict(images, verbose=0)
    error = np.sqrt(np.square(theirs - ours).mean()) / ours.std()
    assert error == pytest.approx(done.difference, rel=0.02)
    assert 0 < error < 0.1
    assert done.agreement == (theirs.argmax(-1) == ours.argmax(-1)).mean()
    assert done.agreement >= 0.75


def test_onnx_stores_kernels_in_8_bits(tmp_path):
    import onnx

    model, images = network(), pixels()
    done = zoo.export(model, tmp_path / "it.onnx", dtype="int8", calibration=images)
    graph = onnx.load(done.path).graph
    kernels = [each for each in graph.initializer if len(each.dims) == 4]
    assert kernels
    assert {each.data_type for each in kernels} == {onnx.TensorProto.INT8}
    theirs, ours = onnx_logits(done.path, images), model.predict(images, verbose=0)
    error = np.sqrt(np.square(theirs - ours).mean()) / ours.std()
    assert error == pytest.approx(done.difference, rel=0.02)
    assert 0 < error < 0.1


@pytest.mark.full
@pytest.mark.parametrize("file", [TFLITE, ONNX])
@pytest.mark.parametrize(
    "options",
    [{"act": "relu6"}, {"norm": "group"}, {"act": "prelu"}, {"norm": "none"}],
    ids=lambda options: "-".join(options.values()),
)
def test_styles(options, file, tmp_path):
    done = zoo.export(network(**options), tmp_path / file, dtype="int8", calibration=pixels())
    assert done.difference < 0.1


def test_images_that_are_not_raw_pixels_make_a_signed_input(tmp_path):
    model = zoo.build("toy_resnet", seed=0)
    images = np.random.default_rng(0).normal(size=(8, 32, 32, 3)).astype("float32")
    done = zoo.export(model, tmp_path / "it.tflite", dtype="int8", calibration=images)
    (image,) = lite(done.path).get_input_details()
    assert image["dtype"] == np.int8
    scale, zero = image["quantization"]
    assert scale == pytest.approx((images.max() - images.min()) / 255, rel=1e-3)
    assert -128 <= zero <= 127


@pytest.mark.parametrize(
    "file", [TFLITE, pytest.param("it.onnx", id="onnx", marks=pytest.mark.full)]
)
def test_a_fixed_batch_uses_every_image(file, tmp_path):
    images = pixels(7)
    done = zoo.export(network(), tmp_path / file, dtype="int8", calibration=images, batch=4)
    same = done.agreement * len(images)  # the images that fill up the last batch do not count
    assert same == pytest.approx(round(same))


def test_a_network_that_quantization_destroys_is_not_written(tmp_path):
    # Mish multiplies by tanh(log(1 + exp(x))), whose steps have ranges too wide for 8 bits.
    with pytest.raises(ValueError, match=r"dtype='int8': the logits .* not written"):
        zoo.export(network(act="mish"), tmp_path / "it.tflite", dtype="int8", calibration=pixels())
    assert not list(tmp_path.iterdir())


@keras.saving.register_keras_serializable(package="tests")
class Digamma(keras.layers.Layer):
    def call(self, x):
        import tensorflow as tf

        return tf.math.digamma(tf.abs(x) + 1)


@pytest.mark.full  # slow
def test_a_layer_that_cannot_be_quantized_is_named(tmp_path):
    whole = network("toy_vgg")
    model = keras.Model(whole.input, Digamma(name="the_odd_one")(whole.output), name="toy_vgg")
    with pytest.raises(ValueError, match=r"to='tflite': .* the_odd_one \(Digamma\)"):
        zoo.export(model, tmp_path / "it.tflite", dtype="int8", calibration=pixels())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "file", [TFLITE, pytest.param("it.onnx", id="onnx", marks=pytest.mark.full)]
)
def test_pretrained_weights_keep_their_classes(file, tmp_path):
    """scikit-learn's photographs show a temple and a flower."""
    from sklearn.datasets import load_sample_images

    model = zoo.build("efficientnet_lite0", weights="imagenet")
    photos = np.stack([image[100:324, 200:424] for image in load_sample_images().images])
    done = zoo.export(model, tmp_path / file, dtype="int8", calibration=photos)
    logits = (tflite_logits if file == "it.tflite" else onnx_logits)(done.path, photos)
    assert done.agreement == 1
    assert (logits.argmax(-1) == model.predict(photos, verbose=0).argmax(-1)).all()
    assert done.path.stat().st_size < 6_000_000  # float32: 18.6 MB


@pytest.mark.quick
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "int8"}, "needs calibration images"),
        ({"calibration": np.zeros((1, 32, 32, 3))}, "applies only to dtype='int8'"),
        ({"dtype": "int8", "calibration": np.zeros((4, 30, 32, 3))}, r"takes .* \(images, 32, 32"),
        ({"dtype": "int8", "calibration": np.zeros((32, 32, 3))}, r"has shape \(32, 32, 3\)"),
        ({"dtype": "int8", "calibration": np.zeros((0, 32, 32, 3))}, r"has shape \(0, 32"),
        ({"dtype": "int8", "calibration": np.full((1, 32, 32, 3), np.nan)}, "not finite"),
        ({"dtype": "int8", "calibration": np.full((1, 32, 32, 3), "a")}, "dtype <U1"),
    ],
)
def test_invalid_calibration(options, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        zoo.export(zoo.build("toy_resnet"), tmp_path / "it.onnx", **options)
    assert not list(tmp_path.iterdir())


def test_the_command_calibrates_on_a_folder(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    folder = Path("photos")
    folder.mkdir()
    for i, image in enumerate(pixels(5, 48)):
        Image.fromarray(image).save(folder / f"{i}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    command = ["export", "toy_resnet", "it.tflite", "--dtype=int8", "--preprocess=False"]
    assert main([*command, "--calibrate", "photos"]) == 0
    done = capfd.readouterr()
    assert "broken.png" in done.err
    assert "of the 5 calibration images" in done.out
    assert len(done.out.splitlines()) == 1
    assert main([*command, "--calibrate", "photos/b*.png"]) == 2
    assert "none of the images can be read" in capfd.readouterr().err
    assert main(command) == 2
    assert "--calibrate PATH" in capfd.readouterr().err
