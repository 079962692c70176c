"""Models with what they need for inference: class names, input size and image geometry."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo import geometry, imagenet_names, old_runs, registry, saved_runs
from zoo.checkpoints import pretrained
from zoo.files import one_line
from zoo.flattening import graph_of
from zoo.geometry import Geometry
from zoo.lazy import keras
from zoo.terminal import plural


@dataclass(frozen=True)
class Network:
    """A model with its metadata: class names, input size, resizing and cropping.

    Attributes:
        name: the name, run directory or file that the user passed.
        model: the Keras model, from raw pixels (0 to 255) to logits.
        classes: the names of its classes, in the order of the logits; () if they are unknown.
        size: the height and width of its input.
        geometry: how images are resized and cropped; None if a run's evaluation has other ops.
        beyond: the op in the run's eval_ops that the geometry cannot describe, or "".
    """

    name: str
    model: Any
    classes: tuple[str, ...]
    size: tuple[int, int]
    geometry: Geometry | None
    beyond: str = ""

    @property
    def channels(self) -> int:
        """The number of channels of the image that the model takes."""
        return self.model.input.shape[-1]

    def name_of(self, number: int) -> str:
        """Return the name of a class; "class 3" if the names are unknown."""
        return self.classes[number] if self.classes else f"class {number}"

    def checked_geometry(self) -> Geometry:
        """Return the geometry.

        Raises:
            ValueError: the run's evaluation applies other ops than resizing and cropping.
        """
        if self.geometry is None:
            raise ValueError(
                f"model={self.name!r}: the run's eval_ops contain {self.beyond}, but zoo only"
                " resizes and crops; predict in Python with recipes.open(RUN).predict(images), or"
                " measure the accuracy with `recipes evaluate RUN`"
            )
        return self.geometry

    def views(self, pixels: np.ndarray, tta: bool = False) -> tuple[np.ndarray, bool]:
        """Resize and crop an image for the network.

        Args:
            pixels: the image, (height, width, channels), with values from 0 to 255.
            tta: whether to return ten crops instead of one (see `zoo.geometry.ten_crops`).

        Returns:
            The views of the image, float32 (views, height, width, channels), and whether it was
            also fitted to the network's input (resized to cover it and cropped), because the
            geometry results in another size.
        """
        steps = self.checked_geometry()
        if tta:
            return geometry.ten_crops(pixels, steps, self.size).astype(np.float32), False
        view = steps(pixels)
        fitted = view.shape[:2] != self.size
        if fitted:
            view = geometry.fitted(view, self.size, steps.library)
        return view[None].astype(np.float32), fitted


def open_network(
    place: str, weights: str | None, options: dict[str, Any], say: Callable[[str], object] = print
) -> Network:
    """Open a run directory or a saved model, or build a network by name.

    Args:
        place: a run directory of `recipes`, a saved model (.keras) of this library, or a name in
            `list_models()`.
        weights: for a name, a source or a path as in `zoo.build`; None keeps the initial weights.
        options: for a name, further arguments of `zoo.build`.
        say: a function that is called with warnings.

    Raises:
        ValueError: the network or source does not exist, or weights or options are given for a
            run or a saved model.
    """
    if is_name(place):
        return _of_zoo(place, weights, options, say)
    path = Path(place)
    if path.is_dir():
        saved_runs.check(path, f"model={place!r}")
    if weights is not None or options:
        name, value = ("weights", weights) if weights is not None else next(iter(options.items()))
        raise ValueError(
            f"{name}={value!r}: does not apply to {place}, which is a trained network; omit it"
        )
    from zoo.building import load

    if path.is_dir():
        return of_run(place, saved_runs.open_model(path, f"model={place!r}"), path)
    return of_run(place, load(path), path.parent)


def is_name(place: str) -> bool:
    """Return whether `place` is the name of a network, not a run directory or a file.

    Raises:
        ValueError: it is none of these.
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
                f"model={place!r}: there is no such run directory or saved model (.keras); check "
                "the path"
            ) from None
        raise
    return True


def _of_zoo(name: str, weights: str | None, options: dict[str, Any], say) -> Network:
    from zoo.building import build
    from zoo.checkpoints.sources import source

    for key in ("name", "weights"):
        if key in options:
            raise ValueError(
                f"{key}={options[key]!r}: not an option of zoo.build here; pass the name of the "
                "network as MODEL, and weights as `--weights SOURCE`"
            )
    registry.find(name)
    found = None if weights is None else source(name, weights)
    if found is None and isinstance(options.get("preprocess"), str):
        found = source(name, options["preprocess"])
    model = build(name, weights=weights, **options)
    if found is None and weights is not None and "preprocess" not in options:
        say(
            f"weights={str(weights)!r}: a file does not define its preprocessing, so {name} takes "
            "raw pixels from 0 to 255; pass --preprocess=SOURCE for the preprocessing of a source, "
            "or --preprocess=False if raw pixels are right"
        )
    return plain(name, model) if found is None else of_source(name, model, found)


