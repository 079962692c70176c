"""Classify images: their views in batches, the probabilities, and the table of `zoo.predict`."""

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

# (pixels, place among all images, tta) -> float32 (views, height, width, channels)
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
    """Classify images, resized, cropped and preprocessed as the network was evaluated.

    Args:
        model: a run directory of `recipes`, a saved model (.keras), the name of a network with
            `weights`, or a Keras model from raw pixels 0 to 255 to logits.
        images: a path, a folder (with its subfolders), a pattern such as "photos/*.jpg", a Pillow
            image, an array (height, width[, channels]) or (images, height, width[, channels]) of
            raw pixels 0 to 255, or a list of any of these.
        weights: for a name, as in `zoo.build`: a source such as "imagenet", or a path.
        top: return a row for each of the `top` likeliest classes instead of one for each image.
        tta: average the probabilities over ten crops, as AlexNet did.
        classes: the names of the classes, for a model that does not come with them.
        options: for a name, as in `zoo.build`.

    Returns:
        A row for each image in the order given: `file`, the likeliest `class`, its `probability`,
        and the probability of each class in a column named after it. A name that is taken already
        gets the class's number: "crane (517)". With `top`: `file`, `rank`, `class`,
        `probability`. A file that cannot be read is reported by a warning, and its class and
        probabilities are missing (`dropna()` leaves it out). Arrays and Pillow images without a
        file are named by their place: "[0]".

    Raises:
        ValueError: no such model, weights or images; arrays that do not hold raw pixels; a run
            whose evaluation does more than resize and crop (its `recipes.Run.predict` can).
    """
    images = paths_listed(images)
    return table(_network(model, weights, classes, options), images, top, tta)


def table(
    network: Network, images: Any, top: int | None, tta: bool, views: Views | None = None
) -> "pandas.DataFrame":
    """`predict` with an opened network.

    Args:
        views: what the network sees, in the place of its geometry.
    """
    if top is not None and (isinstance(top, bool) or not isinstance(top, int) or top < 1):
        raise ValueError(f"top={top!r} is not a whole number from 1")
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
    """An image as the network sees it: its place among all, and its views."""

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
    """Yield images with their views, some at a time.

    Args:
        unreadable: called with each image that cannot be read.
        views: what the network sees, in the place of its geometry.
        say: called once if images are resized that the evaluation would not have resized.
    """
    some: list[Shown] = []
    said = False
    for place, item in enumerate(items):
        try:
            pixels = item.read(network.channels)
            if views is None:
                seen, fitted = network.views(pixels, tta)
            else:
                seen, fitted = views(pixels, place, tta), False
        except UnreadableImage as error:
            unreadable(item, error)
            continue
        except TooLarge as error:
            unreadable(item, UnreadableImage(item.name, str(error)))
            continue
        if fitted and not said:
            height, width = network.size
            say(
                f"{network.name} was evaluated on images of {height}x{width} pixels without"
                f" resizing, and {item.name} has {pixels.shape[0]}x{pixels.shape[1]}: images of"
                " other sizes are resized to cover that size, and the middle is cut out"
            )
            said = True
        some.append(Shown(place, item, seen))
        if (len(some) + 1) * len(seen) > BATCH:
            yield some
            some = []
    if some:
        yield some


def probabilities(network: Network, batch: Sequence[Shown]) -> np.ndarray:
    """Return (images, classes): of each image the mean over its views, in float64.

    Raises:
        ValueError: the network does not end in one vector for each image, or its logits are not
            finite.
    """
    if len(getattr(network.model.output, "shape", ())) != 2:
        raise ValueError(f"{network.name} does not end in vectors: it tells no classes apart")
    views = np.concatenate([shown.views for shown in batch])
    logits = np.asarray(network.model.predict_on_batch(views), np.float64)
    if not np.isfinite(logits).all():
        raise ValueError(f"the logits of {network.name} are not finite")
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    return shares.reshape(len(batch), -1, shares.shape[-1]).mean(1)


def _network(model: Any, weights: Any, classes: Any, options: dict[str, Any]) -> Network:
    if isinstance(model, (str, os.PathLike)):
        place = os.fspath(model)
        if weights is None and inference.is_name(place):
            raise ValueError(
                f"{place} needs weights=SOURCE: without, its weights are random (imagenet, keras, "
                "torchvision, timm/..., or a path)"
            )
        network = inference.open_network(place, weights, options, _warn)
    elif weights is not None or options:
        given = "weights" if weights is not None else next(iter(options))
        raise ValueError(f"{given}=...: a model in memory has its weights and options already")
    else:
        network = inference.of_model(model, _warn)
    return network if classes is None else inference.with_classes(network, classes)


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=3)
