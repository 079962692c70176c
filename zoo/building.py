"""Networks: built from a name, with weights or without, or opened from a file of ours."""

import importlib
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
    """A network, as a functional keras.Model from images to float32 logits.

    Its layers have Keras's dtype policy (docs/precision.md).

    `None` means what the paper did.

    Args:
        name: one of `list_models()`.
        act, norm, init: a name (a number may follow: "leaky_relu:0.1", "group:16",
            "normal:0.05"), a Keras object, which is rebuilt at each place, or a callable.
        num_classes: of the last dense layer; 0 ends at what it would see.
        input_shape: (height, width, channels); None for sizes that vary.
        preprocess: a Keras layer that stands before the stem, from raw pixels 0-255 to what
            the network takes; or the name of a source, for the same. None is that of `weights`
            if they are a source's, else none: images come preprocessed. False is none.
        dropout: probability of dropping a unit before the last dense layer, and after each
            hidden one.
        drop_path: probability of dropping the last residual branch; earlier ones less.
        weights: the name of a source ("imagenet", "keras", "torchvision", or a model of timm's
            such as "timm/resnet50.a1_in1k"), whose input size, options and preprocessing hold
            where nothing else is said, or the path of a file: see `zoo.load_weights`. A file
            whose tensors' names show which library it is of sets that library's options, too,
            but no preprocessing.
        recompute: each block keeps its inputs alone for the backward pass and computes itself
            again there: training takes less memory and more time.
        seed: of all initial weights and dropout masks; None draws one.
        options: fields of `zoo.Style` (`bias_init`, `zero_gamma`, `padding`, ...) or of the
            family's spec (`groups`, `stem`, `hidden`, ...): `describe(name)` has them all.

    Raises:
        ValueError: an unknown name, value or option, or an input that is too small: it says
            what is valid, and the least size.
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
        raise ValueError("zoo builds networks of channels_last images: set image_data_format so")
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
    """A saved model (.keras) of ours, not compiled.

    In a model of plain Keras layers, too, TensorFlow does not fuse what it fuses wrongly
    (docs/fusion.md).

    Raises:
        ValueError: there is no such file, or it is not a saved model.
    """
    try:
        importlib.import_module("zoo.layers")
        model = keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"cannot open {str(path)!r} as a saved model: {_line(error)}") from error
    for layer in layers_of(model):
        layers.protect(layer)
    return model


def _line(error: Exception) -> str:
    """An error of Keras's in one line of at most 300 characters."""
    text = one_line(error)
    return text if len(text) <= 300 else text[:297] + "..."
