"""The result of one of many trainings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

Weights = Mapping[str, np.ndarray]


class Measured(NamedTuple):
    """What a network does with a set of images.

    Attributes:
        loss: mean loss.
        right: whether each image is classified correctly, bool [N].
    """

    loss: float
    right: np.ndarray

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())


@dataclass(frozen=True)
class Training:
    """What a training has done, with its final weights.

    Attributes:
        losses: loss of the batch of each step before its update, float32 [steps]. A training
            whose loss is not finite ends with that loss.
        accuracies: accuracy of the same batches.
        val_losses, val_accuracies: loss and accuracy on the validation set after each epoch, and
            at the end if the training stops within an epoch. Empty without a validation set.
            A network whose weights are not finite has the accuracy of predicting the first class.
        weights: final weights by path, such as "fc_0_dense/kernel".
        ratios: |update| / |weights| of each kernel at each step, if asked for.
        diverged: whether a loss was not finite, which ended the training, or a final weight is
            not.
        exploded: whether the training diverged, or the loss of a step exceeded `stop_at_loss` (3 by
            default) times the first. Such a training goes on.
        seconds: duration.
        measure: function from "train", "validation" or "test" to what the final weights do with
            these images, without augmentation.
    """

    losses: np.ndarray
    accuracies: np.ndarray
    val_losses: np.ndarray
    val_accuracies: np.ndarray
    weights: Weights = field(repr=False)
    ratios: dict[str, np.ndarray] = field(repr=False)
    diverged: bool
    exploded: bool
    seconds: float
    measure: Callable[[str], Measured] = field(repr=False, compare=False)

    @property
    def val_accuracy(self) -> float:
        """Accuracy of the final weights on the validation set; NaN without one."""
        return float(self.val_accuracies[-1]) if len(self.val_accuracies) else float("nan")

    @functools.cached_property
    def train(self) -> Measured:
        """Loss and accuracy of the final weights on the training set without augmentation."""
        return self.measure("train")

    @functools.cached_property
    def test(self) -> Measured:
        """Loss and accuracy of the final weights on the test set, opened at the first use."""
        return self.measure("test")

    @property
    def train_accuracy(self) -> float:
        """Accuracy of the final weights on the training set in inference mode."""
        return self.train.accuracy

    @property
    def test_accuracy(self) -> float:
        """Accuracy of the final weights on the test set."""
        return self.test.accuracy
