"""Trainings: many small trainings of one recipe, compiled once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from recipes.data import balance
from recipes.data.batches import evaluation_batches, training_batches
from recipes.recipe import Recipe, replace
from recipes.recipe_files import read
from recipes.training.network import build_network, dtype_policy
from recipes.training.repeatable import sums_in_fixed_order
from recipes.trainings.compiled import Compiled
from recipes.trainings.memory import Images, Opened, load
from recipes.trainings.results import Measured, Training, Weights
from zoo.options import unknown

_KEPT = 8  # seeds whose data and initial weights are kept
_EXPLODED = 3.0  # the lectures' limit, if the recipe has none
# Fields that change the course of a training in ways that are not supported, and their off values
_UNSUPPORTED = {
    "accumulate": 1, "average": None, "early_stopping": None, "select": "last", "rollbacks": 0,
    "sizes": (),
}  # fmt: skip


class _Start(NamedTuple):
    """Initial weights by path, and the states of random layers such as dropout."""

    weights: dict[str, np.ndarray]
    states: list[np.ndarray]
    before: keras.Layer | None


class Trainings:
    """Many trainings of one recipe in this process, with one compiled training step.

        many = recipes.Trainings("digits/mlp", epochs=5, validation=0.25)
        found = [many.run(lr=lr, seed=seed) for lr in (0.01, 0.1, 1) for seed in range(3)]
        best = max(found, key=lambda each: each.val_accuracy)
        best.losses, best.weights, best.test_accuracy

    A training gives the losses of `recipes.train` with the same recipe and seed. It has no run
    directory. The preprocessed images are kept in memory, and whole epochs run inside TensorFlow.
    Learning rate, momentum, weight decay, seed, initial weights and masks change from run to run
    without another compilation. A recipe with random augmentation reads its batches from the same
    pipeline as `recipes.train`, which takes longer.

    Seeds of a recipe that chooses its images by the seed, such as one with a validation set of a
    folder, have different images. They are read again whenever the seed changes, so let the seed be
    the outermost loop.

    Args:
        recipe: recipe name, path of a recipe file, or a Recipe.
        changes: new values for the recipe's fields; see `recipes.replace`.

    Attributes:
        recipe: the recipe with the changes.
        network: the Keras model from preprocessed images to logits. Its weights are those of the
            last training or evaluation.
        steps_per_epoch: number of steps in an epoch.

    Raises:
        ValueError: a name or value is invalid, the images do not fit in memory, or the recipe has
            a setting that is not supported: accumulate, average, early_stopping, select="best",
            sizes, rollbacks, schedule="plateau" or dtype="mixed_float16".
    """

    def __init__(self, recipe: str | Path | Recipe, **changes: Any):
        self.recipe = replace(read(recipe).recipe, **changes)
        _require_supported(self.recipe)
        self._opened: OrderedDict[int, Opened] = OrderedDict()
        self._sets: dict[str, tuple[tuple[str, str], Images]] = {}
        self._starts: OrderedDict[tuple, _Start] = OrderedDict()
        self._open(self.recipe.seed)
        model, before = self._build(self.recipe)
        self.network = _without_preprocessing(model, before)
        self.steps_per_epoch = self._data.train.count // self.recipe.batch_size
        self._compiled = Compiled(
            self.network, self.recipe, self.steps_per_epoch, len(self._data.classes)
        )
        self._shapes = {v.path: tuple(v.shape) for v in self.network.weights}
        self._note((self.recipe.seed, ()), model, before)

    def initial(self, seed: int | None = None, **changes: Any) -> dict[str, np.ndarray]:
        """Return initial weights by path.

        Args:
            seed: the seed; default that of the recipe.
            changes: fields that only change the initial weights, such as init="xavier",
                data_init="lsuv" or `{"options.head_init": "normal:0.01"}`.

        Raises:
            ValueError: a change gives a network with other weights.
        """
        return dict(self._start(self._changed(seed), changes).weights)

    def run(
        self,
        *,
        seed: int | None = None,
        lr: float | None = None,
        momentum: float | None = None,
        weight_decay: float | None = None,
        init: str | None = None,
        weights: Weights | None = None,
        masks: Weights | None = None,
        steps: int | None = None,
        ratios: bool = False,
    ) -> Training:
        """Train once, from the start.

        What is None is as in the recipe.

        Args:
            seed: seed of the initial weights, the order of the images, their augmentation and
                random layers.
            lr: highest learning rate.
            momentum: momentum of sgd or rmsprop.
            weight_decay: weight decay; not for adam, which has none.
            init: initializer of the kernels.
            weights: initial weights by path, as returned by `initial` or a training. Weights that
                are left out are those of the seed.
            masks: 1 for each weight that is trained and 0 for each that is and remains zero, by
                path; see `recipes.trainings.masks`.
            steps: number of steps after which to stop. The learning rate schedule stays that of all
                epochs.
            ratios: whether to measure |update| / |weights| of each kernel at each step.

        Raises:
            ValueError: a value is out of range, or a path or a shape is not that of the network.
        """
        recipe = self._changed(seed, lr=lr, momentum=momentum, weight_decay=weight_decay)
        if weight_decay is not None and recipe.optimizer == "adam":
            raise ValueError(f"weight_decay={weight_decay}: adam has none; use adamw")
        total = recipe.epochs * self.steps_per_epoch
        if steps is not None and not 1 <= steps <= total:
            raise ValueError(
                f"steps={steps}: must be from 1 to {total}, the steps of {recipe.epochs} epochs"
            )
        start = self._start(recipe, {} if init is None else {"init": init})
        self._require_known("weights", weights or {})
        self._require_known("masks", masks or {})
        begun = time.monotonic()
        held = {path: tf.constant(mask, tf.float32) for path, mask in (masks or {}).items()}
        values = {**start.weights, **(weights or {})}
        for path, mask in held.items():
            values[path] = np.asarray(values[path]) * mask.numpy()
        self.assign(values)
        for state, value in zip(self._compiled.states, start.states, strict=True):
            state.assign(value)
        self._compiled.set_optimizer(recipe.lr, recipe.momentum, recipe.weight_decay)
        if recipe.class_weight is not None and self._compiled.class_weight is not None:
            own = balance.class_weights(recipe.class_weight, self._data.classes, self._data.train)
            self._compiled.class_weight.assign(own)
        with sums_in_fixed_order():
            found, validated = self._train(recipe, steps or total, held, ratios)
        losses, accuracies, ratio = (np.concatenate(each) for each in zip(*found, strict=True))
        final = {v.path: np.array(v) for v in self.network.weights}
        most = (self.recipe.stop_at_loss or _EXPLODED) * losses[0]
        diverged = not all(np.isfinite(each).all() for each in (losses[-1], *final.values()))
        paths = [v.path for v in self._compiled.kernels] if ratios else []
        return Training(
            losses=losses,
            accuracies=accuracies,
            val_losses=np.array([each.loss for each in validated]),
            val_accuracies=np.array([each.accuracy for each in validated]),
            weights=final,
            ratios=dict(zip(paths, ratio.T, strict=True)),
            diverged=diverged,
            exploded=diverged or bool((losses > most).any()),
            seconds=time.monotonic() - begun,
            measure=lambda name: self._measured(name, recipe.seed, final),
        )

    def _train(self, recipe: Recipe, steps: int, masks: dict[str, tf.Tensor], ratios: bool):
        """Return loss, accuracy and ratios of the steps of each epoch, and the validations."""
        found: list[list[np.ndarray]] = []
        validated: list[Measured] = []
        order_of, compiled = self._now.order, self._compiled
        batches = self._batches(recipe) if order_of is None else None
        for epoch in range(-(-steps // self.steps_per_epoch)):
            left = min(steps - epoch * self.steps_per_epoch, self.steps_per_epoch)
            count = tf.constant(left)
            if order_of is None:
                own = compiled.piped_epoch(batches, count, masks, ratios)
            else:
                order = order_of(recipe.seed, epoch)
                order = order[: self.steps_per_epoch * recipe.batch_size]
                order = tf.constant(order.reshape(self.steps_per_epoch, recipe.batch_size))
                own = compiled.epoch(*self._set("fit"), order, count, masks, ratios)
            found.append([each.numpy() for each in own])
            if self._data.validation is not None:
                validated.append(self._evaluate("validation"))
            losses = found[-1][0]
            if not np.isfinite(losses[-1]):
                break
        return found, validated

    def evaluate(self, weights: Weights, split: str = "validation") -> Measured:
        """Return the loss and the correct predictions of weights on a set of images.

        The images are those of the last run's seed, without augmentation. Weights that are left out
        are the initial ones of that seed.

        Args:
            weights: weights by path.
            split: "train", "validation" or "test".

        Raises:
            ValueError: there is no such set, or a path or a shape is not that of the network.
        """
        start = self._start(replace(self.recipe, seed=self._seed), {})
        self.assign({**start.weights, **weights})
        return self._evaluate(split)

    def images(self, split: str = "train") -> tuple[np.ndarray, np.ndarray]:
        """Return the preprocessed images [N, H, W, C] and one-hot labels [N, classes] of a set."""
        found = self._set(split)
        return found.images.numpy(), found.labels.numpy()

    def assign(self, weights: Weights) -> None:
        """Assign weights, by path, to `network`.

        Raises:
            ValueError: a path or a shape is not that of the network.
        """
        self._require_known("weights", weights)
        for variable in self.network.weights:
            if variable.path in weights:
                variable.assign(weights[variable.path])

    def _measured(self, split: str, seed: int, weights: Weights) -> Measured:
        self._open(seed)
        self.assign(weights)
        return self._evaluate(split)

    def _evaluate(self, split: str) -> Measured:
        loss, right = self._compiled.evaluate(*self._set(split))
        return Measured(float(loss), right.numpy())

    # Data

    def _open(self, seed: int) -> None:
        """Open the data of a seed, or return to it."""
        if seed not in self._opened:
            opened = Opened(replace(self.recipe, seed=seed))
            # Seeds with the same images share them.
            same = next((each for each in self._opened.values() if each.is_like(opened)), opened)
            _keep(self._opened, seed, same)
        self._seed, self._now = seed, self._opened[seed]
        self._data = self._now.data

    def _set(self, name: str) -> Images:
        """Return a set of images: "train", "validation", "test" or "fit", what steps read."""
        split = self._now.split("train" if name == "fit" else name)
        ops = self.recipe.augment if name == "fit" else self.recipe.eval_ops
        name = "fit" if name == "train" and self.recipe.augment == ops else name
        # The preprocessing is fitted to the training set.
        key = (split.fingerprint, self._data.train.fingerprint)
        if name not in self._sets or self._sets[name][0] != key:
            self._sets.pop(name, None)  # before the next images need its memory
            before = self._start(replace(self.recipe, seed=self._seed), {}).before
            images = load(split, ops, len(self._data.classes), before)
            self._sets[name] = key, images
        return self._sets[name][1]

    def _batches(self, recipe: Recipe):
        batches, _ = training_batches(
            self._data.train, classes=len(self._data.classes), batch=recipe.batch_size,
            ops=recipe.augment, seed=recipe.seed, first_epoch=0, epochs=recipe.epochs,
        )  # fmt: skip
        before = self._start(recipe, {}).before
        if before is not None:
            batches = batches.map(lambda images, labels: (before(images), labels))
        return iter(batches)

    # Initial weights

    def _changed(self, seed: int | None = None, **others: float | None) -> Recipe:
        given = {"seed": seed, **others}
        return replace(self.recipe, **{n: value for n, value in given.items() if value is not None})

    def _start(self, recipe: Recipe, changes: Mapping[str, Any]) -> _Start:
        """Return the initial weights of the recipe's seed with changes, and open its data."""
        self._open(recipe.seed)
        key = (recipe.seed, tuple(sorted((n, repr(value)) for n, value in changes.items())))
        if key not in self._starts:
            changed = replace(self.recipe, seed=recipe.seed, **changes)
            self._note(key, *self._build(changed))
        self._starts.move_to_end(key)
        return self._starts[key]

    def _note(self, key: tuple, model: keras.Model, before: keras.Layer | None) -> None:
        weights = {v.path: np.array(v) for v in self._weights_of(model, before)}
        shapes = {path: value.shape for path, value in weights.items()}
        if shapes != self._shapes:
            text = ", ".join(f"{name}={value}" for name, value in key[1])
            raise ValueError(
                f"{text}: gives a network with other weights; pass it to recipes.Trainings, which"
                " compiles that network"
            )
        ids = {id(v) for v in model.weights}
        states = [np.array(v) for v in model.variables if id(v) not in ids]
        _keep(self._starts, key, _Start(weights, states, before))

    def _weights_of(self, model: keras.Model, before: keras.Layer | None):
        fixed = {id(v) for v in before.weights} if before is not None else set()
        return [v for v in model.weights if id(v) not in fixed]

    def _build(self, recipe: Recipe) -> tuple[keras.Model, keras.Layer | None]:
        """Return a new network as `recipes.train` builds it, and its preprocessing layer."""
        batches = evaluation_batches(
            self._data.train, classes=len(self._data.classes), batch=1, ops=recipe.eval_ops
        )
        keras.utils.set_random_seed(recipe.seed)
        with dtype_policy(recipe.dtype):
            model = build_network(recipe, self._data, tuple(batches.element_spec[0].shape[1:]))
        before = model.layers[1] if model.layers[1].name.startswith("input_") else None
        return model, before

    def _require_known(self, what: str, given: Weights) -> None:
        for path, value in given.items():
            if path not in self._shapes:
                raise unknown(f"path in {what}", path, self._shapes)
            if np.shape(value) != self._shapes[path]:
                raise ValueError(
                    f"{what}[{path!r}]: has the shape {np.shape(value)}; must be"
                    f" {self._shapes[path]}"
                )


def _keep(known: OrderedDict, key: Any, value: Any) -> None:
    """Add a value, and forget the oldest if there are too many."""
    known[key] = value
    while len(known) > _KEPT:
        known.popitem(last=False)


def _without_preprocessing(model: keras.Model, before: keras.Layer | None) -> keras.Model:
    return model if before is None else keras.Model(before.output, model.outputs, name=model.name)


def _require_supported(recipe: Recipe) -> None:
    for name, off in _UNSUPPORTED.items():
        if (value := getattr(recipe, name)) != off:
            raise ValueError(f"{name}={value!r}: Trainings do not support it; use {off!r}")
    if recipe.schedule == "plateau":
        raise ValueError("schedule='plateau': Trainings do not support it; use another schedule")
    if recipe.dtype == "mixed_float16":
        raise ValueError("dtype='mixed_float16': Trainings do not support it; use 'mixed_bfloat16'")
