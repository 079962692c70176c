"""The layout of a card: positions of its nodes, lines between them, and arcs of shortcuts.

Lengths are in points. y grows downwards; y = 0 is the line on which data enters and leaves a card.
"""

from dataclasses import dataclass

from zoo.diagram.outline import Card, Node

# The height of a node, the distance of rows, the diameter of a sum, the width of a concatenation.
HEIGHT, ROW, RING, BAR = 16.0, 20.0, 12.0, 4.0
Point = tuple[float, float]


@dataclass(frozen=True)
class Spot:
    """The position of a node: its left edge x, its vertical center y, and its size."""

    node: Node
    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width


@dataclass(frozen=True)
class Arc:
    """The line of a shortcut: up from `start`, along `y`, and down to the merge at `end`."""

    start: Point
    end: Point
    y: float


@dataclass(frozen=True)
class Placed:
    """A card with the positions of its parts.

    Attributes:
        card: the card.
        spots: the positions of its nodes.
        lines: lines through points. They are curved where y changes.
        arcs: shortcuts.
        width: the width of all nodes.
        above, below: the extents above and below y = 0.
    """

    card: Card
    spots: tuple[Spot, ...]
    lines: tuple[tuple[Point, ...], ...]
    arcs: tuple[Arc, ...]
    width: float
    above: float
    below: float
