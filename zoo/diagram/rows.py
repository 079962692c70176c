"""Choose rows for the nodes and lines of a card: branches next to each other, forks between."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import count, pairwise

INPUT = -1  # a card's first input; the others become nodes of kind "source"

Inputs = dict[int, list[int]]
Rows = dict[int, float]


def readers_of(inputs: Inputs) -> dict[int, list[int]]:
    """Return the nodes that take the output of each node."""
    readers = defaultdict(list)
    for i, ends in inputs.items():
        for k in ends:
            readers[k].append(i)
    return readers


def columns_of(inputs: Inputs) -> dict[int, int]:
    """Return the column of each node: the length of the longest path to it."""
    columns: dict[int, int] = {INPUT: -1}
    for i, ends in inputs.items():
        columns[i] = 1 + max((columns[k] for k in ends), default=-1)
    del columns[INPUT]
    return columns


def rows_of(inputs: Inputs) -> tuple[Rows, dict[tuple[int, int], float]]:
    """Return the row of each node, and the row of each edge.

    Nodes that all data passes through are on row 0. Between two such nodes, each branch has a row.
    """
    order = list(inputs)
    passed = [
        i for i in order if not any(k < i < j for j, ends in inputs.items() for k in ends)
    ] or order[-1:]
    rows: Rows = {INPUT: 0.0}
    edges: dict[tuple[int, int], float] = {}
    start = 0
    for end in dict.fromkeys([*passed, order[-1]]):
        piece = order[start : order.index(end) + 1]
        start += len(piece)
        branches = _Branches(inputs, piece)
        line = branches.rows[end]
        rows |= {i: y - line for i, y in branches.rows.items()}
        edges |= {edge: y - line for edge, y in branches.edges.items()}
    columns = columns_of(inputs)
    for column in set(columns.values()):
        # If branches cross, two nodes may have the same row. Move one of them.
        members = sorted((i for i in order if columns[i] == column), key=lambda i: (rows[i], i))
        for above, i in pairwise(members):
            rows[i] = max(rows[i], rows[above] + 1)
    return rows, edges


class _Branches:
    """The rows of a piece of a card, between two nodes that all data passes through."""

    def __init__(self, inputs: Inputs, piece: list[int]):
        self.inputs, self.readers, self.piece = inputs, readers_of(inputs), piece
        self.rows: Rows = {}
        self.edges: dict[tuple[int, int], float] = {}
        self.free = map(float, count())
        self.used: list[float] = []
        self.claimed: set[int] = set()
        self.forks: list[int] = []  # nodes whose rows are the means of those that follow
        ends = [i for i in piece if not any(r in piece for r in self.readers[i])]
        for i in reversed(ends):
            self._row(i)
        while self.forks:
            # Begin with the last one, because the rows of earlier ones depend on it.
            fork = max(self.forks)
            self.forks = [k for k in self.forks if k != fork]
            self._settle(fork)

    def _new(self) -> float:
        """Return a new row."""
        self.used.append(next(self.free))
        return self.used[-1]

    def _row(self, i: int) -> float:
        """Return the row of a node, after choosing it and those of its inputs if necessary."""
        if i not in self.rows:
            before = len(self.used)
            ends = [self._enter(k, i) for k in self.inputs[i]] or [self._new()]
            new = [y for y in ends if y in self.used[before:]]
            if len(ends) > 1:
                new = new or [self._new()]
                self.rows[i] = sum(new) / len(new)
            else:
                self.rows[i] = ends[0]
        return self.rows[i]

    def _enter(self, k: int, i: int) -> float:
        """Return the row of the edge from k to i."""
        if k not in self.piece:
            row = self._new()
        elif len(self.readers[k]) == 1:
            row = self._row(k)
        elif not self._ends_merge(k):
            self.forks.append(k)
            row = self._new()
        else:
            row = self._row(k)
            row = self._new() if k in self.claimed else row
            self.claimed.add(k)
        self.edges[k, i] = row
        return row

    def _ends_merge(self, k: int) -> bool:
        """Return whether k ends a chain that begins with a merge."""
        while k in self.piece and len(self.inputs[k]) == 1:
            k = self.inputs[k][0]
            if len(self.readers[k]) > 1:
                return False
        return k in self.piece and len(self.inputs[k]) > 1

    def _settle(self, fork: int) -> None:
        """Choose the row of a fork and of the chain before it."""
        chain = [fork]
        while True:
            ends = self.inputs[chain[0]]
            if len(ends) != 1 or ends[0] not in self.piece or len(self.readers[ends[0]]) > 1:
                break
            chain.insert(0, ends[0])
        before = self.inputs[chain[0]]
        for k in before:
            if k in self.piece and k not in self.rows:
                if self._ends_merge(k) or len(before) > 1:
                    self._row(k)
                else:
                    self.forks.append(k)
        behind = [self.edges[fork, r] for r in self.readers[fork]]
        columns = columns_of(self.inputs)
        row = self._free_near(sum(behind) / len(behind), {columns[i] for i in chain}, columns)
        for i in chain:
            self.rows[i] = row
            for k in self.inputs[i]:
                self.edges[k, i] = row

    def _free_near(self, row: float, at: Iterable[int], columns: dict[int, int]) -> float:
        """Return the nearest row without nodes and lines in the columns `at`."""
        taken = [y for i, y in self.rows.items() if columns[i] in at]
        crossing = [
            y
            for (k, i), y in self.edges.items()
            if any((columns[k] if k >= 0 else -1) < c < columns[i] for c in at)
        ]
        for step in count():
            for y in (row - step / 4, row + step / 4):
                if all(abs(y - t) >= 1 for t in taken) and all(abs(y - t) > 0.5 for t in crossing):
                    return y
        raise AssertionError
