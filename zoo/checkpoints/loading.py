"""Tensors of a file into a network: everything is checked before the first is written."""

import logging
import re
from collections import Counter
from pathlib import Path

import numpy as np

from zoo.checkpoints import files
from zoo.checkpoints.keras_names import APPLICATIONS
from zoo.checkpoints.layouts import Tensor, layouts
from zoo.checkpoints.naming import Layout
from zoo.graph import copy_weights, unwrapped
from zoo.lazy import keras

log = logging.getLogger(__name__)

LISTED = 8


def load_file(model, path: Path, bgr: bool = False) -> None:
    """The weights of a file into a network of ours.

    Args:
        bgr: the file's network sees blue, green, red; the loaded one then sees red first.

    Raises:
        ValueError: the file cannot be read, or does not fit: it lists what is missing, more
            than expected, or of another shape, and nothing is loaded.
    """
    arrays = files.read(path)
    flat = unwrapped(model)
    _load(flat, path, arrays, bgr)
    if flat is not model:
        copy_weights(flat, model)


def _load(model, path: Path, arrays: files.Arrays, bgr: bool) -> None:
    if any(name.startswith("layers/") for name in arrays):
        _load_own(model, path, arrays)
        return
    layout, tensors, arrays = _recognized(model, path, arrays)
    values = _fitted(model, path, layout, tensors, arrays, bgr)
    for tensor, value in values:
        tensor.variable.assign(value)
    log.info("%s holds the weights of %s, in the layout of %s", model.name, path, layout.name)


def _recognized(model, path, arrays) -> tuple[Layout, list[Tensor], files.Arrays]:
    """The layout that shares most names with the file."""
    candidates = layouts(model)
    if not candidates:
        raise ValueError(
            f"{model.name} has no counterpart in torchvision, timm or keras.applications: "
            "only its own .weights.h5 can be loaded"
        )
    by_kind = {"torch": arrays, "keras": {}}
    if all("/" in name for name in arrays):
        application = APPLICATIONS.get(model.name)
        by_kind["keras"] = files.ordinals(
            files.in_keras_order(arrays, application) if application else arrays
        )

    def shared(candidate) -> int:
        layout, tensors = candidate
        return len({tensor.name for tensor in tensors} & set(by_kind[layout.kind]))

    layout, tensors = max(candidates, key=shared)
    if not shared((layout, tensors)):
        some = ", ".join(list(arrays)[:3]) or "none"
        raise ValueError(
            f"{str(path)!r} holds no tensors of {model.name} under the names of "
            f"{' or '.join(dict.fromkeys(x.name for x, _ in candidates))}; its tensors: {some}, ..."
        )
    return layout, tensors, by_kind[layout.kind]


def _fitted(model, path, layout: Layout, tensors, arrays, bgr) -> list[tuple[Tensor, np.ndarray]]:
    """Each tensor with the value for its variable.

    Raises:
        ValueError: the file does not fit.
    """
    values: list[tuple[Tensor, np.ndarray]] = []
    left, missing, misshapen, dropped = dict(arrays), [], [], []
    for tensor in tensors:
        if tensor.name not in left:
            missing.append(tensor.name)
            continue
        array = left.pop(tensor.name)
        if not tensor.fits(array):
            misshapen.append(f"{tensor.name} {array.shape} for {tensor.shape} of {tensor.label}")
            continue
        value = tensor.inward(array)
        if tensor.head and value.shape != tuple(tensor.variable.shape):
            dropped.append(f"{tensor.label} ({value.shape[-1]} classes)")
            continue
        if tensor.first:
            value = with_channels(value[..., ::-1, :] if bgr else value, tensor.variable.shape[-2])
        values.append((tensor, value))
    values = _with_biases(values, tensors, left)
    head = _head_names(model, layout)
    unused = [name for name in left if name in head]
    unexpected = [
        name for name in left if name not in head and not re.fullmatch(layout.extras, name)
    ]
    problems = [
        f"{kind}: {_list(names)}"
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", misshapen),
        )
        if names
    ]
    if problems:
        raise ValueError(
            f"{str(path)!r} does not fit {model.name} in the layout of {layout.name}, "
            f"nothing was loaded; {'; '.join(problems)}"
        )
    if dropped or unused:
        log.warning(
            "%s keeps its own head: that of %s is not loaded (%s)",
            model.name,
            path,
            _list(dropped or unused),
        )
    return values


