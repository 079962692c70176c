"""Write networks in 8-bit integers, with ranges measured on calibration images.

Each channel of a kernel and each feature map gets a scale, and feature maps a zero point as well
(Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-
Only Inference, arXiv:1712.05877).
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zoo.lazy import tensorflow


def checked(images: Any, model) -> np.ndarray:
    """Return calibration images as an array that fits the input of `model`.

    Raises:
        ValueError: they are not a batch of finite images of the network's size and channels.
    """
    array = np.asarray(images)
    shape = tuple(model.input.shape[1:])
    if not _fits(shape, array) or not len(array) or array.dtype.kind not in "uif":
        size = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(
            f"calibration: has shape {array.shape} and dtype {array.dtype}; {model.name} takes "
            f"numbers of shape (images, {size})"
        )
    array = array if array.dtype == np.uint8 else array.astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError("calibration: contains values that are not finite; use other images")
    return array


def tflite(model, path: Path, images: np.ndarray, write) -> None:
    """Write a TFLite file that computes in integers only, from its input to its logits.

    Args:
        model: the prepared network.
        path: the file.
        images: the calibration images. The input is uint8 if they are, else int8.
        write: the function that converts (model, path, **options of TensorFlow's converter).
    """
    images = _samples(model, images)
    pixels = images.dtype == np.uint8
    if pixels:
        images = images.copy()
        # All 256 values occur, so that the file's input has scale 1 and zero point 0.
        images[0].flat[:2] = 0, 255
    lite, tf = tensorflow.lite, tensorflow
    write(
        model,
        path,
        optimizations=[lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([batch] for batch in batches(model, images)),
        target_spec={"supported_ops": [lite.OpsSet.TFLITE_BUILTINS_INT8]},
        inference_input_type=tf.uint8 if pixels else tf.int8,
        inference_output_type=tf.int8,
    )


def onnx(model, path: Path, images: np.ndarray, write) -> None:
    """Write an ONNX file whose kernels and feature maps are 8-bit integers.

    Its input and its logits are float32. Operations that onnxruntime cannot compute in integers
    compute in float32, on values that were rounded to integers.

    Args:
        model: the prepared network.
        path: the file.
        images: the calibration images.
        write: the function that converts (model, path) to float32.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self.batches = batches(model, _samples(model, images))

        def get_next(self):
            batch = next(self.batches, None)
            return None if batch is None else {"image": batch}

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        whole, inferred = Path(folder) / "float32.onnx", Path(folder) / "inferred.onnx"
        write(model, whole)
        quant_pre_process(whole, inferred, skip_symbolic_shape=True)
        quantization.quantize_static(
            inferred,
            path,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )


def _fits(shape: tuple, images: np.ndarray) -> bool:
    """Return whether images have the shape of a model's input, in which None is any size."""
    sizes = images.shape[1:]
    return len(sizes) == len(shape) and all(
        own in (None, given) for own, given in zip(shape, sizes, strict=True)
    )


def _samples(model, images: np.ndarray) -> np.ndarray:
    """Return the images, or noise for a single layer, which does not take images."""
    shape = tuple(model.input.shape[1:])
    if _fits(shape, images):
        return images
    return np.random.default_rng(0).normal(size=(4, *(n or 8 for n in shape))).astype(np.float32)


def batches(model, images: np.ndarray, most: int = 1) -> Iterator[np.ndarray]:
    """Yield float32 batches of all images; the last one is filled up with the first images.

    They have the model's batch size, or at most `most` images if it takes any number.
    """
    size = model.input.shape[0] or min(most, len(images))
    for start in range(0, len(images), size):
        indices = np.arange(start, start + size) % len(images)
        yield images[indices].astype(np.float32)
