"""Multilayer perceptrons and linear classifiers. Rumelhart et al. 1986."""

from dataclasses import dataclass
from typing import ClassVar

from zoo import blocks
from zoo.options import at_least
from zoo.style import Style


@dataclass(frozen=True)
class MLP:
    """Dense layers on the flattened image.

    Attributes:
        hidden: number of units of each hidden layer; () for a linear classifier.
    """

    hidden: tuple[int, ...] = (50,)

    unused: ClassVar[tuple[str, ...]] = ("padding", "pool_border", "zero_gamma")

    def __post_init__(self):
        at_least(self, 1, "hidden")


SPECS = {"mlp": MLP()}
TOYS = {"toy_mlp": MLP((64, 64))}
STYLES = {"*": Style(act="sigmoid", norm="none", init="xavier")}


def network(x, style: Style, spec: MLP, num_classes: int):
    for units in spec.hidden:
        if style.norm_is_zero(units * style.pieces, 1):
            raise ValueError(
                f"norm={style.norm!r}: in mlp, each of the {units} hidden units would be normalized"
                " on its own, which makes it zero; choose another norm"
            )
    x = blocks.hidden_layers(blocks.flatten(x), spec.hidden, style=style)
    return blocks.classifier(x, num_classes, style=style)
