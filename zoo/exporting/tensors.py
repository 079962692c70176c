"""Write a network's weights to safetensors files, under the names of torchvision or timm."""

import importlib
import logging
from pathlib import Path

import numpy as np

from zoo.checkpoints import files
from zoo.checkpoints.identifying import and_more, differences
from zoo.checkpoints.layouts import Tensor, layouts
from zoo.checkpoints.naming import Layout
from zoo.checkpoints.sources import architectures, table
from zoo.exporting.checking import TOLERANCES
from zoo.exporting.networks import main_output
from zoo.exporting.requests import NAMINGS
from zoo.graph import unwrapped

log = logging.getLogger(__name__)


def write(model, path: Path, dtype: str, naming: str | None) -> float:
    """Write the tensors that PyTorch's load_state_dict(strict=True) expects, and read them back.

    Args:
        model: the network.
        path: the file to write.
        dtype: the dtype of the tensors.
        naming: the library whose names are used; None for the first that has names for the network.

    Returns:
        The largest difference between written and read weights, relative to the largest weight.

    Raises:
        ValueError: the library has no names for the network's layers, or the file differs.
    """
    model = unwrapped(main_output(model))
    layout, tensors = _layout(model, naming)
    _compare(model, layout)
    number = importlib.import_module("ml_dtypes").bfloat16 if dtype == "bfloat16" else dtype
    arrays = {t.name: np.ascontiguousarray(t.outward(), number) for t in tensors}
    for name in list(arrays):
        if name.endswith(".running_var"):  # PyTorch's norms also have a counter, which is not used
            arrays[name.replace("running_var", "num_batches_tracked")] = np.zeros((), "int64")
    metadata = {
        "format": "pt",
        "network": model.name,
        "naming": layout.name,
        "input": _pixels(model),
    }
    path.write_bytes(importlib.import_module("safetensors.numpy").save(arrays, metadata))
    return _difference(path, tensors, dtype)


def _layout(model, naming: str | None) -> tuple[Layout, list[Tensor]]:
    found = [pair for pair in layouts(model) if pair[0].kind == "torch"]
    if not found:
        raise ValueError(
            f"to='safetensors': {model.name} has layers that torchvision and timm do not have; "
            "export to keras, saved_model, onnx or tflite"
        )
    by_naming: dict[str, tuple[Layout, list[Tensor]]] = {}
    for layout, tensors in found:
        by_naming.setdefault(layout.name.replace(" ", "_"), (layout, tensors))
    if model.name in {ours for ours, _ in architectures().values()}:
        # For some networks timm uses torchvision's names, and for others only the legacy names.
        others = [by_naming[name] for name in ("torchvision", "timm_legacy") if name in by_naming]
        by_naming.setdefault("timm", others[0] if others else found[0])
    if naming is None:
        naming = next(name for name in NAMINGS if name in by_naming)
    if naming not in by_naming:
        raise ValueError(
            f"naming={naming!r}: not available for {model.name}; "
            f"valid: {', '.join(sorted(by_naming))}"
        )
    return by_naming[naming]


def _compare(model, layout: Layout) -> None:
    """Warn if no network of that library computes the same as this one."""
    library = layout.name.split()[0]
    theirs = [s.options for n, s in table().get(model.name, {}).items() if n.startswith(library)]
    if library == "timm":
        theirs += [options for ours, options in architectures().values() if ours == model.name]
    if layout.options:
        theirs.append(dict(layout.options))
    found = []
    for options in theirs:
        if not (differ := differences(model, options, activations=True)):
            return
        found.append(differ)
    if found:
        log.warning(
            "naming=%s: that library's network will give other logits than this %s, because here "
            "%s", library, model.name, and_more(min(found, key=len)),
        )  # fmt: skip


def _pixels(model) -> str:
    """Describe the values that the network's first kernel takes, for the file's metadata."""
    before = [x for x in model.layers if x.name.startswith("input_") and x.name != "input_image"]
    if not before:
        return "as the network was trained"
    config = before[0].get_config()
    if "scale" in config and "offset" in config:
        return f"pixels 0 to 255, red first, times {config['scale']} plus {config['offset']}"
    return f"pixels 0 to 255 through {before[0].name}, which is not in this file"


def _difference(path: Path, tensors: list[Tensor], dtype: str) -> float:
    """Return the largest relative difference of the weights in a file, or raise a ValueError."""
    read = files.read(path)
    worst = 0.0
    for tensor in tensors:
        ours = np.asarray(tensor.outward(), "float64")
        apart = np.abs(ours - np.asarray(read[tensor.name], "float64")).max(initial=0)
        worst = max(worst, float(apart / max(np.abs(ours).max(initial=0), 1e-30)))
    limit = 0.0 if dtype == "float32" else TOLERANCES[dtype]
    if not worst <= limit:
        raise ValueError(f"the weights in {path.name} differ from the network's by {worst:.1e}")
    return worst
