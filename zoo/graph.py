"""The graph of a model, block by block: walked, copied, and its blocks wrapped in one layer.

A model here is functional, made of layers with one output each, as zoo's networks are.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from zoo.flattening import flattened, inner_layers, is_flat, nodes
from zoo.lazy import keras, layers


def block_of(layer) -> str | None:
    """The block that a layer's name says it is in, such as "stage2_block3"; None for none."""
    found = re.match(r"stage\d+_block\d+(?=_|$)", layer.name)
    return found[0] if found else None


@dataclass(frozen=True)
class Call:
    """A layer in the graph: what it reads, a tensor or a list of them, and what it gives.

    The arguments are Keras's own, for a layer or an operation that takes other ones as well.
    """

    layer: Any
    input: Any
    output: Any
    arguments: Any = None

    @property
    def reads(self) -> list:
        return keras.tree.flatten(self.input)


def calls(model) -> list[Call]:
    """The layers of a model but its inputs, and its operations, in its order."""
    if any(not isinstance(each, keras.layers.Layer) for each in model.operations):
        return [
            Call(
                node.operation,
                one(node.input_tensors),
                one(keras.tree.flatten(node.outputs)),
                node.arguments,
            )
            for node in nodes(model)
        ]
    return [
        Call(layer, layer.input, layer.output)
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    ]


def run(
    chain: Iterable[Call],
    values: dict[int, Any],
    instead: Mapping[str, Any] | None = None,
    inference: bool = False,
):
    """Calls layers in their order: `values` has tensors by the ids of those in the old graph.

    Args:
        values: of all that the chain reads from outside; what its layers give is added.
        instead: the layers to call in the place of those of the chain, by their names.
        inference: whether to call layers with training=False. Keras's random layers, such as
            RandomFlip, are otherwise in training mode outside of a model.
    """
    for call in chain:
        layer = instead[call.layer.name] if instead else call.layer
        mode = {}
        if inference and getattr(layer, "_call_has_training_arg", False):
            mode = {"training": False}
        if call.arguments is not None:
            args, kwargs = call.arguments.fill_in(values)
            values[id(call.output)] = layer(*args, **{**mode, **kwargs})
            continue
        x = keras.tree.map_structure(lambda tensor: values[id(tensor)], call.input)
        values[id(call.output)] = layer(x, **mode)


def one(tensors: list):
    """The only one of a list, or the list."""
    return tensors[0] if len(tensors) == 1 else tensors


def layers_of(model) -> list:
    """All layers in the model's order, with those inside of recomputed blocks and models."""
    found = []
    for layer in inner_layers(model):
        recomputed = isinstance(layer, layers.Recompute)
        found += [call.layer for call in calls(layer.body)] if recomputed else [layer]
    return found


def unwrapped(model):
    """A copy of the model without recomputed blocks and nested models, with its weights.

    It is the model itself if it has none of them.

    Raises:
        ValueError: the model, or one inside it, has no graph of layers.
    """
    if not is_flat(model):
        model = flattened(model)
    if not any(isinstance(layer, layers.Recompute) for layer in model.layers):
        return model

    def call(layer, *args, **kwargs):
        if not isinstance(layer, layers.Recompute):
            return layer(*args, **kwargs)
        body = layer.body
        values = dict(zip(map(id, body.inputs), keras.tree.flatten(args), strict=True))
        chain = calls(body)
        _forget_calls(body)
        run(chain, values)
        return one([values[id(x)] for x in body.outputs])

    flat = keras.models.clone_model(model, call_function=call)
    copy_weights(model, flat)
    return flat


def check_one_input(model) -> None:
    """Check that a model has one input.

    Raises:
        ValueError: it has several.
    """
    if len(model.inputs) != 1:
        names = ", ".join(each.name for each in model.inputs)
        raise ValueError(
            f"model={model.name}: it has {len(model.inputs)} inputs ({names}); pass a model with"
            " one input, the images"
        )


