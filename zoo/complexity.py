"""Parameters, multiply-accumulates, activations and receptive field of a network, by stage."""

import math
from dataclasses import dataclass

from zoo import surgery
from zoo.graph import unwrapped
from zoo.lazy import keras, layers, pandas


@dataclass(frozen=True)
class Stage:
    """The costs of a stage, which is all layers whose names start with the same word.

    Attributes:
        name: name of the stage: `input`, `stem`, `stage1`, ..., `fc` or `head`.
        output: shape of the last layer's output, without the batch.
        layers: number of layers.
        parameters: number of trainable parameters.
        macs: multiply-accumulates of convolutions and dense layers for one image; None if sizes
            vary.
        activations: number of values in the outputs of all layers for one image; None if sizes
            vary. The memory of a training step grows with it.
        receptive_field: side in pixels of the part of the image that one output value depends on;
            None for the whole image.
        depth: number of convolutions and dense layers on the longest path from the image to the
            last layer of the stage, as in the name of ResNet-50; `depths` describes the counting.
        kernels: number of convolutions and dense layers.
        bare: names of those of them that no norm follows.
    """

    name: str
    output: tuple
    layers: int
    parameters: int
    macs: int | None
    activations: int | None
    receptive_field: int | None
    depth: int
    kernels: int
    bare: tuple[str, ...]


def macs(layer) -> int | None:
    """Return the multiply-accumulates of a layer for one image; None if its size varies.

    Only convolutions and dense layers are counted; for others, it is 0.
    """
    if isinstance(layer, keras.layers.Dense):
        per_output, outputs = layer.kernel.shape[0], layer.output.shape[1:]
    elif isinstance(layer, keras.layers.Conv2D):
        per_output, outputs = math.prod(layer.kernel.shape[:3]), layer.output.shape[1:]
    else:
        return 0
    return None if None in outputs else per_output * math.prod(outputs)


def parameters(layer) -> int:
    """Return the number of trainable parameters of a layer or model."""
    return sum(math.prod(w.shape) for w in layer.trainable_weights)


def receptive_fields(model) -> dict[str, int | None]:
    """Return the receptive field of each layer: its side in input pixels, by the layer's name.

    It is None for a layer that depends on the whole image, whatever its size. The gates of
    squeeze-and-excitation, which also do, are ignored.
    """
    seen: dict[int, tuple[int | None, int]] = {}  # tensor -> (field, pixels between neighbors)
    fields = {}
    for layer in model.layers:
        before = [seen[id(x)] for x in keras.tree.flatten(layer.input) if id(x) in seen]
        known = [field for field, _ in before if field is not None]
        field = None if before and not known else max(known, default=1)
        jump = max((jump for _, jump in before), default=1)
        if isinstance(layer, _see_all()):
            field = None
        window, stride = _window(layer)
        if field is not None:
            field += (window - 1) * jump
        seen[id(layer.output)] = (field, jump * stride)
        fields[layer.name] = field
    return fields


def depths(model) -> dict[str, int]:
    """Return the depth of each layer, by the layer's name.

    The depth is the number of convolutions and dense layers on the longest path from the image.
    Layers without weights and norms do not count, and a depthwise and a pointwise convolution count
    as two. The gates of squeeze-and-excitation are ignored, as in the name of SENet-154.
    """
    fields = receptive_fields(model)
    seen: dict[int, tuple[int, bool]] = {}  # tensor -> (depth, depends on the whole image)
    found = {}
    for layer in model.layers:
        before = [seen[id(x)] for x in keras.tree.flatten(layer.input) if id(x) in seen]
        local = [depth for depth, whole in before if not whole]
        depth = max(local or [depth for depth, _ in before], default=0) + is_kernel(layer)
        seen[id(layer.output)] = (depth, fields[layer.name] is None)
        found[layer.name] = depth
    return found


def is_kernel(layer) -> bool:
    """Return whether a layer is a convolution or a dense layer."""
    return isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))


def _see_all() -> tuple:
    names = ("GlobalAveragePooling2D", "GlobalMaxPooling2D", "Flatten")
    return (layers.AdaptivePool2D, *(getattr(keras.layers, name) for name in names))


def _window(layer) -> tuple[int, int]:
    """Return the size and the stride of a layer's window along the height."""
    if hasattr(layer, "kernel_size"):
        return layer.dilation_rate[0] * (layer.kernel_size[0] - 1) + 1, layer.strides[0]
    if hasattr(layer, "pool_size"):
        return layer.pool_size[0], layer.strides[0]
    return 1, getattr(layer, "stride", 1)


def by_stage(model) -> list[Stage]:
    """Return the stages of a model in their order."""
    model = unwrapped(model)
    names = {layer.name for layer in model.layers}

    def has_norm(layer) -> bool:
        block = layer.name.rpartition("_")[0]
        return f"{block}_norm" in names or f"{block}_lrn" in names

    fields, deep = receptive_fields(model), depths(model)
    stages = []
    for name, members in surgery.stages(model).items():
        sizes = [layer.output.shape[1:] for layer in members]
        costs = [macs(layer) for layer in members]
        kernels = [layer for layer in members if is_kernel(layer)]
        stages.append(
            Stage(
                name=name,
                output=tuple(members[-1].output.shape[1:]),
                layers=len(members),
                parameters=sum(parameters(layer) for layer in members),
                macs=None if None in costs else sum(c for c in costs if c is not None),
                activations=None if any(None in s for s in sizes) else sum(map(math.prod, sizes)),
                receptive_field=fields[members[-1].name],
                depth=deep[members[-1].name],
                kernels=len(kernels),
                bare=tuple(layer.name for layer in kernels if not has_norm(layer)),
            )
        )
    return stages


def profile(model):
    """Return the costs of a model by stage, as a pandas DataFrame with a row of totals.

    The columns are output, layers, parameters, macs (multiply-accumulates), activations,
    receptive_field, depth, kernels and bare (kernels without a norm). Receptive field and depth are
    those of the network up to the end of the stage.
    """
    stages = by_stage(model)
    frame = pandas.DataFrame([vars(stage) for stage in stages]).set_index("name")
    for column in ("macs", "activations", "receptive_field"):
        frame[column] = frame[column].astype("Int64")
    summed = frame[["layers", "parameters", "macs", "activations", "kernels"]].sum(skipna=False)
    last = {"output": stages[-1].output, "depth": stages[-1].depth}
    total = {**summed, **last, "receptive_field": pandas.NA, "bare": ()}
    frame.loc["total"] = pandas.Series(total)
    return frame
