"""Labels of layers, such as "3×3 64 /2" for a 3x3 convolution with 64 channels and stride 2."""

# ruff: noqa: RUF001 - signs in pictures

import re

from zoo import surgery
from zoo.diagram.outline import Node
from zoo.graph import layers_of
from zoo.lazy import keras, layers


def node_of(layer) -> Node | None:
    """Return the node for a layer; None for one that is not drawn, such as a norm."""
    label, kind = _kernel(layer) or _pool(layer) or _merge(layer) or _other(layer)
    return Node(label, kind, (), layer.output.shape[-1]) if kind else None


def _kernel(layer) -> tuple[str, str] | None:
    if isinstance(layer, keras.layers.Dense):
        return f"dense {layer.units}", "dense"
    if not hasattr(layer, "kernel_size"):
        return None
    window = "×".join(map(str, layer.kernel_size))
    channels, stride = layer.output.shape[-1], _stride(layer.strides)
    groups = getattr(layer, "groups", 1)
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    if depthwise or (groups > 1 and groups == layer.input.shape[-1]):
        return f"dw {window}{stride}", "depthwise"
    if isinstance(layer, keras.layers.SeparableConv2D):
        return f"sep {window} {channels}{stride}", "depthwise"
    kind = "point" if set(layer.kernel_size) == {1} else "conv"
    return f"{window} {channels}{stride}" + (f" g{groups}" if groups > 1 else ""), kind


def _pool(layer) -> tuple[str, str] | None:
    if isinstance(layer, global_pools()):
        return "global " + ("max" if "Max" in type(layer).__name__ else "mean"), "pool"
    if hasattr(layer, "pool_size"):
        word = "max" if "Max" in type(layer).__name__ else "mean"
        return f"{word} {'×'.join(map(str, layer.pool_size))}{_stride(layer.strides)}", "pool"
    if "Adaptive" in type(layer).__name__:
        return "mean to " + "×".join(map(str, layer.output.shape[1:3])), "pool"
    return None


def _merge(layer) -> tuple[str, str] | None:
    if isinstance(layer, keras.layers.Add):
        return "+", "add"
    if isinstance(layer, keras.layers.Concatenate):
        return "", "concat"
    if isinstance(layer.input, (list, tuple)) and len(layer.input) > 1:
        sign = {"Multiply": "×", "Subtract": "−", "Average": "ø", "Maximum": "max"}
        return sign.get(type(layer).__name__, type(layer).__name__), "merge"
    return None


def _other(layer) -> tuple[str, str]:
    if isinstance(layer, layers.PadShortcut):
        return f"pad {layer.filters}{_stride((layer.stride,) * 2)}", "other"
    if isinstance(layer, layers.Maxout):
        return f"max of {layer.pieces}", "other"
    if isinstance(layer, layers.LocalResponseNorm):
        return "LRN", "other"
    if isinstance(layer, keras.layers.InputLayer):
        return "", ""
    moves = (keras.layers.ZeroPadding2D, keras.layers.Cropping2D, layers.SamePad)
    same = tuple(layer.input.shape) == tuple(layer.output.shape)
    if isinstance(layer, moves) or (same and surgery.stage_of(layer) != "input"):
        return "", ""
    return type(layer).__name__.lower(), "other"


def _stride(strides) -> str:
    if set(strides) == {1}:
        return ""
    return " /" + "×".join(map(str, strides if len(set(strides)) > 1 else strides[:1]))


def global_pools() -> tuple:
    """Return the classes of global pooling layers."""
    return (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)


NORMS = {
    "BatchNorm": "batch norm",
    "BatchNormalization": "batch norm",
    "GroupNormalization": "group norm",
    "LayerNormalization": "layer norm",
    "LocalResponseNorm": "local response norm",
}


def kinds(model) -> tuple[str, ...]:
    """Return the names of a network's norms, then of its activations."""
    norms, acts = [], []
    for layer in layers_of(model):
        kind = type(layer).__name__
        if kind == "GroupNormalization" and layer.groups == 1:
            kind = "LayerNormalization"
        role = layer.name.rpartition("_")[2]
        if role in ("norm", "lrn"):
            norms.append(NORMS.get(kind, kind))
        elif role == "act":
            function = getattr(getattr(layer, "activation", None), "__name__", None)
            acts.append(function or re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", kind).lower())
    return tuple(dict.fromkeys([*norms, *acts]))
