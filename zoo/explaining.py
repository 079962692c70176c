"""Grad-CAM: compute which regions of an image support a class."""

import numpy as np

from zoo import graph
from zoo.lazy import keras
from zoo.options import unknown
from zoo.surgery import stage_of


def gradcam(model, images, classes=None, stage: str | None = None) -> np.ndarray:
    """Compute heat maps of the regions that support a class, with Grad-CAM.

    A heat map is the ReLU of the weighted sum of a stage's feature maps. Each map has as its weight
    the mean over positions of the gradient of the class's logit (Selvaraju et al. 2017, Grad-CAM,
    section 3). The heat map of each image is then divided by its maximum. If no region supports the
    class, it is zero everywhere.

    Args:
        model: a network of any family that returns logits, (batch, classes).
        images: (batch, height, width, channels), or one image (height, width, channels), with the
            values that the model takes.
        classes: the number of the class to explain, one for all images or one for each; None for
            the class with the highest logit.
        stage: the name of the stage whose feature maps are used, as in `zoo.features`; None for the
            last stage with feature maps.

    Returns:
        Heat maps, float32 (batch, height, width) in [0, 1], of the size of the feature maps.

    Raises:
        ValueError: the stage or class does not exist, the stage or network has no feature maps, or
            the images or outputs have another rank.
    """
    images = np.asarray(images)
    images = images[None] if images.ndim == 3 else images
    if images.ndim != 4:
        raise ValueError(
            f"images: an array has shape {images.shape}; pass (batch, height, width, channels)"
        )
    model = graph.unwrapped(model)
    graph.check_one_input(model)
    if len(getattr(model.output, "shape", ())) != 2:
        raise ValueError(
            f"model={model.name}: not a classifier, because its output has shape "
            f"{getattr(model.output, 'shape', '?')}, not (batch, classes)"
        )
    chosen = _checked_classes(classes, len(images), model.output.shape[-1])
    maps = maps_of(model, stage)

    before, after = _split(model, maps)
    values = {id(model.input): keras.ops.convert_to_tensor(images, model.input.dtype)}
    graph.run(before, values, inference=True)

    def score(x):
        inside = {**values, id(maps): x}
        graph.run(after, inside, inference=True)
        logits = inside[id(model.output)]
        if chosen is None:
            return keras.ops.max(logits, axis=-1)
        here = keras.ops.one_hot(chosen, logits.shape[-1], dtype=logits.dtype)
        return keras.ops.sum(logits * here, axis=-1)

    from zoo.layers.derivatives import gradients

    activations = values[id(maps)]
    _, gradient = gradients(score, activations)
    weights = _numpy(gradient).mean((1, 2), keepdims=True)
    heat = np.maximum((weights * _numpy(activations)).sum(-1), 0)
    highest = heat.max((1, 2), keepdims=True)
    return heat / np.where(highest > 0, highest, 1)


def maps_of(model, stage: str | None = None):
    """Return the output of a stage, symbolic feature maps (batch, height, width, channels).

    Args:
        model: the network.
        stage: the name of the stage; None for the last one whose output is feature maps.

    Raises:
        ValueError: the stage does not exist, or its output is not feature maps.
    """
    model = graph.unwrapped(model)
    last = {stage_of(layer): layer for layer in model.layers if stage_of(layer) != "input"}
    spatial = [name for name, layer in last.items() if len(layer.output.shape) == 4]
    if not spatial:
        raise ValueError(
            f"model={model.name}: no stage has feature maps; choose a convolutional network"
        )
    stage = spatial[-1] if stage is None else stage
    if stage not in last:
        raise unknown(f"stage of {model.name}", stage, spatial, "zoo.stages(model)")
    if stage not in spatial:
        raise ValueError(
            f"stage={stage!r}: its output in {model.name} is a vector, not feature maps; valid: "
            f"{', '.join(spatial)}"
        )
    return last[stage].output


def _split(model, maps) -> tuple[list, list]:
    """Return the calls of layers that do not depend on `maps`, and those that do."""
    before: list[graph.Call] = []
    after: list[graph.Call] = []
    reached = {id(maps)}
    for call in graph.calls(model):
        depends = any(id(x) in reached for x in call.reads)
        if depends:
            reached.add(id(call.output))
        (after if depends else before).append(call)
    return before, after


def _checked_classes(classes, images: int, count: int) -> np.ndarray | None:
    """Return one class for each of a number of images; None if no class is given."""
    if classes is None:
        return None
    numbers = np.asarray(classes)
    if numbers.shape not in ((), (images,)) or not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(
            f"classes={classes!r}: must be the number of a class, or a list of {images}, one for "
            "each image"
        )
    if (numbers < 0).any() or (numbers >= count).any():
        raise ValueError(f"classes={classes!r}: must be in the range 0 to {count - 1}")
    return np.broadcast_to(numbers, (images,)).astype("int32")


def _numpy(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")))
