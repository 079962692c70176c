"""The network that a recipe trains: whose weights it starts from, and what of it learns."""

import contextlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras

import zoo
from recipes.data import preprocess as preprocessing
from recipes.data.batches import training_batches
from recipes.data.types import Data
from recipes.recipe import Recipe, style_of
from recipes.run import Run
from recipes.run import open as open_run
from zoo.checkpoints import identifying, sources
from zoo.graph import layers_of
from zoo.options import unknown
from zoo.surgery import is_auxiliary

FITTED_TO = 128  # images: LSUV holds all their activations


def make(
    recipe: Recipe,
    data: Data,
    shape: tuple[int | None, ...],
    say: Callable[[str], object] = lambda text: None,
) -> keras.Model:
    """The recipe's network for its data: raw pixels 0..255 to logits. Call it in the scope.

    With weights of a named source or of a run come what they were trained with: its
    preprocessing takes the place of the recipe's, so that nothing is normalized twice. Of
    other classes than the data's, the head is new.

    Args:
        recipe: its model and style, seed, preprocess, data_init, weights, head and freeze.
        data: gives the classes, and the training set for the statistics of preprocess.
        shape: (height, width, channels) of the images after eval_ops.
        say: is told what is taken from the weights' source.

    Raises:
        ValueError: no such source, or one of another network; no such stage; nothing would
            be trained.
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
            f"weights of {source.name}: images go through its preprocessing (mean "
            f"{_numbers(source.mean)}, deviation {_numbers(source.deviation)}) in place of "
            f"{recipe.preprocess!r}"
        )
        model = zoo.build(recipe.model, weights=recipe.weights, **arguments)
    else:
        before = _preprocess(recipe, data)
        if recipe.weights is not None and recipe.head != "kept":
            arguments["num_classes"] = 0  # whatever head the file has does not matter
        model = zoo.build(recipe.model, preprocess=before, weights=recipe.weights, **arguments)
    fit = recipe.data_init
    if fit is not None and not getattr(zoo, fit)(model, _images(recipe, data)):
        raise ValueError(
            f"data_init={fit!r} has nothing to fit: {recipe.model} has no weights but its"
            " classifier's"
        )
    if recipe.head != "kept":
        stage = None if recipe.head == "new" else recipe.head
        model = zoo.new_head(model, classes, recipe.seed, stage)
    if recipe.freeze is not None:
        zoo.freeze(model, recipe.freeze)
    if not model.trainable_variables:
        raise ValueError(f"freeze={recipe.freeze!r} leaves nothing to train")
    return model


@contextlib.contextmanager
def precision(dtype: str) -> Iterator[None]:
    """Keras's policy for the layers made inside."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _numbers(values) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _preprocess(recipe: Recipe, data: Data) -> Any:
    """The layer of the recipe's preprocess, or the source whose it is."""
    kind = recipe.preprocess
    known = [*preprocessing.KINDS, *sources.table().get(recipe.model, {})]
    if kind not in preprocessing.KINDS and (kind in known or kind.startswith("timm/")):
        return kind
    if kind not in known:
        listing = f"`recipes names preprocess` and `zoo names weights {recipe.model}`"
        raise unknown("preprocessing", kind, known, listing)
    return preprocessing.fit(kind, data, data.train, recipe.eval_ops)


def _images(recipe: Recipe, data: Data):
    """Training images, not augmented, for data_init: float32 [B, H, W, C] in 0..255."""
    batches, _ = training_batches(
        data.train, classes=len(data.classes), batch=min(FITTED_TO, data.train.count),
        ops=recipe.eval_ops, seed=recipe.seed, first_epoch=0, epochs=1,
    )  # fmt: skip
    images, _ = next(iter(batches))
    return images


def _of_run(
    recipe: Recipe, run: Run, data: Data, arguments: dict[str, Any], say: Callable[[str], object]
) -> keras.Model:
    """The recipe's network with the weights and the preprocessing of a finished run."""
    for name in ("model", "act", "norm", "options"):
        ours, theirs = (_computing(getattr(each, name)) for each in (recipe, run.recipe))
        if ours != theirs:
            raise ValueError(
                f"the network of {run.path} has {name}={theirs!r}, the recipe's {ours!r}"
            )
    trained = run.model
    channels = trained.input.shape[-1]
    if channels != arguments["input_shape"][-1]:
        raise ValueError(
            f"{run.path} was trained on images of {channels} channels, and these have "
            f"{arguments['input_shape'][-1]}"
        )
    kept = run.classes == tuple(data.classes)
    say(
        f"weights of {run.path}: images go through its preprocessing "
        f"({run.recipe.preprocess!r}) in place of {recipe.preprocess!r}"
        + ("" if kept else f"; its {len(run.classes)} classes are others: a new head")
    )
    before = next((x for x in trained.layers[1:] if x.name.startswith("input_")), None)
    if before is not None:
        before = type(before).from_config(before.get_config())
    try:
        # A source's weights have brought options that no field of the run's recipe shows.
        own = ("num_classes", "input_shape", "seed")
        given = {key: value for key, value in arguments.items() if key not in own}
        given |= identifying.options_like(trained, given)
        model = zoo.build(recipe.model, preprocess=before, **{**arguments, **given})
        _copy(trained, model, head=kept)
    except ValueError as error:
        raise ValueError(f"{run.path} does not fit: {error}") from error
    return model


def _computing(value: Any) -> Any:
    """A field, of options those that change what weights a network has."""
    idle = ("input_shape", "recompute")
    if isinstance(value, dict):
        return {name: each for name, each in value.items() if name not in idle}
    return value


def _copy(trained: keras.Model, model: keras.Model, head: bool) -> None:
    """Weights by the names of layers: all, or none and an error.

    A run is saved without its auxiliary heads: they start anew.
    """
    theirs = {layer.name: layer for layer in layers_of(trained)}
    pairs = []
    for layer in layers_of(model):
        if not layer.weights or (layer.name == "head_dense" and not head):
            continue
        if layer.name not in theirs and is_auxiliary(layer):
            continue
        if layer.name not in theirs:
            raise ValueError(f"it has no {layer.name}")
        other = theirs[layer.name]
        shapes = [[tuple(w.shape) for w in each.weights] for each in (layer, other)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"its {layer.name} has weights of {shapes[1]}, not {shapes[0]}")
        pairs.append((layer, other))
    for layer, other in pairs:
        layer.set_weights(other.get_weights())


def parameters(network: keras.Model) -> int:
    """The number of parameters, frozen ones included."""
    fixed = ("moving_mean", "moving_variance", "seed_generator_state")
    return sum(
        math.prod(weight.shape)
        for layer in layers_of(network)
        if not layer.name.startswith("input_")
        for weight in layer.weights
        if weight.name not in fixed
    )


def sizes(network: keras.Model) -> str:
    """The number of parameters, and of those that are trained if some are not, in words."""
    every = parameters(network)
    trained = sum(math.prod(v.shape) for v in network.trainable_variables)
    return f"{every:,} parameters" + (f" ({trained:,} trained)" if trained != every else "")
