"""Batch norms folded into the kernels before them; our layers as Keras's own."""

import logging
from collections import Counter
from typing import Any

import numpy as np

from zoo.graph import unwrapped
from zoo.layers.sizes import same_pads
from zoo.lazy import keras, layers

log = logging.getLogger(__name__)


# Behind these, zeros around the maps never win a maximum: padding may be Keras's own.
_NOT_NEGATIVE = ("relu", "relu6", "sigmoid", "hard_sigmoid", "softplus")


def fold_batchnorm(model):
    """A network of plain Keras layers that computes what `model` computes in inference.

    A batch norm whose only input is a convolution or dense layer that nothing else reads
    becomes part of its kernel and bias. Others, such as those behind an addition or a
    concatenation, stay: as Keras's own layer. Layers of ours become Keras's own where an
    equal one exists. What stays of ours or unfolded is logged, by name.

    Args:
        model: a functional model; it is not changed, and shares nothing with the result.

    Returns:
        A functional model; Keras alone loads it, unless a layer of ours had to stay.
    """
    model = unwrapped(model)
    folds = _folds(model)
    folded = {norm.name for norm in folds.values()}
    changed: dict[str, Any] = {}

    def clone(layer):
        if layer.name in folded or isinstance(layer, keras.layers.InputLayer):
            return type(layer).from_config(layer.get_config())
        changed[layer.name] = _plain(layer, layer.name in folds)
        return changed[layer.name][-1]

    def call(layer, *args, **kwargs):
        if layer.name in folded:
            return args[0]
        x = args[0] if len(args) == 1 else args
        for before in changed[layer.name][:-1]:
            x = before(x)
        return layer(x)

    plain = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in model.layers:
        if layer.weights and layer.name not in folded:
            target = changed[layer.name][-1]
            weights = _weights(layer, folds.get(layer.name))
            # A depthwise kernel (h, w, 1, channels * m) is Keras's (h, w, channels, m).
            target.set_weights(
                [w.reshape(own.shape) for w, own in zip(weights, target.weights, strict=True)]
            )
        elif isinstance(layer, layers.PadShortcut):
            changed[layer.name][-1].set_weights([_subsampling_kernel(layer)])
    _report(plain)
    return plain


def _folds(model) -> dict[str, Any]:
    """The name of a kernel -> the batch norm to fold into it."""
    readers = Counter(
        id(x)
        for layer in model.layers
        if _has_input(layer)
        for x in keras.tree.flatten(layer.input)
    )
    readers.update(id(x) for x in keras.tree.flatten(model.output))
    makers = {id(layer.output): layer for layer in model.layers}
    found = {}
    for norm in model.layers:
        if not isinstance(norm, keras.layers.BatchNormalization):
            continue
        maker = makers[id(norm.input)]
        kernel = isinstance(maker, (keras.layers.Conv2D, keras.layers.Dense))
        if kernel and readers[id(norm.input)] == 1 and maker.activation is keras.activations.linear:
            found[maker.name] = norm
    return found


def _has_input(layer) -> bool:
    return not isinstance(layer, keras.layers.InputLayer)


def _weights(layer, norm) -> list[np.ndarray]:
    """The kernel and bias of a layer with the batch norm behind it in them."""
    if norm is None:
        return layer.get_weights()
    values = {w.name: np.asarray(keras.ops.convert_to_numpy(w), "float64") for w in norm.weights}
    scale = values.get("gamma", 1.0) / np.sqrt(values["moving_variance"] + norm.epsilon)
    kernel = np.asarray(keras.ops.convert_to_numpy(layer.kernel), "float64")
    bias = np.asarray(keras.ops.convert_to_numpy(layer.bias), "float64") if layer.use_bias else 0.0
    shifted = values.get("beta", 0.0) + (bias - values["moving_mean"]) * scale
    return [(kernel * scale).astype("float32"), shifted.astype("float32")]


