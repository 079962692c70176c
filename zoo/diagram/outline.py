"""The content of a picture of a network: stages as lanes, blocks as cards, layers as nodes."""

# ruff: noqa: RUF001 - signs in pictures

import dataclasses
import re
from dataclasses import dataclass

MERGES = ("add", "concat", "merge")


@dataclass(frozen=True)
class Node:
    """A layer with a kernel, a pool, a squeeze-and-excitation, or a merge of branches.

    Attributes:
        label: the text, such as "3×3 64 /2": kernel size, channels, stride.
        kind: conv, point (1x1), depthwise, dense, gate (squeeze-and-excitation), pool, other, or
            one of MERGES.
        inputs: indices of earlier nodes in the card; -1 is the card's first input, -2 its second,
            and so on.
        channels: the number of output channels. It is ignored in comparisons of blocks.
    """

    label: str
    kind: str
    inputs: tuple[int, ...]
    channels: int | None = dataclasses.field(default=None, compare=False)


@dataclass(frozen=True)
class Card:
    """A block, several equal blocks, or the layers between blocks.

    Attributes:
        name: "block1", "reduction", or "" for layers whose names contain only their stage.
        nodes: the nodes.
        sources: for each input, how many cards back it comes from.
        side: for an auxiliary head, where it starts; else "".
        count: the number of equal blocks.
    """

    name: str
    nodes: tuple[Node, ...]
    sources: tuple[int, ...]
    side: str = ""
    count: int = 1

    @property
    def index(self) -> int | None:
        """The number of a block; None for other cards."""
        found = re.fullmatch(r"block(\d+)", self.name)
        return int(found[1]) if found else None

    @property
    def title(self) -> str:
        """The title of the card, such as "blocks 2–4", or ""."""
        if self.index is None:
            return spaced(self.name) + (f", from {self.side}" if self.side else "")
        last = self.index + self.count - 1
        return f"block {self.index}" if self.count == 1 else f"blocks {self.index}–{last}"


def spaced(name: str) -> str:
    """Return "block 12" for "block12"."""
    return re.sub(r"(?<=\D)(?=\d)", " ", name)


@dataclass(frozen=True)
class Lane:
    """A stage: its cards, output shape, and parameters and MACs as in `complexity.Stage`."""

    name: str
    cards: tuple[Card, ...]
    output: tuple
    parameters: int
    macs: int | None

    @property
    def blocks(self) -> int:
        """The number of blocks."""
        return sum(card.count for card in self.cards if card.index is not None)


@dataclass(frozen=True)
class Outline:
    """A network as lanes.

    Attributes:
        name: the name of the network.
        input: the shape of its input.
        lanes: its stages.
        kinds: the names of its norms, then of its activations.
    """

    name: str
    input: tuple
    lanes: tuple[Lane, ...]
    kinds: tuple[str, ...]

    @property
    def parameters(self) -> int:
        """The number of parameters."""
        return sum(lane.parameters for lane in self.lanes)

    @property
    def macs(self) -> int | None:
        """The number of multiply-accumulates; None if it varies with the size of the image."""
        costs = [lane.macs for lane in self.lanes]
        return None if None in costs else sum(c for c in costs if c is not None)
