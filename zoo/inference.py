"""A network with what it does not say of itself, and what it says of images."""

import csv
import importlib.resources
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo import registry


@dataclass(frozen=True)
class Network:
    """A model and what it does not say of itself.

    Attributes:
        name: what was asked for.
        model: raw pixels to logits.
        classes: their names; () if nobody knows them.
        size: height and width of its input.
        crop: the part of the resized image's side that is cut out.
        interpolation: of the resizing: "bilinear", "bicubic", ...
        stretch: images are resized to the input's size whatever their aspect ratio.
    """

    name: str
    model: Any
    classes: tuple[str, ...]
    size: tuple[int, int]
    crop: float = 1.0
    interpolation: str = "bilinear"
    stretch: bool = False

    @property
    def channels(self) -> int:
        return self.model.input.shape[-1]

    def name_of(self, number: int) -> str:
        return self.classes[number] if self.classes else f"class {number}"


def open_network(
    place: str, weights: str | None, options: dict[str, Any], say: Callable[[str], object] = print
) -> Network:
    """The network of a run directory, of a saved model, or of a zoo's name and weights.

    Args:
        place: a directory of `recipes` with model.keras and recipe.json, a .keras file of
            ours, or a name of `list_models()`.
        weights: of a name: a source or a path, as `zoo.build` takes it; None leaves the
            initial ones.
        options: of `zoo.build`, for a name.
        say: takes a warning.

    Raises:
        ValueError: there is no such network or source, or a saved network is given weights
            or options.
    """
    if is_name(place):
        return _of_zoo(place, weights, options, say)
    path = Path(place)
    if path.is_dir():
        path = path / "model.keras"
        if not path.is_file():
            raise ValueError(f"{place!r} is not a finished run: it has no model.keras")
    if weights is not None or options:
        given = "--weights" if weights is not None else f"--{next(iter(options))}"
        raise ValueError(f"{place} is a trained network: it takes no {given}")
    return _saved(place, path)


def is_name(place: str) -> bool:
    """Whether it is a network's name, not a run directory or a file.

    Raises:
        ValueError: it is none of them.
    """
    path = Path(place)
    if path.suffix == ".keras" or (path / "model.keras").is_file():
        return False
    try:
        registry.find(place)
    except ValueError:
        if path.is_dir():
            return False
        raise
    return True


def _of_zoo(name: str, weights: str | None, options: dict[str, Any], say) -> Network:
    from zoo.building import build
    from zoo.checkpoints.sources import source

    for key in ("name", "weights"):
        if key in options:
            raise ValueError(f"{key} is not an option: write NAME --weights SOURCE")
    registry.find(name)
    found = None if weights is None else source(name, weights)
    if found is None and isinstance(options.get("preprocess"), str):
        found = source(name, options["preprocess"])
    model = build(name, weights=weights, **options)
    if found is None and weights is not None and "preprocess" not in options:
        say(
            f"{weights} does not say what its pixels went through, and {name} is given 0 to 255: "
            "--preprocess=SOURCE does as a source (--preprocess=False says that 0 to 255 is right)"
        )
    if found is None:
        return Network(name, model, (), _size(model, 224))
    ours = found.classes == 1000 and model.output.shape[-1] == 1000
    return Network(
        name,
        model,
        imagenet_classes() if ours else (),
        _size(model, found.size),
        found.crop,
        found.interpolation,
    )


def _saved(name: str, path: Path) -> Network:
    """A .keras file; the recipe.json beside it has its classes, and how it was shown images."""
    from zoo.building import load

    model = load(path)
    file = path.with_name("recipe.json")
    size = _size(model, 224)
    if not file.is_file():
        return Network(name, model, (), size)
    try:
        about = json.loads(file.read_text("utf-8"))
        classes = tuple(str(each) for each in about["classes"])
        ops = [str(op) for op in about["recipe"].get("eval_ops", ())]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is not a run's recipe.json ({error!r})") from None
    if len(classes) != model.output.shape[-1]:
        raise ValueError(
            f"{file} has {len(classes)} classes, and the network {model.output.shape[-1]} outputs"
        )
    short = re.search(r"ResizeShort\((?:size=)?(\d+)", " ".join(ops))
    return Network(
        name,
        model,
        classes,
        size,
        crop=min(1.0, max(size) / int(short[1])) if short else 1.0,
        stretch=any(op.startswith("Resize(") for op in ops),
    )


def _size(model, otherwise: int) -> tuple[int, int]:
    height, width = model.input.shape[1:3]
    return height or otherwise, width or otherwise


def imagenet_classes() -> tuple[str, ...]:
    """The names of ImageNet's 1,000 classes (ILSVRC 2012), in the order of the logits."""
    text = importlib.resources.files("zoo").joinpath("imagenet_classes.csv").read_text("utf-8")
    return tuple(row["name"] for row in csv.DictReader(text.splitlines()))


def probabilities(network: Network, seen: list[np.ndarray]) -> np.ndarray:
    """(images, classes), of each image the mean over its views, in float64.

    Raises:
        ValueError: the network does not end in one vector an image, or its logits are not
            finite.
    """
    if len(getattr(network.model.output, "shape", ())) != 2:
        raise ValueError(f"{network.name} does not end in vectors: it tells no classes apart")
    logits = np.asarray(network.model.predict_on_batch(np.concatenate(seen)), np.float64)
    if not np.isfinite(logits).all():
        raise ValueError(f"the logits of {network.name} are not finite")
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    return shares.reshape(len(seen), -1, shares.shape[-1]).mean(1)


def embeddings(maps, seen: list[np.ndarray]) -> np.ndarray:
    """(images, channels): the average over places of a stage's maps, in float64.

    Args:
        maps: `zoo.features` of one stage.
        seen: of each image one view, with the batch.
    """
    (values,) = maps.predict_on_batch(np.concatenate(seen)).values()
    values = np.asarray(values, np.float64)
    return values.mean((1, 2)) if values.ndim == 4 else values.reshape(len(values), -1)
