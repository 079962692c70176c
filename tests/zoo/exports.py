"""Networks to export, and their outputs in the runtimes of their files."""

import keras
import numpy as np
import pytest

import zoo

BEFORE = {"scale": [0.017, 0.018, 0.019], "offset": [-2.0, -1.9, -1.8]}


def network(toy, **options):
    """Build a toy for raw pixels, with random norm statistics, so that losing a norm shows."""
    before = keras.layers.Rescaling(**BEFORE, name="input_rescaling")
    model = zoo.build(toy, preprocess=before, seed=0, **{"init": "kaiming", **options})
    draw = np.random.default_rng(1)
    for w in model.weights:
        if w.name in ("gamma", "moving_variance"):
            w.assign(draw.uniform(0.5, 1.5, w.shape))
        elif w.name in ("beta", "moving_mean", "bias"):
            w.assign(draw.uniform(-0.2, 0.2, w.shape))
    return model


def logits(path, x):
    """Return the outputs of an exported file, run without the code of zoo."""
    if path.suffix == ".keras":
        return keras.saving.load_model(path)(x).numpy()
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: x})[0]
    if path.suffix == ".tflite":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(path))
        image = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(image, x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(image, x)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    return loaded.serve(x).numpy()


def images(n=2, size=32, channels=3):
    draw = np.random.default_rng(5)
    coarse = draw.uniform(0, 255, (n, 8, 8, channels)).astype("float32")
    return coarse.repeat(-(-size // 8), 1).repeat(-(-size // 8), 2)[:, :size, :size]


def relative_difference(a, b):
    return float(np.abs(a - b).max() / np.abs(b).max())


SUFFIXES = {"keras": ".keras", "saved_model": "", "onnx": ".onnx", "tflite": ".tflite"}


def rarely(*values):
    """Mark parameters as too slow for the default tier."""
    return pytest.param(*values, marks=pytest.mark.full)
