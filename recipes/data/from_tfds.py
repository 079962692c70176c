"""Open data sets of TensorFlow Datasets (TFDS), including our own "digits"."""

from __future__ import annotations

import contextlib
import importlib
import io
import socket
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from recipes.data.parts import range_of_part
from recipes.data.types import IN_MEMORY, Data, Split, in_memory
from zoo.lazy import Lazy
from zoo.lazy import tensorflow as tf
from zoo.options import unknown

tfds = Lazy("tensorflow_datasets")

# Data sets whose "test" split has no labels (all are -1), and the split used in its place.
_TEST = dict.fromkeys(("imagenet2012", "i_naturalist2017", "i_naturalist2018"), "validation")
# The size of the shuffle buffer in records, and the number of files read in parallel.
_SHUFFLE, _FILES = 16_384, 16


def open_tfds(name: str, validation: float | str) -> Data:
    """Open a TFDS data set of images and class labels, downloading it if necessary.

    The test set is the "test" split, or else "validation", or else the last fifth of "train".

    Args:
        name: the name in TFDS, such as "cifar10" or "cifar10:3.0.2".
        validation: the fraction of "train" that is held out, 0 for none, or the name of a split.

    Raises:
        ValueError: the data set or split does not exist, has no images and class labels, or
            cannot be downloaded.
    """
    builder = _prepared(name)
    info = builder.info
    image_key, label_key = _keys(info)
    train, held_out, test = _slices(info, validation)

    def split(split_name: str, instruction: str) -> Split:
        return _split(info, split_name, instruction, image_key, label_key)

    return Data(
        name=name,
        classes=tuple(info.features[label_key].names),
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


def _split(info, split_name: str, instruction: str, image_key: str, label_key: str) -> Split:
    part = info.splits[instruction]
    image = info.features[image_key]
    encoded = image.encoding_format in ("png", "jpeg", None)
    fingerprint = f"{info.full_name}/{instruction}"

    def describe(index: int) -> str:
        return f"example {index} of {fingerprint}"

    small = None not in image.shape and part.num_examples * np.prod(image.shape) <= IN_MEMORY
    whole = _parser(info, {})

    def pair(index, record):
        example = whole(index, record)
        return example[image_key], example[label_key]

    records = _records(part, None).take(-1 if small else 1).map(pair, tf.data.AUTOTUNE)
    ((images, labels),) = records.batch(part.num_examples).as_numpy_iterator()
    if labels[0] < 0:
        raise ValueError(f"data={info.name!r}: split {instruction!r} has no labels")
    if small:
        return in_memory(
            images, labels, name=split_name, describe=describe, fingerprint=fingerprint
        )

    parse = _parser(info, {image_key: tfds.decode.SkipDecoding()} if encoded else {})

    def lookup(index, record):
        example = parse(index, record)
        return {"image": example[image_key], "label": example[label_key], "index": index}

    return Split(
        name=split_name,
        count=part.num_examples,
        encoded=encoded,
        shape=tuple(image.shape),
        order=lambda seed: _records(part, seed),
        lookup=lookup,
        describe=describe,
        fingerprint=fingerprint,
        order_of_part=lambda seed, own: _records(part, seed, own),
    )


def _parser(info: Any, decoders: dict[str, Any]):
    return lambda index, record: info.features.deserialize_example(record, decoders=decoders)


def _records(part: Any, seed, own: tuple[int, int] = (0, 1)) -> tf.data.Dataset:
    """Return (index, serialized example) of a split, shuffled by the seed if there is one.

    Args:
        part: the split.
        seed: the seed, int32 [2], or None for the fixed order.
        own: a worker and the number of workers, to read only the worker's range of records.
    """
    names = np.array([str(file.filename) for file in part.file_instructions])
    skip = np.array([file.skip for file in part.file_instructions], np.int64)
    take = np.array([file.take for file in part.file_instructions], np.int64)
    first = np.cumsum(take) - take
    start, end = range_of_part(part.num_examples, own)
    cut = np.clip(start - first, 0, take)
    take = np.clip(end - first, 0, take) - cut
    shards = tuple(column[take > 0] for column in (names, skip + cut, take, first + cut))

    def read(name, skip, take, first):
        return tf.data.TFRecordDataset(name).skip(skip).take(take).enumerate(first)

    if seed is None:
        return tf.data.Dataset.from_tensor_slices(shards).flat_map(read)
    keys = tf.random.stateless_uniform([len(shards[0])], seed)
    shards = tuple(tf.gather(column, tf.argsort(keys)) for column in shards)
    records = tf.data.Dataset.from_tensor_slices(shards).interleave(
        read, cycle_length=_FILES, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    # A shuffle combines its seed with that of its graph, which would be the global seed.
    if not tf.executing_eagerly():
        tf.compat.v1.set_random_seed(1)
    shuffle = tf.random.stateless_uniform([], seed, None, None, tf.int64)
    size = max(min(end - start, _SHUFFLE), 1)
    return records.shuffle(size, shuffle, reshuffle_each_iteration=False)
