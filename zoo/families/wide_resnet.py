"""Wide residual networks for small images. Zagoruyko & Komodakis 2016.

They consist of pre-activation basic blocks with a multiple of the usual channels, and dropout
between the convolutions of a block. wrn_28_10 has 28 convolutions and is 10 times as wide.
"""

from zoo.families.preact_resnet import PreActResNet, network
from zoo.style import Style

__all__ = ["SPECS", "STYLES", "TOYS", "network"]


def _wide(depth: int, widen: int) -> PreActResNet:
    n = (depth - 4) // 6
    return PreActResNet((n, n, n), False, 16 * widen, 16, "cifar", block_dropout=True)


SPECS = {"wrn_16_8": _wide(16, 8), "wrn_28_10": _wide(28, 10), "wrn_40_4": _wide(40, 4)}
TOYS = {
    "toy_wide_resnet": PreActResNet(
        (1, 1), False, 16, 8, "cifar", shortcut="pad", block_dropout=True
    )
}
STYLES = {"*": Style(act="relu", norm="batch", init="kaiming")}
