"""Features: compute the outputs of the frozen layers once, and train the other layers on them.

The outputs are kept in the cache, so that the next training with the same frozen layers and the
same images only reads them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from recipes.data.batches import evaluation_batches
from recipes.data.types import Data, Split
from recipes.evaluation.tta import is_random
from recipes.recipe import Recipe
from zoo.files import cache_dir, write
from zoo.surgery import split_frozen
from zoo.terminal import plural

VERSION = 1  # version of the cache; increase it if the same layers compute other values
MOST_BYTES = 1 << 30  # features of the training and validation set, which are kept in memory


@dataclasses.dataclass(frozen=True)
class Features:
    """The frozen layers of a network, whose outputs are computed once.

    Attributes:
        frozen: model of the frozen layers, from raw pixels to features.
        rest: model of the other layers, from features to logits. It shares its layers with the
            network.
        say: function called with messages.
    """

    frozen: keras.Model
    rest: keras.Model
    say: Callable[[str], object]

    def inputs(self, data: Data, recipe: Recipe) -> tuple[Data, Recipe]:
        """Return the data with features instead of images, and the recipe without operations."""
        size = recipe.batch_size
        changed = dataclasses.replace(
            data,
            train=self.of(data.train, recipe.augment, size),
            validation=data.validation and self.of(data.validation, recipe.eval_ops, size),
            open_test=lambda: self.of(data.open_test(), recipe.eval_ops, size),
        )
        return changed, dataclasses.replace(recipe, augment=(), eval_ops=())

    def of(self, split: Split, ops: tuple, batch: int) -> Split:
        """Return the split with features instead of images, from the cache if they are there.

        Args:
            split: images and labels.
            ops: operations on the images, which must not depend on the epoch.
            batch: number of images that are processed at a time.
        """
        split = split.checked()
        path = cache_dir() / "features" / f"{self._key(split, ops)}.npy"
        shape = tuple(self.frozen.output.shape[1:])
        table = _read(path, (split.count, *shape))
        name = {"train": "training"}.get(split.name, split.name)
        what = f"outputs of the frozen layers for {plural(split.count, f'{name} image')}"
        if table is None:
            started = time.monotonic()
            batches = evaluation_batches(split, classes=1, batch=batch, ops=ops)
            images = batches.map(lambda images, labels: images)
            table = np.asarray(self.frozen.predict(images, verbose=0), np.float32)
            path.parent.mkdir(parents=True, exist_ok=True)
            write(path, lambda file: np.save(file, table), "wb")
            self.say(f"{what}: computed in {time.monotonic() - started:.0f} s; kept in {path}")
        else:
            self.say(f"{what}: read from {path}")
        with tf.device("CPU"):
            features = tf.constant(table)

        def lookup(*item) -> dict[str, Any]:
            example = split.lookup(*item)
            return {**example, "image": features[example["index"]]}

        return dataclasses.replace(split, encoded=False, shape=shape, lookup=lookup)

    def _key(self, split: Split, ops: tuple) -> str:
        """Return a digest of all that determines the features of a split."""
        digest = hashlib.sha256()
        config = json.dumps(_computing(self.frozen.get_config()), sort_keys=True, default=repr)
        versions = (VERSION, tf.__version__, keras.__version__)
        digest.update(repr((versions, split.fingerprint, split.count, ops, config)).encode())
        for weight in self.frozen.weights:
            digest.update(np.ascontiguousarray(weight.numpy()).tobytes())
        return digest.hexdigest()[:32]


def features(
    recipe: Recipe, network: keras.Model, data: Data, replicas: int, say: Callable[[str], object]
) -> Features | None:
    """Return the features of a recipe's network, or None if they are not computed once.

    Args:
        recipe: the recipe; its freeze, cache_features and augment are used.
        network: network whose layers are frozen already.
        data: data set.
        replicas: number of devices.
        say: function called with messages.

    Raises:
        ValueError: if cache_features is "always", but the features cannot be computed once.
    """
    if recipe.freeze is None or recipe.cache_features == "never":
        return None
    parts = split_frozen(network)
    reason = _obstacle(recipe, parts, data, replicas)
    if reason is None and parts is not None:
        return Features(*parts, say)
    if recipe.cache_features == "always":
        raise ValueError(f"cache_features='always': {reason}, or use cache_features='auto'")
    return None


def _obstacle(
    recipe: Recipe, parts: tuple[keras.Model, keras.Model] | None, data: Data, replicas: int
) -> str | None:
    """Return why the features cannot be computed once, and what to do; None if they can."""
    random = [op for op in recipe.augment if not callable(op) or is_random(op)]
    if random:
        return f"{random[0]!r} in augment gives an image other pixels in each epoch; remove it"
    if replicas > 1:
        return f"supports one device only, not {replicas}; use --strategy=one"
    if parts is None:
        return (
            f"the layers that freeze={recipe.freeze!r} freezes do not end in one tensor; freeze"
            " another stage"
        )
    shape = parts[0].output.shape[1:]
    if None in shape:
        return f"the size of the features is not fixed ({shape}); resize the images"
    count = data.train.count + (data.validation.count if data.validation else 0)
    size = 4 * count * math.prod(shape)
    if size > MOST_BYTES:
        return (
            f"the features of {plural(count, 'image')} need {size / 1e9:.1f} GB, more than"
            f" {MOST_BYTES / 1e9:.1f}; freeze a later stage"
        )
    return None


def _read(path: Path, shape: tuple[int | None, ...]) -> np.ndarray | None:
    """Return the array of a cache file; None if it does not exist or is damaged."""
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return table if table.shape == shape and table.dtype == np.float32 else None


def _computing(config: Any) -> Any:
    """Return the part of a model's config that affects what it computes with given weights."""
    if isinstance(config, dict):
        idle = ("seed", "trainable")
        return {
            key: _computing(value)
            for key, value in config.items()
            if key not in idle and not key.endswith("initializer")
        }
    if isinstance(config, (list, tuple)):
        return [_computing(each) for each in config]
    return config.tolist() if isinstance(config, np.ndarray) else config
