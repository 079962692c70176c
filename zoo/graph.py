"""Walk and copy the graph of a model, and wrap each of its blocks in one layer.

Models here are functional, and their layers have one output each, as in zoo's networks.
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
    """Return the block that a layer's name starts with, such as "stage2_block3", or None."""
    found = re.match(r"stage\d+_block\d+(?=_|$)", layer.name)
    return found[0] if found else None


@dataclass(frozen=True)
class Call:
    """The call of a layer or an operation in a graph.

    Attributes:
        layer: the layer or operation.
        input: the symbolic tensor that it reads, or a list of them.
        output: the symbolic tensor that it returns.
        arguments: Keras's record of all arguments, for models that contain operations.
    """

    layer: Any
    input: Any
    output: Any
    arguments: Any = None

    @property
    def reads(self) -> list:
        """The tensors that it reads, as a list."""
        return keras.tree.flatten(self.input)


def calls(model) -> list[Call]:
    """Return the calls of a model's layers and operations in their order, without its inputs."""
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
    """Repeat calls in their order with other tensors or other layers.

    Args:
        chain: the calls to repeat.
        values: the new tensors, by the id of the tensor in the old graph that each of them
            replaces. It must hold all inputs of the chain; the outputs of its layers are added.
        instead: layers to call instead of those of the chain, by the names of these.
        inference: whether to call layers with training=False. Outside of a model, random layers
            of Keras such as RandomFlip are otherwise in training mode.
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
    """Return the element of a list of one tensor, or the whole list."""
    return tensors[0] if len(tensors) == 1 else tensors


def layers_of(model) -> list:
    """Return all layers in the model's order, with those of recomputed blocks and nested models."""
    found = []
    for layer in inner_layers(model):
        recomputed = isinstance(layer, layers.Recompute)
        found += [call.layer for call in calls(layer.body)] if recomputed else [layer]
    return found


def unwrapped(model):
    """Return a copy of the model, with its weights, without recomputed blocks and nested models.

    A model that contains neither is returned itself.

    Raises:
        ValueError: the model, or a model inside it, has no graph of layers.
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
    """Check that a model has a single input.

    Raises:
        ValueError: it has several inputs.
    """
    if len(model.inputs) != 1:
        names = ", ".join(each.name for each in model.inputs)
        raise ValueError(
            f"model={model.name}: it has {len(model.inputs)} inputs ({names}); pass a model with"
            " one input, the images"
        )


def _forget_calls(model) -> None:
    """Make the next call of each layer define its input and output; this destroys the model."""
    for layer in model.layers:
        layer._inbound_nodes.clear()
        layer._outbound_nodes.clear()


def copy_weights(source, target) -> None:
    """Copy weights and `trainable` from the layers of `source` to those of the same name."""
    into = {layer.name: layer for layer in layers_of(target)}
    for layer in layers_of(source):
        if layer.weights and layer.name in into:
            into[layer.name].set_weights(layer.get_weights())
            into[layer.name].trainable = layer.trainable


def wrapped(model):
    """Return the same network with each block as one layer that is computed again for gradients.

    Only the tensors between blocks are stored for the backward pass. A concatenation at the end
    of a block is moved into the block that reads it (Pleiss et al. 2017, section 3), so that a
    dense block stores the feature maps that its layers add, not all their concatenations.

    Args:
        model: a network. Its layers become part of the result, and it cannot be used afterwards.

    Raises:
        ValueError: a block depends on its own output.
    """
    chain = calls(model)
    owner = {id(call.output): block_of(call.layer) or call.layer.name for call in chain}
    outputs = {id(x) for x in model.outputs}
    chain = _move_concatenations(chain, owner, outputs)

    blocks: dict[str, list[Call]] = {name: [] for name in owner.values()}
    before: dict[str, set[str]] = {name: set() for name in owner.values()}
    crossing = set(outputs)
    for call in chain:
        name = owner[id(call.output)]
        blocks[name].append(call)
        outside = [id(x) for x in call.reads if owner.get(id(x)) != name]
        crossing.update(outside)
        before[name].update(owner[x] for x in outside if x in owner)
    try:
        order = list(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise ValueError(
            f"recompute=True: block {error.args[1][0]} depends on its own output through other "
            "blocks; build this network without recompute"
        ) from None

    inputs = [keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name) for x in model.inputs]
    values = dict(zip(map(id, model.inputs), inputs, strict=True))
    _forget_calls(model)
    for name in order:
        _run_block(name, blocks[name], crossing, values)
    return keras.Model(one(inputs), one([values[id(x)] for x in model.outputs]), name=model.name)


def _run_block(name: str, chain: list[Call], crossing: set[int], values: dict[int, Any]) -> None:
    """Call the layers of a block as one Recompute layer; call layers outside blocks as they are."""
    exits = [call.output for call in chain if id(call.output) in crossing]
    if all(block_of(call.layer) != name for call in chain):
        run(chain, values)
        return
    made = {id(call.output) for call in chain}
    read = list({id(x): None for call in chain for x in call.reads if id(x) not in made})
    inputs = [keras.Input(batch_shape=values[x].shape, dtype=values[x].dtype) for x in read]
    inside = dict(zip(read, inputs, strict=True))
    run(chain, inside)
    body = keras.Model(one(inputs), one([inside[id(x)] for x in exits]), name=f"{name}_body")
    recomputed = layers.Recompute(body, name=name)(one([values[x] for x in read]))
    values.update(zip(map(id, exits), keras.tree.flatten(recomputed), strict=True))


def _move_concatenations(chain, owner: dict[int, str], outputs: set[int]) -> list[Call]:
    """Move each concatenation at the end of a block into the only block that reads it.

    Only blocks of the same stage are considered. The moved layer reads the original tensors, so
    that nested concatenations become a single one.

    Args:
        chain: the calls of the model.
        owner: the name of the block of each tensor, by the tensor's id; it is updated.
        outputs: the ids of the model's outputs.
    """
    readers = defaultdict(set)
    for call in chain:
        for x in call.reads:
            readers[id(x)].add(owner[id(call.output)])
    parts: dict[int, list] = {}
    moved = []
    for call in chain:
        x, to = id(call.output), readers[id(call.output)]
        joins = isinstance(call.layer, keras.layers.Concatenate) and x not in outputs
        ends = joins and len(to) == 1 and to != {owner[x]}
        if ends and min(to).split("_")[0] == owner[x].split("_")[0]:
            parts[x] = [part for y in call.reads for part in parts.get(id(y), [y])]
            owner[x] = min(to)
            joined = keras.layers.Concatenate(call.layer.axis, name=call.layer.name)
            call = Call(joined, parts[x], call.output)
        moved.append(call)
    return moved
