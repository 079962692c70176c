"""Lay out a card: columns by depth, one row for each branch, and shortcuts as arcs above.

Lengths are in points. y grows downwards; y = 0 is the line on which data enters and leaves a card.
"""

from collections.abc import Callable
from dataclasses import replace

from zoo.diagram.layout import BAR, HEIGHT, RING, ROW, Arc, Placed, Spot
from zoo.diagram.outline import MERGES, Card, Node
from zoo.diagram.rows import INPUT, Inputs, Rows, columns_of, readers_of, rows_of
from zoo.diagram.sums import place_sums

GAP, BEND, WIDE_BEND, EDGE = 9.0, 20.0, 30.0, 9.0
MOST_ROWS = 8  # cards with more rows are drawn as sums; see sums.py


def place(card: Card, text_width: Callable[[str], float]) -> Placed:
    """Return the layout of a card, from x = 0.

    Args:
        card: the card.
        text_width: a function that returns the width of a label.
    """
    nodes = _with_sources(card)
    shortcuts = _shortcuts(nodes)
    on_arcs = {i for chain, _ in shortcuts.values() for i in chain}
    inputs = {i: list(n.inputs) for i, n in enumerate(nodes) if i not in on_arcs}
    for merge, (chain, origin) in shortcuts.items():
        inputs[merge].remove(chain[-1] if chain else origin)
    rows, edges = rows_of(inputs)
    if not shortcuts and max(rows.values()) - min(rows.values()) >= MOST_ROWS:
        return place_sums(card, nodes, lambda node: _size(node, text_width(node.label))[0])
    columns = columns_of(inputs)
    sizes = {i: _size(node, text_width(node.label)) for i, node in enumerate(nodes)}

    # The layers of a shortcut may need more room than the layers that it skips.
    room = {
        columns[merge]: (origin, sum(sizes[i][0] + GAP for i in chain) + 3 * GAP)
        for merge, (chain, origin) in shortcuts.items()
        if chain
    }
    bars = _bars(nodes, inputs, columns, rows, edges)
    left: list[float] = []
    right: list[float] = []
    for column in range(max(columns.values()) + 1):
        x = (right[-1] if right else 0.0) + _gap(column, inputs, set(bars), columns, rows, edges)
        if column in room:
            origin, length = room[column]
            x = max(x, length + (right[columns[origin]] if origin >= 0 else 0.0))
        left.append(x)
        right.append(left[-1] + max(sizes[i][0] for i in inputs if columns[i] == column))

    spots = {}
    for i in inputs:
        width, height = sizes[i]
        y = rows[i] * ROW
        if i in bars:
            top, low = bars[i]
            y, height = (top + low) / 2 * ROW, (low - top) * ROW + HEIGHT
        spots[i] = Spot(nodes[i], left[columns[i]], y, width, height)
    lines = []
    for i in inputs:
        for k in inputs[i]:
            after = 0.0 if k == INPUT else right[columns[k]]
            row = edges[k, i] * ROW
            at_end = row if i in bars else spots[i].y
            lines.append(_line(spots.get(k), spots[i], row, after, at_end))
    arcs = []
    for merge, (chain, origin) in shortcuts.items():
        start = (EDGE / 2, 0.0) if origin == INPUT else (spots[origin].right + 2, 0.0)
        to = spots[merge]
        under = [s.y - s.height / 2 for s in spots.values() if start[0] < s.right <= to.right]
        y = min(under) - (HEIGHT / 2 + 3 if chain else 8)
        end = (to.x + to.width / 2, to.y - to.height / 2)
        arcs.append(Arc(start, end, y))
        at = (start[0] + end[0] - sum(sizes[i][0] + GAP for i in chain) + GAP) / 2
        for i in chain:
            spots[i] = Spot(nodes[i], at, y, *sizes[i])
            at += sizes[i][0] + GAP
    return Placed(
        card,
        tuple(spots.values()),
        tuple(lines),
        tuple(arcs),
        right[-1] + EDGE,
        max(max(s.height / 2 - s.y for s in spots.values()), *(-a.y for a in arcs), 0.0),
        max(s.height / 2 + s.y for s in spots.values()),
    )


