"""Open data sets of TensorFlow Datasets (TFDS), including our own "digits"."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import socket
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from recipes.data.records import labels_and_sizes, records_of
from recipes.data.subset import Chosen, Subset
from recipes.data.types import IN_MEMORY, Data, Split, in_memory, permutation
from zoo.lazy import Lazy
from zoo.lazy import tensorflow as tf
from zoo.options import unknown

tfds = Lazy("tensorflow_datasets")

# Data sets whose "test" split has no labels (all are -1), and the split used in its place.
_TEST = dict.fromkeys(("imagenet2012", "i_naturalist2017", "i_naturalist2018"), "validation")


def open_tfds(name: str, validation: float | str, subset: Subset) -> Data:
    """Open a TFDS data set of images and class labels, downloading it if necessary.

    The test set is the "test" split, or else "validation", or else the last fifth of "train".

    Args:
        name: the name in TFDS, such as "cifar10" or "cifar10:3.0.2".
        validation: the fraction of "train" that is held out, 0 for none, or the name of a split.
        subset: the classes and the number of training images to use.

    Raises:
        ValueError: the data set or split does not exist, has no images and class labels, or
            cannot be downloaded, or there are too few images for the subset.
    """
    builder = _prepared(name)
    info = builder.info
    image_key, label_key = _keys(info)
    train, held_out, test = _slices(info, validation)

    def split(split_name: str, instruction: str) -> Split:
        return _split(info, split_name, instruction, image_key, label_key, subset)

    return Data(
        name=name,
        classes=subset.names(info.features[label_key].names),
        train=split("train", train),
        validation=split("validation", held_out) if held_out else None,
        open_test=lambda: split("test", test),
    )


def known_names() -> list[str]:
    """Return the names of all data sets in TFDS, including our own."""
    importlib.import_module("recipes.data.digits")
    return sorted(tfds.list_builders(with_community_datasets=False))


def check_name(name: str) -> None:
    """Raise a ValueError if TFDS has no data set with this name."""
    if name.split("/")[0].split(":")[0] not in known_names():
        _builder(name)  # a prepared data set may be known only by its files


def _builder(name: str) -> Any:
    importlib.import_module("recipes.data.digits")
    try:
        return tfds.builder(name)
    except tfds.core.DatasetNotFoundError:
        hint = str(unknown("data set", name, known_names(), "`recipes names datasets`"))
    except (AssertionError, ValueError) as error:
        # Keep only the reason; TFDS puts the arguments before it.
        reason = str(error).strip().split("\n")[0].split('}": ')[-1]
        hint = f"data={name!r}: {reason}"
    if name and Path(name).expanduser().is_dir():
        hint = f"data={name!r}: this is a folder; to read its images, pass folder:{name}"
    raise ValueError(
        f"{hint}; valid are digits, the names on tensorflow.org/datasets, folder:PATH and"
        " made_up:HxWxC:CLASSES"
    )


def _prepared(name: str) -> Any:
    builder = _builder(name)
    if builder.is_prepared():
        return builder
    quiet: Any = contextlib.nullcontext()
    if not builder.url_infos:  # nothing to download, so no progress bar is needed
        tfds.disable_progress_bar()
        quiet = contextlib.redirect_stdout(io.StringIO())
    try:
        _require_network(builder)
        with quiet:
            builder.download_and_prepare()
    except Exception as error:
        # Another process may have prepared the data set in the meantime.
        again = _builder(name)
        if again.is_prepared():
            return again
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"data={name!r}: is not prepared in {builder.data_path} and cannot be downloaded"
            f" ({reason}); run `tfds build {name}` on a machine with internet access, or set"
            " TFDS_DATA_DIR to a folder that contains it"
        ) from error
    return builder


def _require_network(builder: Any) -> None:
    """Fail at once without a network, where TFDS would retry for minutes."""
    if urllib.request.getproxies():
        return
    hosts = {urllib.parse.urlsplit(url).hostname for url in builder.url_infos or ()}
    for host in sorted(filter(None, hosts))[:1]:
        try:
            socket.getaddrinfo(host, 443)
        except OSError:
            raise ConnectionError(f"no network: cannot resolve {host}") from None


def _keys(info: Any) -> tuple[str, str]:
    image, label = info.supervised_keys or ("image", "label")
    features = info.features
    if (
        image not in features
        or label not in features
        or not isinstance(features[image], tfds.features.Image)
        or not isinstance(features[label], tfds.features.ClassLabel)
    ):
        raise ValueError(
            f"data={info.name!r}: not a data set of images and class labels; its features are"
            f" {', '.join(features)}"
        )
    if features[image].np_dtype != np.uint8 or features[image].shape[-1] is None:
        raise ValueError(f"data={info.name!r}: its images are not 8-bit images: {features[image]}")
    return image, label


def _slices(info: Any, validation: float | str) -> tuple[str, str | None, str]:
    """Return the TFDS split instructions of the training, validation and test sets."""
    test = _TEST.get(info.name) or next((s for s in ("test", "validation") if s in info.splits), "")
    if "train" not in info.splits:
        raise ValueError(f"data={info.name!r}: has no train split, only {', '.join(info.splits)}")
    end = info.splits["train"].num_examples
    if not test:
        end = round(0.8 * end)
        test = f"train[{end}:]"
    if isinstance(validation, str):
        if validation in (test, "train"):
            what = "test" if validation == test else "training"
            raise ValueError(
                f"validation={validation!r}: this split of {info.name!r} is the {what} set, which"
                " cannot be the validation set; use a fraction"
            )
        if validation not in info.splits:
            raise unknown(f"split of {info.name}", validation, info.splits)
        return f"train[:{end}]", validation, test
    start = end - (min(max(1, round(validation * end)), end - 1) if validation else 0)
    return f"train[:{start}]", f"train[{start}:{end}]" if start < end else None, test


def _split(
    info, split_name: str, instruction: str, image_key: str, label_key: str, subset: Subset
) -> Split:
    part = info.splits[instruction]
    image = info.features[image_key]
    encoded = image.encoding_format in ("png", "jpeg", None)
    fingerprint = f"{info.full_name}/{instruction}"
    classes = info.features[label_key].names

    def describe(index: int) -> str:
        return f"example {index} of {info.full_name}/{instruction}"

    small = None not in image.shape and part.num_examples * np.prod(image.shape) <= IN_MEMORY
    whole = _parser(info, {})

    def pair(index, record):
        example = whole(index, record)
        return example[image_key], example[label_key]

    records = records_of(part, None).take(-1 if small else 1).map(pair, tf.data.AUTOTUNE)
    ((images, labels),) = records.batch(part.num_examples).as_numpy_iterator()
    if labels[0] < 0:
        raise ValueError(f"data={info.name!r}: split {instruction!r} has no labels")
    if small:
        chosen = None if subset.whole else subset.choose(split_name, labels, classes)
        if chosen:
            images, labels = images[chosen.places], chosen.labels
        split = in_memory(
            images, labels, name=split_name, describe=describe, fingerprint=fingerprint
        )
        return split if chosen is None else _renamed(split, chosen)

    parse = _parser(info, {image_key: tfds.decode.SkipDecoding()} if encoded else {})

    def lookup(index, record):
        example = parse(index, record)
        return {"image": example[image_key], "label": example[label_key], "index": index}

    stream = Split(
        name=split_name,
        count=part.num_examples,
        encoded=encoded,
        shape=tuple(image.shape),
        order=lambda seed: records_of(part, seed),
        lookup=lookup,
        describe=describe,
        fingerprint=fingerprint,
        order_of_part=lambda seed, own: records_of(part, seed, own),
    )
    return stream if subset.whole else _chosen(stream, part, subset, classes)


def _renamed(split: Split, chosen: Chosen) -> Split:
    """Return the split of chosen images with the descriptions of a part of a larger set."""
    return dataclasses.replace(
        split,
        describe=lambda index: split.describe(int(chosen.places[index])),
        fingerprint=chosen.fingerprint(split.fingerprint),
    )


def _chosen(stream: Split, part: Any, subset: Subset, classes: list[str]) -> Split:
    """Return the chosen images of a stream, which are kept in memory if their files are small.

    Without a list of labels, all records are read once to find them; labels and sizes of the
    records are kept in the cache.
    """
    labels, sizes = labels_and_sizes(stream)
    chosen = subset.choose(stream.name, labels, classes)
    with tf.device("CPU"):
        own_labels = tf.constant(chosen.labels)
    if sizes[chosen.places].sum() > IN_MEMORY:

        def lookup(index, record):
            return {**stream.lookup(index, record), "label": own_labels[index]}

        return dataclasses.replace(
            _renamed(stream, chosen),
            count=len(chosen.places),
            order=lambda seed: records_of(part, seed, places=chosen.places),
            lookup=lookup,
            order_of_part=lambda seed, own: records_of(part, seed, own, chosen.places),
            labels=chosen.labels,
        )
    items = records_of(part, None, places=chosen.places)
    with tf.device("CPU"):
        records = tf.constant([record for _, record in items.as_numpy_iterator()], tf.string)

    def lookup_record(index):
        return {**stream.lookup(index, records[index]), "label": own_labels[index]}

    return dataclasses.replace(
        _renamed(stream, chosen),
        count=len(chosen.places),
        order=lambda seed: permutation(len(chosen.places), seed),
        lookup=lookup_record,
        order_of_part=None,
        labels=chosen.labels,
    )


def _parser(info: Any, decoders: dict[str, Any]):
    return lambda index, record: info.features.deserialize_example(record, decoders=decoders)
