"""LeNet-5. LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition.

Simplified as in most implementations: C3 reads all feature maps of S2, and subsampling has no
parameters.
"""

from dataclasses import dataclass
from typing import ClassVar

from zoo import blocks
from zoo.lazy import keras
from zoo.options import at_least
from zoo.style import Style, slide


@dataclass(frozen=True)
class LeNet:
    """5x5 convolutions without padding, each followed by 2x2 average pooling; dense layers.

    Attributes:
        widths: number of output channels of each convolution (C1, C3).
        hidden: number of units of each hidden dense layer (C5, F6).
    """

    widths: tuple[int, ...] = (6, 16)
    hidden: tuple[int, ...] = (120, 84)

    unused: ClassVar[tuple[str, ...]] = ("padding", "pool_border", "zero_gamma")

    def __post_init__(self):
        at_least(self, 1, "widths", "hidden")
        if not self.widths:
            raise ValueError(
                "widths=(): there is no convolution; give at least one width, or use mlp"
            )


SPECS = {"lenet5": LeNet()}
TOYS = {"toy_lenet": LeNet((4, 4), (64, 40))}
STYLES = {"*": Style(act="tanh", norm="none", init="lecun_normal")}


def network(x, style: Style, spec: LeNet, num_classes: int):
    for i, w in enumerate(spec.widths, 1):
        x = blocks.conv_norm_act(x, w, 5, padding="valid", style=style, name=f"stage{i}_block1")
        x = slide(keras.layers.AveragePooling2D(2, name=f"stage{i}_pool"), x)
    x = blocks.hidden_layers(blocks.flatten(x), spec.hidden, style=style)
    return blocks.classifier(x, num_classes, style=style)
