"""SENet-154. Hu et al. 2017, Squeeze-and-Excitation Networks, the appendix and the authors' code.

It differs from a ResNeXt with squeeze-and-excitation: the stem has three 3x3 convolutions, blocks
are twice as wide inside (but not after their first 1x1 convolution), projections are 3x3, and
there is dropout.
"""

from dataclasses import dataclass
from typing import ClassVar

from zoo import blocks
from zoo.lazy import layers
from zoo.options import at_least, check_stages
from zoo.style import Style, slide


@dataclass(frozen=True)
class SENet:
    """Stages of bottleneck blocks; after the first, each halves the size and doubles the channels.

    Attributes:
        depths: number of blocks in each stage.
        width: a quarter of the output channels of stage 1.
        groups: number of groups in the 3x3 convolutions of the blocks.
        reduction: channels of a block per unit of its squeeze-and-excitation; 0 for none.
        stem_widths: channels of the 3x3 convolutions in the stem, the first of which has stride 2.
        projection: kernel size of the shortcuts with stride 2.
    """

    depths: tuple[int, ...] = (3, 8, 36, 3)
    width: int = 64
    groups: int = 64
    reduction: int = 16
    stem_widths: tuple[int, ...] = (64, 64, 128)
    projection: int = 3

    residual: ClassVar[bool] = True
    unused: ClassVar[tuple[str, ...]] = ("pool_border",)

    def __post_init__(self):
        check_stages(self)
        at_least(self, 0, "reduction")
        at_least(self, 1, "width", "groups")
        if not self.stem_widths:
            raise ValueError("stem_widths=(): the stem needs at least one convolution")
        if 2 * self.width % self.groups:
            raise ValueError(f"groups={self.groups}: must divide 2 * width={2 * self.width}")


SPECS = {"senet154": SENet()}
TOYS = {"toy_senet": SENet((1, 1), width=8, groups=8, reduction=4, stem_widths=(8, 8))}
STYLES = {"*": Style(act="relu", norm="batch", dropout=0.2)}


def network(x, style: Style, spec: SENet, num_classes: int):
    for i, w in enumerate(spec.stem_widths, 1):
        stride = 2 if i == 1 else 1
        x = blocks.conv_norm_act(x, w, 3, stride, style=style, name=f"stem_{i}")
    x = slide(layers.MaxPool2D(3, 2, "ceil", name="stem_pool"), x)
    for at in blocks.positions(spec.depths):
        x = block(x, at, spec, style)
    return blocks.pooled_head(x, num_classes, style=style)


def block(x, at: blocks.Position, spec: SENet, style: Style):
    """Apply a bottleneck block with squeeze-and-excitation."""
    stride, name = at.stride, at.name
    w = spec.width * 2**at.stage
    out = 4 * w

    def branch(x, style):
        x = blocks.conv_norm_act(x, 2 * w, 1, style=style, name=f"{name}_1")
        x = blocks.conv_norm_act(x, out, 3, stride, spec.groups, style=style, name=f"{name}_2")
        x = blocks.last_conv_norm(x, out, 1, style=style, name=f"{name}_3")
        if spec.reduction:
            x = blocks.squeeze_excite(x, out // spec.reduction, style=style, name=f"{name}_se")
        return x

    def shortcut(x):
        if stride == 1 and x.shape[-1] == out:
            return x
        k = 1 if stride == 1 else spec.projection
        return blocks.conv_norm(x, out, k, stride, style=style, name=f"{name}_shortcut")

    return blocks.residual(x, branch, shortcut, 3, style=style, at=at)
