"""Build the network of a recipe: initial weights, head and frozen stages."""

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

import zoo
from recipes.data.batches import training_batches
from recipes.data.preprocess import KINDS, fit
from recipes.data.types import Data
from recipes.recipe import Recipe, style_of
from recipes.run import Run, open_run
from zoo.checkpoints import identifying, sources
from zoo.graph import layers_of
from zoo.options import unknown
from zoo.surgery import is_auxiliary, is_random
from zoo.terminal import plural

FITTED_TO = 128  # images; LSUV keeps all their activations in memory


def build_network(
    recipe: Recipe,
    data: Data,
    shape: tuple[int | None, ...],
    say: Callable[[str], object] = lambda text: None,
) -> keras.Model:
    """Build the recipe's network for its data, from raw pixels in 0..255 to logits.

    Call it inside the strategy's scope. The weights of a named source or of a run bring their own
    preprocessing, which replaces the recipe's, so that images are not normalized twice. If their
    classes differ from the data's, the head is new.

    Args:
        recipe: the recipe; its model, style, seed, preprocess, data_init, weights, head and
            freeze are used.
        data: data set that determines the classes, and the training set to which preprocess and
            data_init are fitted.
        shape: (height, width, channels) of the images after eval_ops.
        say: function called with messages about the source of the weights.

    Raises:
        ValueError: if the source or a stage is unknown, the weights are of another network or not
            finite, or nothing would be trained.
    """
    classes = len(data.classes)
    arguments = {
        "num_classes": classes,
        "input_shape": shape,
        "seed": recipe.seed,
        **style_of(recipe),
    }
    if recipe.weights is not None and Path(recipe.weights).is_dir():
        model = _of_run(recipe, open_run(recipe.weights), data, arguments, say)
    elif recipe.weights is not None and (source := zoo.source(recipe.model, recipe.weights)):
        say(
            f"weights of {source.name}: their preprocessing (mean {_numbers(source.mean)}, standard"
            f" deviation {_numbers(source.deviation)}) replaces {recipe.preprocess!r}"
        )
        model = zoo.build(recipe.model, weights=recipe.weights, **arguments)
    else:
        before = _preprocess(recipe, data)
        if recipe.weights is not None and recipe.head != "kept":
            arguments["num_classes"] = 0  # the head of the file is not used
        model = zoo.build(recipe.model, preprocess=before, weights=recipe.weights, **arguments)
    if recipe.weights is not None:
        _require_finite(model, recipe.weights)
    method = recipe.data_init
    if method is not None and not getattr(zoo, method)(model, _images(recipe, data)):
        raise ValueError(
            f"data_init={method!r}: there is nothing to fit, because {recipe.model} has no weights"
            " except its classifier's"
        )
    if recipe.head != "kept":
        stage = None if recipe.head == "new" else recipe.head
        model = zoo.new_head(model, classes, recipe.seed, stage)
    if recipe.freeze is not None:
        zoo.freeze(model, recipe.freeze)
        for layer in layers_of(model):
            if not layer.trainable and is_random(layer):
                layer.rate = 0.0  # frozen layers are in inference mode, their dropout too
    if not model.trainable_variables:
        raise ValueError(
            f"freeze={recipe.freeze!r}: leaves nothing to train; choose an earlier stage"
        )
    return model


def _require_finite(model: keras.Model, source: str) -> None:
    """Raise a ValueError that names the first layer with NaN or infinite weights, if any."""
    if (name := layer_not_finite(model)) is not None:
        raise ValueError(
            f"weights={source!r}: the weights of its layer {name!r} are NaN or infinite,"
            " as after a training that diverged; use other weights"
        )


def require_finite_result(model: keras.Model) -> None:
    """Raise a ValueError if a trained network has NaN or infinite weights."""
    if (name := layer_not_finite(model)) is not None:
        raise ValueError(
            f"weights of layer {name!r} after the training: NaN or infinite, so no model is saved;"
            " use a lower lr and another --run, or save it anyway with --stop_on_nan=False"
        )


def layer_not_finite(model: keras.Model) -> str | None:
    """Return the name of the first layer with NaN or infinite weights, or None."""
    for layer in layers_of(model):
        if not all(np.isfinite(weight).all() for weight in layer.get_weights()):
            return layer.name
    return None


