"""Prepare the network for a converter: folded, with one dtype and one batch size."""

import contextlib
import logging
from collections.abc import Iterator

from zoo.exporting.requests import Request
from zoo.flattening import graph_of
from zoo.folding import fold_batchnorm
from zoo.graph import copy_weights, unwrapped
from zoo.lazy import keras, layers

log = logging.getLogger(__name__)


def plain(model, request: Request, fold: bool):
    """Return a copy of `model` for the target, dtype and batch size of `request`.

    For other targets than Keras, two kinds of layers are replaced by ours: grouped convolutions,
    because Keras compiles its own with XLA, which converters do not support, and the layers that
    keep TensorFlow from fusing others, because ours are faster than those of Keras.
    """
    model = main_output(model)
    with _quiet_folding():
        model = fold_batchnorm(model) if fold else unwrapped(model)
    for_keras = request.to == "keras"
    # TFLite's converter makes the weights float16 by itself, and quantizers start from float32.
    by_converter = request.to == "tflite" or request.dtype == "int8"
    dtype = "float32" if by_converter else request.dtype
    copy = restated(model, request.batch, dtype, layers_of_ours=not for_keras)
    ours = [x.name for x in copy.layers if type(x).__module__.startswith("zoo.")]
    if for_keras and ours:
        log.warning(
            "%s: run `import zoo` before you load it, because Keras has no equivalent of %s",
            request.path,
            ", ".join(ours),
        )
    return copy


def reference(model):
    """Return the network that computes the expected logits: `model`, in float32."""
    model = main_output(model)
    if all(layer.compute_dtype == "float32" for layer in model.layers):
        return model
    return restated(unwrapped(model), None, "float32")


def main_output(model):
    """Return the network without its auxiliary outputs.

    Raises:
        ValueError: `model` is not a functional or Sequential model with one input.
    """
    if isinstance(model, keras.Model):
        graph_of(model)  # raises a specific error for a model without a graph of layers
    if not (isinstance(model, keras.Model) and len(getattr(model, "inputs", None) or ()) == 1):
        raise ValueError(
            f"model={model!r}: not a functional keras.Model with one input; pass a network made by "
            "zoo.build"
        )
    if len(model.outputs) == 1:
        return model
    return keras.Model(model.input, model.outputs[0], name=model.name)


def restated(model, batch: int | None, dtype: str, layers_of_ours: bool = False):
    """Return a copy of a model and its weights with another dtype and batch size.

    In half precision, preprocessing, the last layer and the weights of norms stay float32.

    Args:
        model: the model to copy.
        batch: the batch size; None for any.
        dtype: the dtype of the other layers.
        layers_of_ours: whether to replace layers of Keras by ours; see `plain`.
    """

    def clone(layer):
        if not isinstance(layer, keras.layers.Layer):  # an operation, such as x + 1
            return layer
        config = {**layer.get_config(), "dtype": _dtype(layer, layer.output is model.output, dtype)}
        if layers_of_ours and type(layer) is keras.layers.Conv2D and layer.groups > 1:
            return layers.Conv2D.from_config(config)
        if layers_of_ours and layer.name.endswith("_unfused"):  # a 1x1 pool added by folding
            return layers.Unfused(name=layer.name, dtype=config["dtype"])
        if isinstance(layer, keras.layers.Activation):  # its function may not be serializable
            function = layer.activation
            if layers_of_ours and function is keras.activations.gelu:
                function = _gelu
            return type(layer)(function, name=layer.name, dtype=config["dtype"])
        return type(layer).from_config(config)

    shape = (batch, *model.input.shape[1:])
    image = keras.Input(batch_shape=shape, dtype="float32", name="input_image")
    copy = keras.models.clone_model(model, input_tensors=image, clone_function=clone)
    copy_weights(model, copy)
    return copy


def _gelu(x):
    """Compute GELU with erf. TensorFlow's own uses erfc, which tf2onnx cannot convert."""
    return 0.5 * x * (1 + keras.ops.erf(x * 0.5**0.5))


def _dtype(layer, last: bool, dtype: str) -> str:
    if dtype == "float32" or last or layer.name.startswith("input_"):
        return "float32"
    return f"mixed_{dtype}" if "Norm" in type(layer).__name__ else dtype


@contextlib.contextmanager
def _quiet_folding() -> Iterator[None]:
    """Silence warnings about layers of ours. They concern only Keras's files, and `plain` warns."""
    folding = logging.getLogger("zoo.folding")
    level = folding.level
    folding.setLevel(logging.ERROR)
    try:
        yield
    finally:
        folding.setLevel(level)
