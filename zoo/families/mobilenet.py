"""MobileNet v1, v2 and v3: depthwise convolutions between 1x1 convolutions that mix the channels.

Howard et al. 2017 (v1); Sandler et al. 2018 (v2); Howard et al. 2019 (v3). The defaults follow
keras.applications for v1, and torchvision for v2 and v3. With padding="tf" and norm_epsilon=1e-3,
all are the networks of keras.applications.
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

from zoo import blocks
from zoo.options import above_zero, at_least, check_stages
from zoo.style import Style


@dataclass(frozen=True)
class MobileNetV1:
    """Stages of blocks of a depthwise 3x3 and a 1x1 convolution. Howard et al. 2017, table 1.

    Attributes:
        depths: number of blocks in each stage.
        widths: channels of each stage.
        strides: stride of the first block of each stage.
        stem_width: channels of the stem.
        multiplier: factor of all widths; the products are rounded to multiples of 8.
        reduction: channels per unit of the squeeze-and-excitation that follows each depthwise
            convolution; 0 for none.
    """

    depths: tuple[int, ...] = (1, 2, 2, 6, 2)
    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    strides: tuple[int, ...] = (1, 2, 2, 2, 2)
    stem_width: int = 32
    multiplier: float = 1.0
    reduction: int = 0

    unused: ClassVar[tuple[str, ...]] = ("zero_gamma", "pool_border")

    def __post_init__(self):
        _check(self, "widths", "strides")


@dataclass(frozen=True)
class MobileNet:
    """Stages of inverted residual blocks: MobileNetV2 and V3.

    Attributes:
        depths: number of blocks in each stage.
        widths: channels of each stage.
        strides: stride of the first block of each stage.
        kernels: kernel size of the depthwise convolutions in each stage.
        expansions: factors by which the blocks of each stage widen their input, one for each
            block. The last factor also applies to the blocks after it.
        stem_width: channels of the stem.
        last_width: channels of the last convolution; None for six times its input channels.
        hidden: number of units of the dense layer before the classifier; 0 for none.
        multiplier: factor of all widths; the products are rounded to multiples of 8. A factor
            below 1 does not apply to the layer before the classifier (Sandler et al. 2018,
            section 5).
        reduction: channels per unit of the squeeze-and-excitation that follows depthwise
            convolutions; 0 for none.
        attention: whether the blocks of each stage have squeeze-and-excitation.
        gate: activation of the gates of squeeze-and-excitation.
        relu_stages: number of first stages with act="relu". If it is not 0, all
            squeeze-and-excitations use ReLU inside, too. Only applies with act="hard_swish", the
            default of v3; any other act is used everywhere.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    strides: tuple[int, ...]
    kernels: tuple[int, ...]
    expansions: tuple[tuple[float, ...], ...]
    attention: tuple[bool, ...]
    stem_width: int = 16
    last_width: int | None = None
    hidden: int = 0
    multiplier: float = 1.0
    reduction: int = 4
    gate: Literal["sigmoid", "hard_sigmoid"] = "hard_sigmoid"
    relu_stages: int = 0

    residual: ClassVar[bool] = True
    unused: ClassVar[tuple[str, ...]] = ("pool_border",)

    def __post_init__(self):
        _check(self, "widths", "strides", "kernels", "expansions", "attention")
        if not all(self.expansions):
            raise ValueError(f"expansions={self.expansions}: each stage needs at least one factor")


def _check(spec, *by_stage: str) -> None:
    check_stages(spec, *by_stage)
    at_least(spec, 0, "reduction")
    above_zero(spec, "multiplier")


