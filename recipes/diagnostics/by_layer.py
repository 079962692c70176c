"""Statistics of activations and gradients by layer, for one batch or a whole data set."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from recipes.diagnostics.hidden_kernels import Hidden, dropped, hidden_kernels
from recipes.diagnostics.moments import Sums, Values
from zoo.graph import calls, check_one_input, unwrapped
from zoo.surgery import stage_of

# The limits of bounded activation functions; a value is saturated within NEAR of a limit.
LIMITS: dict[str, tuple[float | None, float | None]] = {
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "relu6": (None, 6.0),
}
NEAR = 0.01  # fraction of the distance between the limits
BEYOND = (0.9, 0.99)


def layer_statistics(
    model: keras.Model,
    batches: Any,
    *,
    loss: Callable | None = None,
    edges: Sequence[float] | np.ndarray | None = None,
    beyond: Sequence[float] = BEYOND,
    training: bool = True,
    dropout: bool = False,
) -> pd.DataFrame:
    """Return statistics of the activations and gradients of each hidden layer.

    There is one row for each convolution and dense layer except the classifier and auxiliary heads,
    in the order of the graph. Its *activation* is the output of the activation function that
    follows, also after a norm, an addition, a pooling or a concatenation (of which the layer's own
    channels count), and its *pre-activation* is the input of that function. If no activation
    function follows before the next kernel, both are the output of the layer and its norm. A *unit*
    is a channel of the activation; its values are those of all images and positions.

    Everything is computed in one pass, in a graph, and only the statistics are kept. The model is
    not changed: moving averages of norms keep their values.

    Args:
        model: a network that ends in logits, such as that of `zoo.build` or `Run.model`, untrained
            or at any step of a training. Recomputed blocks and models inside it are supported.
        batches: a batch (images, labels), or an iterable of such batches. Labels are integers
            (batch,) or probabilities (batch, classes). Images alone, as an array, give no
            gradients.
        loss: function from labels (batch, classes) and logits (batch, classes) to a loss. Default:
            the mean cross-entropy.
        edges: increasing edges of histograms. By default, there are none.
        beyond: limits t for the shares of activations a with |a| > t.
        training: whether norms use the statistics of the batch and update nothing, as at a step of
            training. False uses their moving averages.
        dropout: whether units and branches are dropped.

    Returns:
        A DataFrame. layer, stage, act: the names of the layer, its stage and its activation layer
        ("" if there is none). units: the number of units. fan_in: the number of inputs of a unit.

        mean, sd: mean and standard deviation of all values of the activation. unit_sd: the mean
        over units of the standard deviation of a unit. pre_mean, pre_sd, pre_unit_sd: the same of
        the pre-activation. beyond_0.9, beyond_0.99: the share of activations with larger absolute
        values. saturated: the share within 1 % of a limit of tanh, sigmoid, hard_sigmoid or relu6.
        negative: the share of units whose pre-activation is at most 0 for every image (for maxout,
        that of each linear map). dead: the share of units whose activation is 0 for every image.
        histogram, pre_histogram: counts between the edges, as numpy.histogram returns them. These
        are over all batches.

        weight_gradient: the norm of the gradient of the kernel W, |dL/dW|. relative_gradient:
        |dL/dW| / |W|. activation_gradient: the norm of the gradient of the activation.
        sign_share: the mean over units of the share of the larger number of equal signs among the
        gradients of a unit's weights that are not zero. sign_shares: this share for each unit
        (NaN if all are zero). Each is computed for every batch and averaged over the batches.

    Raises:
        ValueError: the model has no graph of layers or several inputs, there is no batch, or the
            edges do not increase.
    """
    check_one_input(model)
    if edges is not None:
        edges = np.asarray(edges, np.float32)
        if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
            raise ValueError(f"edges={edges.tolist()}: must be at least 2 numbers that increase")
    flat = unwrapped(model)
    rows = hidden_kernels(flat)
    sums = [(Sums(), Sums()) for _ in rows]
    gradients: list[list[dict]] = [[] for _ in rows]
    measure = None
    for images, labels in _pairs(batches):
        given = (tf.cast(images, flat.inputs[0].dtype),)
        given += () if labels is None else (tf.convert_to_tensor(labels),)
        if measure is None:
            function = _measure(
                flat, rows, loss or _cross_entropy, edges, beyond, training, dropout
            )
            # The last batch of a data set is often smaller, which must not compile it again.
            signature = [tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in given]
            measure = tf.function(function, input_signature=signature, autograph=False)
        for total, own, (values, before, gradient) in zip(
            sums, gradients, measure(*given), strict=True
        ):
            total[0].add(values)
            total[1].add(before)
            if gradient:
                own.append({name: value.numpy() for name, value in gradient.items()})
    if measure is None:
        raise ValueError("batches=[]: there is no batch; pass at least one")
    found = [
        _row(row, *total, own, beyond)
        for row, total, own in zip(rows, sums, gradients, strict=True)
    ]
    # Without hidden layers, the columns that name a layer are there, too.
    return pd.DataFrame(found, columns=None if found else ["layer", "stage", "act"])


def trend(numbers: Sequence[float] | np.ndarray, factor: float = 10.0) -> str:
    """Return how a statistic changes from layer to layer.

    Args:
        numbers: positive numbers, such as the standard deviations of the layers, first to last.
        factor: the factor between the first and the last layer that counts as a change.

    Returns:
        "shrinks" if each number is smaller than the one before it, and the last one at least
        `factor` times smaller than the first; "explodes" if they grow likewise; "keeps" if all
        are within a factor of 3; and else "varies".
    """
    x = np.asarray(numbers, np.float64)
    if not np.isfinite(x).all() or len(x) < 2:
        return "varies"
    if (np.diff(x) < 0).all() and x[0] >= factor * x[-1]:
        return "shrinks"
    if (np.diff(x) > 0).all() and x[-1] >= factor * x[0]:
        return "explodes"
    return "keeps" if x.max() <= 3 * x.min() else "varies"


def _pairs(batches: Any) -> Iterable[tuple[Any, Any]]:
    """Yield (images, labels); labels are None for images alone."""
    if hasattr(batches, "shape"):
        return [(batches, None)]
    if isinstance(batches, tuple) and len(batches) == 2 and hasattr(batches[0], "shape"):
        return [batches]
    return (tuple(each) if isinstance(each, (tuple, list)) else (each, None) for each in batches)


def _measure(model, rows: list[Hidden], loss, edges, beyond, training: bool, dropout: bool):
    """Return a function from images, and labels if there are any, to the statistics of each row."""
    chain = calls(model)
    skipped = {id(call) for call in chain if not dropout and dropped(call.layer)}

    def measure(images, labels=None):
        kernels = [tf.convert_to_tensor(row.layer.kernel.value) for row in rows]
        with tf.GradientTape() as tape:
            tape.watch(kernels)
            mapping = [(row.layer.kernel, x) for row, x in zip(rows, kernels, strict=True)]
            values = {id(model.inputs[0]): images}
            # Updates of moving averages and seeds are recorded by the scope, and dropped.
            with keras.StatelessScope(state_mapping=mapping):
                for call in chain:
                    if id(call) in skipped:
                        values[id(call.output)] = values[id(call.reads[0])]
                    else:
                        values[id(call.output)] = _called(call, values, training)
            logits = tf.cast(values[id(model.outputs[0])], tf.float32)
            total = None if labels is None else loss(_probabilities(labels, logits), logits)
        outputs = [values[id(row.output)] for row in rows]
        inputs = [values[id(row.input)] for row in rows]
        none = [None] * len(rows)
        of_kernels, of_outputs = none, none
        if total is not None:
            of_kernels, of_outputs = tape.gradient(total, (kernels, outputs))
        return [
            (
                Values.of(row.own(y), edges, beyond, LIMITS.get(row.function), NEAR),
                Values.of(row.before(x), edges),
                {} if g is None else _gradients(g, kernel, row.own(dy)),
            )
            for row, x, y, kernel, g, dy in zip(
                rows, inputs, outputs, kernels, of_kernels, of_outputs, strict=True
            )
        ]

    return measure


def _called(call, values: dict, training: bool):
    mode = {"training": training} if getattr(call.layer, "_call_has_training_arg", False) else {}
    if call.arguments is not None:
        args, kwargs = call.arguments.fill_in(values)
        return call.layer(*args, **{**kwargs, **mode})
    x = keras.tree.map_structure(lambda tensor: values[id(tensor)], call.input)
    return call.layer(x, **mode)


def _probabilities(labels, logits):
    if len(labels.shape) == 1:
        return tf.one_hot(tf.cast(labels, tf.int32), logits.shape[-1])
    return tf.cast(labels, tf.float32)


def _cross_entropy(labels, logits):
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels, logits))


def _gradients(gradient, kernel, of_output) -> dict[str, Any]:
    """Return the statistics of the gradients of a kernel and of its activation."""
    axes = list(range(len(gradient.shape) - 1))
    gradient = tf.cast(gradient, tf.float32)
    positive, negative = (
        tf.reduce_sum(tf.cast(part, tf.float32), axes) for part in (gradient > 0, gradient < 0)
    )
    norm, size = (_norm(tf.cast(x, tf.float32)) for x in (gradient, kernel))
    return {
        "weight_gradient": norm,
        "relative_gradient": norm / size,
        "activation_gradient": _norm(tf.cast(of_output, tf.float32)),
        "sign_shares": tf.maximum(positive, negative) / (positive + negative),
    }


def _norm(x):
    return tf.sqrt(2 * tf.nn.l2_loss(x))  # needs no memory for the squares


def _row(row: Hidden, after: Sums, before: Sums, gradients: list[dict], beyond) -> dict[str, Any]:
    found = {
        "layer": row.layer.name,
        "stage": stage_of(row.layer),
        "act": row.act.name if row.act is not None else "",
        "units": after.units,
        "fan_in": int(np.prod(row.layer.kernel.shape[:-1])),
        **after.moments(),
        **{f"pre_{name}": value for name, value in before.moments().items()},
        **{f"beyond_{t:g}": share for t, share in zip(beyond, after.beyond, strict=True)},
        "saturated": after.saturated,
        "negative": before.negative(row.pieces),
        "dead": after.dead,
    }
    if after.histogram is not None:
        found |= {"histogram": after.histogram, "pre_histogram": before.histogram}
    if gradients:
        for name in ("weight_gradient", "relative_gradient", "activation_gradient"):
            found[name] = float(np.mean([each[name] for each in gradients], dtype="d"))
        shares = np.array([each["sign_shares"] for each in gradients], np.float64)
        known = np.isfinite(shares)
        total = np.where(known, shares, 0).sum(0)
        with np.errstate(invalid="ignore"):
            each = np.where(known.any(0), total / known.sum(0), np.nan)
        found["sign_share"] = float(total.sum() / known.sum()) if known.any() else np.nan
        found["sign_shares"] = each
    return found
