"""Load the tensors of a file into a network: all are checked before the first is assigned."""

import logging
import re
from collections import Counter
from pathlib import Path

import numpy as np

from zoo.checkpoints.files import Contents, numbers
from zoo.checkpoints.heads import head_of, hidden_of, without_hidden
from zoo.checkpoints.keras_names import APPLICATIONS
from zoo.checkpoints.layouts import Tensor
from zoo.checkpoints.matching import Match, match, some
from zoo.files import one_line
from zoo.graph import copy_weights, unwrapped
from zoo.lazy import keras

log = logging.getLogger(__name__)


def load_file(
    model,
    contents: Contents,
    bgr: bool = False,
    needs_head: bool = False,
) -> None:
    """Load the weights of a file into a network of zoo.build.

    Args:
        model: the network.
        contents: what the file contains.
        bgr: whether the network in the file takes blue, green, red. Its first kernel is reversed,
            so that `model` takes red, green, blue.
        needs_head: whether a file without a classifier for the network's classes is an error.

    Raises:
        ValueError: the file does not fit. The error lists the tensors that are missing, unexpected
            or of another shape, and nothing is loaded.
    """
    flat = unwrapped(model)
    if contents.kind == "numbered" and _is_ours(flat, contents):
        _load_own(flat, contents, needs_head)
    else:
        found = match(flat, contents)
        for tensor, value in _fitted(flat, contents.path, found, bgr, needs_head):
            tensor.variable.assign(value)
        log.info(
            "%s: loaded into %s, under the names of %s",
            contents.path,
            model.name,
            found.layout.name,
        )
    if flat is not model:
        copy_weights(flat, model)


def _is_ours(model, contents: Contents) -> bool:
    """Return whether a file of Keras 3 is of a network of zoo.build, not of keras.applications.

    Files of older releases of Keras do not name layers. Keras's own batch normalization then
    decides, because only networks of keras.applications have it.
    """
    if contents.layers:
        return contents.ours
    norms = any(
        "/batch_normalization" in name for each in contents.entries.values() for name in each
    )
    return not norms or model.name not in APPLICATIONS


def _fitted(
    model, path: Path, found: Match, bgr: bool, needs_head: bool
) -> list[tuple[Tensor, np.ndarray]]:
    """Return the tensors to assign, with the values for their variables.

    Raises:
        ValueError: the file does not fit.
    """
    try:
        head = head_of(model, found)
    except ValueError as error:
        raise ValueError(f"weights={str(path)!r}: nothing was loaded; {error}") from None
    if needs_head and not head.given:
        raise ValueError(
            f"weights={str(path)!r}: the file has no classifier for {model.name}, so nothing was "
            "loaded; pass num_classes=N for a new head with N classes, or num_classes=0 for none"
        )
    values: list[tuple[Tensor, np.ndarray]] = []
    left = {**found.arrays, **head.arrays}
    missing: list[str] = []
    misshapen: list[str] = []
    dropped: list[str] = []
    for tensor in found.tensors:
        array = left.pop(tensor.name, None)
        if array is None:
            (dropped if tensor.name in head.kept else missing).append(tensor.name)
            continue
        if not tensor.fits(array):
            if tensor.name in head.kept:
                dropped.append(f"{tensor.label} {array.shape}")
                continue
            misshapen.append(
                f"{tensor.name} has {array.shape}, expected {tensor.shape} for {tensor.label}"
            )
            continue
        value = tensor.inward(numbers(path, tensor.name, array))
        if tensor.head and value.shape != tuple(tensor.variable.shape):
            dropped.append(f"{tensor.label} ({value.shape[-1]} classes)")
            continue
        if tensor.first:
            value = with_channels(value[..., ::-1, :] if bgr else value, tensor.variable.shape[-2])
        values.append((tensor, value))
    values = _with_biases(path, values, found.tensors, left)
    unexpected = [
        name
        for name in left
        if name not in head.unused and not re.fullmatch(found.layout.extras, name)
    ]
    problems = [
        f"{kind}: {some(names)}"
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("wrong shape", misshapen),
        )
        if names
    ]
    if problems:
        raise ValueError(
            f"weights={str(path)!r}: the file does not fit {model.name} under the names of "
            f"{found.layout.name}, so nothing was loaded; "
            f"{'; '.join([*problems, *_advice(model, missing, found)])}"
        )
    if not head.given:
        log.warning("%s keeps its initial head, because %s has none", model.name, path)
    elif dropped or (unused := [x for x in left if x in head.unused - head.loaded]):
        if needs_head:
            raise _other_head(model, path, some(dropped or unused))
        log.warning(
            "%s: the head in %s is not loaded (%s)", model.name, path, some(dropped or unused)
        )
    return values


