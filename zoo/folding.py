"""Fold batch norms into kernels, and replace layers of zoo by those of Keras."""

import logging
from typing import Any

import numpy as np

from zoo.graph import calls, unwrapped
from zoo.layers.sizes import same_pads
from zoo.lazy import keras, layers

log = logging.getLogger(__name__)

# Outputs of these activations are never negative, so zeros around them never change a maximum, and
# padding with zeros is the same as with minus infinity.
_NOT_NEGATIVE = ("relu", "relu6", "sigmoid", "hard_sigmoid", "softplus")


def fold_batchnorm(model):
    """Return a network of plain Keras layers with the same outputs as `model` in inference.

    A batch norm is folded into the convolution or dense layer before it, if no other layer reads
    that layer's output. It is folded into the convolution or dense layer after it, if only that
    layer reads the norm and does not pad with zeros. Other batch norms, such as those between an
    addition and an activation, become keras.layers.BatchNormalization. Layers of zoo become layers
    of Keras if there is an equivalent. The names of norms and layers of zoo that remain are logged.

    Args:
        model: a functional or Sequential model. It is not changed, and shares nothing with the
            result.

    Returns:
        A functional model, which Keras can load without zoo unless a layer of zoo remained.
    """
    model = unwrapped(model)
    folds, ahead = _folds(model)
    folded = {norm.name for norm in [*folds.values(), *ahead.values()]}
    changed: dict[str, Any] = {}

    def clone(layer):
        if not isinstance(layer, keras.layers.Layer):  # an operation, such as x + 1
            return layer
        if layer.name in folded or isinstance(layer, keras.layers.InputLayer):
            return type(layer).from_config(layer.get_config())
        changed[layer.name] = _plain(layer, layer.name in folds or layer.name in ahead)
        return changed[layer.name][-1]

    def call(layer, *args, **kwargs):
        if layer.name in folded:
            return args[0]
        if layer.name not in changed:
            return layer(*args, **kwargs)
        x, *others = args
        for before in changed[layer.name][:-1]:
            x = before(x)
        return layer(x, *others, **kwargs)

    plain = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in model.layers:
        if layer.weights and layer.name not in folded:
            target = changed[layer.name][-1]
            weights = _weights(layer, ahead.get(layer.name), folds.get(layer.name))
            # A depthwise kernel (h, w, 1, channels * m) is Keras's (h, w, channels, m).
            target.set_weights(
                [w.reshape(own.shape) for w, own in zip(weights, target.weights, strict=True)]
            )
        elif isinstance(layer, layers.PadShortcut):
            changed[layer.name][-1].set_weights([_subsampling_kernel(layer)])
    _report(plain)
    return plain


def _folds(model) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the batch norms to fold, by the name of the layer that they are folded into.

    The first dict has the norms that follow their layer, the second those that precede it.
    """
    chain = calls(model)
    readers: dict[int, list] = {}
    for call in chain:
        for x in call.reads:
            readers.setdefault(id(x), []).append(call.layer)
    for x in keras.tree.flatten(model.output):
        readers.setdefault(id(x), []).append(None)
    makers = {id(call.output): call.layer for call in chain}
    behind, ahead = {}, {}
    for norm in (layer for layer in model.layers if _is(layer, "BatchNormalization")):
        if norm.axis not in (-1, len(norm.input.shape) - 1):
            continue  # a kernel can only scale channels
        maker, reader = makers.get(id(norm.input)), _only_reader(norm, readers)
        linear = getattr(maker, "activation", None) is keras.activations.linear
        alone = len(readers[id(norm.input)]) == 1
        if maker and _is(maker, "Conv2D", "Dense") and linear and alone:
            behind[maker.name] = norm
        elif reader and (_is(reader, "Dense") or (_is(reader, "Conv2D") and not _pads(reader))):
            ahead[reader.name] = norm
    return behind, ahead


def _is(layer, *names: str) -> bool:
    return isinstance(layer, tuple(getattr(keras.layers, name) for name in names))


def _only_reader(layer, readers: dict[int, list]):
    """Return the only layer that reads a layer's output, or None if there are several.

    Layers that pass their input on in inference, such as dropout, are skipped.
    """
    found = readers[id(layer.output)]
    while len(found) == 1 and found[0] is not None:
        (layer,) = found
        linear = _is(layer, "Activation") and layer.activation is keras.activations.linear
        if not (linear or _is(layer, "Dropout")):
            return layer
        found = readers[id(layer.output)]
    return None


def _pads(layer) -> bool:
    """Return whether a convolution pads its input with zeros."""
    if isinstance(layer, layers.Conv2D):
        return any(map(any, layer._pads(layer.input.shape)))
    return layer.padding == "same"


def _weights(layer, ahead, behind) -> list[np.ndarray]:
    """Return a layer's kernel and bias with the batch norms before and after it folded in."""
    if ahead is None and behind is None:
        return layer.get_weights()
    values = [np.asarray(w, "float64") for w in layer.get_weights()]
    kernel, bias = values if layer.use_bias else [*values, np.zeros(values[0].shape[-1])]
    if ahead is not None:
        scale, shift = (_by_output(layer, value) for value in _affine(ahead))
        bias = bias + (kernel * shift).sum(tuple(range(kernel.ndim - 1)))
        kernel = kernel * scale
    if behind is not None:
        scale, shift = _affine(behind)
        kernel, bias = kernel * scale, bias * scale + shift
    return [kernel.astype("float32"), bias.astype("float32")]


