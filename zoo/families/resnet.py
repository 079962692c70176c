"""ResNet, and the plain networks without shortcuts that its paper compares it with.

He et al. 2015; Xie et al. 2016 (groups); Zagoruyko & Komodakis 2016 (width); Hu et al. 2017
(squeeze-and-excitation).
"""

from dataclasses import dataclass
from typing import Literal

from zoo import blocks
from zoo.lazy import layers
from zoo.options import at_least
from zoo.style import Style, slide


@dataclass(frozen=True)
class ResNet:
    """Stages of residual blocks; after the first, each halves the size and doubles the channels.

    Attributes:
        depths: number of blocks in each stage.
        bottleneck: whether blocks are bottlenecks (1x1, 3x3 and 1x1 convolutions, with four times
            the width at the end) instead of two 3x3 convolutions.
        width: channels of stage 1, before the factor of four.
        groups: number of groups in the 3x3 convolutions (in the first of two), which is the
            cardinality of ResNeXt.
        group_width: channels of a group in stage 1; None for width / groups.
        reduction: channels of a block per unit of its squeeze-and-excitation; 0 for none.
        stem: "imagenet" (7x7, stride 2, and max pooling) or "cifar" (3x3).
        shortcut: the shortcut where shapes differ, "projection" (option B of the paper) or "pad"
            with zeros (option A); "none" for no shortcuts at all.
        stride_first: whether the first 1x1 convolution of a bottleneck has the stride, as in the
            paper, instead of the 3x3.
        ceil_pool: whether the stem's pooling has no padding and rounds its size up, as in Caffe.
    """

    depths: tuple[int, ...]
    bottleneck: bool = True
    width: int = 64
    groups: int = 1
    group_width: int | None = None
    reduction: int = 0
    stem: Literal["imagenet", "cifar"] = "imagenet"
    shortcut: Literal["projection", "pad", "none"] = "projection"
    stride_first: bool = False
    ceil_pool: bool = False

    @property
    def residual(self) -> bool:
        return self.shortcut != "none"

    @property
    def unused(self) -> tuple[str, ...]:
        strides = self.stem == "imagenet" or (len(self.depths) > 1 and not self.stride_first)
        padding = () if strides else ("padding",)
        return ("pool_border", *padding, *(() if self.residual else ("zero_gamma",)))

    def __post_init__(self):
        at_least(self, 1, "depths", "width", "groups", "group_width")
        at_least(self, 0, "reduction")
        if self.group_width is None and self.width % self.groups:
            raise ValueError(f"groups={self.groups}: must divide width={self.width}")
        if self.stride_first and not self.bottleneck:
            raise ValueError("stride_first=True: needs bottleneck=True; leave one out")
        if self.ceil_pool and self.stem == "cifar":
            raise ValueError(
                "ceil_pool=True: the stem 'cifar' has no pooling; use stem='imagenet' or leave it"
                " out"
            )


def _cifar(depth: int, shortcut="pad") -> ResNet:
    n = (depth - 2) // 6
    return ResNet((n, n, n), bottleneck=False, width=16, stem="cifar", shortcut=shortcut)