def _plain(layer, folded: bool) -> list:
    """Keras's own layers, in a row, that do what a layer does; the last has its weights."""
    config = layer.get_config()
    if isinstance(layer, layers.Conv2D):
        return _plain_convolution(layer, config, folded)
    if isinstance(layer, keras.layers.Dense):
        return [keras.layers.Dense.from_config({**config, "use_bias": folded or layer.use_bias})]
    if isinstance(layer, layers.BatchNorm):
        return [keras.layers.BatchNormalization.from_config(config)]
    if isinstance(layer, layers.SamePad) and None not in layer.input.shape[1:3]:
        return [keras.layers.ZeroPadding2D(layer.pads(layer.input.shape), name=layer.name)]
    if isinstance(layer, layers.AdaptivePool2D) and None not in layer.input.shape[1:3]:
        return [_plain_adaptive_pool(layer)]
    if isinstance(layer, layers.MaxPool2D) and layer.padding in ("valid", "same"):
        return [keras.layers.MaxPooling2D.from_config(config)]
    if isinstance(layer, layers.MaxPool2D) and _same_as_tf(layer):
        return [keras.layers.MaxPooling2D.from_config({**config, "padding": "same"})]
    if isinstance(layer, layers.MaxPool2D) and None not in layer.input.shape[1:3]:
        maker = layer.input._keras_history.operation
        if getattr(maker, "activation", None) in [keras.activations.get(n) for n in _NOT_NEGATIVE]:
            pads = layer._pads(layer.input.shape)
            pool = keras.layers.MaxPooling2D.from_config({**config, "padding": "valid"})
            return [keras.layers.ZeroPadding2D(pads, name=f"{layer.name}_pad"), pool]
    if isinstance(layer, layers.PadShortcut):
        return [
            keras.layers.Conv2D(
                layer.filters,
                1,
                layer.stride,
                use_bias=False,
                dtype=config["dtype"],
                name=layer.name,
            )
        ]
    return [type(layer).from_config(config)]


def _plain_adaptive_pool(layer):
    """Windows that do not overlap are Keras's plain ones; its adaptive layer needs room."""
    grid, sizes, name = layer.grid, layer.input.shape[1:3], layer.name
    if all(n % grid == 0 for n in sizes):
        return keras.layers.AveragePooling2D([n // grid for n in sizes], name=name)
    if all(-(-n // grid) + 1 <= n for n in sizes):
        return keras.layers.AdaptiveAveragePooling2D(grid, name=name)
    return type(layer).from_config(layer.get_config())


def _plain_convolution(layer, config, folded: bool) -> list:
    padding, before = layer.padding, []
    use_bias = folded or layer.use_bias
    if padding not in ("same", "valid"):
        pads = layer._pads(layer.input.shape)
        if layer.strides == (1, 1) and padding == "symmetric" and _odd(pads):
            padding = "same"
        else:
            padding = "valid"
            if pads != ((0, 0), (0, 0)):
                before = [keras.layers.ZeroPadding2D(pads, name=f"{layer.name}_pad")]
    config = {**config, "padding": padding, "use_bias": use_bias, "data_format": "channels_last"}
    channels = layer.input.shape[-1]
    if layer.groups == channels and channels > 1:
        return [
            *before,
            keras.layers.DepthwiseConv2D(
                layer.kernel_size,
                layer.strides,
                padding,
                layer.filters // channels,
                dilation_rate=layer.dilation_rate,
                use_bias=use_bias,
                dtype=config["dtype"],
                name=layer.name,
            ),
        ]
    return [*before, keras.layers.Conv2D.from_config(config)]


def _odd(pads) -> bool:
    return all(before == after for before, after in pads)


def _same_as_tf(layer) -> bool:
    """Whether this pool's windows are those of TensorFlow's SAME at its input's size."""
    sizes = layer.input.shape[1:3]
    if None in sizes:
        return False
    return layer._pads(layer.input.shape) == same_pads(
        layer.input.shape, layer.pool_size, layer.strides
    )


def _subsampling_kernel(layer) -> np.ndarray:
    channels = layer.input.shape[-1]
    kernel = np.zeros((1, 1, channels, layer.filters), "float32")
    kernel[0, 0, np.arange(channels), np.arange(channels)] = 1
    return kernel


def _report(plain) -> None:
    kept = [x.name for x in plain.layers if isinstance(x, keras.layers.BatchNormalization)]
    ours = [x.name for x in plain.layers if type(x).__module__.startswith("zoo.")]
    if kept:
        log.warning("%s: %d norms could not be folded: %s", plain.name, len(kept), ", ".join(kept))
    if ours:
        log.warning("%s: Keras has no equal of %s", plain.name, ", ".join(ours))
