"""Validation metrics that count each class equally."""

import keras
from keras import ops

from recipes.recipe import Recipe


class ByClass(keras.metrics.Metric):
    """Mean over classes of the recall ("balanced_accuracy") or of the F1 score ("macro_f1").

    As in scikit-learn: recall is averaged over the classes that have images, F1 over those that
    have images or are predicted. Labels are one-hot [B, classes].
    """

    def __init__(self, kind: str, classes: int):
        super().__init__(name=kind)
        self.right, self.images, self.predicted = (
            self.add_variable((classes,), "zeros", name=name)
            for name in ("right", "images", "predicted")
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        truth = ops.cast(y_true, self.dtype)
        predicted = ops.one_hot(ops.argmax(y_pred, -1), truth.shape[-1], dtype=self.dtype)
        self.right.assign_add(ops.sum(truth * predicted, 0))
        self.images.assign_add(ops.sum(truth, 0))
        self.predicted.assign_add(ops.sum(predicted, 0))

    def result(self):
        if self.name == "balanced_accuracy":
            share, counts = self.right, self.images
        else:
            share, counts = 2 * self.right, self.images + self.predicted
        present = ops.cast(counts > 0, self.dtype)
        shares = share / ops.maximum(counts, 1)
        return ops.sum(shares * present) / ops.maximum(ops.sum(present), 1)


def metrics(recipe: Recipe, classes: int) -> list[keras.metrics.Metric]:
    """The metrics of training: the accuracy, and what select_by names beyond it."""
    found: list[keras.metrics.Metric] = [keras.metrics.CategoricalAccuracy(name="accuracy")]
    kind = recipe.select_by.removeprefix("val_")
    if kind in ("balanced_accuracy", "macro_f1"):
        found.append(ByClass(kind, classes))
    return found
