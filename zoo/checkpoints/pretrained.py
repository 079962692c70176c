"""A network with somebody's weights: what `zoo.build(name, weights=...)` and load_weights do."""

import logging
import weakref
from typing import Any

from zoo.checkpoints import downloads, files, hub, identifying, loading
from zoo.checkpoints.files import Contents
from zoo.checkpoints.sources import Source, place_of, source
from zoo.lazy import keras

# The sources of networks that `zoo.build` made with the weights or the preprocessing of one.
SOURCES: weakref.WeakKeyDictionary[Any, Source] = weakref.WeakKeyDictionary()

log = logging.getLogger(__name__)


def load_weights(model, weights: Any) -> None:
    """Load weights into a network that `zoo.build` made: all, or none and an error.

    A classifier of another number of classes keeps what it has, and that is logged; so does one
    whose file has no head. The first kernel of a network of gray images is the sum over its
    channels; of one of more channels, they are repeated in turn, and scaled so that their sum
    stays.

    Args:
        model: a network of zoo.build, whose name says which it is.
        weights: the name of a source ("imagenet", "keras", "torchvision", "torchvision_v2",
            "timm/resnet50.a1_in1k"), a `zoo.Source`, or the path of a file: `.safetensors` or
            `.pth` in the naming of torchvision or timm, also as training scripts save it;
            `.h5` and `.weights.h5` of keras.applications; `.weights.h5` of our own. Of a file
            with several sets of weights, "FILE#state_dict_ema" chooses one.

    Raises:
        ValueError: no such source or file; tensors that are missing, unexpected or of another
            shape, by name; or a network with other paddings, epsilons or strides than the
            source's: `zoo.build(name, weights=...)` makes the right one.
    """
    found = source(model.name, weights)
    if found is not None:
        _check_layers(model, found)
    file = opened(found, weights)
    if found is None:
        identifying.check(model, file)
    load(model, found, file)


def opened(found: Source | None, weights: Any) -> Contents:
    """The file of weights, downloaded at the first call.

    Raises:
        ValueError: there is no such file, or it cannot be read.
    """
    if found is not None:
        path = downloads.fetch(found.url, found.hash) if found.url else hub.weights(found.name)
        return files.contents(path)
    path, chosen = place_of(weights)
    return files.contents(path, chosen)


def load(
    model,
    found: Source | None,
    file: Contents,
    preprocess: Any = None,
    needs_head: bool = False,
) -> None:
    """load_weights, for a network that was made as the source needs it, or knowingly not.

    Args:
        preprocess: that of `zoo.build`: a file whose preprocessing is that of a source whose
            network sees blue first is turned around, too.
        needs_head: whether a file without a classifier is an error.
    """
    if found is None and isinstance(preprocess, str):
        found = source(model.name, preprocess)
    loading.load_file(model, file, found is not None and found.bgr, needs_head)


def made_as(name: str, file: Contents, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `zoo.build` with the options that a file's network has. What is given
    stands."""
    options = identifying.options_of(name, file, given)
    return {**options, **{key: value for key, value in given.items() if value is not None}}


def made_with(found: Source, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `zoo.build` that a source asks for. What is given stands, with a warning
    where the weights were made with something else."""
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
    """Raises a ValueError if layers of the network are not as the source's."""
    if differ := identifying.differences(model, found.options):
        raise ValueError(
            f"weights={found.name!r}: made for other layers than those of this {model.name}: "
            f"{identifying.and_more(differ)}; "
            f"build it with zoo.build({model.name!r}, weights={found.name!r})"
        )
