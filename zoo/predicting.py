"""Classify images: views in batches, probabilities, and the DataFrame of `zoo.predict`."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from zoo import inference
from zoo.geometry import TooLarge
from zoo.image_inputs import Item, listed, paths_listed
from zoo.image_reading import UnreadableImage
from zoo.inference import Network
from zoo.lazy import pandas

BATCH = 32  # views at a time

# (pixels, index of the image, tta) -> its views, float32 (views, height, width, channels)
Views = Callable[[np.ndarray, int, bool], np.ndarray]


def predict(
    model: Any,
    images: Any,
    *,
    weights: Any = None,
    top: int | None = None,
    tta: bool = False,
    classes: Sequence[str] | None = None,
    **options: Any,
) -> "pandas.DataFrame":
    """Classify images. They are resized, cropped and preprocessed as in the network's evaluation.

    Args:
        model: a run directory of `recipes`, a saved model (.keras), the name of a network together
            with `weights`, or a Keras model that maps raw pixels from 0 to 255 to logits.
        images: a path, a folder (including subfolders), a pattern such as "photos/*.jpg", a sample
            photo ("sample:china" or "sample:flower"), a Pillow image, an array (height, width[,
            channels]) or (images, height, width[, channels]) of raw pixels from 0 to 255, or a list
            of any of these.
        weights: for the name of a network, a source such as "imagenet" or a path, as in
            `zoo.build`.
        top: if given, return one row for each of the `top` most likely classes of an image.
        tta: whether to average the probabilities over ten crops, as in AlexNet's paper.
        classes: the names of the classes, in the order of the logits, for a model without them.
        options: for the name of a network, further arguments of `zoo.build`.

    Returns:
        A DataFrame with one row for each image, in the given order. The columns are `file`, the
        most likely `class`, its `probability`, and the probability of each class in a column of its
        name. A name that is already taken gets the number of the class: "crane (517)".
        With `top`, the columns are `file`, `rank`, `class` and `probability`. A file that cannot be
        read causes a warning, and its class and probabilities are missing values (`dropna()`
        removes it). Arrays, and Pillow images without a file name, are named by their index: "[0]".

    Raises:
        ValueError: the model, weights or images do not exist; an array does not contain raw pixels;
            or the evaluation of a run does more than resize and crop (use
            `recipes.Run.predict` then).
    """
    images = paths_listed(images)
    return table(_network(model, weights, classes, options), images, top, tta)


def table(
    network: Network, images: Any, top: int | None, tta: bool, views: Views | None = None
) -> "pandas.DataFrame":
    """Classify images as `predict` does, with an opened network.

    Args:
        network: the network.
        images, top, tta: the arguments of `predict`.
        views: a function that replaces the network's geometry.
    """
    if top is not None and (isinstance(top, bool) or not isinstance(top, int) or top < 1):
        raise ValueError(f"top={top!r}: must be a positive integer or None")
    if views is None:
        network.checked_geometry()
    items = listed(images, network.channels)
    count = network.model.output.shape[-1]
    shares = np.full((len(items), count), np.nan)
    for batch in batches(network, items, lambda item, error: _warn(str(error)), tta, views, _warn):
        shares[[shown.place for shown in batch]] = probabilities(network, batch)
    files = [item.name for item in items]
    names = [network.name_of(n) for n in range(count)]
    return _by_class(files, names, shares) if top is None else _by_rank(files, names, shares, top)


def _by_class(files: list[str], names: list[str], shares: np.ndarray) -> "pandas.DataFrame":
    known = ~np.isnan(shares[:, 0])
    best = np.where(known, shares.argmax(-1), 0)
    columns: dict[str, Any] = {
        "file": files,
        "class": [names[n] if k else None for n, k in zip(best, known, strict=True)],
        "probability": shares[np.arange(len(files)), best],
    }
    for number, name in enumerate(names):
        columns[name if name not in columns else f"{name} ({number})"] = shares[:, number]
    return pandas.DataFrame(columns)


def _by_rank(
    files: list[str], names: list[str], shares: np.ndarray, top: int
) -> "pandas.DataFrame":
    rows = []
    for file, of_image in zip(files, shares, strict=True):
        if np.isnan(of_image[0]):
            rows.append((file, 1, None, np.nan))
            continue
        best = (-of_image).argsort(kind="stable")[:top]
        rows += [(file, rank, names[n], of_image[n]) for rank, n in enumerate(best, 1)]
    return pandas.DataFrame(rows, columns=["file", "rank", "class", "probability"])


class Shown(NamedTuple):
    """An image that was read: its index among all images, and its views for the network."""

    place: int
    item: Item
    views: np.ndarray


def batches(
    network: Network,
    items: Iterable[Item],
    unreadable: Callable[[Item, UnreadableImage], object],
    tta: bool = False,
    views: Views | None = None,
    say: Callable[[str], object] = lambda text: None,
) -> Iterator[list[Shown]]:
    """Yield batches of images with their views.

    Args:
        network: the network.
        items: the images.
        unreadable: a function that is called with each image that cannot be read, and its error.
        tta: whether each image has ten views instead of one.
        views: a function that replaces the network's geometry.
        say: a function that is called with a note, once, if an image is resized although the
            network was evaluated without resizing.
    """
    batch: list[Shown] = []
    noted = False
    for place, item in enumerate(items):
        try:
            pixels = item.read(network.channels)
            if views is None:
                of_image, fitted = network.views(pixels, tta)
            else:
                of_image, fitted = views(pixels, place, tta), False
        except UnreadableImage as error:
            unreadable(item, error)
            continue
        except TooLarge as error:
            unreadable(item, UnreadableImage(item.name, str(error)))
            continue
        if fitted and not noted:
            height, width = network.size
            say(
                f"{network.name} was evaluated on images of {height}x{width} pixels without"
                f" resizing, but {item.name} has {pixels.shape[0]}x{pixels.shape[1]}; images of"
                " other sizes are resized to cover that size and center-cropped"
            )
            noted = True
        batch.append(Shown(place, item, of_image))
        if (len(batch) + 1) * len(of_image) > BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def probabilities(network: Network, batch: Sequence[Shown]) -> np.ndarray:
    """Return the probabilities of a batch, float64 (images, classes), averaged over views.

    Raises:
        ValueError: the network does not return one vector for each image, or its logits are not
            finite.
    """
    if len(getattr(network.model.output, "shape", ())) != 2:
        raise ValueError(
            f"model={network.name!r}: not a classifier, because its output has shape "
            f"{getattr(network.model.output, 'shape', '?')}, not (batch, classes)"
        )
    views = np.concatenate([shown.views for shown in batch])
    logits = np.asarray(network.model.predict_on_batch(views), np.float64)
    if not np.isfinite(logits).all():
        raise ValueError(f"model={network.name!r}: its logits are not finite; check its weights")
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    return shares.reshape(len(batch), -1, shares.shape[-1]).mean(1)


def _network(model: Any, weights: Any, classes: Any, options: dict[str, Any]) -> Network:
    if isinstance(model, (str, os.PathLike)):
        place = os.fspath(model)
        if weights is None and inference.is_name(place):
            raise ValueError(
                f"weights=None: {place} would have random weights; pass weights=SOURCE (imagenet, "
                "keras, torchvision, timm/..., or a path)"
            )
        network = inference.open_network(place, weights, options, _warn)
    elif weights is not None or options:
        name, value = ("weights", weights) if weights is not None else next(iter(options.items()))
        raise ValueError(
            f"{name}={value!r}: only applies to the name of a network, not to a model; omit it"
        )
    else:
        network = inference.of_model(model, _warn)
    return network if classes is None else inference.with_classes(network, classes)


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=3)
