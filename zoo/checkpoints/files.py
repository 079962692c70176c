"""Files of weights as name -> array. Nothing in a file is ever run.

Keras's `.keras` files are not read, for they hold code as well: see SECURITY.md.
"""

import importlib
import importlib.util
import pickle  # for its error alone
import re
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from zoo.lazy import keras

Arrays = dict[str, np.ndarray]


def read(path: Path) -> Arrays:
    """The tensors of a file by name.

    Of keras.applications' `.h5` they are "layer/weight", in the order of the file; of our own
    `.weights.h5` "layers/conv2d/vars/0".

    Raises:
        ValueError: no such file, another kind of file, a damaged one; or torch is needed.
    """
    if not path.is_file():
        raise ValueError(f"there is no file of weights {str(path)!r}")
    kind = _kind(path)
    try:
        if kind == "keras":
            raise ValueError(
                "a .keras file may hold code and is never read as weights: "
                "save it with model.save_weights('NAME.weights.h5') where it comes from"
            )
        arrays = {"safetensors": _safetensors, "hdf5": _hdf5, "torch": _torch}[kind](path)
    except Exception as error:
        # The readers raise errors of many kinds on a damaged file.
        if isinstance(error, (KeyboardInterrupt, MemoryError)):
            raise
        text = " ".join(str(error).split())[:300]
        raise ValueError(f"cannot read weights from {str(path)!r}: {text}") from error
    return {name: array for name, array in arrays.items() if not _counter(name)}


def _kind(path: Path) -> str:
    """By the first bytes; the end of the name decides where those say too little."""
    with path.open("rb") as file:
        start = file.read(8)
    if start == b"\x89HDF\r\n\x1a\n":
        return "hdf5"
    if path.suffix == ".keras":
        return "keras"
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        return "keras" if "config.json" in names or "metadata.json" in names else "torch"
    endings = {".safetensors": "safetensors", ".h5": "hdf5", ".hdf5": "hdf5"}
    endings |= dict.fromkeys((".pth", ".pt", ".bin", ".tar"), "torch")
    if path.suffix not in endings:
        valid = ".safetensors, .h5, .weights.h5, .pth, .pt, .bin"
        raise ValueError(f"{str(path)!r} is no file of weights: its name ends in none of {valid}")
    return endings[path.suffix]


def _counter(name: str) -> bool:
    """Torch's count of batches, which no network computes with."""
    return name.endswith(".num_batches_tracked")


def _safetensors(path: Path) -> Arrays:
    importlib.import_module("ml_dtypes")  # which teaches NumPy bfloat16
    found = importlib.import_module("safetensors.numpy").load_file(path)
    return {k: v.astype("float32") if v.dtype.itemsize == 2 else v for k, v in found.items()}


def _torch(path: Path) -> Arrays:
    if importlib.util.find_spec("torch") is None:
        raise ValueError(
            "a torch file needs torch to be read (pip install torch), "
            "or a .safetensors file of the same weights in its place"
        )
    torch = importlib.import_module("torch")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError("it holds more than tensors, and none of that is read") from error
    for key in ("state_dict", "model", "state_dict_ema"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict):
        raise ValueError("it holds no dict of tensors")
    tensors = {k: v for k, v in found.items() if isinstance(v, torch.Tensor)}
    return {_new_name(k.removeprefix("module.")): v.float().numpy() for k, v in tensors.items()}


def _new_name(name: str) -> str:
    """DenseNet's names as torchvision has written them since 0.3: norm1 was norm.1."""
    return re.sub(r"(denselayer\d+\.)(norm|conv)\.(\d)\.", r"\1\2\3.", name)


def _hdf5(path: Path) -> Arrays:
    with h5py.File(path, "r") as file:
        group: Any = file.get("model_weights", file)
        if "layer_names" in group.attrs or "layer_names0" in group.attrs:
            return _keras_hdf5(group)
        arrays: Arrays = {}

        def visit(name, item):
            if isinstance(item, h5py.Dataset) and not name.startswith("optimizer"):
                arrays[name] = item[()]

        file.visititems(visit)
        return arrays


def _keras_hdf5(group) -> Arrays:
    """The format of Keras 1 and 2: layers and their weights are listed in attributes."""
    arrays: Arrays = {}
    for layer in _listed(group, "layer_names"):
        for weight in _listed(group[layer], "weight_names"):
            # "layer/kernel:0", or more in front
            name = f"{_flat(layer)}/{weight.split('/')[-1].split(':')[0]}"
            arrays[name] = group[layer][weight][()]
    return arrays


def _flat(layer: str) -> str:
    return layer.replace("/", "_")


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


def ordinals(arrays: Arrays) -> Arrays:
    """The same with layers that Keras named by itself called by their place: conv2d:1 is the
    first of them, be it conv2d or conv2d_95."""
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


def _depthwise(arrays: Arrays) -> Arrays:
    """What Keras 2 called depthwise_kernel, but for separable convolutions, is a kernel now."""
    return {
        name
        if f"{name.split('/')[0]}/pointwise_kernel" in arrays
        else name.replace("/depthwise_kernel", "/kernel"): array
        for name, array in arrays.items()
    }


def in_keras_order(arrays: Arrays, application: str) -> Arrays:
    """A file of keras.applications under the names that its network has today.

    Layers are paired in their order, as Keras's own loader does, for their names have changed
    over the years. A file of another number of layers keeps its names.
    """
    with keras.StatelessScope(initialize_variables=False):
        network = getattr(keras.applications, application)(weights=None)
    today = [[f"{x.name}/{w.name}" for w in x.weights] for x in network.layers if x.weights]
    layers: dict[str, list[str]] = {}
    for name in arrays:
        layers.setdefault(name.split("/")[0], []).append(name)
    counts = [len(names) for names in layers.values()]
    if counts != [len(paths) for paths in today[: len(counts)]] or len(today) - len(counts) > 3:
        return _depthwise(arrays)
    return {
        path: arrays[name]
        for names, paths in zip(layers.values(), today, strict=False)
        for name, path in zip(names, paths, strict=True)
    }