@contextlib.contextmanager
def dtype_policy(dtype: str) -> Iterator[None]:
    """Set Keras's dtype policy for the layers that are created in the block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _numbers(values) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _preprocess(recipe: Recipe, data: Data) -> Any:
    """Return the preprocessing layer, or the name of the source that defines it."""
    kind = recipe.preprocess
    known = [*KINDS, *sources.table().get(recipe.model, {})]
    if kind not in KINDS and (kind in known or kind.startswith("timm/")):
        return kind
    if kind not in known:
        listing = f"`recipes names preprocess` and `zoo names weights {recipe.model}`"
        raise unknown("preprocessing", kind, known, listing)
    return fit(kind, data, data.train, recipe.eval_ops)


def _images(recipe: Recipe, data: Data):
    """Return training images without augmentation, float32 [B, H, W, C] in 0..255."""
    batches, _ = training_batches(
        data.train, classes=len(data.classes), batch=min(FITTED_TO, data.train.count),
        ops=recipe.eval_ops, seed=recipe.seed, first_epoch=0, epochs=1,
    )  # fmt: skip
    images, _ = next(iter(batches))
    return images


def _of_run(
    recipe: Recipe, run: Run, data: Data, arguments: dict[str, Any], say: Callable[[str], object]
) -> keras.Model:
    """Build the recipe's network with the weights and the preprocessing of a finished run."""
    for name in ("model", "act", "norm", "options"):
        ours, theirs = (_computing(getattr(each, name)) for each in (recipe, run.recipe))
        if ours != theirs:
            raise ValueError(
                f"weights={str(run.path)!r}: the run has {name}={theirs!r}, but the recipe has"
                f" {ours!r}; use the same value"
            )
    trained = run.model
    channels = trained.input.shape[-1]
    if channels != arguments["input_shape"][-1]:
        raise ValueError(
            f"weights={str(run.path)!r}: the run was trained on images with"
            f" {plural(channels, 'channel')}, but these have {arguments['input_shape'][-1]}"
        )
    kept = run.classes == tuple(data.classes)
    say(
        f"weights of {run.path}: their preprocessing ({run.recipe.preprocess!r}) replaces"
        f" {recipe.preprocess!r}"
        + ("" if kept else f"; the head is new, because its classes ({len(run.classes)}) differ")
    )
    before = next((x for x in trained.layers[1:] if x.name.startswith("input_")), None)
    if before is not None:
        before = type(before).from_config(before.get_config())
    try:
        # Weights of a source set options that the run's recipe does not show.
        own = ("num_classes", "input_shape", "seed")
        given = {key: value for key, value in arguments.items() if key not in own}
        given |= identifying.options_like(trained, given)
        model = zoo.build(recipe.model, preprocess=before, **{**arguments, **given})
        _copy(trained, model, head=kept)
    except ValueError as error:
        raise ValueError(f"weights={str(run.path)!r}: the run does not fit: {error}") from error
    return model


def _computing(value: Any) -> Any:
    """Return a field's value without the options that do not affect the weights."""
    without_effect = ("input_shape", "recompute")
    if isinstance(value, dict):
        return {name: each for name, each in value.items() if name not in without_effect}
    return value


def _copy(trained: keras.Model, model: keras.Model, head: bool) -> None:
    """Copy all weights by layer name, or raise an error and copy none.

    A run is saved without its auxiliary heads, so they keep their initial weights.
    """
    theirs = {layer.name: layer for layer in layers_of(trained)}
    pairs = []
    for layer in layers_of(model):
        if not layer.weights or (layer.name == "head_dense" and not head):
            continue
        if layer.name not in theirs and is_auxiliary(layer):
            continue
        if layer.name not in theirs:
            raise ValueError(f"it has no layer {layer.name!r}")
        other = theirs[layer.name]
        shapes = [[tuple(w.shape) for w in each.weights] for each in (layer, other)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"its layer {layer.name!r} has weights of shapes {shapes[1]}, not {shapes[0]}"
            )
        pairs.append((layer, other))
    for layer, other in pairs:
        layer.set_weights(other.get_weights())


def count_parameters(network: keras.Model) -> int:
    """Return the number of parameters, including frozen ones."""
    fixed = ("moving_mean", "moving_variance", "seed_generator_state")
    return sum(
        math.prod(weight.shape)
        for layer in layers_of(network)
        if not layer.name.startswith("input_")
        for weight in layer.weights
        if weight.name not in fixed
    )


def describe_size(network: keras.Model) -> str:
    """Describe the number of parameters and, if some are frozen, of trained ones."""
    every = count_parameters(network)
    trained = sum(math.prod(v.shape) for v in network.trainable_variables)
    return f"{every:,} parameters" + (f" ({trained:,} trained)" if trained != every else "")