D18, D50, D101, D152 = (2, 2, 2, 2), (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)
SPECS = {
    "plain18": ResNet(D18, bottleneck=False, shortcut="none"),
    "plain34": ResNet(D50, bottleneck=False, shortcut="none"),
    "resnet18": ResNet(D18, bottleneck=False),
    "resnet34": ResNet(D50, bottleneck=False),
    "resnet50": ResNet(D50),
    "resnet101": ResNet(D101),
    "resnet152": ResNet(D152),
    "resnet50_v1": ResNet(D50, stride_first=True),
    "resnet101_v1": ResNet(D101, stride_first=True),
    "resnet152_v1": ResNet(D152, stride_first=True),
    **{f"plain{depth}": _cifar(depth, "none") for depth in (20, 32, 44, 56)},
    **{f"resnet{depth}": _cifar(depth) for depth in (20, 32, 44, 56, 110, 1202)},
    "wide_resnet50_2": ResNet(D50, group_width=128),
    "wide_resnet101_2": ResNet(D101, group_width=128),
    "resnext50_32x4d": ResNet(D50, groups=32, group_width=4),
    "resnext101_32x4d": ResNet(D101, groups=32, group_width=4),
    "resnext101_32x8d": ResNet(D101, groups=32, group_width=8),
    "resnext101_64x4d": ResNet(D101, groups=64, group_width=4),
    "resnext29_8x64d": ResNet((3, 3, 3), groups=8, group_width=64, stem="cifar"),
    "resnext29_16x64d": ResNet((3, 3, 3), groups=16, group_width=64, stem="cifar"),
    "se_resnet50": ResNet(D50, reduction=16, stride_first=True, ceil_pool=True),
    "se_resnet101": ResNet(D101, reduction=16, stride_first=True, ceil_pool=True),
    "se_resnet152": ResNet(D152, reduction=16, stride_first=True, ceil_pool=True),
    "se_resnext50_32x4d": ResNet(D50, groups=32, group_width=4, reduction=16, ceil_pool=True),
    "se_resnext101_32x4d": ResNet(D101, groups=32, group_width=4, reduction=16, ceil_pool=True),
}
TOYS = {
    "toy_resnet": ResNet((1, 1), width=8, groups=2, group_width=4, reduction=4, stem="cifar"),
    "toy_basic": ResNet((1, 1), bottleneck=False, width=8, stem="imagenet", shortcut="pad"),
    "toy_plain": ResNet((1, 1), bottleneck=False, width=8, stem="cifar", shortcut="none"),
}
STYLES = {"*": Style(act="relu", norm="batch", init="kaiming")}


def network(x, style: Style, spec: ResNet, num_classes: int):
    if spec.stem == "cifar":
        x = blocks.conv_norm_act(x, spec.width, 3, style=style, name="stem")
    else:
        x = blocks.conv_norm_act(x, spec.width, 7, 2, style=style, name="stem")
        x = slide(layers.MaxPool2D(3, 2, "ceil" if spec.ceil_pool else 1, name="stem_pool"), x)
    for at in blocks.positions(spec.depths):
        x = block(x, at, spec, style)
    return blocks.pooled_head(x, num_classes, style=style)


def block(x, at: blocks.Position, spec: ResNet, style: Style):
    """Apply a basic or a bottleneck block."""
    stride, name = at.stride, at.name
    w = spec.width * 2**at.stage
    inner = (spec.group_width or spec.width // spec.groups) * spec.groups * 2**at.stage
    out = 4 * w if spec.bottleneck else w

    end = blocks.conv_norm_act if spec.shortcut == "none" else blocks.last_conv_norm

    def branch(x, style):
        if spec.bottleneck:
            first, second = (stride, 1) if spec.stride_first else (1, stride)
            x = blocks.conv_norm_act(x, inner, 1, first, style=style, name=f"{name}_1")
            x = blocks.conv_norm_act(
                x, inner, 3, second, spec.groups, style=style, name=f"{name}_2"
            )
            x = end(x, out, 1, style=style, name=f"{name}_3")
        else:
            x = blocks.conv_norm_act(
                x, inner, 3, stride, spec.groups, style=style, name=f"{name}_1"
            )
            x = end(x, out, 3, style=style, name=f"{name}_2")
        if spec.reduction:
            x = blocks.squeeze_excite(x, out // spec.reduction, style=style, name=f"{name}_se")
        return x

    def shortcut(x):
        if stride == 1 and x.shape[-1] == out:
            return x
        if spec.shortcut == "pad":
            return layers.PadShortcut(out, stride, name=f"{name}_shortcut")(x)
        return blocks.conv_norm(x, out, 1, stride, style=style, name=f"{name}_shortcut")

    if spec.shortcut == "none":
        return branch(x, style)
    convs = 3 if spec.bottleneck else 2
    return blocks.residual(x, branch, shortcut, convs, style=style, at=at)
