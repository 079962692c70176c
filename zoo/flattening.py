"""Flatten models that contain other models into one graph of layers.

Surgery, folding, exports and Grad-CAM walk the graph of one functional model. A keras.Sequential,
a model that is a layer of another model, and a layer that is called several times are first
converted into this form.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zoo.files import one_line
from zoo.lazy import keras


@dataclass(frozen=True)
class Inlined:
    """The call of a layer in the flat graph.

    Attributes:
        layer: the layer that was called.
        original: the layer of the given model that it corresponds to.
        output: the symbolic output.
    """

    layer: Any
    original: Any
    output: Any


def is_flat(model) -> bool:
    """Return whether a model is functional, and made of layers that are called once each.

    Raises:
        ValueError: the model has no graph of layers.
    """
    if graph_of(model) is not model:
        return False
    operations = [node.operation for node in nodes(model)]
    return (
        len(set(map(id, operations))) == len(operations)
        and not any(isinstance(each, keras.Model) for each in operations)
        and all(
            len(each._inbound_nodes) == 1
            for each in operations
            if isinstance(each, keras.layers.Layer)
        )
    )


def nodes(model) -> list:
    """Return the calls of a functional model's graph in their order, as Keras's nodes."""
    by_depth = model._nodes_by_depth
    chain = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    return [node for node in chain if not node.is_input]


def graph_of(model):
    """Return the functional model that holds a model's graph; for a Sequential, its inner one.

    Raises:
        ValueError: the model is not built, or its layers form no graph.
    """
    if isinstance(model, keras.Sequential):
        if not model.built or not getattr(model, "_functional", None):
            raise ValueError(
                f"model={model.name}: this Sequential model has no input shape; start it with "
                "keras.Input(shape) or call model.build((None, height, width, channels))"
            )
        return model._functional
    if not isinstance(model, keras.Model):
        raise ValueError(f"model={model!r}: not a keras.Model; pass a functional or Sequential one")
    if not hasattr(model, "_nodes_by_depth"):
        raise ValueError(
            f"model={model.name}: {type(model).__name__} is a subclassed keras.Model, whose layers "
            "form no graph; build it with the functional API: x = keras.Input(shape), then "
            "keras.Model(x, layers called on x)"
        )
    return model


def flattened(model):
    """Return a functional copy of a model, with the layers of nested models in one graph.

    Each call of a layer becomes a separate layer with the same weights. A layer that is called
    twice therefore has two copies, which training would make different; the result is meant for
    inference. If a name occurs again, the names of the outer models precede it.

    Raises:
        ValueError: a model, or one inside it, has no graph of layers, or a layer cannot be copied.
    """
    graph = graph_of(model)
    names = [x._keras_history.operation.name for x in graph.inputs]
    inputs = [
        keras.Input(batch_shape=x.shape, dtype=x.dtype, name=name)
        for x, name in zip(graph.inputs, names, strict=True)
    ]
    taken = set(names)

    def copy(layer, path: tuple[str, ...]):
        name = "_".join([*path, layer.name])
        for candidate in (layer.name, name, *(f"{name}_{i}" for i in range(2, 10_000))):
            if candidate not in taken:
                break
        taken.add(candidate)
        try:
            return type(layer).from_config({**layer.get_config(), "name": candidate})
        except (TypeError, NotImplementedError, ValueError) as error:
            raise ValueError(
                f"{layer.name}: cannot copy this {type(layer).__name__} layer; give its class "
                f"get_config and from_config ({one_line(error, 200)})"
            ) from error

    outputs, calls = _inline(graph, inputs, copy)
    flat = keras.Model(_one(inputs), _one(outputs), name=model.name)
    for call in calls:
        if call.layer is not call.original and call.original.weights:
            call.layer.set_weights(call.original.get_weights())
            call.layer.trainable = call.original.trainable and model.trainable
    return flat


def shared(model) -> tuple[list, list[Inlined]]:
    """Call the layers of a model and of those nested in it in one graph.

    Returns:
        The symbolic outputs, from model.inputs, and the calls in their order. The layers are those
        of the model, which are called once more.

    Raises:
        ValueError: a model, or one inside it, has no graph of layers.
    """
    graph = graph_of(model)
    return _inline(graph, graph.inputs, lambda layer, path: layer)


def inner_layers(model) -> list:
    """Return a model's layers, each once, with nested models replaced by their layers.

    Raises:
        ValueError: the model, or one inside it, has no graph of layers.
    """
    graph_of(model)
    found: dict[int, Any] = {}
    for layer in model.layers:
        nested = isinstance(layer, keras.Model)
        for each in inner_layers(layer) if nested else [layer]:
            found.setdefault(id(each), each)
    return list(found.values())


def _inline(graph, inputs: list, made: Callable[[Any, tuple[str, ...]], Any]):
    """Run a graph on symbolic inputs, entering nested models."""
    calls: list[Inlined] = []

    def enter(graph, inputs: list, path: tuple[str, ...], training):
        def call(operation, *args, **kwargs):
            if training is not None and kwargs.get("training") is None and _trains(operation):
                kwargs["training"] = training
            if isinstance(operation, keras.Model):
                inner = graph_of(operation)
                tensors = [x for x in keras.tree.flatten((args, kwargs)) if _is_tensor(x)]
                mode = kwargs.get("training")
                found = enter(inner, tensors, (*path, operation.name), mode)
                return keras.tree.pack_sequence_as(inner._outputs_struct, found)
            if not isinstance(operation, keras.layers.Layer):
                return operation(*args, **kwargs)
            layer = made(operation, path)
            output = layer(*args, **kwargs)
            calls.append(Inlined(layer, operation, output))
            return output

        return keras.tree.flatten(graph._run_through_graph(inputs, call_fn=call))

    return enter(graph, inputs, (), None), calls


def _is_tensor(value) -> bool:
    return isinstance(value, keras.KerasTensor)


def _trains(operation) -> bool:
    """Whether an operation's call has an argument `training`."""
    if isinstance(operation, keras.Model):
        return True
    return "training" in inspect.signature(operation.call).parameters


def _one(tensors: list):
    return tensors[0] if len(tensors) == 1 else tensors
