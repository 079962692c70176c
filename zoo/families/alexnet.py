"""AlexNet (Krizhevsky et al. 2012; 2014) and ZFNet (Zeiler & Fergus 2014)."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

from zoo import blocks
from zoo.lazy import layers
from zoo.options import at_least
from zoo.style import Style, slide

# stem -> (kernel, stride, padding) of the first and the second convolution
STEMS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    "2012": ((11, 4, 0), (5, 1, 2)),
    "owt": ((11, 4, 2), (5, 1, 2)),
    "zfnet": ((7, 2, 1), (5, 2, 0)),
    "cifar": ((3, 1, 1), (5, 1, 2)),
}


@dataclass(frozen=True)
class AlexNet:
    """Five convolutions, three overlapping max poolings, and hidden dense layers.

    Attributes:
        widths: number of output channels of each convolution.
        towers: number of groups in the second, fourth and fifth convolution. In 2012, there was
            one for each of two GPUs.
        stem: kernel, stride and padding of the first two convolutions (see STEMS); "cifar" is for
            small images.
        ceil_pool: whether max pooling keeps a last window that extends beyond the edge.
        pool_first: whether local response normalization comes after the pooling, not before it
            (Zeiler & Fergus 2014, figure 3).
        lrn: numbers of the convolutions, from 1, that local response normalization follows if
            norm="lrn".
        ones: numbers of the convolutions whose biases start at 1. If there are any, so do the
            biases of the hidden dense layers.
        hidden: number of units of each hidden dense layer.
        grid: height and width to which the feature map is pooled before the dense layers.
    """

    widths: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)
    towers: int = 1
    stem: Literal["2012", "owt", "zfnet", "cifar"] = "2012"
    ceil_pool: bool = False
    pool_first: bool = False
    lrn: tuple[int, ...] = (1, 2)
    ones: tuple[int, ...] = (2, 4, 5)
    hidden: tuple[int, ...] = (4096, 4096)
    grid: int = 6

    unused: ClassVar[tuple[str, ...]] = ("padding", "pool_border", "zero_gamma")

    def __post_init__(self):
        at_least(self, 1, "widths", "towers", "hidden", "grid")
        for name in ("lrn", "ones"):
            if not set(getattr(self, name)) <= {1, 2, 3, 4, 5}:
                raise ValueError(
                    f"{name}={getattr(self, name)!r}: must be numbers of convolutions, 1 to 5"
                )


OWT = AlexNet((64, 192, 384, 256, 256), stem="owt", lrn=())
SPECS = {
    "alexnet": AlexNet(towers=2),
    "alexnet_owt": OWT,
    "zfnet": AlexNet(stem="zfnet", ceil_pool=True, pool_first=True, ones=()),
}
TOYS = {"toy_alexnet": AlexNet((12, 32, 48, 48, 32), 2, "cifar", hidden=(64, 64), grid=2)}
STYLES = {
    "*": Style(act="relu", norm="lrn", init="normal:0.01", dropout=0.5),
    "alexnet_owt": Style(act="relu", norm="none", init="normal:0.01", dropout=0.5),
}


def network(x, style: Style, spec: AlexNet, num_classes: int):
    of_ones = dataclasses.replace(style, bias_init=style.bias_init or "ones")
    first, second = STEMS[spec.stem]
    windows = (first, second, (3, 1, 1), (3, 1, 1), (3, 1, 1))
    names = ("stem", "stage1_block1", "stage2_block1", "stage2_block2", "stage2_block3")
    for i, (w, (k, stride, pad), name) in enumerate(
        zip(spec.widths, windows, names, strict=True), 1
    ):
        x = blocks.conv_norm_act(
            x,
            w,
            k,
            stride,
            groups=spec.towers if i in (2, 4, 5) else 1,
            padding=pad,
            style=of_ones if i in spec.ones else style,
            name=name,
        )
        norm = style.norm == "lrn" and i in spec.lrn
        if norm and not spec.pool_first:
            x = layers.LocalResponseNorm(name=f"{name}_lrn")(x)
        if i in (1, 2, 5):
            pool = layers.MaxPool2D(
                3, 2, "ceil" if spec.ceil_pool else "valid", name=f"{name.split('_')[0]}_pool"
            )
            x = slide(pool, x)
        if norm and spec.pool_first:
            x = layers.LocalResponseNorm(name=f"{name}_lrn")(x)
    dense = of_ones if spec.ones else style
    x = blocks.hidden_layers(blocks.flatten(x, spec.grid), spec.hidden, style=dense)
    return blocks.classifier(x, num_classes, style=style)
