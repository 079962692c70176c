"""SENet-154. Hu et al. 2017, Squeeze-and-Excitation Networks, the appendix and the authors' code.

Its differences from a ResNeXt with squeeze-and-excitation: three 3x3 in the stem, twice the
width inside the blocks with half of that behind the first 1x1, 3x3 projections, dropout.
"""

from dataclasses import dataclass
from typing import ClassVar

from zoo import blocks
from zoo.lazy import layers
from zoo.style import Style, slide


@dataclass(frozen=True)
class SENet:
    """Stages of bottleneck blocks; each stage but the first halves the maps and doubles them.

    Attributes:
        depths: blocks of each stage.
        width: a quarter of the channels of stage 1.
        groups: of the blocks' 3x3 convolutions.
        reduction: of squeeze-and-excitation; 0 is without.
        stem_widths: channels of the stem's 3x3 convolutions, the first of which strides.
        projection: the kernel of the shortcuts that stride.
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
        if self.reduction < 0 or min(self.depths, default=0) < 1 or not self.stem_widths:
            raise ValueError(
                "reduction must be at least 0, each of depths at least 1, and one stem width given"
            )
        if self.width < 1 or self.groups < 1 or 2 * self.width % self.groups:
            raise ValueError(f"2 * width={self.width} is not a multiple of groups={self.groups}")


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
    """A bottleneck block with squeeze-and-excitation."""
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