def _forget_calls(model) -> None:
    """So that the next call of each layer defines its input and output; the model is no more."""
    for layer in model.layers:
        layer._inbound_nodes.clear()
        layer._outbound_nodes.clear()


def copy_weights(source, target) -> None:
    """Gives layers of `target` the weights, and whether they train, of their namesakes."""
    into = {layer.name: layer for layer in layers_of(target)}
    for layer in layers_of(source):
        if layer.weights and layer.name in into:
            into[layer.name].set_weights(layer.get_weights())
            into[layer.name].trainable = layer.trainable


def wrapped(model):
    """The same network, each block one layer that is computed again for its gradients.

    What is kept for the backward pass is what goes from block to block. A concatenation at
    the end of a block is done again by the one that reads it (Pleiss et al. 2017, section 3),
    so that a dense block keeps what its layers add, not all the unions of it.

    Args:
        model: its layers go into the result, and it is of no use afterwards.

    Raises:
        ValueError: a block reads what was made of its own output.
    """
    chain = calls(model)
    home = {id(call.output): block_of(call.layer) or call.layer.name for call in chain}
    outputs = {id(x) for x in model.outputs}
    chain = _with_joins_at_their_readers(chain, home, outputs)

    units: dict[str, list[Call]] = {unit: [] for unit in home.values()}
    before: dict[str, set[str]] = {unit: set() for unit in home.values()}
    leaves = set(outputs)
    for call in chain:
        unit = home[id(call.output)]
        units[unit].append(call)
        foreign = [id(x) for x in call.reads if home.get(id(x)) != unit]
        leaves.update(foreign)
        before[unit].update(home[x] for x in foreign if x in home)
    try:
        order = list(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise ValueError(f"recompute: {error.args[1][0]} reads what was made of it") from None

    inputs = [keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name) for x in model.inputs]
    values = dict(zip(map(id, model.inputs), inputs, strict=True))
    _forget_calls(model)
    for unit in order:
        _run_unit(unit, units[unit], leaves, values)
    return keras.Model(one(inputs), one([values[id(x)] for x in model.outputs]), name=model.name)


def _run_unit(unit: str, chain: list[Call], leaves: set[int], values: dict[int, Any]) -> None:
    """Calls a block as one layer of its own, and what is in no block as it is."""
    exits = [call.output for call in chain if id(call.output) in leaves]
    if all(block_of(call.layer) != unit for call in chain):
        run(chain, values)
        return
    made = {id(call.output) for call in chain}
    read = list({id(x): None for call in chain for x in call.reads if id(x) not in made})
    inputs = [keras.Input(batch_shape=values[x].shape, dtype=values[x].dtype) for x in read]
    inside = dict(zip(read, inputs, strict=True))
    run(chain, inside)
    body = keras.Model(one(inputs), one([inside[id(x)] for x in exits]), name=f"{unit}_body")
    made_again = layers.Recompute(body, name=unit)(one([values[x] for x in read]))
    values.update(zip(map(id, exits), keras.tree.flatten(made_again), strict=True))


def _with_joins_at_their_readers(chain, home: dict[int, str], outputs: set[int]) -> list[Call]:
    """The chain with each concatenation that ends a block moved into its only reader.

    The reader is of the same stage. What is joined is then read from where it was made, so
    that a concatenation of concatenations is one of all. `home` is changed accordingly.
    """
    readers = defaultdict(set)
    for call in chain:
        for x in call.reads:
            readers[id(x)].add(home[id(call.output)])
    parts: dict[int, list] = {}
    moved = []
    for call in chain:
        x, to = id(call.output), readers[id(call.output)]
        joins = isinstance(call.layer, keras.layers.Concatenate) and x not in outputs
        ends = joins and len(to) == 1 and to != {home[x]}
        if ends and min(to).split("_")[0] == home[x].split("_")[0]:
            parts[x] = [part for y in call.reads for part in parts.get(id(y), [y])]
            home[x] = min(to)
            joined = keras.layers.Concatenate(call.layer.axis, name=call.layer.name)
            call = Call(joined, parts[x], call.output)
        moved.append(call)
    return moved