def _with_biases(values, tensors, left) -> list[tuple[Tensor, np.ndarray]]:
    """Biases of convolutions that have none here go into the moving mean behind: exactly, for
    norm(x + b) with the mean m is norm(x) with m - b. They are taken out of `left`."""
    biases = {}
    for tensor in tensors:
        name = re.sub(r"weight$|kernel$", "bias", tensor.name)
        if tensor.norm is not None and name in left:
            biases[id(tensor.norm)] = left.pop(name)
    return [(t, v - biases[id(t.variable)] if id(t.variable) in biases else v) for t, v in values]


def _head_names(model, layout: Layout) -> set[str]:
    """What the classifier is called there, for a network that has none (num_classes=0)."""
    names = {layer.name for layer in model.layers}
    heads = set()
    for ours, theirs in layout.rules.items():
        if ours == "head_dense" and ours not in names:
            ends = ("weight", "bias") if layout.kind == "torch" else ("kernel", "bias")
            heads |= {f"{theirs}{'.' if layout.kind == 'torch' else '/'}{end}" for end in ends}
    return heads


def with_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """The first kernel (h, w, channels, filters) for images of another number of channels.

    For one, its sum over the channels: what a gray image repeated three times would give. For
    others its channels in turn, scaled so that the sum over them stays.
    """
    given = kernel.shape[-2]
    if channels == given:
        return kernel
    if channels == 1:
        return kernel.sum(axis=-2, keepdims=True)
    turns = -(-channels // given)
    return np.tile(kernel, (1, 1, turns, 1))[:, :, :channels] * (given / channels)


def _load_own(model, path, arrays) -> None:
    """A `.weights.h5` of ours, in which Keras numbers the layers of each class."""
    seen: Counter[str] = Counter()
    left = {name: a for name, a in arrays.items() if re.fullmatch(r"layers/\w+/vars/\d+", name)}
    pairs, problems, dropped = [], [], []
    for layer in model.layers:
        kind = keras.src.utils.naming.to_snake_case(type(layer).__name__)
        key = f"{kind}_{seen[kind]}" if seen[kind] else kind
        seen[kind] += 1
        own: dict[str, object] = {}
        layer.save_own_variables(own)
        if len(own) != len(layer.weights):
            _load_whole(model, path)
            return
        for i, variable in enumerate(layer.weights):
            name, label = f"layers/{key}/vars/{i}", f"{layer.name}/{variable.name}"
            array = left.pop(name, None)
            if array is None:
                if not layer.name.startswith("input_"):  # preprocessing brings its own
                    problems.append(f"missing: {label}")
            elif array.shape == tuple(variable.shape):
                pairs.append((variable, array))
            elif layer.name == "head_dense" and array.shape[:-1] == tuple(variable.shape)[:-1]:
                dropped.append(f"{label} ({array.shape[-1]} classes)")
            else:
                problems.append(f"{label} is {tuple(variable.shape)} here, {array.shape} there")
    # A head that the network lacks is the last dense layer.
    last = f"layers/dense_{seen['dense']}" if seen["dense"] else "layers/dense"
    unused = [name for name in left if name.startswith(f"{last}/")]
    problems += [f"unexpected: {name}" for name in left if name not in unused]
    if problems:
        raise ValueError(
            f"cannot load {str(path)!r} into {model.name}, nothing was loaded; {_list(problems)}"
        )
    if dropped or unused:
        log.warning("%s: the head in %s is not loaded", model.name, path)
    for variable, array in pairs:
        variable.assign(array)


def _load_whole(model, path) -> None:
    """By Keras, for layers that hold layers; on an error all is as it was."""
    before = model.get_weights()
    try:
        model.load_weights(path)
    except Exception as error:
        model.set_weights(before)
        text = " ".join(str(error).split())[:300]
        raise ValueError(f"cannot load {str(path)!r} into {model.name}: {text}") from error


def _list(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