SPECS = {
    "mobilenet_v1": MobileNetV1(),
    "mobilenet_v2": MobileNet(
        depths=(1, 2, 3, 4, 3, 3, 1),
        widths=(16, 24, 32, 64, 96, 160, 320),
        strides=(1, 2, 2, 2, 1, 2, 1),
        kernels=(3,) * 7,
        expansions=((1.0,), *((6.0,),) * 6),
        attention=(True,) * 7,
        stem_width=32,
        last_width=1280,
        reduction=0,
        gate="sigmoid",
    ),
    "mobilenet_v3_large": MobileNet(
        depths=(1, 2, 3, 4, 2, 3),
        widths=(16, 24, 40, 80, 112, 160),
        strides=(1, 2, 2, 2, 1, 2),
        kernels=(3, 3, 5, 3, 3, 5),
        expansions=((1.0,), (4.0, 3.0), (3.0,), (6.0, 2.5, 2.3), (6.0,), (6.0,)),
        attention=(False, False, True, False, True, True),
        hidden=1280,
        relu_stages=3,
    ),
    "mobilenet_v3_small": MobileNet(
        depths=(1, 2, 3, 2, 3),
        widths=(16, 24, 40, 48, 96),
        strides=(2, 2, 2, 1, 2),
        kernels=(3, 3, 5, 5, 5),
        expansions=((1.0,), (72 / 16, 88 / 24), (4.0, 6.0), (3.0,), (6.0,)),
        attention=(True, False, True, True, True),
        hidden=1024,
        relu_stages=2,
    ),
}
TOYS = {
    "toy_mobilenet_v3": MobileNet(
        depths=(1, 1, 2),
        widths=(8, 16, 16),
        strides=(1, 2, 1),
        kernels=(3, 3, 5),
        expansions=((1.0,), (2.0,), (2.0,)),
        attention=(True, False, True),
        stem_width=8,
        hidden=32,
        relu_stages=1,
    ),
    "toy_mobilenet_v2": MobileNet(
        depths=(1, 2),
        widths=(8, 16),
        strides=(1, 2),
        kernels=(3, 3),
        expansions=((1.0,), (2.0,)),
        attention=(True, True),
        stem_width=8,
        last_width=32,
        reduction=0,
        gate="sigmoid",
    ),
    "toy_mobilenet_v1": MobileNetV1((1, 1), (16, 32), (1, 2), stem_width=8),
}
STYLES = {
    "*_v1": Style(
        act="relu6",
        norm="batch",
        padding="tf",
        norm_epsilon=1e-3,
        norm_momentum=0.99,
        dropout=0.001,
    ),
    "*_v2": Style(act="relu6", norm="batch", dropout=0.2),
    "*_v3*": Style(
        act="hard_swish", norm="batch", norm_epsilon=1e-3, norm_momentum=0.99, dropout=0.2
    ),
}


def network(x, style: Style, spec: MobileNetV1 | MobileNet, num_classes: int):
    stem_width = blocks.rounded(spec.stem_width * spec.multiplier)
    x = blocks.conv_norm_act(x, stem_width, 3, 2, style=style, name="stem")
    for at in blocks.positions(spec.depths, spec.strides):
        if isinstance(spec, MobileNetV1):
            x = separable_block(x, at, spec, style)
        else:
            x = block(x, at, spec, style)
    if isinstance(spec, MobileNet):
        return head(x, num_classes, spec, style)
    return blocks.pooled_head(x, num_classes, style=style)


def separable_block(x, at: blocks.Position, spec: MobileNetV1, style: Style):
    """Apply a block of v1: depthwise 3x3 and 1x1 convolutions with norms and activations."""
    stride, name = at.stride, at.name
    w = blocks.rounded(spec.widths[at.stage] * spec.multiplier)
    groups = x.shape[-1]
    x = blocks.conv_norm_act(x, groups, 3, stride, groups, style=style, name=f"{name}_depthwise")
    if spec.reduction:
        squeezed = blocks.rounded(groups / spec.reduction)
        x = blocks.squeeze_excite(x, squeezed, style=style, name=f"{name}_se")
    return blocks.conv_norm_act(x, w, 1, style=style, name=f"{name}_pointwise")


def block(x, at: blocks.Position, spec: MobileNet, style: Style):
    """Apply an inverted residual block of v2 or v3."""
    i = at.stage
    w = blocks.rounded(spec.widths[i] * spec.multiplier)
    expansion = spec.expansions[i][min(at.index, len(spec.expansions[i]) - 1)]
    # An expansion of 1 keeps the number of channels, even if it is not a multiple of 8.
    expanded = x.shape[-1] if expansion == 1 else blocks.rounded(x.shape[-1] * expansion)
    mixed = spec.relu_stages > 0 and style.act == "hard_swish"
    early = dataclasses.replace(style, act="relu") if mixed else style

    def attend(x):
        if not (spec.reduction and spec.attention[i]):
            return x
        squeezed = blocks.rounded(expanded / spec.reduction)
        return blocks.squeeze_excite(x, squeezed, spec.gate, style=early, name=f"{at.name}_se")

    own = early if i < spec.relu_stages else style
    return blocks.inverted_residual(x, w, spec.kernels[i], expanded, attend, style=own, at=at)


def head(x, num_classes: int, spec: MobileNet, style: Style):
    """Apply the last 1x1 convolution, pooling, the dense layer of v3, and the classifier."""
    factor = max(1.0, spec.multiplier)
    last = 6 * x.shape[-1]
    if spec.last_width is not None:
        last = blocks.rounded(spec.last_width * factor)
    x = blocks.conv_norm_act(x, last, 1, style=style, name="head_last")
    if not spec.hidden:
        return blocks.pooled_head(x, num_classes, style=style)
    x = blocks.pooled_head(x, 0, style=dataclasses.replace(style, dropout=0.0))
    plain = dataclasses.replace(style, norm="none", zero_gamma=False, dropout=0.0)
    units = blocks.rounded(spec.hidden * factor)
    x = blocks.dense_norm_act(x, units, style=plain, name="head_hidden")
    return blocks.classifier(style.drop(x, name="head_drop"), num_classes, style=style)
