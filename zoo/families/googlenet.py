"""GoogLeNet, the first Inception network. Szegedy et al. 2014, Going Deeper with Convolutions.

googlenet is table 1 of the paper. googlenet_bn is torchvision's network: it has norms instead of
biases, 3x3 kernels instead of 5x5, a last max pooling of 2x2, and auxiliary heads with adaptive
pooling. The paper gives neither the initializer nor the constants of its local response
normalization; here, the constants are those of AlexNet, and the initializer is "kaiming".
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from zoo import blocks
from zoo.branches import Conv, assemble, scaled
from zoo.lazy import keras, layers
from zoo.options import above_zero, at_least
from zoo.style import Style, slide


@dataclass(frozen=True)
class GoogLeNet:
    """Stages of modules with four parallel branches each; max pooling between stages.

    Attributes:
        depths: number of modules in each stage. In longer stages than the paper's, the last row of
            its table is repeated.
        width: factor of the number of channels of all convolutions.
        kernel: kernel size of the third branch.
        last_pool: window of the max pooling before the last stage.
        stem: "imagenet" (three convolutions and two max poolings) or "cifar" (3x3).
        lrn: whether the stem has local response normalization if norm="lrn".
        aux: whether the network has two more outputs, after the first and after the last but one
            module of stage 2.
        aux_window: window of the average pooling with stride 3 in an auxiliary head, after which
            maps of other sizes are pooled to 4x4; 0 for none.
        aux_dropout: probability of dropout in the auxiliary heads, instead of `dropout`.
    """

    depths: tuple[int, int, int] = (2, 5, 2)
    width: float = 1.0
    kernel: int = 5
    last_pool: int = 3
    stem: Literal["imagenet", "cifar"] = "imagenet"
    lrn: bool = True
    aux: bool = False
    aux_window: int = 5
    aux_dropout: float = 0.7

    @property
    def unused(self) -> tuple[str, ...]:
        padding = ("padding",) if self.stem == "cifar" else ()
        return ("zero_gamma", "pool_border", *padding)

    @property
    def least_depth(self) -> int:
        """The smallest number of modules of a stage when the network is scaled down."""
        return 3 if self.aux else 1

    def __post_init__(self):
        at_least(self, 1, "depths")
        above_zero(self, "width")
        if self.aux and self.depths[1] < 3:
            raise ValueError(f"depths={self.depths}: aux=True needs at least 3 modules in stage 2")
        if not 0 <= self.aux_dropout < 1:
            raise ValueError(f"aux_dropout={self.aux_dropout}: must be at least 0 and below 1")


# For each module of each stage, the channels of its convolutions: 1x1; 1x1, 3x3; 1x1, 5x5; and 1x1
# after max pooling.
WIDTHS = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)
BN = GoogLeNet(kernel=3, last_pool=2, lrn=False, aux_window=0)
SPECS = {"googlenet": GoogLeNet(), "googlenet_bn": BN}
TOYS = {
    "toy_googlenet": GoogLeNet((1, 1, 1), 0.125, stem="cifar"),
    "toy_googlenet_bn": dataclasses.replace(BN, depths=(1, 1, 1), width=0.125, stem="cifar"),
}
STYLES = {
    "*": Style(act="relu", norm="lrn", init="kaiming", dropout=0.4),
    "*_bn": Style(act="relu", norm="batch", init="kaiming", norm_epsilon=1e-3, dropout=0.2),
}


def network(x, style: Style, spec: GoogLeNet, num_classes: int):
    def pool(x, k, name):
        return slide(layers.MaxPool2D(k, 2, "ceil", name=f"{name}_pool"), x)

    def lrn(x, name):
        return layers.LocalResponseNorm(name=f"{name}_lrn")(x) if style.norm == "lrn" else x

    def conv(x, w, k, stride, name):
        return blocks.conv_norm_act(x, scaled(w, spec.width), k, stride, style=style, name=name)

    if spec.stem == "imagenet":
        x = lrn(pool(conv(x, 64, 7, 2, "stem_1"), 3, "stem_1"), "stem_1")
        x = conv(x, 64, 1, 1, "stem_2")
    x = lrn(conv(x, 192, 3, 1, "stem_3"), "stem_3")
    if spec.stem == "imagenet":
        x = pool(x, 3, "stem_3")
    heads: list[Any] = []
    for i, (depth, rows) in enumerate(zip(spec.depths, WIDTHS, strict=True), 1):
        if i > 1:
            x = pool(x, spec.last_pool if i == len(WIDTHS) else 3, f"stage{i - 1}")
        for j in range(1, depth + 1):
            one, three_in, three, five_in, five, pooled = rows[min(j, len(rows)) - 1]
            module = [
                Conv(one),
                (Conv(three_in), Conv(three, 3)),
                (Conv(five_in), Conv(five, spec.kernel)),
                ("max", Conv(pooled)),
            ]
            x = assemble(x, module, spec.width, style=style, name=f"stage{i}_block{j}")
            if spec.aux and i == 2 and j in (1, depth - 1):
                name = f"stage2_aux{len(heads) + 1}"
                heads.append(auxiliary_head(x, num_classes, spec, style, name=name))
    x = blocks.pooled_head(x, num_classes, style=style)
    return [x, *heads] if heads else x


def auxiliary_head(x, num_classes: int, spec: GoogLeNet, style: Style, *, name):
    """Return the logits of an auxiliary head (section 5). Its dense layers have no norm."""
    w, units = scaled(128, spec.width), scaled(1024, spec.width)
    if spec.aux_window:
        x = slide(keras.layers.AveragePooling2D(spec.aux_window, 3, name=f"{name}_pool"), x)
    if tuple(x.shape[1:3]) != (4, 4):
        x = layers.AdaptivePool2D(4, name=f"{name}_grid")(x)
    x = blocks.conv_norm_act(x, w, 1, style=style, name=f"{name}_1")
    x = keras.layers.Flatten(name=f"{name}_flatten")(x)
    dense = dataclasses.replace(style, norm="none", dropout=spec.aux_dropout)
    x = blocks.dense_norm_act(x, units, style=dense, name=f"{name}_2")
    return blocks.classifier(x, num_classes, style=style, name=name)
