"""Read Keras's HDF5 weights files, and name their layers as keras.applications does today."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zoo.checkpoints import hdf5
from zoo.lazy import keras

Arrays = dict[str, np.ndarray]

# The weights of each kind of layer, in the order in which Keras 3 numbers them.
_VARIABLES = {
    "dense": ("kernel", "bias"),
    "conv2d": ("kernel", "bias"),
    "depthwise_conv2d": ("kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
}


def read(path: Path) -> tuple[dict[str, Arrays], dict[str, str]]:
    """Return the arrays of a file by model, and the names of its layers if it has them.

    The outermost model is "". In the format of Keras 1 and 2, all arrays are "layer/weight" in the
    order of the file, including those of models within the model. In the format of Keras 3 they are
    "layers/conv2d_1/vars/0", and each model within the model has its own entry.
    """
    budget = hdf5.Budget(path)
    with h5py.File(path, "r") as file:
        group: Any = hdf5.child(file, "model_weights", file)
        if "layer_names" in group.attrs or "layer_names0" in group.attrs:
            return {"": _listed_layers(group, budget)}, {}
        entries: dict[str, Arrays] = {}
        names: dict[str, str] = {}
        for name, item in hdf5.walk(file, budget):
            if isinstance(item, h5py.Group) and name.endswith("/vars") and "name" in item.attrs:
                names[name.removesuffix("/vars")] = str(item.attrs["name"])
            if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
                within = re.fullmatch(r"(.*/)?(layers/\w+/vars/\d+)", name)
                inner, own = within.groups() if within else ("", name)
                found = hdf5.array(item, name, budget)
                entries.setdefault((inner or "").strip("/"), {})[own] = found
        return entries, names


def ours(names: dict[str, str]) -> bool:
    """Return whether layers have the names of our networks.

    Files of older releases of Keras contain no names.
    """
    named = [name for place, name in names.items() if "input" not in place]
    own = [name for name in named if re.match(r"(stem|stage\d+|head|fc_\d+)(_|$)", name)]
    return len(own) * 2 > len(named)


def _listed_layers(group, budget: hdf5.Budget) -> Arrays:
    """Return the arrays in the format of Keras 1 and 2, which lists layers in attributes."""
    arrays: Arrays = {}
    for layer in _listed(group, "layer_names"):
        inside = hdf5.child(group, layer)
        weights = _listed(inside, "weight_names")
        # A weight is "layer/kernel:0", possibly with more in front. A model that is used as a layer
        # lists the weights of its own layers.
        owners = {_owner(weight) for weight in weights}
        for weight in weights:
            owner = _owner(weight) if len(owners) > 1 else layer.replace("/", "_")
            name = f"{owner}/{weight.split('/')[-1].split(':')[0]}"
            arrays[name] = hdf5.array(hdf5.child(inside, weight), f"{layer}/{weight}", budget)
    return _by_layer(arrays)


def _owner(weight: str) -> str:
    return "".join(weight.split("/")[-2:-1])


def _by_layer(arrays: Arrays) -> Arrays:
    """Put the weights of each layer together.

    For a model within a model, Keras lists all trainable weights before the others.
    """
    layers: dict[str, list[str]] = {}
    for name in arrays:
        layers.setdefault(name.split("/")[0], []).append(name)
    return {name: arrays[name] for names in layers.values() for name in names}


def _listed(group, name: str) -> list[str]:
    """Return a list of names, which is split into several attributes if it is long."""
    if name in group.attrs:
        rows = list(group.attrs[name])
    else:
        rows, i = [], 0
        while f"{name}{i}" in group.attrs:
            rows += list(group.attrs[f"{name}{i}"])
            i += 1
    return [row.decode() if isinstance(row, bytes) else str(row) for row in rows]


def named(arrays: Arrays, application: str) -> Arrays:
    """Return the arrays of a keras.applications network under the names that layers have today.

    Layers with automatic names are numbered by their order: conv2d:1 is the first of them, whether
    it is called conv2d or conv2d_95 in the file.

    Args:
        arrays: the arrays by their names in the file.
        application: the function in keras.applications, such as "ResNet50".
    """
    with keras.StatelessScope(initialize_variables=False):
        network = getattr(keras.applications, application)(weights=None)
    numbered = any(name.startswith("layers/") for name in arrays)
    return _ordinals((_from_numbers if numbered else _in_order)(arrays, network))


def _from_numbers(arrays: Arrays, network) -> Arrays:
    """Replace the numbers of Keras 3, which counts the layers of each class, by names."""
    seen: Counter[str] = Counter()
    names = {}
    for layer in network.layers:
        kind = keras.src.utils.naming.to_snake_case(type(layer).__name__)
        key = f"{kind}_{seen[kind]}" if seen[kind] else kind
        seen[kind] += 1
        for i, weight in enumerate(layer.weights):
            names[f"layers/{key}/vars/{i}"] = f"{layer.name}/{weight.name}"
    return {names.get(name, _unnumbered(name)): array for name, array in arrays.items()}


def _unnumbered(name: str) -> str:
    """Return "dense_1/kernel" for "layers/dense_1/vars/0"."""
    if not (match := re.fullmatch(r"layers/((\w+?)(?:_\d+)?)/vars/(\d+)", name)):
        return name
    variables = _VARIABLES.get(match[2], ())
    place = int(match[3])
    return f"{match[1]}/{variables[place] if place < len(variables) else place}"


def unnumbered(arrays: Arrays) -> Arrays:
    """Return the arrays of a Keras 3 file as "layer/weight", for layers that users added."""
    heads = _attributes(arrays)
    places = {name.split("/")[0] for name in heads}
    rest = {name: array for name, array in arrays.items() if name.split("/")[0] not in places}
    return {_unnumbered(name): array for name, array in {**rest, **heads}.items()}


def _attributes(arrays: Arrays) -> Arrays:
    """Return the dense layers that are attributes of a subclassed model.

    The array "head/vars/0" becomes "head/kernel".
    """
    found: Arrays = {}
    for name, kernel in arrays.items():
        bias = arrays.get(name.removesuffix("0") + "1")
        if re.fullmatch(r"\w+/vars/0", name) and kernel.ndim == 2 and bias is not None:
            place = name.removesuffix("/vars/0")
            found |= {f"{place}/kernel": kernel, f"{place}/bias": bias}
    return found


def _in_order(arrays: Arrays, network) -> Arrays:
    """Pair layers in their order, as Keras's own loader does, because names changed over the years.

    If the number of layers differs, all names stay as they are. So do those of a layer of another
    kind, such as a dense layer where the network has a convolution.
    """
    today = [x for x in network.layers if x.weights]
    layers: dict[str, list[str]] = {}
    for name in arrays:
        layers.setdefault(name.split("/")[0], []).append(name)
    counts = [len(names) for names in layers.values()]
    if counts != [len(x.weights) for x in today[: len(counts)]] or len(today) - len(counts) > 3:
        return _depthwise(arrays)
    found = {}
    for names, layer in zip(layers.values(), today, strict=False):
        same = all(
            arrays[name].ndim == len(weight.shape)
            for name, weight in zip(names, layer.weights, strict=True)
        )
        for name, weight in zip(names, layer.weights, strict=True):
            found[f"{layer.name}/{weight.name}" if same else name] = arrays[name]
    return found


def _depthwise(arrays: Arrays) -> Arrays:
    """Rename depthwise_kernel to kernel, as in Keras 3, except in separable convolutions."""
    return {
        name
        if f"{name.split('/')[0]}/pointwise_kernel" in arrays
        else name.replace("/depthwise_kernel", "/kernel"): array
        for name, array in arrays.items()
    }


def _ordinals(arrays: Arrays) -> Arrays:
    """Number the layers with automatic names by their order: conv2d_95 becomes conv2d:1."""
    numbered: dict[str, dict[int, str]] = {}
    for name in arrays:
        layer = name.split("/")[0]
        if match := re.fullmatch(r"(conv2d|batch_normalization|normalization)(?:_(\d+))?", layer):
            numbered.setdefault(match[1], {})[int(match[2] or 0)] = layer
    renamed = {
        layer: f"{kind}:{place}"
        for kind, layers in numbered.items()
        for place, (_, layer) in enumerate(sorted(layers.items()), 1)
    }
    return {
        "/".join([renamed.get(name.split("/")[0], name.split("/")[0]), *name.split("/")[1:]]): array
        for name, array in arrays.items()
    }
