"""What a network costs: parameters and multiply-accumulates, by stage."""

import math
from dataclasses import dataclass

from zoo.lazy import keras


@dataclass(frozen=True)
class Stage:
    """The layers whose names start alike: `input`, `stem`, `stage1`, ..., `fc`, `head`.

    Attributes:
        output: shape of the last layer's output, without the batch.
        parameters: trainable ones.
        macs: multiply-accumulates of convolutions and dense layers, for one image; None
            where sizes vary.
        kernels: how many convolutions and dense layers.
        bare: those of them that no norm follows.
    """

    name: str
    output: tuple
    layers: int
    parameters: int
    macs: int | None
    kernels: int
    bare: tuple[str, ...]


def macs(layer) -> int | None:
    """Multiply-accumulates of a convolution or dense layer for one image, 0 of others."""
    if isinstance(layer, keras.layers.Dense):
        per_output, outputs = layer.kernel.shape[0], layer.output.shape[1:]
    elif isinstance(layer, keras.layers.Conv2D):
        per_output, outputs = math.prod(layer.kernel.shape[:3]), layer.output.shape[1:]
    else:
        return 0
    return None if None in outputs else per_output * math.prod(outputs)


def parameters(layer) -> int:
    """The trainable parameters of a layer or model."""
    return sum(math.prod(w.shape) for w in layer.trainable_weights)


def by_stage(model) -> list[Stage]:
    """The stages of a model in their order."""
    names = {layer.name for layer in model.layers}

    def has_norm(layer) -> bool:
        block = layer.name.rpartition("_")[0]
        return f"{block}_norm" in names or f"{block}_lrn" in names

    found: dict[str, list] = {}
    for layer in model.layers:
        found.setdefault(layer.name.split("_")[0], []).append(layer)
    stages = []
    for name, members in found.items():
        costs = [macs(layer) for layer in members]
        kernels = [x for x in members if isinstance(x, (keras.layers.Conv2D, keras.layers.Dense))]
        stages.append(
            Stage(
                name=name,
                output=tuple(members[-1].output.shape[1:]),
                layers=len(members),
                parameters=sum(parameters(layer) for layer in members),
                macs=None if None in costs else sum(c for c in costs if c is not None),
                kernels=len(kernels),
                bare=tuple(layer.name for layer in kernels if not has_norm(layer)),
            )
        )
    return stages
