"""Build a network by name, with or without pretrained weights, or load a saved one."""

import importlib
import zipfile
import zlib
from typing import Any

from zoo.checkpoints import pretrained
from zoo.files import one_line
from zoo.graph import layers_of, wrapped
from zoo.lazy import keras, layers
from zoo.plan import checked_network, network, resolve


def build(
    name: str,
    *,
    act: Any = None,
    norm: Any = None,
    init: Any = None,
    num_classes: int | None = None,
    input_shape: tuple[int | None, int | None, int] | None = None,
    preprocess: Any = None,
    dropout: float | None = None,
    drop_path: float | None = None,
    weights: Any = None,
    recompute: bool = False,
    seed: int | None = None,
    **options: Any,
):
    """Build a network by name, as a functional keras.Model from images to float32 logits.

    For each argument, `None` means what the network's paper used. The layers have the global
    dtype policy of Keras (docs/precision.md).

    Args:
        name: name of the network, one of `zoo.list_models()`.
        act, norm, init: activation, normalization and initializer: a name, which a number may
            follow ("leaky_relu:0.1", "group:16", "normal:0.05"); a Keras object, of which each
            place in the network gets a copy; or a callable.
        num_classes: number of units of the last dense layer. 0 leaves this layer out, and the
            network returns its input.
        input_shape: (height, width, channels); height and width are None if they vary.
        preprocess: Keras layer in front of the stem that turns raw pixels (0-255) into what the
            network expects, or the name of a source of weights, for the preprocessing of that
            source. By default it is that of `weights` if they come from a source; otherwise there
            is none, and the network expects preprocessed images. False also means none.
        dropout: probability of dropping a unit, before the last dense layer and after each
            hidden one.
        drop_path: probability of dropping the last residual branch. It grows linearly with depth.
        weights: name of a source of pretrained weights ("imagenet", "keras", "torchvision", or a
            model of timm such as "timm/resnet50.a1_in1k"), or the path of a file: see
            `zoo.load_weights`. A source also sets the input size, the options and the
            preprocessing that its weights need, unless they are given here. A file sets the
            options of the library that the names of its tensors show, but no preprocessing.
        recompute: whether each block stores only its inputs for the backward pass and computes
            the rest again. Training then takes less memory and more time.
        seed: seed of all initial weights and dropout masks; random by default.
        options: fields of `zoo.Style` (`bias_init`, `zero_gamma`, `padding`, ...) or of the
            family's spec (`groups`, `stem`, `hidden`, ...). `zoo.describe(name)` lists them.

    Raises:
        ValueError: a name, value or option is unknown, or the input is too small. The message
            gives the valid values, or the smallest size.
    """
    source = None if weights is None else pretrained.source(name, weights)
    given = {"num_classes": num_classes, "input_shape": input_shape, **options}
    file = None
    if source is not None:
        given = pretrained.made_with(source, given)
    elif weights is not None:
        file = pretrained.opened(source, weights)
        given = pretrained.made_as(name, file, given)
    plan = resolve(
        name,
        act=act,
        norm=norm,
        init=init,
        dropout=dropout,
        drop_path=drop_path,
        recompute=recompute,
        seed=seed,
        **given,
    )
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "image_data_format='channels_first': zoo builds channels_last networks; call "
            "keras.config.set_image_data_format('channels_last')"
        )
    before = pretrained.input_layer(name, source, preprocess, plan.input_shape[2])
    if source is not None:
        file = pretrained.opened(source, weights)
    model = checked_network(plan, lambda plan: network(plan, before))
    if file is not None:
        needs_head = num_classes is None and plan.num_classes > 0
        pretrained.load(model, source, file, preprocess, needs_head)
    model = wrapped(model) if plan.recompute else model
    if source is None and isinstance(preprocess, str):
        source = pretrained.source(name, preprocess)
    if source is not None:
        pretrained.SOURCES[model] = source
    return model


def load(path):
    """Load a saved model (.keras) without compiling it.

    Unlike `keras.models.load_model`, this also keeps TensorFlow from wrong fusions in models of
    plain Keras layers (docs/fusion.md).

    Raises:
        ValueError: the file does not exist, or is not a saved model.
    """
    try:
        importlib.import_module("zoo.layers")
        model = keras.models.load_model(path, compile=False)
    except (
        OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, AttributeError,
        IndexError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise ValueError(
            f"cannot open {str(path)!r} as a saved model: {one_line(error, 300)}"
        ) from error
    for layer in layers_of(model):
        layers.protect(layer)
    return model
