"""Gaussian noise on the weights or the inputs of a network, for evaluations of its robustness."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from recipes.evaluation import metrics
from zoo.flattening import nodes
from zoo.graph import layers_of
from zoo.lazy import keras
from zoo.options import unknown
from zoo.surgery import stage_of

MEASURED = 1_024  # images from which the standard deviation of the inputs is computed


@dataclass(frozen=True)
class Noise:
    """The noise of an evaluation.

    Attributes:
        weights: standard deviation of the noise of a kernel, divided by that of the kernel.
        layers: shell pattern of the names of the layers whose kernels get noise.
        inputs: standard deviation of the noise of the preprocessed images, divided by theirs.
    """

    weights: float = 0.0
    layers: str = "*"
    inputs: float = 0.0


def parse(weight_noise: float | str | None, input_noise: float | None) -> Noise | None:
    """Return the noise of the arguments of `evaluate`, or None without noise.

    Args:
        weight_noise: a number, or "LAYERS:NUMBER" such as "fc_1_dense:0.1" or "stem_*:0.1".
        input_noise: a number.

    Raises:
        ValueError: a number is negative or not finite.
    """
    layers, colon, number = str(weight_noise or 0).rpartition(":")
    if colon and not layers:
        raise ValueError(f"weight_noise={weight_noise!r}: names no layers; write stem_*:0.1 or 0.1")
    weights = _checked("weight_noise", weight_noise, number)
    inputs = _checked("input_noise", input_noise, input_noise or 0)
    return Noise(weights, layers or "*", inputs) if weights or inputs else None


def _checked(name: str, given: Any, number: Any) -> float:
    try:
        value = math.nan if isinstance(given, bool) else float(number)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value < math.inf:
        example = ', such as 0.1 or "stem_*:0.1"' if name == "weight_noise" else ", such as 0.1"
        raise ValueError(f"{name}={given!r}: must be a finite number of at least 0{example}")
    return value


def check_repeats(repeats: int, noise: Noise | None) -> None:
    """Check the number of evaluations with different noise.

    Raises:
        ValueError: it is less than 1, or there is no noise.
    """
    if isinstance(repeats, bool) or not isinstance(repeats, int) or repeats < 1:
        raise ValueError(f"noise_repeats={repeats!r}: must be a whole number of at least 1")
    if repeats > 1 and noise is None:
        raise ValueError(
            f"noise_repeats={repeats}: only applies with noise; set weight_noise or input_noise"
        )


@contextlib.contextmanager
def noisy_weights(model, noise: Noise, seed: int) -> Iterator[None]:
    """Add noise to kernels within the block, and restore them at its end.

    The noise is a function of the seed and the names of the layers.

    Raises:
        ValueError: no layer with a kernel has such a name.
    """
    kernels = {x.name: x.kernel for x in layers_of(model) if getattr(x, "kernel", None) is not None}
    chosen = [name for name in kernels if fnmatch.fnmatchcase(name, noise.layers)]
    if not chosen:
        raise unknown("layer in weight_noise", noise.layers, kernels)
    held = {name: np.array(kernels[name]) for name in chosen}
    try:
        for name, values in held.items():
            rng = np.random.default_rng(_seed(seed, name))
            drawn = rng.standard_normal(values.shape, np.float32)
            kernels[name].assign(values + noise.weights * float(values.std(dtype="d")) * drawn)
        yield
    finally:
        for name, values in held.items():
            kernels[name].assign(values)


def with_input_noise(model, noise: Noise, seed: int, batches):
    """Return the network with noise behind its preprocessing, which shares its layers.

    Args:
        model: a network that takes images as they are in `batches`.
        noise: the noise.
        seed: the seed of the noise, which also depends on the sequence of batches.
        batches: a dataset of images and labels. The standard deviation of the preprocessed images
            is that of its first images.
    """
    from recipes.evaluation.predict import AddNoise

    # The model may share its layers with another one, so their attribute `output` is of no use.
    ends = [n.outputs[0] for n in nodes(model) if stage_of(n.operation) == "input"]
    end = ends[-1] if ends else model.input
    before = keras.Model(model.input, end)
    seen: list[np.ndarray] = []
    for images, _ in batches.as_numpy_iterator():
        seen.append(np.asarray(before(images, training=False), np.float32))
        if sum(map(len, seen)) >= MEASURED:
            break
    deviation = noise.inputs * float(np.concatenate(seen)[:MEASURED].std(dtype="d"))
    x = keras.Input(model.input.shape[1:], dtype=model.input.dtype)
    y = AddNoise(deviation, _seed(seed, "input") >> 33)(before(x))
    return keras.Model(x, keras.Model(end, model.output)(y), name=model.name)


def _seed(seed: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big")


def summary(noise: Noise, seed: int, repeats: list[tuple]) -> dict[str, Any]:
    """Return the part of an evaluation's result about its noise.

    Args:
        noise: the noise.
        seed: the seed of the first repeat.
        repeats: scores and labels of each repeat.
    """
    known = [metrics.accuracy_and_loss(*each) for each in repeats]
    found: dict[str, Any] = {
        "weights": noise.weights, "layers": noise.layers, "inputs": noise.inputs,
        "repeats": [{"seed": seed + i, "top1": each["top1"], "loss": each["loss"]}
                    for i, each in enumerate(known)],
    }  # fmt: skip
    for name in ("top1", "loss"):
        values = [each[name] for each in known]
        found[f"{name}_mean"] = float(np.mean(values))
        found[f"{name}_sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return found
