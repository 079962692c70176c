"""EfficientNet: inverted residual blocks with squeeze-and-excitation. Tan & Le 2019.

B1 to B7 are B0 with more blocks, more channels and larger images. The defaults follow
torchvision: its padding and its batch norms, whose epsilon and momentum change at B5. With
padding="tf" and norm_epsilon=1e-3, the networks are those of keras.applications and the authors.

EfficientNet-Lite (Liu 2020) is the authors' variant for mobile devices: no squeeze-and-excitation,
ReLU6, and a stem and a head that do not scale. Its defaults are the authors' padding and norms.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

from zoo import blocks
from zoo.options import above_zero, at_least, check_stages
from zoo.style import Style


@dataclass(frozen=True)
class EfficientNet:
    """Stages of inverted residual blocks; the defaults are those of B0 (table 1).

    Attributes:
        width: factor of all widths; the products are rounded to multiples of 8.
        depth: factor of all depths; the products are rounded up.
        depths: number of blocks in each stage, before `depth` is applied.
        widths: channels of each stage, before `width` is applied.
        strides: stride of the first block of each stage.
        kernels: kernel size of the depthwise convolutions in each stage.
        expansions: factor by which the blocks of each stage widen their input.
        stem_width: channels of the stem, before `width` is applied.
        last_width: channels of the last convolution, before `width` is applied.
        reduction: channels of a block's input per unit of its squeeze-and-excitation; 0 for none.
        fixed_ends: whether `width` leaves the stem and the last convolution as they are, and
            `depth` the number of blocks in the first and the last stage.
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
    fixed_ends: bool = False

    residual: ClassVar[bool] = True
    unused: ClassVar[tuple[str, ...]] = ("pool_border",)

    def __post_init__(self):
        check_stages(self, "widths", "strides", "kernels", "expansions")
        at_least(self, 0, "reduction")
        above_zero(self, "width", "depth")

    @property
    def ends(self) -> tuple[int, int]:
        """Channels of the stem and of the last convolution, after scaling."""
        factor = 1.0 if self.fixed_ends else self.width
        return blocks.rounded(self.stem_width * factor), blocks.rounded(self.last_width * factor)

    @property
    def repeats(self) -> list[int]:
        """The number of blocks in each stage, after scaling."""
        scaled = [math.ceil(self.depth * depth) for depth in self.depths]
        if self.fixed_ends:
            scaled[0], scaled[-1] = self.depths[0], self.depths[-1]
        return scaled


def _lite(width: float, depth: float) -> EfficientNet:
    return EfficientNet(width, depth, reduction=0, fixed_ends=True)


SPECS = {
    "efficientnet_b0": EfficientNet(1.0, 1.0),
    "efficientnet_b1": EfficientNet(1.0, 1.1),
    "efficientnet_b2": EfficientNet(1.1, 1.2),
    "efficientnet_b3": EfficientNet(1.2, 1.4),
    "efficientnet_b4": EfficientNet(1.4, 1.8),
    "efficientnet_b5": EfficientNet(1.6, 2.2),
    "efficientnet_b6": EfficientNet(1.8, 2.6),
    "efficientnet_b7": EfficientNet(2.0, 3.1),
    "efficientnet_lite0": _lite(1.0, 1.0),
    "efficientnet_lite1": _lite(1.0, 1.1),
    "efficientnet_lite2": _lite(1.1, 1.2),
    "efficientnet_lite3": _lite(1.2, 1.4),
    "efficientnet_lite4": _lite(1.4, 1.8),
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
_LITE = Style(
    act="relu6",
    norm="batch",
    norm_epsilon=1e-3,
    norm_momentum=0.99,
    padding="tf",
    dropout=0.2,
    drop_path=0.2,
)
_LARGE = dataclasses.replace(_SMALL, norm_epsilon=1e-3, norm_momentum=0.99)
STYLES = {
    "*": _SMALL,
    "*_b[23]": dataclasses.replace(_SMALL, dropout=0.3),
    "*_b4": dataclasses.replace(_SMALL, dropout=0.4),
    "*_b5": dataclasses.replace(_LARGE, dropout=0.4),
    "*_b[67]": dataclasses.replace(_LARGE, dropout=0.5),
    "*_lite[01]": _LITE,
    "*_lite[234]": dataclasses.replace(_LITE, dropout=0.3),
}


def network(x, style: Style, spec: EfficientNet, num_classes: int):
    stem_width, last_width = spec.ends
    x = blocks.conv_norm_act(x, stem_width, 3, 2, style=style, name="stem")
    for at in blocks.positions(spec.repeats, spec.strides):
        x = block(x, at, spec, style)
    x = blocks.conv_norm_act(x, last_width, 1, style=style, name="head_last")
    return blocks.pooled_head(x, num_classes, style=style)


def block(x, at: blocks.Position, spec: EfficientNet, style: Style):
    """Apply an inverted residual block."""
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
