"""Read the outline of a model from the names of its layers and from its graph."""

import dataclasses
from typing import Any

from zoo import complexity, surgery
from zoo.diagram.labels import global_pools, kinds, node_of
from zoo.diagram.outline import Card, Lane, Node, Outline, spaced
from zoo.diagram.shortening import joinable, joined, shortened
from zoo.flattening import flattened, is_flat
from zoo.graph import layers_of
from zoo.lazy import keras, layers


def outline_of(model) -> Outline:
    """Return the outline of a functional model. Nested models become part of its graph.

    Raises:
        ValueError: the model contains operations that are not layers.
    """
    if not is_flat(model):
        model = flattened(model)
    graph = _Graph(model)
    cards, members = graph.cards(), surgery.stages(model)
    lanes = []
    for stage in complexity.by_stage(model):
        own = [card for name, card in cards if name == stage.name]
        # An auxiliary head comes last in its lane, but its output is not that of the stage.
        ends = [x for x in members[stage.name] if not graph.is_side(x)]
        output = tuple(ends[-1].output.shape[1:]) if ends else stage.output
        ordered = sorted(_folded(own), key=lambda card: bool(card.side))
        lanes.append(Lane(stage.name, tuple(ordered), output, stage.parameters, stage.macs))
    return Outline(model.name, tuple(model.inputs[0].shape[1:]), tuple(lanes), kinds(model))


def _folded(cards: list[Card]) -> list[Card]:
    """Replace each run of equal blocks by one card."""
    folded: list[Card] = []
    for card in cards:
        before = folded[-1] if folded else None
        if (
            before is not None
            and before.index is not None
            and card.index == before.index + before.count
            and (card.nodes, card.sources, card.side) == (before.nodes, before.sources, before.side)
        ):
            folded[-1] = dataclasses.replace(before, count=before.count + 1)
        else:
            folded.append(card)
    return folded


