"""What is minimized: losses of float32 logits against soft labels."""

import keras
from keras import ops

from recipes.recipe import Recipe


class BinaryCrossEntropy(keras.losses.Loss):
    """Each class by itself, yes or no, through a sigmoid: the mean over classes and images.

    Wightman et al. 2021 (ResNet strikes back), section 2. Labels are smoothed as softmax's
    are, to (1 - s) * label + s / classes; Keras's own would go to a half. With a `threshold`
    labels above it are 1 first, and the others 0: an image mixed of two is wholly both.
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
    """The recipe's loss of logits [B, classes] against labels that may be soft, in float32."""
    if recipe.loss == "bce":
        return BinaryCrossEntropy(recipe.label_smoothing, recipe.label_threshold)
    return keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=recipe.label_smoothing
    )