def _other_head(model, path: Path, what: str) -> ValueError:
    count = model.output.shape[-1]
    return ValueError(
        f"weights={str(path)!r}: the file has no classifier for the {count} classes of"
        f" {model.name} ({what}), nothing was loaded; pass num_classes=N with its number of"
        f" classes, or num_classes={count} to keep a random head"
    )


def _advice(model, missing: list[str], found: Match) -> list[str]:
    """Return what to do if only hidden dense layers are missing, as texts."""
    if not missing or not set(missing) <= set(hidden_of(found)):
        return []
    return [f"these are hidden dense layers; for a network without them, {without_hidden(model)}"]


def _with_biases(path, values, tensors, left) -> list[tuple[Tensor, np.ndarray]]:
    """Subtract biases of convolutions that have none here from the moving mean that follows.

    This is exact, because norm(x + b) with mean m equals norm(x) with mean m - b. The biases are
    removed from `left`.
    """
    biases = {}
    for tensor in tensors:
        name = re.sub(r"weight$|kernel$", "bias", tensor.name)
        if tensor.norm is not None and name in left:
            biases[id(tensor.norm)] = numbers(path, name, left.pop(name))
    return [(t, v - biases[id(t.variable)] if id(t.variable) in biases else v) for t, v in values]


def with_channels(kernel: np.ndarray, channels: int) -> np.ndarray:
    """Return the first kernel (h, w, channels, filters) for images with another number of channels.

    For gray images, it is the sum over the channels, which gives the same as a gray image repeated
    three times. Otherwise its channels are repeated in turn, and scaled to keep their sum.
    """
    given = kernel.shape[-2]
    if channels == given:
        return kernel
    if channels == 1:
        return kernel.sum(axis=-2, keepdims=True)
    turns = -(-channels // given)
    return np.tile(kernel, (1, 1, turns, 1))[:, :, :channels] * (given / channels)


def _load_own(model, contents: Contents, needs_head: bool) -> None:
    """Load a `.weights.h5` file of our own, in which Keras numbers the layers of each class.

    If the network is a layer of a larger model in the file, the other layers of that model are
    ignored. The network keeps its own head if the file has none, or one with another number of
    classes.
    """
    path = contents.path
    arrays = max(contents.entries.values(), key=len)
    seen: Counter[str] = Counter()
    left = {name: a for name, a in arrays.items() if re.fullmatch(r"layers/\w+/vars/\d+", name)}
    pairs, problems, kept = [], [], []
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
            if array is None and layer.name == "head_dense":
                kept.append(label)
            elif array is None:
                if not layer.name.startswith("input_"):  # preprocessing keeps its own values
                    problems.append(f"missing: {label}")
            elif array.shape == tuple(variable.shape):
                pairs.append((variable, array))
            elif layer.name == "head_dense" and array.shape[:-1] == tuple(variable.shape)[:-1]:
                kept.append(f"{label} ({array.shape[-1]} classes)")
            else:
                problems.append(
                    f"wrong shape: {label} has {array.shape}, expected {tuple(variable.shape)}"
                )
    # If the network has no head, that of the file is its last dense layer.
    last = f"layers/dense_{seen['dense']}" if seen["dense"] else "layers/dense"
    unused = [name for name in left if name.startswith(f"{last}/")]
    problems += [f"unexpected: {name}" for name in left if name not in unused]
    if problems:
        raise ValueError(
            f"weights={str(path)!r}: the file does not fit {model.name}, so nothing was loaded; "
            f"{some(problems)}"
        )
    if needs_head and (kept or unused):
        raise _other_head(model, path, some(kept or unused))
    if kept or unused:
        log.warning("%s: the head in %s is not loaded", model.name, path)
    for variable, array in pairs:
        variable.assign(array)


def _load_whole(model, path: Path) -> None:
    """Load a file with Keras itself, for layers within layers; on an error, restore the weights."""
    before = model.get_weights()
    try:
        model.load_weights(path)
    except Exception as error:
        model.set_weights(before)
        text = one_line(error, 300)
        raise ValueError(
            f"weights={str(path)!r}: the file cannot be loaded into {model.name}, so nothing was "
            f"loaded; {text}"
        ) from error