class _Graph:
    """The layers that a picture shows, their inputs, and the unit of each.

    A unit becomes a card. It has the layers of a block, or connected layers of a stage that do not
    belong to a block.
    """

    def __init__(self, model):
        self.layers = layers_of(model)
        self.maker = {id(layer.output): layer for layer in self.layers}
        self.same = _same_tensors(model)
        # The input of a Sequential model is not the output of a layer.
        self.images = {id(x) for x in model.inputs} - set(self.maker)
        self.shown: dict[str, Node] = {}  # layer -> node; its inputs are in `reads`
        self.reads: dict[str, list[str]] = {}
        self.stands_for: dict[str, str] = {}  # layer -> the shown layer whose output it passes on
        gates = self._gates()
        hidden = {name for *_, inside in gates.values() for name in inside}
        unions: dict[tuple[str, ...], str] = {}
        for layer in self.layers:
            node: Node | None
            if layer.name in gates:
                node, maps, _ = gates[layer.name]
                parents = [maps]
            else:
                node = None if layer.name in hidden else node_of(layer)
                parents = self.parents(layer)
            if node is None and parents:
                self.stands_for[layer.name] = self.stands_for[parents[0].name]
                continue
            self.stands_for[layer.name] = layer.name
            reads = [self.stands_for[p.name] for p in parents]
            if isinstance(layer, keras.layers.Concatenate):
                # Recomputed dense blocks concatenate all maps again. Draw such a concatenation as
                # that of the previous one and the new maps.
                unions[tuple(reads)] = layer.name
                for k in range(len(reads) - 1, 1, -1):
                    if tuple(reads[:k]) in unions:
                        reads[:k] = [unions[tuple(reads[:k])]]
                        break
            self.reads[layer.name] = reads
            if node is not None:
                self.shown[layer.name] = node
        self.units = self._units()
        self.unit_of = {layer.name: i for i, unit in enumerate(self.units) for layer in unit}
        self.side = set(range(len(self.units))) - self._main_units(model.outputs[0])

    def parents(self, layer) -> list:
        """Return the layers whose outputs a layer takes."""
        if isinstance(layer, keras.layers.InputLayer):
            return []
        tensors = [x for x in keras.tree.flatten(layer.input) if id(x) not in self.images]
        return [self.made_by(x, layer.name) for x in tensors]

    def made_by(self, tensor, reader: str):
        """Return the layer that outputs a tensor. `reader` is named in the error."""
        key = id(tensor)
        while key in self.same:
            key = self.same[key]
        if key not in self.maker:
            raise ValueError(
                f"cannot draw {reader}: its input comes from a layer that is called twice, or from "
                "an operation such as x + y; use layers, such as keras.layers.Add, once each"
            )
        return self.maker[key]

    def _gates(self) -> dict[str, tuple[Node, Any, set[str]]]:
        """Find squeeze-and-excitation: products of maps and layers that follow their global pool.

        Returns:
            The name of the product -> the node, the layer of the maps, and the names of the layers
            within.
        """
        found = {}
        for layer in self.layers:
            if not isinstance(layer, keras.layers.Multiply):
                continue
            first, *others = self.parents(layer)
            for maps, way in ((first, others), (others[-1], [first])) if others else ():
                inside = []
                while len(way) == 1 and way != [maps]:
                    inside += way
                    way = self.parents(way[0])
                if way == [maps] and inside and isinstance(inside[-1], global_pools()):
                    kernels = [x.output.shape[-1] for x in inside if hasattr(x, "kernel")]
                    label = " ".join(["SE", *map(str, kernels[-1:])])
                    names = {x.name for x in inside}
                    found[layer.name] = (Node(label, "gate", ()), maps, names)
        return found

    def _units(self) -> list[list]:
        """Return the layers of each unit, in the order of the last layers of units."""
        units: list[list] = []
        named: dict[tuple[str, str], int] = {}
        unit_of: dict[str, int] = {}
        for layer in self.layers:
            stage, place = surgery.stage_of(layer), place_of(layer.name)
            index = named.get((stage, place)) if place else None
            if not place:
                # A layer outside of blocks joins the unit of its input, if that is also outside.
                joined = [
                    unit_of[p.name]
                    for p in self.parents(layer)
                    if (surgery.stage_of(p), place_of(p.name)) == (stage, "")
                ]
                index = max(joined, default=None)
            if index is None:
                index = len(units)
                units.append([])
                if place:
                    named[stage, place] = index
            units[index].append(layer)
            unit_of[layer.name] = index
        order = {layer.name: i for i, layer in enumerate(self.layers)}
        return sorted(units, key=lambda unit: order[unit[-1].name])

    def _main_units(self, output) -> set[int]:
        """Return the units that an output depends on."""
        waiting, found = [self.stands_for[self.made_by(output, "the output").name]], set()
        seen = set(waiting)
        while waiting:
            name = waiting.pop()
            found.add(self.unit_of[name])
            new = [parent for parent in self.reads[name] if parent not in seen]
            seen.update(new)
            waiting += new
        return found

    def is_side(self, layer) -> bool:
        """Return whether a layer belongs to an auxiliary head."""
        return self.unit_of[self.stands_for[layer.name]] in self.side

    def cards(self) -> list[tuple[str, Card]]:
        """Return pairs of (stage, card), in the network's order."""
        made: list[tuple[str, Card, list[int]]] = []  # with the units of its inputs
        card_of: dict[int, int] = {}
        last_of: dict[int, int] = {}  # card -> the last unit in it
        for i, unit in enumerate(self.units):
            members = [x.name for x in unit if x.name in self.shown]
            if not members:
                continue
            stage, card, sources = self._card(i, members)
            before = card_of.get(sources[0]) if len(sources) == 1 else None
            if (
                before is not None
                and last_of[before] == sources[0]
                and made[before][0] == stage
                and joinable(made[before][1], card)
            ):
                made[before] = (stage, joined(made[before][1], card), made[before][2])
            else:
                before = len(made)
                made.append((stage, card, sources))
            card_of[i], last_of[before] = before, i
        # Auxiliary heads do not count in how far back an input is. The image is at -1.
        main = [k for k, (_, card, _) in enumerate(made) if not card.side]
        place = {k: sum(m < k for m in main) for k in range(len(made))}
        placed = []
        for k, (stage, card, sources) in enumerate(made):
            far = [place[k] - (place[card_of[s]] if s in card_of else -1) for s in sources]
            placed.append((stage, dataclasses.replace(card, sources=tuple(far))))
        return placed

    def _card(self, index: int, members: list[str]) -> tuple[str, Card, list[int]]:
        inside = {name: i for i, name in enumerate(members)}
        outside = list(
            dict.fromkeys(p for name in members for p in self.reads[name] if p not in inside)
        )
        # The nearest input comes first, because a block's shortcut starts there.
        outside.sort(key=lambda name: -self.unit_of[name])
        places = inside | {name: -1 - k for k, name in enumerate(outside)}
        nodes = [
            dataclasses.replace(self.shown[n], inputs=tuple(places[p] for p in self.reads[n]))
            for n in members
        ]
        sources = [self.unit_of[name] for name in outside]
        side = ""
        if index in self.side and sources:
            start = self.units[sources[0]][0].name
            side = spaced(place_of(start)) or start.split("_")[0]
        first = self.units[index][0]
        card = Card(place_of(first.name), tuple(shortened(nodes)), (), side)
        return surgery.stage_of(first), card, sources


def _same_tensors(model) -> dict[int, int]:
    """Return the ids of equal tensors inside and outside of recomputed blocks."""
    same: dict[int, int] = {}
    for layer in model.layers:
        if isinstance(layer, layers.Recompute):
            outside, inside = (keras.tree.flatten(x) for x in (layer.input, layer.output))
            same |= {id(a): id(b) for a, b in zip(layer.body.inputs, outside, strict=True)}
            same |= {id(a): id(b) for a, b in zip(inside, layer.body.outputs, strict=True)}
    return same


def place_of(name: str) -> str:
    """Return a layer's block in its stage: "block3" for "stage2_block3_1_conv", else ""."""
    middle = name.split("_")[1:-1]
    return middle[0] if middle and not middle[0].isdigit() else ""