def _affine(norm) -> tuple[np.ndarray, np.ndarray]:
    """Return the scale and shift of a batch norm in inference, by channel."""
    values = {w.name: np.asarray(keras.ops.convert_to_numpy(w), "float64") for w in norm.weights}
    scale = values.get("gamma", 1.0) / np.sqrt(values["moving_variance"] + norm.epsilon)
    return scale, values.get("beta", 0.0) - values["moving_mean"] * scale


def _by_output(layer, value: np.ndarray) -> np.ndarray:
    """Arrange values of the input channels like a kernel: (channels of a group, outputs)."""
    depth, outputs = layer.kernel.shape[-2:]
    groups = len(value) // depth
    return np.repeat(value.reshape(groups, depth).T, outputs // groups, axis=1)


def _plain(layer, folded: bool) -> list:
    """Return a sequence of Keras layers that replaces a layer; the last one has its weights.

    A layer without an equivalent is returned as it is.
    """
    # Weights are copied later, so initializers of zoo are left out; Keras could not load them.
    config = {name: v for name, v in layer.get_config().items() if not _our_initializer(v)}
    if isinstance(layer, layers.Conv2D):
        return _plain_convolution(layer, config, folded)
    if _is(layer, "Conv2D", "Dense"):
        return [type(layer).from_config({**config, "use_bias": folded or layer.use_bias})]
    if isinstance(layer, layers.BatchNorm):
        # As in our layer, statistics are not stored in half precision.
        wide = "mixed_" if layer.variable_dtype in ("float16", "bfloat16") else ""
        dtype = f"{wide}{layer.dtype_policy.name}"
        return [keras.layers.BatchNormalization.from_config({**config, "dtype": dtype})]
    if isinstance(layer, (keras.layers.Activation, keras.layers.LeakyReLU, layers.Unfused)):
        return _plain_activation(layer, config)
    if isinstance(layer, layers.SamePad) and None not in layer.input.shape[1:3]:
        pads = layer.pads(layer.input.shape)
        return [keras.layers.ZeroPadding2D(pads, dtype=config["dtype"], name=layer.name)]
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
            name = f"{layer.name}_pad"
            return [keras.layers.ZeroPadding2D(pads, dtype=config["dtype"], name=name), pool]
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


def _our_initializer(value) -> bool:
    return isinstance(value, dict) and value.get("module") == "zoo.layers.initializers"


def _plain_activation(layer, config) -> list:
    """Return a Keras activation. After an addition, a pooling layer of one pixel precedes it.

    The pooling keeps TensorFlow from a wrong fusion. It is not needed after batch norms, because
    folding leaves none of zoo's own, after which more activations would be fused wrongly.
    """
    if isinstance(layer, layers.Unfused):
        plain = keras.layers.Identity.from_config(config)
    elif type(layer) in (layers.Activation, keras.layers.Activation):
        # Not made from the config, in which a user's function may have no name.
        plain = keras.layers.Activation(layer.activation, name=layer.name, dtype=config["dtype"])
    elif isinstance(layer, layers.LeakyReLU):
        plain = keras.layers.LeakyReLU.from_config(config)
    else:
        plain = type(layer).from_config(config)
    maps = len(layer._inbound_nodes[0].input_tensors[0].shape) == 4
    if not maps or layers.is_right_everywhere(plain) or not layers.reads_a_sum(layer):
        return [plain]
    pool = keras.layers.MaxPooling2D(1, dtype=config["dtype"], name=f"{layer.name}_unfused")
    return [pool, plain]


def _plain_adaptive_pool(layer):
    """Return a Keras layer for an adaptive pooling, or a copy of it if Keras has none.

    Without overlapping windows, it is plain average pooling. Keras's adaptive layer needs maps that
    are larger than a window.
    """
    grid, sizes = layer.grid, layer.input.shape[1:3]
    named = {"dtype": layer.dtype_policy, "name": layer.name}
    if all(n % grid == 0 for n in sizes):
        return keras.layers.AveragePooling2D([n // grid for n in sizes], **named)
    if all(-(-n // grid) + 1 <= n for n in sizes):
        return keras.layers.AdaptiveAveragePooling2D(grid, **named)
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
                name = f"{layer.name}_pad"
                before = [keras.layers.ZeroPadding2D(pads, dtype=config["dtype"], name=name)]
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
    """Return whether a pooling layer pads as TensorFlow's SAME does at this input size."""
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
        log.warning("%s: Keras has no equivalent of %s", plain.name, ", ".join(ours))
