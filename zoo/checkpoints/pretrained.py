"""A network with somebody's weights: what `zoo.build(name, weights=...)` and load_weights do."""

import logging
from pathlib import Path
from typing import Any

from zoo.checkpoints import downloads, hub, loading
from zoo.checkpoints.sources import Source, source
from zoo.graph import layers_of
from zoo.lazy import keras
from zoo.plan import resolve, sketch

log = logging.getLogger(__name__)


def load_weights(model, weights: Any) -> None:
    """Loads weights into a network that `zoo.build` made: all, or none and an error.

    A classifier of another number of classes keeps what it has, and that is logged. The first
    kernel of a network of gray images is the sum over its channels; of one of more channels,
    they are repeated in turn, and scaled so that their sum stays.

    Args:
        model: a network of zoo.build, whose name says which it is.
        weights: the name of a source ("imagenet", "keras", "torchvision", "torchvision_v2",
            "timm/resnet50.a1_in1k"), a `zoo.Source`, or the path of a file: `.safetensors`
            or, with torch installed, `.pth` in the naming of torchvision or timm; `.h5` of
            keras.applications; `.weights.h5` of our own.

    Raises:
        ValueError: no such source or file; tensors that are missing, unexpected or of another
            shape, by name; or a network with other paddings, epsilons or strides than the
            source's: `zoo.build(name, weights=...)` makes the right one.
    """
    found = source(model.name, weights)
    if found is not None:
        _check_layers(model, found)
    load(model, found, located(found, weights))


def located(found: Source | None, weights: Any) -> Path:
    """The file of weights, downloaded at the first call."""
    if found is None:
        if not Path(weights).is_file():
            raise ValueError(f"there is no file of weights {str(weights)!r}")
        return Path(weights)
    return downloads.fetch(found.url, found.hash) if found.url else hub.weights(found.name)


def load(model, found: Source | None, path: Path, preprocess: Any = None) -> None:
    """load_weights, of a network that was made as the source wants it, or knowingly not.

    Args:
        preprocess: of `zoo.build`: a file whose preprocessing is that of a source whose network
            sees blue first is turned around, too.
    """
    if found is None and isinstance(preprocess, str):
        found = source(model.name, preprocess)
    loading.load_file(model, path, found is not None and found.bgr)


def made_with(found: Source | None, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `zoo.build` that a source asks for. What is given stands, with a warning
    where the weights were made with something else."""
    if found is None:
        return given
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
    """The layer before the stem: a given one; that of the source, from raw pixels; or none.

    Args:
        preprocess: None for the source's, False for none, a Keras layer, or the name of a
            source, whose preprocessing it then is.
    """
    if isinstance(preprocess, str):
        found = source(name, preprocess)
        if found is None:
            raise ValueError(f"preprocess={preprocess!r} is not the name of a source")
        preprocess = None
    if preprocess is False or (preprocess is None and found is None):
        return None
    if preprocess is not None:
        if not isinstance(preprocess, keras.layers.Layer):
            raise ValueError(f"preprocess={preprocess!r} is not a Keras layer")
        return preprocess
    assert found is not None
    mean, deviation = list(found.mean), list(found.deviation)
    if channels != 3:
        mean, deviation = [sum(mean) / 3], [sum(deviation) / 3]
    scale = [1 / d for d in deviation]
    offset = [-m / d for m, d in zip(mean, deviation, strict=True)]
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="input_rescaling")


# What decides a layer's output beside its weights and its activation.
_DECIDE = ("strides", "padding", "pool_size", "kernel_size", "epsilon", "groups", "window")


def _check_layers(model, found: Source) -> None:
    """Raises a ValueError if layers of the network are not as the source's."""
    if differ := differences(model, found.options):
        raise ValueError(
            f"{model.name} is not as the weights of {found.name} need it: {and_more(differ)}; "
            f"zoo.build({model.name!r}, weights={found.name!r}) makes the right one"
        )


def differences(model, options: dict[str, Any], activations: bool = False) -> list[str]:
    """What of the layers of a network is not as in `zoo.build(model.name, **options)`.

    Only layers of the same name are compared: a network may be cut, or longer.

    Args:
        activations: whether they count, too.
    """
    shape = tuple(model.input.shape[1:])
    wanted = sketch(resolve(model.name, num_classes=0, input_shape=shape, **options))
    ours, differ = {layer.name: layer for layer in layers_of(model)}, []
    for layer in wanted.layers:
        if layer.name not in ours:
            continue
        mine, theirs = ours[layer.name].get_config(), layer.get_config()
        if activations:
            mine["kind"], theirs["kind"] = type(ours[layer.name]).__name__, type(layer).__name__
        differ += [
            f"{layer.name} has {key}={mine[key]!r}, not {theirs[key]!r}"
            for key in (*_DECIDE, "kind", "activation")
            if key in mine and key in theirs and mine[key] != theirs[key]
        ]
    return differ


def and_more(differ: list[str]) -> str:
    """The first of several, and how many more there are."""
    return differ[0] + (f", and {len(differ) - 1} more" if differ[1:] else "")