def of_source(name: str, model, found) -> Network:
    """Return a Network for a model with the weights or the preprocessing of a `zoo.Source`."""
    ours = found.classes == 1000 and model.output.shape[-1] == 1000
    size = _size(model, found.size)
    shown = geometry.of_source(size, found.crop, found.interpolation)
    return Network(name, model, imagenet_names.names() if ours else (), size, shown)


def of_model(model, say: Callable[[str], object]) -> Network:
    """Return a Network for a model in memory.

    A model made by `zoo.build(weights=SOURCE)` has the geometry of that source.

    Args:
        model: the Keras model.
        say: a function that is called with a warning if a network of zoo has no preprocessing.

    Raises:
        ValueError: it is not a Keras model from images to one vector.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"model={model!r}: not a run directory, a saved model, the name of a network, or a"
            " Keras model"
        )
    graph = graph_of(model)
    if [len(each.shape) for each in (*graph.inputs, *graph.outputs)] != [4, 2]:
        raise ValueError(
            f"model={model.name}: not a classifier; pass a model that takes one batch of images and"
            " returns one vector of logits for each image"
        )
    if model in pretrained.SOURCES:
        return of_source(model.name, model, pretrained.SOURCES[model])
    inputs = [layer for layer in graph.layers if layer.name.startswith("input_")]
    if len(inputs) == 1 and inputs[0].name == "input_image":
        say(
            f"{model.name} has no preprocessing layer and takes raw pixels from 0 to 255; if it was"
            " trained with preprocessed images, build it with preprocess=SOURCE"
        )
    return plain(model.name, model)


def plain(name: str, model) -> Network:
    """Return a Network for a model without metadata.

    Images are resized to cover its input and cropped. If it takes any size, they become 224 x 224.
    """
    model = graph_of(model)
    size = _size(model, 224)
    return Network(name, model, (), size, geometry.of_source(size))


def with_classes(network: Network, classes: Sequence[str]) -> Network:
    """Return the network with other names for its classes.

    Raises:
        ValueError: the number of names is not the number of logits.
    """
    names, count = tuple(str(each) for each in classes), network.model.output.shape[-1]
    if len(names) != count:
        raise ValueError(
            f"classes={one_line(list(names), 60)}: {plural(len(names), 'name')} for "
            f"{plural(count, 'output')} of {network.name}; pass one name for each output"
        )
    return replace(network, classes=names)


def of_run(name: str, model, path: Path) -> Network:
    """Return a Network for a run directory of `recipes`.

    Args:
        name: the name of the run, for messages.
        model: its model.
        path: the directory.

    Raises:
        ValueError: its inference.json, or the recipe.json of an older run, is damaged.
    """
    file = path / "inference.json"
    if file.name in saved_runs.digests(path) and (wrong := saved_runs.problem(path, file.name)):
        again = f"{saved_runs.repair(path)} writes it again from the checkpoint"
        raise ValueError(f"model={name!r}: {wrong}; {again}")
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
        raise ValueError(
            f"model={name!r}: its {file.name} is damaged ({type(error).__name__}: "
            f"{one_line(error, 200)}); restore it, or train the run again"
        ) from None
    if len(classes) != model.output.shape[-1]:
        raise ValueError(
            f"model={name!r}: {file.name} has {plural(len(classes), 'class', 'classes')}, but the "
            f"network has {model.output.shape[-1]} outputs; both files must be from the same run"
        )
    size = model.input.shape[1:3]
    if None in size:
        size = (shown and shown.size) or _whole_pixels(about.get("input"))
    return Network(name, model, classes, tuple(size), shown, beyond)


def _whole_pixels(given: Any) -> tuple[int, int]:
    """Return the height and width in inference.json, for a network that takes any size."""
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
    """Return the height and width of a model's input; `otherwise` for those of any size."""
    height, width = model.input.shape[1:3]
    return height or otherwise, width or otherwise


def embeddings(maps, views: list[np.ndarray]) -> np.ndarray:
    """Return the feature vectors of images: a stage's feature maps, averaged over positions.

    Args:
        maps: a model made by `zoo.features` for one stage.
        views: one view of each image, (1, height, width, channels).

    Returns:
        float64 (images, channels).
    """
    (values,) = maps.predict_on_batch(np.concatenate(views)).values()
    values = np.asarray(values, np.float64)
    return values.mean((1, 2)) if values.ndim == 4 else values.reshape(len(values), -1)
