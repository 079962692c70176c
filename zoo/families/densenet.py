"""DenseNet: densely connected convolutional networks. Huang et al. 2016."""

import dataclasses
from dataclasses import dataclass
from typing import Literal

from zoo import blocks
from zoo.lazy import keras, layers
from zoo.options import at_least
from zoo.style import Style, slide


@dataclass(frozen=True)
class DenseNet:
    """Dense blocks, in which each layer reads the feature maps of all earlier ones; transitions.

    Attributes:
        depths: number of layers in each dense block.
        growth: number of channels that each layer adds.
        stem_width: channels of the stem.
        bottleneck: whether a 1x1 convolution to 4 * growth channels precedes each 3x3 convolution
            (DenseNet-B).
        compression: share of the channels that a transition keeps (DenseNet-C).
        stem: "imagenet" (7x7, stride 2, norm, activation and max pooling) or "cifar" (3x3).
    """

    depths: tuple[int, ...]
    growth: int = 32
    stem_width: int = 64
    bottleneck: bool = True
    compression: float = 0.5
    stem: Literal["imagenet", "cifar"] = "imagenet"

    @property
    def unused(self) -> tuple[str, ...]:
        padding = ("padding",) if self.stem == "cifar" else ()
        return ("zero_gamma", "pool_border", *padding)

    def __post_init__(self):
        at_least(self, 1, "depths", "growth", "stem_width")
        if not 0 < self.compression <= 1:
            raise ValueError(f"compression={self.compression}: must be above 0 and at most 1")


def _cifar(depth: int, growth: int) -> DenseNet:
    n = (depth - 4) // 3
    return DenseNet((n, n, n), growth, 16, False, 1.0, "cifar")


def _cifar_bc(depth: int, growth: int) -> DenseNet:
    n = (depth - 4) // 6
    return DenseNet((n, n, n), growth, 2 * growth, True, 0.5, "cifar")


SPECS = {
    "densenet121": DenseNet((6, 12, 24, 16)),
    "densenet161": DenseNet((6, 12, 36, 24), growth=48, stem_width=96),
    "densenet169": DenseNet((6, 12, 32, 32)),
    "densenet201": DenseNet((6, 12, 48, 32)),
    "densenet264": DenseNet((6, 12, 64, 48)),
    "densenet40_k12": _cifar(40, 12),
    "densenet100_k12": _cifar(100, 12),
    "densenet100_k24": _cifar(100, 24),
    "densenet_bc100_k12": _cifar_bc(100, 12),
    "densenet_bc250_k24": _cifar_bc(250, 24),
    "densenet_bc190_k40": _cifar_bc(190, 40),
}
TOYS = {"toy_densenet": DenseNet((2, 2), 8, 16, stem="cifar")}
STYLES = {"*": Style(act="relu", norm="batch", init="kaiming")}


def network(x, style: Style, spec: DenseNet, num_classes: int):
    plain = dataclasses.replace(style, dropout=0.0)
    if spec.stem == "cifar":
        x = blocks.conv(x, spec.stem_width, 3, style=style, name="stem")
    else:
        x = blocks.conv_norm_act(x, spec.stem_width, 7, 2, style=style, name="stem")
        x = slide(layers.MaxPool2D(3, 2, 1, name="stem_pool"), x)
    for i, depth in enumerate(spec.depths, 1):
        for j in range(1, depth + 1):
            x = dense_layer(x, spec, style, name=f"stage{i}_block{j}")
        if i < len(spec.depths):
            kept = int(x.shape[-1] * spec.compression)
            name = f"stage{i}_transition"
            x = blocks.norm_act(x, style=style, name=name)
            x = style.drop(blocks.conv(x, kept, 1, style=style, name=name), name=f"{name}_drop")
            x = slide(keras.layers.AveragePooling2D(2, name=f"{name}_pool"), x)
    x = blocks.norm_act(x, style=style, name="head")
    return blocks.pooled_head(x, num_classes, style=plain)


def dense_layer(x, spec: DenseNet, style: Style, *, name):
    """Append `growth` new channels to those of x; dropout follows each convolution."""
    y = x
    widths = ((4 * spec.growth, 1), (spec.growth, 3)) if spec.bottleneck else ((spec.growth, 3),)
    for i, (w, k) in enumerate(widths, 1):
        y = blocks.norm_act(y, style=style, name=f"{name}_{i}")
        y = blocks.conv(y, w, k, style=style, name=f"{name}_{i}")
        y = style.drop(y, name=f"{name}_{i}_drop")
    # The earlier maps come first: Keras walks the graph recursively, along the first input.
    return keras.layers.Concatenate(name=f"{name}_concat")([x, y])
