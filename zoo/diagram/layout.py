"""A card laid out: its nodes' places, the lines between them and the shortcuts' arcs.

Lengths are points; y goes down, and 0 is the line on which maps enter and leave a card.
"""

from dataclasses import dataclass

from zoo.diagram.outline import Card, Node

HEIGHT, ROW, RING, BAR = 16.0, 20.0, 12.0, 4.0
Point = tuple[float, float]


@dataclass(frozen=True)
class Spot:
    """A node's place: its left edge, its middle, its size."""

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
    """A shortcut: up from `start`, along `y`, down to the merge at `end`."""

    start: Point
    end: Point
    y: float


@dataclass(frozen=True)
class Placed:
    """A card laid out; `lines` run through points, between which y may step."""

    card: Card
    spots: tuple[Spot, ...]
    lines: tuple[tuple[Point, ...], ...]
    arcs: tuple[Arc, ...]
    width: float
    above: float
    below: float
