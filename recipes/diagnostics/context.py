"""What the checks look at: a recipe, its data, and networks made as training makes them."""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from recipes.data import batches as data_sets
from recipes.data.types import Data, Split
from recipes.evaluation.metrics import log_probabilities
from recipes.recipe import Recipe, replace
from recipes.training import network as network_of
from zoo import complexity
from zoo.graph import layers_of

STEPS = 100  # the lectures' "within about 100 iterations"
# Of one training step on a CPU, forward: about a second on two cores.
MOST_MACS = 2.5e10
LEAST_BATCH = 8
MOST_BYTES = 1 << 28  # of the training batches that are kept

Shape = tuple[int, int, int]


def network(recipe: Recipe, data: Data, small: Shape | None = None) -> keras.Model:
    """The network as recipes.train starts it, fresh.

    Args:
        small: another input shape, for images that are preprocessed already; the network then
            starts without weights from elsewhere.
    """
    keras.utils.set_random_seed(recipe.seed)
    if small is not None:
        recipe = replace(
            recipe, preprocess="none", weights=None, data_init=None, head="kept", freeze=None
        )
    return network_of.make(recipe, data, small or shape_of(recipe, data))


def shape_of(recipe: Recipe, data: Data) -> Shape:
    """Of the images that the network sees."""
    batches = data_sets.evaluation_batches(
        data.train, classes=len(data.classes), batch=1, ops=recipe.eval_ops
    )
    return tuple(batches.element_spec[0].shape[1:])


@dataclass(frozen=True)
class Context:
    """A recipe and its data, opened; what the checks share is made once, when one asks for it.

    Attributes:
        recipe: what is checked.
        data: with a validation set, whatever the recipe says.
        seconds: the most that one training of a check may take.
        make: makes the network of a recipe; see `network`.
        shared: what one check made and others look at, by name.
    """

    recipe: Recipe
    data: Data
    seconds: float = 60.0
    make: Callable[..., keras.Model] = network
    shared: dict[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> int:
        return len(self.data.classes)

    @property
    def plain(self) -> Recipe:
        """The recipe without regularization."""
        off = {"dropout": 0.0, "drop_path": 0.0}
        options = {k: v for k, v in self.recipe.options.items() if k not in off}
        return replace(
            self.recipe, **off, options=options, weight_decay=0.0, label_smoothing=0.0,
            accumulate=1,
        )  # fmt: skip

    @property
    def chance(self) -> float:
        """The loss of one who knows nothing: ln(classes); each class for itself, ln(2)."""
        return float(np.log(2 if self.recipe.loss == "bce" else self.classes))

    def network(self, recipe: Recipe) -> keras.Model:
        """A fresh network, in the recipe's precision."""
        with network_of.precision(recipe.dtype):
            return self.make(recipe, self.data)

    @functools.cached_property
    def batch(self) -> int:
        """The recipe's, or on a CPU what a large network computes in about a second."""
        if tf.config.list_physical_devices("GPU"):
            return self.recipe.batch
        layers = layers_of(self.network(self.plain))
        macs = sum(complexity.macs(layer) or 0 for layer in layers)
        return min(self.recipe.batch, max(LEAST_BATCH, int(MOST_MACS / max(macs, 1))))

    @functools.cached_property
    def batches(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The first STEPS training batches, or as many as fit in memory, augmented."""
        made, _ = data_sets.training_batches(
            self.data.train, classes=self.classes, batch=self.batch, ops=self.recipe.augment,
            seed=self.recipe.seed, first_epoch=0, epochs=STEPS,
        )  # fmt: skip
        found, size = [], 0
        for images, labels in itertools.islice(made.as_numpy_iterator(), STEPS):
            found.append((images, labels))
            size += images.nbytes
            if size + images.nbytes > MOST_BYTES:
                break
        return found

    def batch_at(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        return self.batches[step % len(self.batches)]

    def sample(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Training images in random order, not augmented, and their labels [N, classes]."""
        return self._drawn(self.data.train, count)

    def unseen(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Images of the validation set in random order, and their labels."""
        assert self.data.validation is not None
        return self._drawn(self.data.validation, count)

    def _drawn(self, split: Split, count: int) -> tuple[np.ndarray, np.ndarray]:
        made, _ = data_sets.training_batches(
            split, classes=self.classes, batch=min(count, split.count), ops=self.recipe.eval_ops,
            seed=self.recipe.seed, first_epoch=0, epochs=1,
        )  # fmt: skip
        return next(made.as_numpy_iterator())


def opened(recipe: Recipe, seconds: float = 60.0) -> Context:
    """Open the recipe's data; a tenth of the training set is set aside if it has no validation.

    Raises:
        ValueError: as recipes.open_data, or the batch is larger than the training set.
    """
    data = data_sets.open_for(recipe, validation=recipe.validation or 0.1)
    if recipe.batch > data.train.count:
        raise ValueError(f"batch={recipe.batch} is more than the {data.train.count} images")
    return Context(recipe, data, seconds)


def logits(model: keras.Model, images: Any, training: bool, batch: int = 256) -> np.ndarray:
    """The network's logits [N, classes], without those of auxiliary heads, batch by batch."""
    parts = []
    for start in range(0, len(images), batch):
        made = model(tf.constant(images[start : start + batch]), training=training)
        parts.append(np.asarray(keras.tree.flatten(made)[0], np.float64))
    return np.concatenate(parts)


def cross_entropy(context: Context, found: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The loss of each image [N], without smoothing, in float64."""
    z, y = np.asarray(found, np.float64), np.asarray(labels, np.float64)
    if context.recipe.loss == "bce":
        return np.mean(np.logaddexp(0, z) - y * z, axis=1)
    return -np.sum(y * log_probabilities(z), axis=1)
