"""Models with what they need for inference: class names, input size and image geometry."""

import csv
import importlib.resources
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo import geometry, old_runs, registry
from zoo.checkpoints import pretrained
from zoo.flattening import graph_of
from zoo.geometry import Geometry
from zoo.lazy import keras


@dataclass(frozen=True)
class Network:
    """A model, and what it needs for inference but does not contain.

    Attributes:
        name: what the user asked for.
        model: the Keras model, from raw pixels (0 to 255) to logits.
        classes: the names of its classes, in the order of the logits; () if they are unknown.
        size: height and width of its input.
        geometry: how images are resized and cropped; None if a run's evaluation has other ops.
        beyond: the op of the run's eval_ops that the geometry cannot describe.
    """

    name: str
    model: Any
    classes: tuple[str, ...]
    size: tuple[int, int]
    geometry: Geometry | None
    beyond: str = ""

    @property
    def channels(self) -> int:
        return self.model.input.shape[-1]

    def name_of(self, number: int) -> str:
        return self.classes[number] if self.classes else f"class {number}"

    def checked_geometry(self) -> Geometry:
        """Return the geometry.

        Raises:
            ValueError: the run's evaluation goes beyond it.
        """
        if self.geometry is None:
            raise ValueError(
                f"{self.name}: its eval_ops contain {self.beyond}, which is more than resizing and"
                " cropping; predict in Python with recipes.open(RUN).predict(images), or measure"
                " it with `recipes evaluate RUN`"
            )
        return self.geometry

    def views(self, pixels: np.ndarray, tta: bool = False) -> tuple[np.ndarray, bool]:
        """Return what the network sees of an image.

        Args:
            pixels: (height, width, channels), 0 to 255.
            tta: whether to show ten crops instead of one (see `zoo.geometry.ten_crops`).

        Returns:
            float32 (views, height, width, channels), and whether the geometry left the image at
            another size than the network's, so that it was resized to cover it and cropped.
        """
        steps = self.checked_geometry()
        if tta:
            return geometry.ten_crops(pixels, steps, self.size).astype(np.float32), False
        seen = steps(pixels)
        other = seen.shape[:2] != self.size
        if other:
            seen = geometry.fitted(seen, self.size, steps.library)
        return seen[None].astype(np.float32), other


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
    from zoo.building import load

    return of_run(place, load(path), path.parent)


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
        if os.sep in place:
            raise ValueError(
                f"MODEL={place}: there is no such run directory or saved model (.keras)"
            ) from None
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
    return plain(name, model) if found is None else of_source(name, model, found)


def of_source(name: str, model, found) -> Network:
    """Return a model with the weights or the preprocessing of a `zoo.Source`."""
    ours = found.classes == 1000 and model.output.shape[-1] == 1000
    size = _size(model, found.size)
    shown = geometry.of_source(size, found.crop, found.interpolation)
    return Network(name, model, imagenet_classes() if ours else (), size, shown)


def of_model(model, say: Callable[[str], object]) -> Network:
    """Return a model in memory; one of `zoo.build(weights=SOURCE)` with its source's geometry.

    Args:
        say: is given a warning if it is one of our networks, made for preprocessed images.

    Raises:
        ValueError: it is not a Keras model from images to one vector.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"model={model!r} is not a run directory, a saved model, the name of a network, or a"
            " Keras model"
        )
    graph = graph_of(model)
    if [len(each.shape) for each in (*graph.inputs, *graph.outputs)] != [4, 2]:
        raise ValueError(
            f"model={model.name}: it does not take one batch of images and return one vector of"
            " logits for each"
        )
    if model in pretrained.SOURCES:
        return of_source(model.name, model, pretrained.SOURCES[model])
    inputs = [layer for layer in graph.layers if layer.name.startswith("input_")]
    if len(inputs) == 1 and inputs[0].name == "input_image":
        say(
            f"{model.name} has no preprocessing layer and is shown raw pixels from 0 to 255; if it"
            " was trained on others, build it with preprocess=SOURCE"
        )
    return plain(model.name, model)


def plain(name: str, model) -> Network:
    """Return a model of which nothing is known but what it is made of.

    Images are resized to cover its input (224 x 224 where that is of any size) and cropped.
    """
    model = graph_of(model)
    size = _size(model, 224)
    return Network(name, model, (), size, geometry.of_source(size))


def with_classes(network: Network, classes: Sequence[str]) -> Network:
    """Return the network with other names of its classes.

    Raises:
        ValueError: there are more or fewer of them than logits.
    """
    names, count = tuple(str(each) for each in classes), network.model.output.shape[-1]
    if len(names) != count:
        raise ValueError(f"classes=...: {len(names)} names for {count} outputs of {network.name}")
    return replace(network, classes=names)


def of_run(name: str, model, path: Path) -> Network:
    """Return the network of a run directory of `recipes`.

    Args:
        name: of the run, for messages.
        model: its model.
        path: the directory.

    Raises:
        ValueError: its inference.json, or an old run's recipe.json, is damaged.
    """
    file = path / "inference.json"
    old = not file.is_file()
    if old:
        file = path / "recipe.json"
        if not file.is_file():
            return plain(name, model)
    try:
        about = json.loads(file.read_text("utf-8"))
        classes = tuple(str(each) for each in about["classes"])
        shown, beyond = _of_old_run(about) if old else _of_inference_json(about)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is not a run's {file.name} ({error!r})") from None
    if len(classes) != model.output.shape[-1]:
        raise ValueError(
            f"{file} has {len(classes)} classes, and the network {model.output.shape[-1]} outputs"
        )
    size = model.input.shape[1:3]
    if None in size:
        size = (shown and shown.size) or _whole_pixels(about.get("input"))
    return Network(name, model, classes, tuple(size), shown, beyond)


def _whole_pixels(given: Any) -> tuple[int, int]:
    """Return the height and width that inference.json has of a network for images of any size."""
    pair = given[:2] if isinstance(given, list) else []
    return (pair[0], pair[1]) if [type(n) for n in pair] == [int, int] else (224, 224)


def _of_inference_json(about: dict[str, Any]) -> tuple[Geometry | None, str]:
    if about["geometry"] is None:
        return None, str(about["beyond"])
    return geometry.from_json(about["geometry"]), ""


def _of_old_run(about: dict[str, Any]) -> tuple[Geometry | None, str]:
    try:
        return old_runs.geometry(str(op) for op in about["recipe"].get("eval_ops", ())), ""
    except old_runs.BeyondGeometry as error:
        return None, str(error)


def _size(model, otherwise: int) -> tuple[int, int]:
    height, width = model.input.shape[1:3]
    return height or otherwise, width or otherwise


def imagenet_classes() -> tuple[str, ...]:
    """The names of ImageNet's 1,000 classes (ILSVRC 2012), in the order of the logits."""
    text = importlib.resources.files("zoo").joinpath("imagenet_classes.csv").read_text("utf-8")
    return tuple(row["name"] for row in csv.DictReader(text.splitlines()))


def embeddings(maps, seen: list[np.ndarray]) -> np.ndarray:
    """(images, channels): the average over places of a stage's maps, in float64.

    Args:
        maps: `zoo.features` of one stage.
        seen: of each image one view, with the batch.
    """
    (values,) = maps.predict_on_batch(np.concatenate(seen)).values()
    values = np.asarray(values, np.float64)
    return values.mean((1, 2)) if values.ndim == 4 else values.reshape(len(values), -1)
