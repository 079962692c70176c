"""VGG. Simonyan & Zisserman 2014, Very Deep Convolutional Networks, table 1.

Kernels are initialized as in Glorot & Bengio 2010, with which the paper needs no pretraining.
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from zoo import blocks
from zoo.lazy import layers
from zoo.options import at_least
from zoo.style import Style, slide


@dataclass(frozen=True)
class VGG:
    """Stages of 3x3 convolutions, each ended by 2x2 max pooling; hidden dense layers.

    Attributes:
        depths: number of convolutions in each stage.
        widths: channels of each stage.
        hidden: units of each hidden dense layer.
        grid: height and width to which the last feature map is pooled before the dense layers.
        norm_dense: whether the hidden dense layers have a norm, if the style has one.
        lrn: numbers of the convolutions, from 1, that local response normalization follows if
            norm="lrn".
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    hidden: tuple[int, ...] = (4096, 4096)
    grid: int = 7
    norm_dense: bool = True
    lrn: tuple[int, ...] = ()

    unused: ClassVar[tuple[str, ...]] = ("padding", "pool_border", "zero_gamma")

    def __post_init__(self):
        at_least(self, 1, "depths", "widths", "hidden", "grid", "lrn")
        if len(self.depths) != len(self.widths):
            raise ValueError(
                f"depths={self.depths}: the length differs from widths={self.widths}; give one of "
                "each per stage"
            )


DEPTHS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
SPECS = {name: VGG(depths, lrn=(1,) if name == "vgg11" else ()) for name, depths in DEPTHS.items()}
SPECS |= {f"{name}_bn": VGG(depths, norm_dense=False) for name, depths in DEPTHS.items()}
TOYS = {"toy_vgg": VGG((1, 1, 1, 1), (8, 16, 32, 64), hidden=(64,), grid=1)}
STYLES = {
    "*": Style(act="relu", norm="none", init="glorot_uniform", dropout=0.5),
    "*_bn": Style(act="relu", norm="batch", init="glorot_uniform", dropout=0.5, norm_bias=True),
}


def network(x, style: Style, spec: VGG, num_classes: int):
    conv = 0
    for i, (depth, w) in enumerate(zip(spec.depths, spec.widths, strict=True), 1):
        for j in range(1, depth + 1):
            conv += 1
            name = f"stage{i}_block{j}"
            x = blocks.conv(x, w * style.pieces, 3, style=style, name=name)
            x = style.activate(style.normalize(x, name=f"{name}_norm"), name=f"{name}_act")
            if style.norm == "lrn" and conv in spec.lrn:
                x = layers.LocalResponseNorm(name=f"{name}_lrn")(x)
        x = slide(layers.MaxPool2D(2, name=f"stage{i}_pool"), x)
    dense = style if spec.norm_dense else dataclasses.replace(style, norm="none", zero_gamma=False)
    x = blocks.hidden_layers(blocks.flatten(x, spec.grid), spec.hidden, style=dense)
    return blocks.classifier(x, num_classes, style=style)
