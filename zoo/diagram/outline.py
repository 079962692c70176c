"""What a picture of a network shows: stages as lanes, blocks as cards, kernels in short."""

# ruff: noqa: RUF001 - the signs of a picture

import dataclasses
import re
from dataclasses import dataclass

MERGES = ("add", "concat", "merge")


@dataclass(frozen=True)
class Node:
    """A kernel, a pool, a gate, or a place where maps meet.

    Attributes:
        label: "3×3 64 /2": kernel, channels, stride.
        kind: conv, point (1x1), depthwise, dense, gate, pool, other, or one of MERGES.
        inputs: indices of earlier nodes of the card; -1 is the card's first input, -2 its
            second, and so on.
        channels: of what it gives; by themselves they make no two blocks different.
    """

    label: str
    kind: str
    inputs: tuple[int, ...]
    channels: int | None = dataclasses.field(default=None, compare=False)


@dataclass(frozen=True)
class Card:
    """A block, or what stands between blocks; `count` equal blocks are one card.

    Attributes:
        name: "block1", "reduction"; "" where layers have nothing but their stage.
        sources: for each input, how many cards back it comes from.
        side: what it starts from, where nothing of the network reads it: an auxiliary head.
    """

    name: str
    nodes: tuple[Node, ...]
    sources: tuple[int, ...]
    side: str = ""
    count: int = 1

    @property
    def index(self) -> int | None:
        """The number of a block, None of what is no block."""
        found = re.fullmatch(r"block(\d+)", self.name)
        return int(found[1]) if found else None

    @property
    def title(self) -> str:
        if self.index is None:
            return spaced(self.name) + (f", from {self.side}" if self.side else "")
        last = self.index + self.count - 1
        return f"block {self.index}" if self.count == 1 else f"blocks {self.index}–{last}"


def spaced(name: str) -> str:
    """ "block12" is "block 12"."""
    return re.sub(r"(?<=\D)(?=\d)", " ", name)


@dataclass(frozen=True)
class Lane:
    """A stage: its cards, the shape at its end, what it costs (as `complexity.Stage`)."""

    name: str
    cards: tuple[Card, ...]
    output: tuple
    parameters: int
    macs: int | None

    @property
    def blocks(self) -> int:
        return sum(card.count for card in self.cards if card.index is not None)


@dataclass(frozen=True)
class Outline:
    """A network as lanes; `kinds` are its norms, then its activations, in words."""

    name: str
    input: tuple
    lanes: tuple[Lane, ...]
    kinds: tuple[str, ...]

    @property
    def parameters(self) -> int:
        return sum(lane.parameters for lane in self.lanes)

    @property
    def macs(self) -> int | None:
        costs = [lane.macs for lane in self.lanes]
        return None if None in costs else sum(c for c in costs if c is not None)
