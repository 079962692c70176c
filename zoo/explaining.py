"""Where in an image a network sees a class: Grad-CAM, by the names of stages."""

import numpy as np

from zoo import graph
from zoo.lazy import keras
from zoo.options import unknown
from zoo.surgery import stage_of


def gradcam(model, images, classes=None, stage: str | None = None) -> np.ndarray:
    """Heat maps of what speaks for a class, by gradient-weighted class activation mapping.

    The ReLU of the sum of a stage's maps, each weighted by the mean over places of the class
    logit's gradient (Selvaraju et al. 2017, Grad-CAM, section 3), over its maximum in the
    image. Where nothing speaks for the class, all is zero.

    Args:
        model: of any family, from images to vectors (batch, classes).
        images: (batch, height, width, channels), or one without the batch, as the model takes
            them.
        classes: number of the class, one for all or one an image; None is the highest logit's.
        stage: whose maps, as `zoo.features` has them; None is the last stage that has any.

    Returns:
        float32 (batch, height, width) in [0, 1], of the size of the stage's maps.

    Raises:
        ValueError: no such stage or class, a stage or a network without maps, or images or
            outputs of another rank.
    """
    images = np.asarray(images)
    images = images[None] if images.ndim == 3 else images
    if images.ndim != 4:
        raise ValueError(f"images of shape {images.shape} are not (batch, height, width, channels)")
    model = graph.unwrapped(model)
    graph.check_one_input(model)
    if len(getattr(model.output, "shape", ())) != 2:
        raise ValueError(f"{model.name} does not end in vectors: it tells no classes apart")
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
    _, slopes = gradients(score, activations)
    weights = _numpy(slopes).mean((1, 2), keepdims=True)
    heat = np.maximum((weights * _numpy(activations)).sum(-1), 0)
    highest = heat.max((1, 2), keepdims=True)
    return heat / np.where(highest > 0, highest, 1)


def maps_of(model, stage: str | None = None):
    """The symbolic maps (batch, height, width, channels) that a stage ends in.

    Args:
        stage: None is the last that ends in maps.

    Raises:
        ValueError: no such stage, or none that ends in maps.
    """
    model = graph.unwrapped(model)
    last = {stage_of(layer): layer for layer in model.layers if stage_of(layer) != "input"}
    spatial = [name for name, layer in last.items() if len(layer.output.shape) == 4]
    if not spatial:
        raise ValueError(f"{model.name} has no maps: no stage keeps places apart")
    stage = spatial[-1] if stage is None else stage
    if stage not in last:
        raise unknown(f"stage of {model.name}", stage, spatial, "zoo.stages(model)")
    if stage not in spatial:
        raise ValueError(
            f"{stage} of {model.name} ends in vectors, not in maps (valid: {', '.join(spatial)})"
        )
    return last[stage].output


def _split(model, maps) -> tuple[list, list]:
    """The calls that do not depend on `maps`, and those that do."""
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
    if classes is None:
        return None
    numbers = np.asarray(classes)
    if numbers.shape not in ((), (images,)) or not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(f"classes={classes!r} is neither a class nor one for each image")
    if (numbers < 0).any() or (numbers >= count).any():
        raise ValueError(f"classes={classes!r}: there are classes 0 to {count - 1}")
    return np.broadcast_to(numbers, (images,)).astype("int32")


def _numpy(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")))
