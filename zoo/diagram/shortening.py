"""Join nodes of a card where fewer nodes show the same."""

# ruff: noqa: RUF001 - signs in pictures

import dataclasses

from zoo.diagram.outline import Card, Node


def shortened(nodes: list[Node]) -> list[Node]:
    """Join nested concatenations, and pairs of depthwise and 1x1 convolutions."""
    return _separable(_unions(nodes))


def joinable(before: Card, card: Card) -> bool:
    """Return whether two cards can become one: neither is a block or has branches."""
    chain = all(node.inputs == (i - 1,) for c in (before, card) for i, node in enumerate(c.nodes))
    return chain and before.index is None and card.index is None and before.side == card.side


def joined(before: Card, card: Card) -> Card:
    """Return two cards as one."""
    n = len(before.nodes)
    more = tuple(
        dataclasses.replace(node, inputs=(n + i - 1,)) for i, node in enumerate(card.nodes)
    )
    name = before.name if before.name == card.name else ""
    return dataclasses.replace(before, name=name, nodes=before.nodes + more)


def _separable(nodes: list[Node]) -> list[Node]:
    """If a block has several depthwise convolutions, join each with its 1x1: "sep 5×5 44"."""
    if sum(node.kind == "depthwise" for node in nodes) < 2:
        return nodes
    nodes = _merged(
        nodes,
        lambda a, b: (a.kind, b.kind) == ("depthwise", "point"),
        _sep,
    )
    return _merged(
        nodes,
        lambda a, b: b.label.startswith("sep") and a.label.split()[:2] == b.label.split(),
        lambda a, b: Node(f"{a.label} ×2", "depthwise", a.inputs, b.channels),
    )


def _unions(nodes: list[Node]) -> list[Node]:
    """Remove concatenations whose output goes only to another concatenation."""
    readers = [k for node in nodes for k in node.inputs]
    number: dict[int, tuple[int, ...]] = {}
    new: list[Node] = []
    for i, node in enumerate(nodes):
        inputs = tuple(n for k in node.inputs for n in number.get(k, (k,)))
        reader = next((r for r in nodes if i in r.inputs), None)
        if node.kind == "concat" and readers.count(i) == 1 and reader.kind == "concat":  # type: ignore[union-attr]
            number[i] = inputs
            continue
        new.append(dataclasses.replace(node, inputs=inputs))
        number[i] = (len(new) - 1,)
    return new


def _sep(depthwise: Node, point: Node) -> Node:
    """Join a depthwise and a 1x1 convolution. The label has no channels if they stay the same."""
    _, kernel, *stride = depthwise.label.split()
    width = [] if depthwise.channels == point.channels else [str(point.channels)]
    label = " ".join(["sep", kernel, *width, *stride])
    return Node(label, "depthwise", depthwise.inputs, point.channels)


def _merged(nodes: list[Node], fits, merge) -> list[Node]:
    """Join pairs of a node and its only reader, and renumber the others.

    Args:
        nodes: the nodes.
        fits: a function that returns whether a pair can be joined.
        merge: a function that returns the joined node.
    """
    readers: dict[int, list[int]] = {}
    for i, node in enumerate(nodes):
        for k in node.inputs:
            readers.setdefault(k, []).append(i)
    new: list[Node] = []
    number: dict[int, int] = {}
    taken: dict[int, Node] = {}  # reader -> the node that it is joined with
    for i, node in enumerate(nodes):
        after = readers.get(i, [])
        if i not in taken and len(after) == 1 and fits(node, nodes[after[0]]):
            taken[after[0]] = node
            continue
        node = merge(taken[i], node) if i in taken else node
        new.append(dataclasses.replace(node, inputs=tuple(number.get(k, k) for k in node.inputs)))
        number[i] = len(new) - 1
    return new
