"""Initializations that look at data: they change the weights of a model that is built.

They walk the graph once, in its order: each layer sees the outputs of layers that are done.
Classifiers keep their small kernels, so that the first loss stays ln(classes).
"""

import numpy as np

from zoo.graph import check_one_input, copy_weights, unwrapped
from zoo.lazy import keras

MOST_NUMBERS = 4096  # of a patch: their covariances are a square matrix


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


def whiten(model, batch, epsilon: float = 5e-4) -> dict[str, float]:
    """The first kernel's maps become the principal axes of its patches, each of variance 1.

    After them come their negatives, which an activation may cut off; of too few maps, the axes of
    the largest variances. Maps beyond twice the patch's numbers keep their kernels. Keller Jordan
    2024, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, section 3.2, after Page 2019, How to
    Train Your ResNet 8; the patches' mean is taken away, too, where the layer has a bias.

    Args:
        batch: images (batch, height, width, channels), as the model takes them.
        epsilon: added to each variance, times the mean of all: axes of noise stay small.

    Returns:
        The variance of the layer's output, by the layer's name.

    Raises:
        ValueError: the first kernel is of a grouped convolution, larger than the images, or of
            more than 4,096 numbers.
    """

    def fit(layer, x):
        kernel = keras.ops.convert_to_numpy(layer.kernel).copy()
        patches = _patches(layer, x)
        if patches.shape[1] > MOST_NUMBERS:
            raise ValueError(
                f"{layer.name} sees {patches.shape[1]:,} numbers at once: at most {MOST_NUMBERS:,}"
                " are whitened"
            )
        mean = patches.mean(0)
        values, axes = np.linalg.eigh(np.atleast_2d(np.cov(patches, rowvar=False, bias=True)))
        values, axes = np.maximum(values[::-1], 0), axes[:, ::-1]
        axes = axes / np.sqrt(values + epsilon * max(values.mean(), 1e-12))
        maps = kernel.shape[-1]
        half = axes[:, : -(-maps // 2)]
        both = np.concatenate([half, -half], 1)[:, :maps]
        kernel.reshape(-1, maps)[:, : both.shape[1]] = both
        layer.kernel.assign(kernel)
        if layer.use_bias:
            bias = keras.ops.convert_to_numpy(layer.bias).copy()
            bias[: both.shape[1]] = -mean @ both
            layer.bias.assign(bias)
        return _variance(layer(x))

    return _walk(model, batch, fit, first=True)


def _patches(layer, x) -> np.ndarray:
    """The rows that a kernel is multiplied with, those that do not overlap: float64 [N, D]."""
    x = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(x, "float32")), "float64")
    if isinstance(layer, keras.layers.Dense):
        return x.reshape(-1, x.shape[-1])
    if layer.groups > 1:
        raise ValueError(f"{layer.name} has {layer.groups} groups: its patches are of a group each")
    (a, b), (n, height, width, channels) = layer.kernel_size, x.shape
    rows, columns = height // a, width // b
    if not rows or not columns:
        raise ValueError(f"{layer.name}: its kernel of {a}x{b} is larger than its {height}x{width}")
    x = x[:, : rows * a, : columns * b].reshape(n, rows, a, columns, b, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(-1, a * b * channels)


def _walk(model, batch, fit, first: bool = False) -> dict[str, float]:
    """fit(layer, x) of every hidden kernel in the graph's order; the results by name.

    `first`: of the first alone.
    """
    given, model = model, unwrapped(model)
    check_one_input(model)
    values = {id(model.inputs[0]): keras.ops.convert_to_tensor(batch, "float32")}
    results = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        x = keras.tree.map_structure(lambda tensor: values[id(tensor)], layer.input)
        kernel = isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))
        is_classifier = any(layer.output is output for output in model.outputs)
        if kernel and not is_classifier:
            result = fit(layer, x)
            if result is not None:
                results[layer.name] = result
            if first:
                break
        values[id(layer.output)] = layer(x)
    if model is not given:
        copy_weights(model, given)
    return results


def _variance(y) -> float:
    y = keras.ops.convert_to_numpy(keras.ops.cast(y, "float32"))
    return float(np.var(np.asarray(y, "float64")))


def _seed(layer) -> int | None:
    return getattr(layer.kernel_initializer, "seed", None)
