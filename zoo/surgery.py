"""Networks cut, joined, frozen and folded by stage: the names of layers say where they stand."""

import re
from collections.abc import Iterable
from typing import Any

from zoo.flattening import graph_of, is_flat, nodes, shared
from zoo.graph import layers_of
from zoo.lazy import keras, layers
from zoo.options import unknown


def stage_of(layer) -> str:
    """The stage of a layer: `input`, `stem`, `stage1`, ..., `fc`, `head`."""
    return layer.name.split("_")[0]


def is_auxiliary(layer) -> bool:
    """Whether a layer is of an auxiliary head: those stand beside the way to the first output."""
    return re.search(r"_aux\d+(_|$)", layer.name) is not None


def stages(model) -> dict[str, list]:
    """The layers of each stage, in the model's order; those of recomputed blocks, too."""
    found: dict[str, list] = {}
    for layer in layers_of(model):
        found.setdefault(stage_of(layer), []).append(layer)
    return found


def features(model, names: Iterable[str]):
    """A model from the same images to a dict of maps: the last of each named stage.

    It shares the layers of `model`, which may hold others as its layers.

    Raises:
        ValueError: a stage that the model does not have, or a model without a graph of layers.
    """
    ends = _ends(model)
    outputs = {
        name: layers.open_ended(_end_of(model, name, ends), f"{name}_unfused") for name in names
    }
    return keras.Model(graph_of(model).input, outputs, name=f"{model.name}_features")


def _ends(model) -> dict[str, Any]:
    """The last output of each stage on the way to the first output."""
    if is_flat(model):
        calls = [(layer, layer.output) for layer in model.layers]
    else:
        calls = [(call.layer, call.output) for call in shared(model)[1]]
    return {stage_of(layer): output for layer, output in calls if not is_auxiliary(layer)}


def _end_of(model, stage: str, ends: dict[str, Any]):
    if stage not in ends:
        raise unknown(f"stage of {model.name}", stage, ends, "zoo.stages(model)")
    return ends[stage]


def new_head(model, classes: int, seed: int | None = None, stage: str | None = None):
    """The same body with a new classifier, N(0, 0.01): logits (batch, classes).

    The body's layers are shared with `model`: what trains one trains both. Auxiliary heads, which
    have the old classes, are left out.

    Args:
        stage: the body ends there, and the classifier sees the averages of its last maps: with
            `freeze(model, stage)` a linear probe. None keeps all of the body.

    Raises:
        ValueError: the model does not end in vectors, has no such stage, or `classes` is less
            than 1.
    """
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 1:
        raise ValueError(f"classes={classes!r} is not a whole number from 1")
    graph = graph_of(model)
    old = None if stage else _classifier(model)
    if stage is not None:
        x = _end_of(model, stage, _ends(model))
        if len(getattr(x, "shape", ())) == 4:
            x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    else:
        x = graph.outputs[0] if old is None else _input_of(old, graph)
    if len(getattr(x, "shape", ())) != 2:
        raise ValueError(f"{model.name} does not end in vectors: a head has nothing to stand on")
    initial = keras.initializers.RandomNormal(0.0, 0.01, seed=seed)
    dtype = "float32" if old is None else old.dtype_policy
    head = keras.layers.Dense(classes, kernel_initializer=initial, dtype=dtype, name="head_dense")
    return keras.Model(graph.input, head(x), name=model.name)


def _classifier(model):
    """The last dense layer, None if the model ends at its features."""
    ours = next((layer for layer in model.layers if layer.name == "head_dense"), None)
    if ours is not None or is_flat(model):
        return ours
    last = graph_of(model).outputs[0]._keras_history.operation
    return last if isinstance(last, keras.layers.Dense) else None


def _input_of(layer, graph):
    """What a layer reads in a graph: a layer of a Sequential has been called in others before."""
    return next(node.input_tensors[0] for node in nodes(graph) if node.operation is layer)


def freeze(model, through: str | None = None) -> None:
    """Stop the training of all layers up to and with stage `through`; of all, without.

    Batch norms are then in inference mode. Compile the model again before `fit`.

    Raises:
        ValueError: the model has no such stage.
    """
    for layer in _until(model, through):
        layer.trainable = False


def unfreeze(model, through: str | None = None) -> None:
    """Let all layers up to and with stage `through` train; all, without."""
    for layer in _until(model, through):
        layer.trainable = True


def _until(model, through: str | None) -> list:
    found = stages(model)
    chain = layers_of(model)
    if through is None:
        return chain
    if through not in found:
        raise unknown(f"stage of {model.name}", through, found, "zoo.stages(model)")
    # Auxiliary heads come last in the chain, and belong to the stage that they stand on.
    body = [layer for layer in chain if not is_auxiliary(layer)]
    last = max(i for i, layer in enumerate(body) if stage_of(layer) == through)
    own = {stage_of(layer) for layer in body[: last + 1]}
    heads = [layer for layer in chain if is_auxiliary(layer) and stage_of(layer) in own]
    return body[: last + 1] + heads
