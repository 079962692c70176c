"""Data sets of TensorFlow Datasets, and the digits, which are one."""

from __future__ import annotations

import contextlib
import importlib
import io
import socket
import urllib.parse
import urllib.request
from typing import Any

import numpy as np

from recipes.data.types import IN_MEMORY, Data, Split, in_memory
from zoo.lazy import Lazy
from zoo.lazy import tensorflow as tf
from zoo.options import unknown

tfds = Lazy("tensorflow_datasets")

# Where the split called "test" has no labels: all are -1.
_TEST = dict.fromkeys(("imagenet2012", "i_naturalist2017", "i_naturalist2018"), "validation")
# Records that a shuffle holds, and files that are read at a time.
_SHUFFLE, _FILES = 16_384, 16


def open_tfds(name: str, validation: float | str) -> Data:
    """Open a TFDS data set of (image, label), downloading it if need be.

    The test set is its "test" split, else its "validation", else the last fifth of "train".
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
    """Return the names of all data sets of TFDS, and ours."""
    importlib.import_module("recipes.data.digits")
    return sorted(tfds.list_builders(with_community_datasets=False))


def check_name(name: str) -> None:
    """Raise a ValueError if TFDS has no data set of that name."""
    if name.split("/")[0].split(":")[0] not in known_names():
        _builder(name)  # it may be one that only its files describe


def _builder(name: str) -> Any:
    importlib.import_module("recipes.data.digits")
    try:
        return tfds.builder(name)
    except tfds.core.DatasetNotFoundError:
        hint = str(unknown("data set", name, known_names(), "`recipes names datasets`"))
    except (AssertionError, ValueError) as error:
        # The reason, without the arguments that TFDS repeats before it.
        reason = str(error).strip().split("\n")[0].split('}": ')[-1]
        hint = f"no data set {name!r}: {reason}"
    raise ValueError(
        f"{hint}; valid are digits, the names of tensorflow.org/datasets, folder:PATH and"
        " made_up:HxWxC:CLASSES"
    )


def _prepared(name: str) -> Any:
    builder = _builder(name)
    if builder.is_prepared():
        return builder
    quiet: Any = contextlib.nullcontext()
    if not builder.url_infos:  # nothing to wait for: the digits take a second
        tfds.disable_progress_bar()
        quiet = contextlib.redirect_stdout(io.StringIO())
    try:
        _require_network(builder)
        with quiet:
            builder.download_and_prepare()
    except Exception as error:
        # Another process may have prepared it in the meantime.
        again = _builder(name)
        if again.is_prepared():
            return again
        reason = str(error).strip().split("\n")[0]
        raise ValueError(
            f"data set {name!r} is not prepared in {builder.data_path} and cannot be"
            f" downloaded ({reason}); run `tfds build {name}` where there is a network, or set"
            " TFDS_DATA_DIR to a folder that has it"
        ) from error
    return builder


def _require_network(builder: Any) -> None:
    """Fail at once, not after TFDS's minutes of retries, where no host can be resolved."""
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
            f"data set {info.name!r} is not one of images and class labels: it has"
            f" {', '.join(features)}"
        )
    if features[image].np_dtype != np.uint8 or features[image].shape[-1] is None:
        raise ValueError(f"the images of {info.name!r} are not 8-bit ones: {features[image]}")
    return image, label


def _slices(info: Any, validation: float | str) -> tuple[str, str | None, str]:
    """The TFDS instructions of the training, validation and test sets."""
    test = _TEST.get(info.name) or next((s for s in ("test", "validation") if s in info.splits), "")
    if "train" not in info.splits:
        raise ValueError(f"data set {info.name!r} has no train split: {', '.join(info.splits)}")
    end = info.splits["train"].num_examples
    if not test:
        end = round(0.8 * end)
        test = f"train[{end}:]"
    if isinstance(validation, str):
        if validation in (test, "train"):
            what = "test" if validation == test else "training"
            raise ValueError(
                f"split {validation!r} of {info.name!r} is the {what} set, not validation"
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

    for _, record in _records(part, None).take(1):
        if info.features.deserialize_example(record)[label_key] < 0:
            raise ValueError(f"split {instruction!r} of {info.name!r} has no labels")
    small = None not in image.shape and part.num_examples * np.prod(image.shape) <= IN_MEMORY
    if small:
        examples = list(_records(part, None).map(_parser(info, {}), tf.data.AUTOTUNE))
        pixels = np.stack([example[image_key] for example in examples])
        labels = np.array([example[label_key] for example in examples])
        return in_memory(
            pixels, labels, name=split_name, describe=describe, fingerprint=fingerprint
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
    )


def _parser(info: Any, decoders: dict[str, Any]):
    return lambda index, record: info.features.deserialize_example(record, decoders=decoders)


def _records(part: Any, seed) -> tf.data.Dataset:
    """(index, serialized example) of a part of a data set, shuffled by the seed if given."""
    files = part.file_instructions
    first = np.cumsum([0] + [file.take for file in files[:-1]])
    shards = (
        np.array([str(file.filename) for file in files]),
        np.array([file.skip for file in files], np.int64),
        np.array([file.take for file in files], np.int64),
        first.astype(np.int64),
    )

    def read(name, skip, take, first):
        return tf.data.TFRecordDataset(name).skip(skip).take(take).enumerate(first)

    if seed is None:
        return tf.data.Dataset.from_tensor_slices(shards).flat_map(read)
    keys = tf.random.stateless_uniform([len(files)], seed)
    shards = tuple(tf.gather(column, tf.argsort(keys)) for column in shards)
    records = tf.data.Dataset.from_tensor_slices(shards).interleave(
        read, cycle_length=_FILES, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    # A shuffle mixes its seed with its graph's, which would be the program's global one.
    if not tf.executing_eagerly():
        tf.compat.v1.set_random_seed(1)
    own = tf.random.stateless_uniform([], seed, None, None, tf.int64)
    size = min(part.num_examples, _SHUFFLE)
    return records.shuffle(size, own, reshuffle_each_iteration=False)
