"""Pretrained networks: `zoo.load_weights`, and what `zoo.build(name, weights=...)` needs."""

import logging
import weakref
from pathlib import Path
from typing import Any

from zoo.checkpoints import downloads, files, hub, identifying, loading, packages
from zoo.checkpoints.files import Contents
from zoo.checkpoints.sources import Source, place_of, source
from zoo.lazy import keras

# Networks that `zoo.build` made with the weights or preprocessing of a source -> that source.
SOURCES: weakref.WeakKeyDictionary[Any, Source] = weakref.WeakKeyDictionary()

log = logging.getLogger(__name__)


def load_weights(model, weights: Any) -> None:
    """Load weights into a network that `zoo.build` made.

    Either all weights are loaded, or an error is raised and none are. The network keeps its own
    head, and a warning is logged, if the head in the file has another number of classes or the
    file has no head. For gray images, the first kernel is summed over its channels. For more
    channels than in the file, they are repeated in turn, and scaled to keep their sum.

    Args:
        model: a network made by `zoo.build`. Its name identifies the architecture.
        weights: the name of a source ("imagenet", "keras", "torchvision", "torchvision_v2",
            "timm/resnet50.a1_in1k"), a `zoo.Source`, or the path of a file: `.safetensors` or
            `.pth` with the names of torchvision or timm, including checkpoints of training
            scripts; `.h5` and `.weights.h5` of keras.applications; `.weights.h5` of zoo's own
            networks. "FILE#state_dict_ema" chooses one of several sets of weights in a file.

    Raises:
        ValueError: the source or file does not exist; tensors are missing, unexpected or of
            another shape (the error names them); or the padding, epsilons or strides of the network
            differ from the source's: then use `zoo.build(name, weights=...)`.
    """
    found = source(model.name, weights)
    if found is not None:
        _check_layers(model, found)
    file = opened(found, weights)
    if found is None:
        identifying.check(model, file)
    load(model, found, file)


def opened(found: Source | None, weights: Any) -> Contents:
    """Return the contents of a weights file. A source's file is downloaded at the first call.

    Args:
        found: a source, or None.
        weights: the path of a file if there is no source.

    Raises:
        ValueError: the file does not exist, or cannot be read.
    """
    if found is not None:
        return files.contents(_place(found))
    path, chosen = place_of(weights)
    return files.contents(path, chosen)


def _place(found: Source) -> Path:
    """Return the path of a source's file: in a package, or downloaded at the first call."""
    if found.package:
        return packages.installed(found)
    return downloads.fetch(found.url, found.hash) if found.url else hub.weights(found.name)


def load(
    model,
    found: Source | None,
    file: Contents,
    preprocess: Any = None,
    needs_head: bool = False,
) -> None:
    """Load weights as load_weights does, without comparing the network's layers to the source's.

    Args:
        model: the network.
        found: the source of the file, or None.
        file: the contents of the file.
        preprocess: the argument of `zoo.build`. If it names a source whose network takes blue
            first, the first kernel of the file is reversed as that source's would be.
        needs_head: whether a file without a classifier for the network's classes is an error.
    """
    if found is None and isinstance(preprocess, str):
        found = source(model.name, preprocess)
    loading.load_file(model, file, found is not None and found.bgr, needs_head)


def made_as(name: str, file: Contents, given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `zoo.build` that make the network in a file.

    The arguments in `given` are not changed.
    """
    options = identifying.options_of(name, file, given)
    return {**options, **{key: value for key, value in given.items() if value is not None}}


def made_with(found: Source, given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `zoo.build` that make the network of a source.

    The arguments in `given` are not changed. A warning is logged if the weights were made with
    other values.
    """
    wanted = {
        "num_classes": found.classes or None,
        "input_shape": (found.size, found.size, 3),
        **found.options,
    }
    for key, value in found.options.items():
        if given.get(key) is not None and given[key] != value:
            log.warning(
                "%s=%r, but the weights of %s were made with %r", key, given[key], found.name, value
            )
    return {**wanted, **{key: value for key, value in given.items() if value is not None}}


def input_layer(name: str, found: Source | None, preprocess: Any, channels: int):
    """Return the preprocessing layer before the stem, or None.

    Args:
        name: the name of the network.
        found: the source of the weights, or None.
        preprocess: None for the preprocessing of that source, which takes raw pixels; False for no
            preprocessing; a Keras layer; or the name of a source, whose preprocessing is used.
        channels: the number of channels of the image.
    """
    if isinstance(preprocess, str):
        found = source(name, preprocess)
        if found is None:
            raise ValueError(
                f"preprocess={preprocess!r}: not the name of a source of weights; "
                f"list them with `zoo names weights {name}`"
            )
        preprocess = None
    if preprocess is False or (preprocess is None and found is None):
        return None
    if preprocess is not None:
        if not isinstance(preprocess, keras.layers.Layer):
            raise ValueError(
                f"preprocess={preprocess!r}: not a Keras layer; pass a layer, the name of a source "
                "of weights, False or None"
            )
        return preprocess
    assert found is not None
    mean, deviation = list(found.mean), list(found.deviation)
    if channels != 3:
        mean, deviation = [sum(mean) / 3], [sum(deviation) / 3]
    scale = [1 / d for d in deviation]
    offset = [-m / d for m, d in zip(mean, deviation, strict=True)]
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="input_rescaling")


def _check_layers(model, found: Source) -> None:
    """Raise a ValueError if layers of the network differ from those of the source."""
    if differ := identifying.differences(model, found.options):
        raise ValueError(
            f"weights={found.name!r}: this {model.name} has other layers than these weights need: "
            f"{identifying.and_more(differ)}; "
            f"build it with zoo.build({model.name!r}, weights={found.name!r})"
        )
