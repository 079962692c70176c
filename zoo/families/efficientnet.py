"""EfficientNets: inverted residual blocks with squeeze-and-excitation, scaled as a whole.

Tan & Le 2019. Defaults are torchvision's: its padding, and its norms, whose constants change
at B5. With padding="tf" and norm_epsilon=1e-3 they are keras.applications', as the authors'.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

from zoo import blocks
from zoo.style import Style


@dataclass(frozen=True)
class EfficientNet:
    """Stages of inverted residual blocks; the defaults are B0 (table 1).

    Attributes:
        width: the factor of all widths, which become multiples of 8.
        depth: the factor of all depths, which are rounded up.
        depths: blocks of each stage, before `depth`.
        widths: channels of each stage, before `width`.
        strides: of the first block of each stage.
        kernels: of the depthwise convolutions of each stage.
        expansions: by how much the blocks of each stage widen what comes in.
        stem_width: channels of the stem, before `width`.
        last_width: channels of the last convolution, before `width`.
        reduction: from the channels that come into a block to the squeezed units; 0 is
            without squeeze-and-excitation.
    """

    width: float = 1.0
    depth: float = 1.0
    depths: tuple[int, ...] = (1, 2, 2, 3, 3, 4, 1)
    widths: tuple[int, ...] = (16, 24, 40, 80, 112, 192, 320)
    strides: tuple[int, ...] = (1, 2, 2, 2, 1, 2, 1)
    kernels: tuple[int, ...] = (3, 3, 5, 3, 5, 5, 3)
    expansions: tuple[int, ...] = (1, 6, 6, 6, 6, 6, 6)
    stem_width: int = 32
    last_width: int = 1280
    reduction: int = 4

    residual: ClassVar[bool] = True
    unused: ClassVar[tuple[str, ...]] = ("pool_border",)

    def __post_init__(self):
        for name in ("widths", "strides", "kernels", "expansions"):
            if len(getattr(self, name)) != len(self.depths):
                raise ValueError(f"depths={self.depths} and {name} differ in length")
        if self.reduction < 0 or min(self.depths, default=0) < 1:
            raise ValueError("reduction must be at least 0, and each of depths at least 1")
        if self.width <= 0 or self.depth <= 0:
            raise ValueError(f"width={self.width} and depth={self.depth} must be above 0")


SPECS = {
    "efficientnet_b0": EfficientNet(1.0, 1.0),
    "efficientnet_b1": EfficientNet(1.0, 1.1),
    "efficientnet_b2": EfficientNet(1.1, 1.2),
    "efficientnet_b3": EfficientNet(1.2, 1.4),
    "efficientnet_b4": EfficientNet(1.4, 1.8),
    "efficientnet_b5": EfficientNet(1.6, 2.2),
    "efficientnet_b6": EfficientNet(1.8, 2.6),
    "efficientnet_b7": EfficientNet(2.0, 3.1),
}
TOYS = {
    "toy_efficientnet": EfficientNet(
        width=1.1,
        depth=1.2,
        depths=(1, 1),
        widths=(8, 16),
        strides=(1, 2),
        kernels=(3, 5),
        expansions=(1, 2),
        stem_width=8,
        last_width=32,
    )
}
_SMALL = Style(act="swish", norm="batch", dropout=0.2, drop_path=0.2)
_LARGE = dataclasses.replace(_SMALL, norm_epsilon=1e-3, norm_momentum=0.99)
STYLES = {
    "*": _SMALL,
    "*_b[23]": dataclasses.replace(_SMALL, dropout=0.3),
    "*_b4": dataclasses.replace(_SMALL, dropout=0.4),
    "*_b5": dataclasses.replace(_LARGE, dropout=0.4),
    "*_b[67]": dataclasses.replace(_LARGE, dropout=0.5),
}


def network(x, style: Style, spec: EfficientNet, num_classes: int):
    stem_width = blocks.rounded(spec.stem_width * spec.width)
    x = blocks.conv_norm_act(x, stem_width, 3, 2, style=style, name="stem")
    depths = [math.ceil(spec.depth * depth) for depth in spec.depths]
    for at in blocks.positions(depths, spec.strides):
        x = block(x, at, spec, style)
    last_width = blocks.rounded(spec.last_width * spec.width)
    x = blocks.conv_norm_act(x, last_width, 1, style=style, name="head_last")
    return blocks.pooled_head(x, num_classes, style=style)


def block(x, at: blocks.Position, spec: EfficientNet, style: Style):
    """An inverted residual block."""
    channels = x.shape[-1]
    w = blocks.rounded(spec.widths[at.stage] * spec.width)
    expanded = channels * spec.expansions[at.stage]

    def attend(x):
        if not spec.reduction:
            return x
        return blocks.squeeze_excite(
            x, channels // spec.reduction, style=style, name=f"{at.name}_se"
        )

    return blocks.inverted_residual(
        x, w, spec.kernels[at.stage], expanded, attend, style=style, at=at
    )
