"""Extract features, replace heads and freeze layers by stage, which layers are named after."""

import re
from collections.abc import Iterable
from typing import Any

from zoo.flattening import graph_of, is_flat, nodes, shared
from zoo.graph import calls, layers_of
from zoo.lazy import keras, layers
from zoo.options import unknown

FEATURES = "features"  # freezes everything before the classifier


def stage_of(layer) -> str:
    """Return the stage of a layer: `input`, `stem`, `stage1`, ..., `fc`, `head`."""
    return layer.name.split("_")[0]


def is_auxiliary(layer) -> bool:
    """Return whether a layer is part of an auxiliary head, not of the path to the first output."""
    return re.search(r"_aux\d+(_|$)", layer.name) is not None


def stages(model) -> dict[str, list]:
    """Return the layers of each stage in the model's order, with those of recomputed blocks."""
    found: dict[str, list] = {}
    for layer in layers_of(model):
        found.setdefault(stage_of(layer), []).append(layer)
    return found


def features(model, names: Iterable[str]):
    """Return a model whose outputs are the last feature maps of stages, as a dict by stage.

    Args:
        model: a network. The result shares its layers. It may contain other models as layers.
        names: names of the stages: see `zoo.stages`.

    Raises:
        ValueError: the model has no such stage, or no graph of layers.
    """
    ends = _ends(model)
    outputs = {
        name: layers.open_ended(_end_of(model, name, ends), f"{name}_unfused") for name in names
    }
    return keras.Model(graph_of(model).input, outputs, name=f"{model.name}_features")


def _ends(model) -> dict[str, Any]:
    """Return the last output of each stage, without auxiliary heads."""
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
    """Return the same network with a new classifier, which returns logits (batch, classes).

    The other layers are shared with `model`, so training one trains both. Auxiliary heads are left
    out, because they predict the old classes.

    Args:
        model: a network, with or without a classifier.
        classes: number of classes.
        seed: seed of the classifier's kernel, which is initialized with N(0, 0.01); random by
            default.
        stage: name of the stage after which the network ends. The classifier reads the mean of
            its last feature maps. With `freeze(model, stage)`, this is a linear probe. None keeps
            all stages.

    Raises:
        ValueError: the model does not end in vectors, has no such stage, or `classes` is less
            than 1.
    """
    if isinstance(classes, bool) or not isinstance(classes, int) or classes < 1:
        raise ValueError(f"classes={classes!r}: must be a whole number of at least 1")
    graph = graph_of(model)
    old = None if stage else _classifier(model)
    if stage is not None:
        x = _end_of(model, stage, _ends(model))
        if len(getattr(x, "shape", ())) == 4:
            x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    else:
        x = graph.outputs[0] if old is None else _input_of(old, graph)
    if len(getattr(x, "shape", ())) != 2:
        raise ValueError(
            f"model={model.name}: a new head needs a network that ends in vectors (batch, "
            "features); pass one, or give the stage whose feature maps the head reads"
        )
    initial = keras.initializers.RandomNormal(0.0, 0.01, seed=seed)
    dtype = "float32" if old is None else old.dtype_policy
    head = keras.layers.Dense(classes, kernel_initializer=initial, dtype=dtype, name="head_dense")
    return keras.Model(graph.input, head(x), name=model.name)


def _classifier(model):
    """Return the last dense layer, or None if the model returns features."""
    ours = next((layer for layer in model.layers if layer.name == "head_dense"), None)
    if ours is not None or is_flat(model):
        return ours
    last = graph_of(model).outputs[0]._keras_history.operation
    return last if isinstance(last, keras.layers.Dense) else None


def _input_of(layer, graph):
    """Return what a layer reads in this graph; layers of a Sequential are called in others, too."""
    return next(node.input_tensors[0] for node in nodes(graph) if node.operation is layer)


def freeze(model, through: str | None = None) -> None:
    """Freeze all layers up to and including the stage `through`, or all layers of the model.

    Batch norms of frozen layers run in inference mode. Compile the model again before `fit`.

    Args:
        model: a network.
        through: name of a stage, or "features" for everything before the classifier.

    Raises:
        ValueError: the model has no such stage, or no classifier.
    """
    for layer in _until(model, through):
        layer.trainable = False


def unfreeze(model, through: str | None = None) -> None:
    """Make layers trainable again; the arguments are those of `freeze`."""
    for layer in _until(model, through):
        layer.trainable = True


def _until(model, through: str | None) -> list:
    found = stages(model)
    chain = layers_of(model)
    if through is None:
        return chain
    if through == FEATURES and FEATURES not in found:
        return _before_classifier(model, chain)
    if through not in found:
        raise unknown(f"stage of {model.name}", through, [*found, FEATURES], "zoo.stages(model)")
    # Auxiliary heads come last in the chain, but belong to the stage whose maps they read.
    body = [layer for layer in chain if not is_auxiliary(layer)]
    last = max(i for i, layer in enumerate(body) if stage_of(layer) == through)
    own = {stage_of(layer) for layer in body[: last + 1]}
    heads = [layer for layer in chain if is_auxiliary(layer) and stage_of(layer) in own]
    return body[: last + 1] + heads


def _before_classifier(model, chain: list) -> list:
    """Return all layers up to the last one with weights before the classifier."""
    classifier = _classifier(model)
    if classifier is None:
        raise ValueError(
            f"through={FEATURES!r}: {model.name} has no classifier; add one with zoo.new_head, or"
            " name a stage"
        )
    body = [layer for layer in chain if layer is not classifier]
    last = max((i for i, layer in enumerate(body) if layer.weights), default=-1)
    return body[: last + 1]


def split_frozen(model) -> tuple[Any, Any] | None:
    """Return a model of the frozen layers and a model of all that follows, or None.

    The first one ends where the first layers that are trained, or random in training, begin. Run in
    inference mode, both together compute what the model computes in training. They share its layers
    and weights.

    Returns:
        None if the frozen layers do not end in exactly one tensor, or there are none.
    """
    if not is_flat(model):
        return None
    chain = calls(model)
    fixed = {id(x) for x in model.inputs}
    for call in chain:
        if all(id(x) in fixed for x in call.reads) and _is_fixed(call.layer):
            fixed.add(id(call.output))
    read = [x for call in chain if id(call.output) not in fixed for x in call.reads]
    ends = {id(x): x for x in [*read, *model.outputs] if id(x) in fixed}
    if len(ends) != 1 or len(model.outputs) != 1 or next(iter(ends)) in map(id, model.inputs):
        return None
    (end,) = ends.values()
    if end is model.outputs[0]:
        return None
    frozen = layers.open_ended(end, "frozen_unfused")
    return (
        keras.Model(model.input, frozen, name=f"{model.name}_frozen"),
        keras.Model(end, model.output, name=model.name),
    )


def _is_fixed(layer) -> bool:
    """Return whether a layer computes the same in every training step."""
    inner = layer.body.layers if isinstance(layer, layers.Recompute) else [layer]
    return all(
        (not each.trainable or not each.weights) and not is_random(each)
        for each in inner
        if isinstance(each, keras.layers.Layer)
    )


def is_random(layer) -> bool:
    """Return whether a layer is random in training, such as a dropout whose rate is not 0."""
    return len(layer.variables) > len(layer.weights) and getattr(layer, "rate", 1) != 0
