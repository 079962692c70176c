"""Initializations that look at data: they change the weights of a model that is built.

Both walk the graph once, in its order: each layer sees the outputs of layers that are done.
The classifier keeps its small kernel, so that the first loss stays ln(classes).
"""

import numpy as np

from zoo.graph import copy_weights, unwrapped
from zoo.lazy import keras


def lsuv(model, batch, tolerance: float = 0.02, most: int = 10) -> dict[str, float]:
    """Layer-sequential unit variance: orthonormal kernels, scaled until the output varies by 1.

    Mishkin & Matas 2016, All you need is a good init, algorithm 1.

    Args:
        batch: images (batch, height, width, channels), as the model takes them.
        tolerance: how far the variance of a layer's output may be from 1.
        most: how often a kernel is scaled at the most.

    Returns:
        The variance of each scaled layer's output, by the layer's name. A layer whose
        kernel is zero (Fixup's ends of branches) stays as it is, and is not named.
    """

    def fit(layer, x):
        kernel = layer.kernel
        if not np.any(kernel):
            return None
        kernel.assign(keras.initializers.Orthogonal(seed=_seed(layer))(kernel.shape))
        for _ in range(most):
            variance = _variance(layer(x))
            if abs(variance - 1) <= tolerance or variance == 0:
                break
            kernel.assign(kernel / variance**0.5)
        return _variance(layer(x))

    return _walk(model, batch, fit)


def data_dependent(model, batch) -> dict[str, float]:
    """Each channel of each layer's output gets mean 0 and variance 1 on the batch.

    Krähenbühl et al. 2016, Data-dependent Initializations of Convolutional Neural Networks,
    section 3.1 (the normalization within layers); kernels stay as they were drawn but for
    their scale, and biases, where a layer has them, become minus the mean.

    Args:
        batch: images (batch, height, width, channels), as the model takes them.

    Returns:
        The variance of each scaled layer's output, by the layer's name.
    """

    def fit(layer, x):
        if not np.any(layer.kernel):
            return None
        y = np.asarray(keras.ops.convert_to_numpy(layer(x)), "float64")
        axes = tuple(range(y.ndim - 1))
        mean, deviation = y.mean(axes), y.std(axes)
        scale = np.where(deviation > 0, 1 / np.where(deviation > 0, deviation, 1), 1)
        layer.kernel.assign(layer.kernel * scale.astype("float32"))
        if layer.use_bias:
            bias = keras.ops.convert_to_numpy(layer.bias)
            layer.bias.assign((bias - mean) * scale)
        return _variance(layer(x))

    return _walk(model, batch, fit)


def _walk(model, batch, fit) -> dict[str, float]:
    """fit(layer, x) of every hidden kernel in the graph's order; the results by name."""
    given, model = model, unwrapped(model)
    values = {id(model.inputs[0]): keras.ops.convert_to_tensor(batch, "float32")}
    results = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        x = keras.tree.map_structure(lambda tensor: values[id(tensor)], layer.input)
        kernel = isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))
        if kernel and layer.name != "head_dense":
            result = fit(layer, x)
            if result is not None:
                results[layer.name] = result
        values[id(layer.output)] = layer(x)
    if model is not given:
        copy_weights(model, given)
    return results


def _variance(y) -> float:
    return float(np.var(np.asarray(keras.ops.convert_to_numpy(y), "float64")))


def _seed(layer) -> int | None:
    return getattr(layer.kernel_initializer, "seed", None)
