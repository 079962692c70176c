"""Read Keras's HDF5 files of weights, and name their layers as keras.applications does."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zoo.lazy import keras

Arrays = dict[str, np.ndarray]

# The weights of layers, in the order in which Keras 3 numbers them.
_VARIABLES = {
    "dense": ("kernel", "bias"),
    "conv2d": ("kernel", "bias"),
    "depthwise_conv2d": ("kernel", "bias"),
    "batch_normalization": ("gamma", "beta", "moving_mean", "moving_variance"),
}


def read(path: Path) -> tuple[dict[str, Arrays], dict[str, str]]:
    """The arrays of a file by model ("" for the outermost), and the layers' names if it has them.

    In the format of Keras 1 and 2 all arrays are "layer/weight" in the order of the file, also
    those of models inside the model. In that of Keras 3 they are "layers/conv2d_1/vars/0", and
    each model inside the model has an entry of its own.
    """
    with h5py.File(path, "r") as file:
        group: Any = file.get("model_weights", file)
        if "layer_names" in group.attrs or "layer_names0" in group.attrs:
            return {"": _listed_layers(group)}, {}
        entries: dict[str, Arrays] = {}
        names: dict[str, str] = {}

        def visit(name, item):
            if isinstance(item, h5py.Group) and name.endswith("/vars") and "name" in item.attrs:
                names[name.removesuffix("/vars")] = str(item.attrs["name"])
            if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
                within = re.fullmatch(r"(.*/)?(layers/\w+/vars/\d+)", name)
                inner, own = within.groups() if within else ("", name)
                entries.setdefault((inner or "").strip("/"), {})[own] = item[()]

        file.visititems(visit)
        return entries, names


def ours(names: dict[str, str]) -> bool:
    """Whether layers are named as in our networks. Files of older releases name none."""
    named = [name for place, name in names.items() if "input" not in place]
    own = [name for name in named if re.match(r"(stem|stage\d+|head|fc_\d+)(_|$)", name)]
    return len(own) * 2 > len(named)


def _listed_layers(group) -> Arrays:
    """The format of Keras 1 and 2: layers and their weights are listed in attributes."""
    arrays: Arrays = {}
    for layer in _listed(group, "layer_names"):
        weights = _listed(group[layer], "weight_names")
        # "layer/kernel:0", or more in front. A model that stands as a layer lists its own layers'.
        owners = {_owner(weight) for weight in weights}
        for weight in weights:
            owner = _owner(weight) if len(owners) > 1 else layer.replace("/", "_")
            name = f"{owner}/{weight.split('/')[-1].split(':')[0]}"
            arrays[name] = group[layer][weight][()]
    return _by_layer(arrays)


def _owner(weight: str) -> str:
    return "".join(weight.split("/")[-2:-1])


def _by_layer(arrays: Arrays) -> Arrays:
    """Each layer's weights together: Keras lists a model's trainable weights before the others."""
    layers: dict[str, list[str]] = {}
    for name in arrays:
        layers.setdefault(name.split("/")[0], []).append(name)
    return {name: arrays[name] for names in layers.values() for name in names}


def _listed(group, name: str) -> list[str]:
    """A list of names, which is cut into several attributes where it is long."""
    if name in group.attrs:
        rows = list(group.attrs[name])
    else:
        rows, i = [], 0
        while f"{name}{i}" in group.attrs:
            rows += list(group.attrs[f"{name}{i}"])
            i += 1
    return [row.decode() if isinstance(row, bytes) else str(row) for row in rows]


def named(arrays: Arrays, application: str) -> Arrays:
    """A file of a keras.applications network under the names that its layers have today.

    Layers that Keras names by itself are called by their place: conv2d:1 is the first of them,
    be it conv2d or conv2d_95.
    """
    with keras.StatelessScope(initialize_variables=False):
        network = getattr(keras.applications, application)(weights=None)
    numbered = any(name.startswith("layers/") for name in arrays)
    return _ordinals((_from_numbers if numbered else _in_order)(arrays, network))


def _from_numbers(arrays: Arrays, network) -> Arrays:
    """From the numbers of Keras 3, which counts the layers of each class."""
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
    """ "layers/dense_1/vars/0" as "dense_1/kernel"."""
    if not (match := re.fullmatch(r"layers/((\w+?)(?:_\d+)?)/vars/(\d+)", name)):
        return name
    variables = _VARIABLES.get(match[2], ())
    place = int(match[3])
    return f"{match[1]}/{variables[place] if place < len(variables) else place}"


def unnumbered(arrays: Arrays) -> Arrays:
    """The arrays of a Keras 3 file as "layer/weight", for layers of a user's own."""
    heads = _attributes(arrays)
    places = {name.split("/")[0] for name in heads}
    rest = {name: array for name, array in arrays.items() if name.split("/")[0] not in places}
    return {_unnumbered(name): array for name, array in {**rest, **heads}.items()}


def _attributes(arrays: Arrays) -> Arrays:
    """The dense layers that are attributes of a subclassed model: "head/kernel" for "vars/0"."""
    found: Arrays = {}
    for name, kernel in arrays.items():
        bias = arrays.get(name.removesuffix("0") + "1")
        if re.fullmatch(r"\w+/vars/0", name) and kernel.ndim == 2 and bias is not None:
            place = name.removesuffix("/vars/0")
            found |= {f"{place}/kernel": kernel, f"{place}/bias": bias}
    return found


def _in_order(arrays: Arrays, network) -> Arrays:
    """Layers are paired in their order, as Keras's own loader does, for their names have changed
    over the years. A file of another number of layers keeps its names, and so do layers of
    another kind, such as a dense layer where the network has a convolution.
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
    """What Keras 2 called depthwise_kernel, but for separable convolutions, is a kernel now."""
    return {
        name
        if f"{name.split('/')[0]}/pointwise_kernel" in arrays
        else name.replace("/depthwise_kernel", "/kernel"): array
        for name, array in arrays.items()
    }


def _ordinals(arrays: Arrays) -> Arrays:
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
