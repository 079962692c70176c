"""Named networks with pretrained weights, as members of an evaluation on ImageNet's classes."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import zoo
from recipes.evaluation.tta import Augmented, Mirrored, Views
from recipes.run import Run
from zoo import geometry, imagenet_names, inference
from zoo.checkpoints.sources import source, table
from zoo.early_checks import check_network
from zoo.geometry import TooLarge
from zoo.inference import Network
from zoo.lazy import tensorflow as tf
from zoo.registry import find
from zoo.terminal import print_once

CLASSES = 1000
LOSS = "softmax"  # that of the published trainings


@dataclass(frozen=True)
class Published:
    """A named network with pretrained weights that classify ImageNet's 1,000 classes.

    Attributes:
        name: the name of the network.
        weights: a source of weights or the path of a file, as in `zoo.build`.
        preprocess: the source whose preprocessing a file's weights expect, False for none, or None.
    """

    name: str
    weights: Any
    preprocess: Any = None

    @property
    def path(self) -> str:
        """The network and its weights, for messages in which a run has its path."""
        return f"{self.name} ({self.source})"

    @property
    def source(self) -> str:
        """The name or path of the weights."""
        return str(getattr(self.weights, "name", self.weights))

    @property
    def classes(self) -> tuple[str, ...]:
        return imagenet_names.unique_names()

    def check(self) -> None:
        """Check the weights without importing Keras.

        Raises:
            ValueError: there are no such weights, or they have other classes than ImageNet's.
        """
        if self.weights is None:
            known = table().get(self.name)
            weights = "imagenet" if known and "imagenet" in known else next(iter(known or ()), "")
            raise ValueError(
                f"weights=None: {self.name} would be evaluated with random weights; run `recipes"
                f" evaluate {self.name} --weights={weights or 'FILE'} --data=folder:PATH`"
                + (f" (`zoo names weights {self.name}` lists all sources)" if weights else "")
            )
        check_network(self.name, self.weights, {"preprocess": self.preprocess})
        if not str(self.weights).startswith("timm/"):  # those may be described on their hub only
            found = source(self.name, self.weights)
            self._check_classes(found.classes if found else zoo.describe(self.name)["classes"])

    def open(self) -> Network:
        """Build the network with its weights, preprocessing and geometry, as `zoo predict` does.

        Raises:
            ValueError: the weights cannot be loaded, or have other classes than ImageNet's.
        """
        options = {} if self.preprocess is None else {"preprocess": self.preprocess}
        network = inference.open_network(self.name, self.weights, options, print_once)
        self._check_classes(network.model.output.shape[-1])
        return network

    def _check_classes(self, count: int) -> None:
        if count != CLASSES:
            raise ValueError(
                f"weights={self.source!r}: {self.name} has {count} outputs with them; only weights"
                " for ImageNet's 1,000 classes can be evaluated by the name of a network"
            )


def is_network(given: str | Path | Run) -> bool:
    """Return whether a member of an evaluation is the name of a network and not a run.

    Raises:
        ValueError: it is neither a directory nor a name, but similar to a name.
    """
    text = os.fspath(given) if isinstance(given, (str, os.PathLike)) else ""
    if not text or (Path(text) / "recipe.json").is_file():
        return False
    try:
        find(text)
    except ValueError:
        near = difflib.get_close_matches(text, zoo.list_models(), n=1, cutoff=0.8)
        if near and not Path(text).exists():
            raise ValueError(
                f"run={text!r}: there is no such directory, and no network has this name; did you"
                f" mean {near[0]!r}?"
            ) from None
        return False
    return True


def published(names: Sequence[str], weights: Any, preprocess: Any = None) -> list[Published]:
    """Return the named networks with their weights.

    Args:
        names: the names of the networks.
        weights: one source or path for all networks, or one for each, as a sequence or separated
            by ";".
        preprocess: the preprocessing of files of weights.

    Raises:
        ValueError: a network has no weights, or they do not exist or have other classes than
            ImageNet's; or the number of weights is not 1 or that of the networks.
    """
    several = weights.split(";") if isinstance(weights, str) else weights
    several = several if isinstance(several, (list, tuple)) else [several]
    if len(several) not in (1, len(names)):
        raise ValueError(
            f"weights={weights!r}: {len(several)} weights for {len(names)} networks; give one for"
            " all, or one for each"
        )
    if preprocess in ("False", "false"):  # of the command line
        preprocess = False
    each = several * len(names) if len(several) == 1 else several
    found = [
        Published(name, own.strip() if isinstance(own, str) else own, preprocess)
        for name, own in zip(names, each, strict=True)
    ]
    for one in found:
        one.check()
    return found


@dataclass(frozen=True)
class Shown:
    """Show the network an image as `zoo predict` does: by the same reader and geometry.

    Attributes:
        network: the network.
        ratios: for ten crops, the sides of the resized image divided by those of the input.
        too_large: receives an error that names what cannot be resized.
    """

    network: Network
    ratios: tuple[float, ...] = ()
    too_large: list[TooLarge] = field(default_factory=list)

    def __call__(self, image, seed):
        shape = (*self.network.size, image.shape[-1])
        views = (10 * len(self.ratios),) if self.ratios else ()
        return tf.ensure_shape(tf.numpy_function(self._view, [image], tf.uint8), (*views, *shape))

    def _view(self, pixels: np.ndarray) -> np.ndarray:
        network = self.network
        try:
            if not self.ratios:
                return network.views(pixels)[0][0].astype(np.uint8)
            crops = [
                geometry.ten_crops(pixels, network.checked_geometry(), network.size, ratio)
                for ratio in self.ratios
            ]
            return np.concatenate(crops).astype(np.uint8)
        except TooLarge as error:
            self.too_large.append(error)
            raise


def ops_for(network: Network, views: Views, seed: int) -> tuple:
    """Return ops from a raw image to its views, like `Views.ops_for` for the recipe of a run.

    Raises:
        ValueError: the views need the augmentation of a recipe, or a side is shorter than the
            network's input.
    """
    if views.kind == "one":
        return (Shown(network),)
    if views.kind == "flip":
        return (Shown(network), Mirrored())
    if views.kind == "shifts":
        return (Shown(network), views.shifted(network.size))
    if views.kind == "augment":
        if views.ops is None:
            raise ValueError(
                f"tta={views.text!r}: a named network has no recipe with augmentation; name the"
                f" ops, such as {views.text}:PadCrop(2)"
            )
        return (Shown(network), Augmented(views.ops, views.count, seed))
    return (Shown(network, views.ratios(network.size)),)
