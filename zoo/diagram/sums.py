"""Lay out cards with too many branches for lines: each sum is a row, its inputs are letters.

Such cards are NASNet's cells, for example. A row is "a sep 5×5 44 + b sep 3×3 44", as in a table of
the cell.
"""

# ruff: noqa: RUF001 - signs in pictures

from collections.abc import Callable
from dataclasses import dataclass, field
from string import ascii_lowercase

from zoo.diagram.layout import BAR, HEIGHT, RING, ROW, Placed, Point, Spot
from zoo.diagram.outline import MERGES, Card, Node
from zoo.diagram.rows import INPUT

SPACE, STEP = 5.0, 16.0


@dataclass(frozen=True)
class Sum:
    """A node as a sum of terms.

    Attributes:
        node: the node.
        terms: for each term, the node where it starts and the nodes that follow.
        times: the number of equal terms, of which `terms` has one.
    """

    node: int
    terms: tuple[tuple[int, tuple[int, ...]], ...]
    times: int = 1

    @property
    def starts(self) -> set[int]:
        """The nodes where the terms start."""
        return {start for start, _ in self.terms}


@dataclass
class _Page:
    """The nodes and lines that are already laid out, and the letters of nodes."""

    nodes: list[Node]
    letters: dict[int, str]
    width_of: Callable[[Node], float]
    spots: list[Spot] = field(default_factory=list)
    lines: list[tuple[Point, ...]] = field(default_factory=list)

    def put(self, node: Node, x: float, y: float) -> float:
        """Add a node at a position, and return its right edge."""
        if node.kind == "concat":
            width, height = BAR, HEIGHT
        else:
            width = RING if node.kind in MERGES else self.width_of(node)
            height = RING if node.kind in MERGES else HEIGHT
        self.spots.append(Spot(node, x, y, width, height))
        return x + width

    def term(self, start: int, chain, defines: bool) -> list[Node]:
        """Return the nodes of a term: a letter or a source, then kernels."""
        nodes = [self.nodes[i] for i in chain]
        if start in self.letters and not defines:
            return [Node(self.letters[start], "tag", ()), *nodes]
        return nodes if start == INPUT else [self.nodes[start], *nodes]


def place_sums(card: Card, nodes: list[Node], width_of) -> Placed:
    """Return the layout of a card from x = 0.

    Sums of the card's inputs alone are on the left, the other sums on the right.

    Args:
        card: the card.
        nodes: its nodes, after one for each input but the first.
        width_of: a function that returns the width of a node in points.
    """
    final = len(nodes) - 1
    sums, joined = _sums(nodes), nodes[final].kind == "concat"
    raw = {INPUT} | {i for i, node in enumerate(nodes) if node.kind == "source"}
    ends: set[int] = set()  # sums that are direct inputs of the last concatenation
    if joined:
        *sums, last = sums
        known = {s.node for s in sums if len(s.terms) > 1 and s.starts - raw}
        ends = {start for start, chain in last.terms if start in known and not chain}
        sums += [Sum(final, (term,)) for term in last.terms if term[1] or term[0] not in known]
    reads_raw = [s for s in sums if s.starts <= raw and s.node != final]
    shared = raw & {k for s in sums if s not in reads_raw for k in s.starts}
    left = [*(Sum(k, ((k, ()),)) for k in sorted(shared)), *reads_raw]
    right = [s for s in sums if s not in reads_raw]
    read = shared | {k for s in sums for k in s.starts} - raw
    heads = [s.node for s in (*left, *right) if s.node in read]
    page = _Page(nodes, dict(zip(heads, ascii_lowercase, strict=False)), width_of)

    x = _write(page, left, STEP) + 2 * SPACE
    x = _write(page, right, x) + SPACE
    rows = [y for s, y in zip(right, _heights(right), strict=True) if s.node in (final, *ends)]
    reach = max(x, max(s.right for s in page.spots) + SPACE)
    if joined:
        page.lines += [
            ((max(s.right for s in page.spots if s.y == y), y), (reach, y)) for y in rows
        ]
        middle, tall = (rows[0] + rows[-1]) / 2, rows[-1] - rows[0] + HEIGHT
        page.spots.append(Spot(nodes[final], reach, middle, BAR, tall))
        reach += BAR
    else:
        end = max(s.right for s in page.spots if s.y == rows[-1])
        page.lines.append(((end, rows[-1]), (reach, rows[-1]), (reach + STEP, 0.0)))
        reach += STEP
    deepest = max(abs(s.y) + s.height / 2 for s in page.spots)
    return Placed(card, tuple(page.spots), tuple(page.lines), (), reach + SPACE, deepest, deepest)


def _heights(sums: list[Sum]) -> list[float]:
    """Return y for each sum, centered around 0."""
    return [(i - (len(sums) - 1) / 2) * ROW for i in range(len(sums))]


def _write(page: _Page, sums: list[Sum], x: float) -> float:
    """Add sums as rows from x, with their terms in columns, and return the right edge."""
    terms = {
        (s, j): page.term(start, chain, s.node == start)
        for s in sums
        for j, (start, chain) in enumerate(s.terms)
    }
    widths: dict[int, float] = {}
    for (_, j), made in terms.items():
        length = sum(page.width_of(node) + SPACE for node in made) - SPACE
        widths[j] = max(widths.get(j, 0.0), length)
    most = x
    for s, y in zip(sums, _heights(sums), strict=True):
        at = x
        for j, (start, _) in enumerate(s.terms):
            if j:
                at = page.put(page.nodes[s.node], at + SPACE, y) + SPACE
            begin = end = at
            if start == INPUT and (start not in page.letters or s.node == start):
                page.lines.append(((0.0, 0.0), (x, y)))
            for i, node in enumerate(terms[s, j]):
                if i:
                    page.lines.append(((end, y), (end + SPACE, y)))
                end = page.put(node, end + SPACE * bool(i), y)
            at = begin + widths[j]
        if s.times > 1:
            end = page.put(page.nodes[s.node], end + SPACE, y)
            end = page.put(Node(f"×{s.times}", "tag", ()), end + SPACE / 2, y)
        if s.node in page.letters:
            page.lines.append(((end, y), (end + SPACE, y)))
            end = page.put(Node(page.letters[s.node], "tag", ()), end + SPACE, y)
        most = max(most, end)
    return most


def _sums(nodes: list[Node]) -> list[Sum]:
    """Return a sum for each node that has several readers or inputs, or is the last."""
    readers = [k for node in nodes for k in node.inputs]
    heads = [
        i
        for i, node in enumerate(nodes)
        if node.kind != "source"
        and (readers.count(i) > 1 or len(node.inputs) > 1 or i == len(nodes) - 1)
    ]

    def term(k: int) -> tuple[int, tuple[int, ...]]:
        chain: list[int] = []
        while k >= 0 and k not in heads and nodes[k].kind != "source":
            chain.insert(0, k)
            k = nodes[k].inputs[0]
        return k, tuple(chain)

    sums = []
    for i in heads:
        if len(nodes[i].inputs) > 1:
            terms = [term(k) for k in nodes[i].inputs]
            looks = {(start, *(nodes[k].label for k in chain)) for start, chain in terms}
            raw = terms[0][0] == INPUT or nodes[terms[0][0]].kind == "source"
            alike = raw and len(looks) == 1 and i < len(nodes) - 1
            sums.append(Sum(i, tuple(terms[:1]), len(terms)) if alike else Sum(i, tuple(terms)))
        else:
            start, chain = term(nodes[i].inputs[0])
            sums.append(Sum(i, ((start, (*chain, i)),)))
    return sums
