"""Write a prepared network with the converters of Keras, TensorFlow and tf2onnx."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.exporting.requests import TARGETS, Request, import_needs
from zoo.files import one_line
from zoo.lazy import keras, tensorflow
from zoo.quiet import muted


def write(model, path: Path, request: Request) -> None:
    """Write a network that `networks.plain` prepared.

    Raises:
        ValueError: a package is missing, Keras uses another backend than TensorFlow, or a layer
            cannot be converted. Then the error names the layer.
    """
    if request.to != "keras" and keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"to={request.to!r}: needs the TensorFlow backend, not {keras.backend.backend()}; set "
            "KERAS_BACKEND=tensorflow, or export to keras or safetensors"
        )
    import_needs(request.to)
    convert = _converter(request)
    try:
        with muted():
            convert(model, path)
    except (OSError, MemoryError):
        raise
    except Exception as error:  # the converters raise errors of many kinds
        unsupported = _unsupported(model, convert, request)
        layers = f"; unsupported layers: {', '.join(unsupported)}" if unsupported else ""
        raise ValueError(
            f"to={request.to!r}: the converter cannot write {model.name}{layers}: "
            f"{one_line(error, 300)}"
        ) from error


def _converter(request: Request) -> Callable[[Any, Path], None]:
    """Return the function (model, path) that writes the file."""
    from zoo.exporting import quantizing

    if request.dtype == "int8":
        quantize, write = {
            "onnx": (quantizing.onnx, _onnx),
            "tflite": (quantizing.tflite, _tflite),
        }[request.to]
        return lambda model, path: quantize(model, path, request.calibration, write)
    return {
        "keras": _keras,
        "saved_model": _saved_model,
        "onnx": _onnx,
        "tflite": _tflite_half if request.dtype == "float16" else _tflite,
    }[request.to]


def _keras(model, path: Path) -> None:
    model.save(path)


def _saved_model(model, path: Path) -> None:
    model.export(path, format="tf_saved_model", verbose=False, input_signature=[_signature(model)])


def _onnx(model, path: Path) -> None:
    from zoo.exporting import onnx_graph

    onnx_graph.write(model, path, _signature(model))


def _tflite(model, path: Path, **options) -> None:
    lite = tensorflow.lite
    spec = {"supported_ops": [lite.OpsSet.TFLITE_BUILTINS], **options.pop("target_spec", {})}
    model.export(
        path,
        format="litert",
        verbose=False,
        input_signature=[_signature(model)],
        target_spec=spec,
        **options,
    )


def _tflite_half(model, path: Path) -> None:
    half = {"supported_types": [tensorflow.float16]}
    _tflite(model, path, optimizations=[tensorflow.lite.Optimize.DEFAULT], target_spec=half)


def _signature(model):
    return keras.InputSpec(shape=tuple(model.input.shape), dtype="float32", name="image")


def _unsupported(model, convert, request: Request) -> list[str]:
    """Return the layers that cannot be converted by themselves; one of each type is tried."""
    kinds: dict[tuple, Any] = {}
    for layer in model.layers:
        if not isinstance(layer, keras.layers.InputLayer) and not isinstance(layer.input, list):
            activation = getattr(layer, "activation", None)
            kinds.setdefault((type(layer), getattr(activation, "__name__", "")), layer)
    unsupported = []
    for layer in kinds.values():
        with tempfile.TemporaryDirectory() as folder:
            try:
                with muted():
                    x = keras.Input(batch_shape=layer.input.shape, dtype=layer.input.dtype)
                    single = keras.Model(x, type(layer).from_config(layer.get_config())(x))
                    convert(single, Path(folder) / f"layer{TARGETS[request.to].suffix}")
            except Exception:
                unsupported.append(f"{layer.name} ({type(layer).__name__})")
    return unsupported
