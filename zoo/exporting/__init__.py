"""Networks out: as Keras's own file, SavedModel, ONNX, TFLite or safetensors, each checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.exporting.requests import Request, checked


@dataclass(frozen=True)
class Exported:
    """A file or folder that was written, and what its check found.

    Attributes:
        path: of it.
        to: the target.
        difference: the largest between its logits and the network's, relative to the largest
            logit; of safetensors, between the weights read back and the network's.
        by: what read it, with its version, such as "onnxruntime 1.31.1".
    """

    path: Path
    to: str
    difference: float
    by: str


def export(
    model,
    path: Any,
    *,
    to: str | None = None,
    batch: int | None = None,
    dtype: str = "float32",
    fold: bool = True,
    naming: str | None = None,
) -> Exported:
    """Writes a network for another runtime, and checks there that it gives the same logits.

    What is written takes what `model` takes, raw pixels if a preprocessing layer stands before
    the stem: (batch, height, width, channels), float32; and gives float32 logits. It is written
    beside `path`, checked, and moved there: if the check fails, `path` is as it was before. A
    file there is replaced, a folder only if it is a SavedModel.

    Args:
        model: a functional network of ours; it is not changed. Of several outputs the first.
        to: "keras", "saved_model", "onnx", "tflite" or "safetensors"; None goes by the suffix
            of `path`, which a SavedModel, a folder, does not have.
        batch: images at a time; None for any number.
        dtype: of the weights: "float32", "float16" or, in keras, saved_model and safetensors,
            "bfloat16". Keras, SavedModel and ONNX then compute in it, but for norms and the
            last layer; TFLite on a CPU computes in float32.
        fold: norms become part of the kernels beside them, as by `fold_batchnorm`. Tensors of
            safetensors are never folded.
        naming: of safetensors, the library that is to load it: "torchvision", "timm" or, for
            its networks of that name, "timm_legacy"; None for the first that has names for this
            network. Its `load_state_dict` takes the tensors as they are (of a GoogLeNet or
            Inception v3 made with aux_logits=False). What its network computes otherwise than
            this one, an activation or a border, is logged as a warning.

    Raises:
        ValueError: an unknown target, dtype or naming; a target's package is missing; a layer
            that the converter cannot take; other logits than the network's by more than 1e-3
            (float16: 1e-2, bfloat16: 1e-1) of the largest; or `path` cannot be written.
    """
    return write(model, checked(path, to=to, batch=batch, dtype=dtype, naming=naming), fold)


def write(model, request: Request, fold: bool) -> Exported:
    """`export` of a request that is checked already."""
    from zoo.exporting import checking, conversion, networks, tensors
    from zoo.exporting.staging import written_whole

    if request.to == "safetensors":
        with written_whole(request.path) as place:
            difference = tensors.write(model, place, request.dtype, request.naming)
        return Exported(request.path, request.to, difference, "safetensors")
    network = networks.plain(model, request, fold)
    with written_whole(request.path) as place:
        conversion.write(network, place, request)
        difference = checking.difference(networks.reference(model), network, place, request)
    return Exported(request.path, request.to, difference, checking.reader(request.to))