def _with_sources(card: Card) -> list[Node]:
    """Return the nodes, after one for each input but the first, which tells where it comes from."""
    more = [Node(f"{back} back", "source", ()) for back in card.sources[1:]]

    def number(k: int) -> int:
        return k + len(more) if k >= 0 else INPUT if k == INPUT else -2 - k

    return [
        *more,
        *(replace(n, inputs=tuple(number(k) for k in n.inputs)) for n in card.nodes),
    ]


def _shortcuts(nodes: list[Node]) -> dict[int, tuple[list[int], int]]:
    """Find shortcuts: merge -> (the shortcut's own nodes, the node where it starts).

    A merge with a shortcut is a sum or a concatenation of two inputs. A shortcut starts at the
    card's input, or where an earlier shortcut ended, and has fewer nodes than the other path. A
    shortcut to a concatenation has no nodes.
    """
    inputs = {i: list(node.inputs) for i, node in enumerate(nodes)}
    readers, trunk, found = readers_of(inputs), {INPUT}, {}
    before: dict[int, set[int]] = {INPUT: {INPUT}}  # node -> all nodes that it depends on
    for i, ends in inputs.items():
        before[i] = {i}.union(*(before[k] for k in ends))
    for i, node in enumerate(nodes):
        if node.kind not in ("add", "concat") or len(node.inputs) != 2:
            continue
        walks = []
        for k in node.inputs:
            chain: list[int] = []
            while k >= 0 and len(inputs[k]) == 1 and len(readers[k]) == 1:
                chain.insert(0, k)
                k = inputs[k][0]
            walks.append((chain, k))
        (short, origin), (other, end) = sorted(walks, key=lambda walk: len(walk[0]))
        longer = origin in before[end] and (len(short) < len(other) or end != origin)
        if origin in trunk and longer and len(short) <= (2 if node.kind == "add" else 0):
            found[i] = (short, origin)
            trunk.add(i)
    return found


def _size(node: Node, text: float) -> tuple[float, float]:
    """Return the width and height of a node, for the width of its label."""
    if node.kind == "concat":
        return BAR, HEIGHT
    if node.kind in MERGES:
        return max(RING, text + 6), RING
    return (text + 2 if node.kind in ("source", "tag") else round(text + 11)), HEIGHT


def _bars(nodes, inputs: Inputs, columns, rows: Rows, edges) -> dict[int, tuple[float, float]]:
    """Return the first and last row of each concatenation that has room to span its inputs."""
    bars = {}
    for i, ends in inputs.items():
        own = [edges[k, i] for k in ends] or [0.0]
        others = (rows[j] for j in inputs if j != i and columns[j] == columns[i])
        free = not any(min(own) - 1 < row < max(own) + 1 for row in others)
        if nodes[i].kind == "concat" and free:
            bars[i] = min(own), max(own)
    return bars


def _gap(column: int, inputs: Inputs, bars: set[int], columns, rows: Rows, edges) -> float:
    """Return the gap before a column, which is wider where lines change rows."""
    steps = [0.0]
    for i, ends in inputs.items():
        for k in ends:
            if column == (columns[k] if k >= 0 else -1) + 1:
                steps.append(abs(edges[k, i] - rows[k]))
            if column == columns[i] and i not in bars:
                steps.append(abs(edges[k, i] - rows[i]))
    most = max(steps)
    plain = EDGE if column == 0 else GAP
    return plain if most < 0.1 else BEND if most < 3 else WIDE_BEND


def _line(begin: Spot | None, to: Spot, row: float, after: float, end: float):
    """Return the points of a line from one node to another.

    It changes to its row after `after`, the right edge of the first node's column, and ends at the
    height `end`.
    """
    x, y = (0.0, 0.0) if begin is None else (begin.right, begin.y)
    points = [(x, y)]
    if y != row:
        points += [(after, y), (after + BEND, row)]
    if end != row:
        points.append((to.x - BEND, row))
    return (*points, (to.x, end))
