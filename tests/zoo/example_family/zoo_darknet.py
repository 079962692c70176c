"""DarkNet-53. Redmon & Farhadi 2018, YOLOv3: An Incremental Improvement, table 1."""

from dataclasses import dataclass
from typing import ClassVar

import zoo
from zoo import blocks
from zoo.options import at_least


@dataclass(frozen=True)
class DarkNet:
    """Stages that start with a 3x3 convolution of stride 2, which doubles the channels.

    Attributes:
        depths: residual blocks of each stage: 1x1 to half the channels, then 3x3.
        width: channels of the stem.
    """

    depths: tuple[int, ...] = (1, 2, 8, 8, 4)
    width: int = 32

    residual: ClassVar[bool] = True  # allows drop_path
    unused: ClassVar[tuple[str, ...]] = ("pool_border",)  # an error: there are no pools

    def __post_init__(self):
        at_least(self, 1, "depths", "width")


SPECS = {"darknet53": DarkNet()}
TOYS = {"toy_darknet": DarkNet((1, 1), 8)}
STYLES = {"*": zoo.Style(act="leaky_relu:0.1", norm="batch")}
MODELS = [
    zoo.Model(
        name="darknet53",
        family="darknet",
        year=2018,
        paper="Redmon & Farhadi 2018, YOLOv3",
        input_shape=(256, 256, 3),
        parameters=41_609_928,
        gmac=9.285,
        top1=77.2,
        top5=93.8,
        source="table 2 of the paper",
    )
]


def network(x, style: zoo.Style, spec: DarkNet, num_classes: int):
    x = blocks.conv_norm_act(x, spec.width, 3, style=style, name="stem")
    for at in blocks.positions(spec.depths):
        w = spec.width * 2 ** (at.stage + 1)
        if at.index == 0:
            x = blocks.conv_norm_act(x, w, 3, 2, style=style, name=f"stage{at.stage + 1}_down")
        x = block(x, w, at, style)
    return blocks.pooled_head(x, num_classes, style=style)


def block(x, w: int, at: blocks.Position, style: zoo.Style):
    """Return x + act(norm(conv(...)))."""
    name = at.name

    def branch(x, style):
        x = blocks.conv_norm_act(x, max(w // 2, 1), 1, style=style, name=f"{name}_1")
        pieces = w * style.pieces
        x = blocks.conv_norm(x, pieces, 3, zero=True, style=style, name=f"{name}_2")
        return style.activate(x, name=f"{name}_2_act")

    return blocks.residual(x, branch, lambda x: x, 2, act=False, style=style, at=at)
