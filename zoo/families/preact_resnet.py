"""Pre-activation residual networks. He et al. 2016, Identity Mappings in Deep Residual Networks.

A norm and an activation follow the stem, before the first shortcut branches off. Projections have
no norm.
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

from zoo import blocks
from zoo.lazy import keras, layers
from zoo.options import at_least
from zoo.style import Style, slide


@dataclass(frozen=True)
class PreActResNet:
    """Stages of blocks of norm, activation and convolution, with nothing after the addition.

    Attributes:
        depths: number of blocks in each stage.
        bottleneck: whether blocks are bottlenecks (1x1, 3x3 and 1x1 convolutions, with four times
            the width at the end) instead of two 3x3 convolutions.
        width: channels of stage 1, before the factor of four.
        stem_width: channels of the stem.
        stem: "imagenet" (7x7, stride 2, and max pooling) or "cifar" (3x3).
        shortcut: the shortcut where shapes differ, a "projection" of the activated maps, or "pad"
            with zeros.
        reduction: channels of a block per unit of its squeeze-and-excitation; 0 for none.
        stride_first: whether the first 1x1 convolution of a bottleneck has the stride, as in the
            authors' code for CIFAR.
        variant: "paper" or "keras". In keras.applications' ResNetV2, the last block of a stage has
            the stride, not the first block of the next one; the stem, the projections and the last
            convolution of each block have biases; and the stem's max pooling includes zeros around
            the map.
        block_dropout: whether `dropout` applies between the convolutions of each block, as in wide
            ResNets, and not before the classifier.
    """

    depths: tuple[int, ...]
    bottleneck: bool = True
    width: int = 64
    stem_width: int = 64
    stem: Literal["imagenet", "cifar"] = "imagenet"
    shortcut: Literal["projection", "pad"] = "projection"
    reduction: int = 0
    stride_first: bool = False
    variant: Literal["paper", "keras"] = "paper"
    block_dropout: bool = False

    residual: ClassVar[bool] = True

    @property
    def unused(self) -> tuple[str, ...]:
        strides = self.stem == "imagenet" or (len(self.depths) > 1 and not self.stride_first)
        return ("pool_border",) if strides else ("pool_border", "padding")

    def __post_init__(self):
        at_least(self, 1, "depths", "width", "stem_width")
        at_least(self, 0, "reduction")


def _basic(depth: int) -> PreActResNet:
    n = (depth - 2) // 6
    return PreActResNet((n, n, n), False, 16, 16, "cifar", "pad")


def _bottleneck(depth: int) -> PreActResNet:
    n = (depth - 2) // 9
    return PreActResNet((n, n, n), True, 16, 16, "cifar", stride_first=True)


SPECS = {
    "preact_resnet50": PreActResNet((3, 4, 6, 3)),
    "preact_resnet101": PreActResNet((3, 4, 23, 3)),
    "preact_resnet152": PreActResNet((3, 8, 36, 3)),
    "preact_resnet200": PreActResNet((3, 24, 36, 3)),
    "preact_resnet110": _basic(110),
    "preact_resnet164": _bottleneck(164),
    "preact_resnet1001": _bottleneck(1001),
}
TOYS = {"toy_preact_resnet": PreActResNet((1, 1), True, 8, 8, "cifar", reduction=4)}
STYLES = {"*": Style(act="relu", norm="batch", init="kaiming")}


def network(x, style: Style, spec: PreActResNet, num_classes: int):
    plain = dataclasses.replace(style, dropout=0.0) if spec.block_dropout else style
    k, stride = (3, 1) if spec.stem == "cifar" else (7, 2)
    stream = _stream(style, spec)
    x = blocks.conv(x, spec.stem_width, k, stride, style=stream, name="stem")
    if spec.stem == "imagenet":
        border = 1
        if spec.variant == "keras":
            x, border = keras.layers.ZeroPadding2D(1, name="stem_pad")(x), 0
        x = slide(layers.MaxPool2D(3, 2, border, name="stem_pool"), x)
    for at in blocks.positions(spec.depths):
        if spec.variant == "keras":
            ends_stage = at.index == spec.depths[at.stage] - 1
            at = dataclasses.replace(at, stride=2 if ends_stage and not at.last else 1)
        x = block(x, at, spec, style)
    x = blocks.norm_act(x, style=style, name="head")
    return blocks.pooled_head(x, num_classes, style=plain)


def _stream(style: Style, spec: PreActResNet) -> Style:
    """Return the style of the convolutions whose outputs are added to the residual stream."""
    return dataclasses.replace(style, norm_bias=True) if spec.variant == "keras" else style


def block(x, at: blocks.Position, spec: PreActResNet, style: Style):
    """Apply a basic or a bottleneck block."""
    stride, name = at.stride, at.name
    w = spec.width * 2**at.stage
    out = 4 * w if spec.bottleneck else w
    first, second = (stride, 1) if spec.stride_first else (1, stride)
    if spec.bottleneck:
        kernels = [(w, 1, first), (w, 3, second), (out, 1, 1)]
    else:
        kernels = [(w, 3, stride), (w, 3, 1)]
    activated = blocks.norm_act(x, style=style, name=f"{name}_1")
    widens = x.shape[-1] != out

    def branch(x, style):
        for i, (w, k, stride) in enumerate(kernels, 1):
            last = i == len(kernels)
            if i > 1:
                x = blocks.norm_act(x, last, style=style, name=f"{name}_{i}")
            if last and spec.block_dropout:
                x = style.drop(x, name=f"{name}_dropout")
            own = _stream(style, spec) if last else style
            x = blocks.conv(x, w, k, stride, zero=last, style=own, name=f"{name}_{i}")
        if spec.reduction:
            x = blocks.squeeze_excite(x, out // spec.reduction, style=style, name=f"{name}_se")
        return x

    def shortcut(y):
        # The shortcut of the first block starts after the activation (appendix of the paper,
        # section 4.1).
        if stride == 1 and not widens:
            return activated if at.number == 0 else x
        if spec.variant == "keras" and not widens:
            return layers.PadShortcut(out, stride, name=f"{name}_shortcut")(x)
        if spec.shortcut == "pad":
            return layers.PadShortcut(out, stride, name=f"{name}_shortcut")(activated)
        stream = _stream(style, spec)
        return blocks.conv(y, out, 1, stride, style=stream, name=f"{name}_shortcut")

    return blocks.residual(activated, branch, shortcut, len(kernels), act=False, style=style, at=at)
