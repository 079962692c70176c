"""Losses of float32 logits for hard or soft labels."""

import keras
from keras import ops

from recipes.recipe import Recipe


class BinaryCrossEntropy(keras.losses.Loss):
    """Sigmoid cross-entropy of each class separately, averaged over classes and images.

    See Wightman et al. 2021 (ResNet strikes back), section 2. Labels are smoothed as for softmax,
    to (1 - s) * label + s / classes, while Keras's own loss smooths them toward 0.5. With a
    `threshold`, labels above it become 1 and others 0 before smoothing, so that a mixed image
    fully belongs to both classes.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        threshold: float | None = None,
        name: str = "binary_cross_entropy",
    ):
        super().__init__(name=name)
        self.label_smoothing, self.threshold = label_smoothing, threshold

    def call(self, y_true, y_pred):
        if self.threshold is not None:
            y_true = ops.cast(y_true > self.threshold, y_true.dtype)
        s = self.label_smoothing
        labels = (1 - s) * y_true + s / y_true.shape[-1] if s else y_true
        return ops.mean(ops.binary_crossentropy(labels, y_pred, from_logits=True), axis=-1)


def loss(recipe: Recipe) -> keras.losses.Loss:
    """Return the recipe's loss, for logits [B, classes] and hard or soft labels in float32."""
    if recipe.loss == "bce":
        return BinaryCrossEntropy(recipe.label_smoothing, recipe.label_threshold)
    return keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=recipe.label_smoothing
    )
