"""What a network says of a split: one score vector an image, over views and dropout masks."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import keras
import numpy as np
from keras import ops

from recipes.data.batches import evaluation_batches
from recipes.evaluation import metrics
from recipes.evaluation.metrics import judge
from zoo.graph import unwrapped

DROPOUTS = (
    keras.layers.Dropout,  # drop_path and SpatialDropout, too
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
)


def predict(model, batches, verbose=0) -> tuple[np.ndarray, np.ndarray]:
    """The scores and the labels [N, classes] of a dataset, in one pass.

    The labels go through the network beside the images, so that the order agrees under
    every strategy.
    """
    labels = keras.Input(model.output_shape[1:], name="labels")
    beside = keras.layers.Identity(dtype="float32", name="labels_beside")(labels)
    both = keras.Model([*model.inputs, labels], [*model.outputs, beside])
    scores, truth = both.predict(batches.map(lambda x, y: ((x, y),)), verbose=verbose)
    return np.asarray(scores), np.asarray(truth)


def averaged(model, shape: tuple[int, ...], masks: int = 1):
    """A model from views [B, V, H, W, C] to the logarithm of their mean probabilities.

    Args:
        model: of logits.
        shape: of an image's views, [V, H, W, C].
        masks: how often each view is shown to it: as often as dropout masks are drawn, if
            `model` draws them.

    Returns:
        [B, classes] in float64, which does not lose what a view is nearly sure of.
    """
    count = shape[0] * masks
    images = keras.Input(shape, name="views")
    x = ops.reshape(images, (-1, *shape[1:]))
    logits = model(ops.repeat(x, masks, axis=0) if masks > 1 else x)
    log_p = ops.log_softmax(ops.cast(logits, "float64"), axis=-1)
    log_p = ops.reshape(log_p, (-1, count, model.output_shape[-1]))
    return keras.Model(images, ops.logsumexp(log_p, axis=1) - math.log(count))


class AlwaysTraining(keras.layers.Layer):
    """A layer as it is in training, whatever the network does around it."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, inputs):
        return self.inner(inputs, training=True)

    def compute_output_shape(self, input_shape):
        return input_shape


def dropping(model, seed: int):
    """The network with its dropout switched on, and all else, such as norms, as in inference.

    Gal & Ghahramani 2016. It shares the layers of `model`, but for its dropout layers; its
    masks are a function of the seed and of the batches it is shown, in their order (and of
    which replica is shown them).

    Raises:
        ValueError: the network has no dropout.
    """
    found = []

    def switched_on(layer):
        if not isinstance(layer, DROPOUTS) or not layer.rate:
            return layer
        found.append(layer.name)
        digest = hashlib.sha256(f"{seed}/{layer.name}".encode()).digest()
        config = layer.get_config() | {"seed": int.from_bytes(digest[:4], "big") >> 1}
        inner = type(layer).from_config(config)
        return AlwaysTraining(inner, name=layer.name, dtype=layer.dtype_policy)

    dropped = keras.models.clone_model(unwrapped(model), clone_function=switched_on, recursive=True)
    if not found:
        raise ValueError("it has no dropout (nor drop_path), so there are no masks to draw")
    return dropped


def judge_split(model, split, classes: int, recipe, verbose: Any = 0) -> dict[str, Any]:
    """`judge` over a split with the recipe's eval_ops; every image of it is counted.

    With the figures of `metrics.by_class`, lists in the order of the classes. The loss is that of
    the softmax's probabilities; "loss_of" says so, and what was trained.

    Raises:
        RuntimeError: the network saw more or fewer images than the split holds.
    """
    images_and_labels = evaluation_batches(
        split, classes=classes, batch=recipe.batch, ops=recipe.eval_ops
    )
    logits, labels = predict(model, images_and_labels, verbose)
    if len(logits) != split.count:
        raise RuntimeError(f"judged {len(logits)} images of {split.count}")
    images = labels.sum(axis=0).astype(int)
    found = metrics.by_class(metrics.confusion(logits, labels), images)
    return judge(logits, labels) | found | {"loss_of": metrics.loss_of([recipe.loss])}
