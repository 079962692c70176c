"""Where weights come from, and what they were made with: sources.csv and architectures.csv.

The facts are those of keras.applications 3.15 (its code, and keras.io for the accuracies),
torchvision 0.28 (its weights' meta data) and timm 1.0 (its configurations; accuracies of
torchvision's weights are torchvision's, others as in zoo's catalog or, where it has none and of
nasnetalarge, those of timm's results/results-imagenet.csv).
They are loaded with the options of `zoo.build` that make our network theirs.
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

# mean and deviation of each channel, of pixels from 0 to 255, red first; whether the network
# itself was made for blue first. The names are those of keras.applications.
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PIXELS: dict[str, tuple[tuple[float, ...], tuple[float, ...], bool]] = {
    "torch": (
        tuple(255 * m for m in _IMAGENET[0]),
        tuple(255 * s for s in _IMAGENET[1]),
        False,
    ),
    "tf": ((127.5,) * 3, (127.5,) * 3, False),
    "caffe": ((123.68, 116.779, 103.939), (1.0,) * 3, True),
}


@dataclass(frozen=True)
class Source:
    """Weights of one network, and what goes with them.

    Attributes:
        model: the network's name here.
        name: of the source: "keras", "torchvision", "timm/resnet50.a1_in1k", ...
        url: of the file; "" for one on the Hugging Face hub.
        hash: "sha256:" or "md5:" and the first digits at least; "etag" if the server says it;
            "" if none is known: then that of the first download is kept.
        size: of the square image.
        mean, deviation: what the network takes is (pixel - mean) / deviation, red first.
        bgr: the file's own network sees blue first; loaded from this source, ours sees red.
        crop: the part of the resized image's side that is cut from its middle.
        interpolation: of the resizing.
        top1: the published accuracy on ImageNet's validation images, in per cent.
        classes: that the classifier tells apart.
        options: of `zoo.build`, that make our network the one these weights are of.
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


@functools.cache
def table() -> dict[str, dict[str, Source]]:
    """model -> source's name -> Source; "imagenet" is the best-known."""
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
        )
        of_model = found.setdefault(source.model, {})
        of_model[source.name] = source
        if row["imagenet"]:
            of_model["imagenet"] = source
    return found


@functools.cache
def architectures() -> dict[str, tuple[str, dict[str, Any]]]:
    """timm's name of an architecture -> our network and the options that make it that."""
    return {
        row["architecture"]: (row["model"], _options(row["options"]))
        for row in _rows("architectures.csv")
    }


def source(model: str, weights: Any) -> Source | None:
    """The source that `weights` names; None if it is the path of a file.

    Raises:
        ValueError: no such network or source, a source of another network, or no file.
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
        raise ValueError(f"weights={text!r} is a folder; name the file of weights in it")
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
    """A path of weights, and the entry after "#" in "FILE#ENTRY"."""
    text = os.path.expanduser(os.fspath(weights))
    path, sign, entry = text.rpartition("#")
    if not sign or Path(text).is_file():
        return Path(text), None
    return Path(path), entry


def _of_hub(model: str, name: str) -> Source:
    """A source on the hub that the table does not have: its facts stand in its config.json."""
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
            f"weights={name!r}: these are weights of {of}, not of {model}; build {of}, or list the "
            f"sources for {model} with `zoo names weights {model}`"
        )


def _options(text: str) -> dict[str, Any]:
    """ "padding=tf;norm_epsilon=1e-3" as a dict."""
    pairs = (part.split("=") for part in text.split(";") if part)
    return {key: _value(value) for key, value in pairs}


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except ValueError:
        return text


def _rows(name: str) -> list[dict[str, str]]:
    text = importlib.resources.files("zoo.checkpoints").joinpath(name).read_text()
    return list(csv.DictReader(text.splitlines()))
