"""Export networks to Keras, SavedModel, ONNX, TFLite or safetensors, and check each export."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.exporting.requests import Request, checked


@dataclass(frozen=True)
class Exported:
    """An exported file or folder, and the result of its check.

    Attributes:
        path: the path that was written.
        to: the target.
        difference: the largest difference between its logits and the network's, relative to the
            largest logit; for safetensors, between the weights read back and the network's; for
            int8, the root mean square difference on the calibration images, relative to the
            standard deviation of the network's logits.
        by: the package that read it, with its version, such as "onnxruntime 1.31.1".
        agreement: for int8, the fraction of the calibration images to which it assigns the same
            class as the network; otherwise None.
    """

    path: Path
    to: str
    difference: float
    by: str
    agreement: float | None = None


def export(
    model,
    path: Any,
    *,
    to: str | None = None,
    batch: int | None = None,
    dtype: str = "float32",
    fold: bool = True,
    naming: str | None = None,
    calibration: Any = None,
) -> Exported:
    """Export a network for another runtime, and check that it gives the same logits there.

    The exported network takes the same input as `model` (raw pixels if a preprocessing layer
    comes before the stem): float32, (batch, height, width, channels). It returns float32 logits.
    The export is written next to `path`, checked and then moved there. If the check fails,
    `path` remains as it was. An existing file is replaced, a folder only if it is a SavedModel.

    Args:
        model: a functional network of zoo. It is not changed. Only its first output is exported.
        path: the path to write.
        to: the target, "keras", "saved_model", "onnx", "tflite" or "safetensors". None chooses
            it by the suffix of `path`; a path without a suffix is the folder of a SavedModel.
        batch: the number of images in a batch; None for any number.
        dtype: the dtype of the weights, "float32", "float16" or (keras, saved_model and
            safetensors) "bfloat16". Keras, SavedModel and ONNX also compute in it, except for
            norms and the last layer. TFLite computes in float32 on a CPU. "int8" (tflite and
            onnx) quantizes weights and feature maps to 8-bit integers. The TFLite file then
            computes in integers only: it takes uint8 (or int8) images and returns int8 logits,
            whose scales and zero points are stored in the file. The ONNX file takes and returns
            float32.
        fold: whether to fold batch norms into the kernels next to them, as `fold_batchnorm`
            does. Tensors in safetensors are never folded.
        naming: the library whose tensor names safetensors uses: "torchvision", "timm",
            "timm_legacy" (timm's legacy_* networks) or "efficientnet_pytorch". None chooses the
            first that has names for this network. `load_state_dict` of that library loads the
            tensors as they are (create its GoogLeNet or Inception v3 with aux_logits=False). A
            warning is logged if its network differs from this one, in an activation or a border
            for example.
        calibration: for int8, images on which the range of each feature map is measured, as the
            network takes them: (images, height, width, channels). About a hundred, typical of
            those to classify. If they are uint8, the TFLite file takes raw pixels in uint8.

    Raises:
        ValueError: the target, dtype or naming is unknown; a package is missing; the converter
            does not support a layer; the logits differ from the network's by more than 1e-3
            (float16: 1e-2, bfloat16: 1e-1) of the largest, or for int8 by more than half of their
            standard deviation; or `path` cannot be written.
    """
    request = checked(path, to=to, batch=batch, dtype=dtype, naming=naming, calibration=calibration)
    return write(model, request, fold)


def write(model, request: Request, fold: bool) -> Exported:
    """Export a network as a checked request describes it."""
    from zoo.exporting import checking, conversion, networks, quantizing, tensors
    from zoo.exporting.staging import written_whole

    if request.to == "safetensors":
        with written_whole(request.path) as place:
            difference = tensors.write(model, place, request.dtype, request.naming)
        return Exported(request.path, request.to, difference, "safetensors")
    network = networks.plain(model, request, fold)
    agreement = None
    if request.dtype == "int8":
        request = replace(request, calibration=quantizing.checked(request.calibration, network))
    with written_whole(request.path) as place:
        conversion.write(network, place, request)
        reference = networks.reference(model)
        if request.dtype == "int8":
            difference, agreement = checking.quantized(reference, network, place, request)
        else:
            difference = checking.difference(reference, network, place, request)
    return Exported(request.path, request.to, difference, checking.reader(request.to), agreement)
