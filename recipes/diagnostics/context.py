"""The input of all checks: a recipe, its data, and networks built as training builds them."""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from recipes.data.batches import evaluation_batches, open_for, training_batches
from recipes.data.types import Data, Split
from recipes.evaluation.metrics import log_probabilities
from recipes.recipe import Recipe, replace
from recipes.training.network import build_network, dtype_policy
from zoo import complexity
from zoo.graph import layers_of
from zoo.terminal import plural

STEPS = 100  # the lectures' "within about 100 iterations"
# Limit on the MACs of one forward pass on a CPU; such a training step takes about 1 s on 2 cores.
MOST_MACS = 2.5e10
LEAST_BATCH = 8
MOST_BYTES = 1 << 28  # memory limit for the training batches that are kept

Shape = tuple[int, int, int]


def network(recipe: Recipe, data: Data, small: Shape | None = None) -> keras.Model:
    """Build a new network as recipes.train does.

    Args:
        small: a different input shape, for images that are already preprocessed. The network is
            then built without pretrained weights.
    """
    keras.utils.set_random_seed(recipe.seed)
    if small is not None:
        recipe = replace(
            recipe, preprocess="none", weights=None, data_init=None, head="kept", freeze=None
        )
    return build_network(recipe, data, small or shape_of(recipe, data))


def shape_of(recipe: Recipe, data: Data) -> Shape:
    """Return the shape of the images after the evaluation ops."""
    batches = evaluation_batches(
        data.train, classes=len(data.classes), batch=1, ops=recipe.eval_ops
    )
    return tuple(batches.element_spec[0].shape[1:])


@dataclass(frozen=True)
class Context:
    """A recipe and its data, with values that several checks share and that are computed once.

    Attributes:
        recipe: the recipe to check.
        data: its data; it always has a validation set, even if the recipe asks for none.
        seconds: time limit for one training within a check.
        make: function that builds the network of a recipe; see `network`.
        shared: results of one check that other checks use, by name.
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
        """The recipe without dropout, drop path, weight decay and label smoothing."""
        off = {"dropout": 0.0, "drop_path": 0.0}
        options = {k: v for k, v in self.recipe.options.items() if k not in off}
        return replace(
            self.recipe, **off, options=options, weight_decay=0.0, label_smoothing=0.0,
            accumulate=1,
        )  # fmt: skip

    @property
    def chance(self) -> float:
        """The loss of uniform predictions: ln(classes), or ln(2) for binary cross-entropy."""
        return float(np.log(2 if self.recipe.loss == "bce" else self.classes))

    def network(self, recipe: Recipe) -> keras.Model:
        """Build a new network under the recipe's dtype policy."""
        with dtype_policy(recipe.dtype):
            return self.make(recipe, self.data)

    @functools.cached_property
    def batch(self) -> int:
        """The recipe's batch size; on a CPU, smaller for large networks (about 1 s per step)."""
        if tf.config.list_physical_devices("GPU"):
            return self.recipe.batch_size
        layers = layers_of(self.network(self.plain))
        macs = sum(complexity.macs(layer) or 0 for layer in layers)
        return min(self.recipe.batch_size, max(LEAST_BATCH, int(MOST_MACS / max(macs, 1))))

    @functools.cached_property
    def batches(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """The first STEPS augmented training batches, or as many as fit in MOST_BYTES."""
        batches, _ = training_batches(
            self.data.train, classes=self.classes, batch=self.batch, ops=self.recipe.augment,
            seed=self.recipe.seed, first_epoch=0, epochs=STEPS,
        )  # fmt: skip
        kept, size = [], 0
        for images, labels in itertools.islice(batches.as_numpy_iterator(), STEPS):
            kept.append((images, labels))
            size += images.nbytes
            if size + images.nbytes > MOST_BYTES:
                break
        return kept

    def batch_at(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        return self.batches[step % len(self.batches)]

    def sample(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return random training images without augmentation, and their labels [N, classes]."""
        return self._random_batch(self.data.train, count)

    def unseen(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return random images of the validation set, and their labels [N, classes]."""
        assert self.data.validation is not None
        return self._random_batch(self.data.validation, count)

    def _random_batch(self, split: Split, count: int) -> tuple[np.ndarray, np.ndarray]:
        batches, _ = training_batches(
            split, classes=self.classes, batch=min(count, split.count), ops=self.recipe.eval_ops,
            seed=self.recipe.seed, first_epoch=0, epochs=1,
        )  # fmt: skip
        return next(batches.as_numpy_iterator())


def opened(recipe: Recipe, seconds: float = 60.0) -> Context:
    """Open the recipe's data; without a validation set, hold out a tenth of the training set.

    Raises:
        ValueError: as in recipes.open_data, or if the batch is larger than the training set.
    """
    data = open_for(recipe, validation=recipe.validation or 0.1)
    if recipe.batch_size > data.train.count:
        raise ValueError(
            f"batch_size={recipe.batch_size}: larger than the training set of"
            f" {plural(data.train.count, 'image')}; choose a smaller batch size"
        )
    return Context(recipe, data, seconds)


def logits(model: keras.Model, images: Any, training: bool, batch: int = 256) -> np.ndarray:
    """Compute the logits [N, classes] in batches, without those of auxiliary heads."""
    parts = []
    for start in range(0, len(images), batch):
        outputs = model(tf.constant(images[start : start + batch]), training=training)
        parts.append(np.asarray(keras.tree.flatten(outputs)[0], np.float64))
    return np.concatenate(parts)


def cross_entropy(context: Context, logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the loss of each image [N], without label smoothing, in float64."""
    z, y = np.asarray(logits, np.float64), np.asarray(labels, np.float64)
    if context.recipe.loss == "bce":
        return np.mean(np.logaddexp(0, z) - y * z, axis=1)
    return -np.sum(y * log_probabilities(z), axis=1)
