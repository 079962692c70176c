"""The names of activations, norms and initializers, and the layers that they stand for."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from zoo.lazy import keras, layers
from zoo.options import unknown


def _named(function):
    return lambda number, name, rank: keras.layers.Activation(function, name=name)


# name -> (layer from (number, name, rank), the number that may follow the name: its default).
ACTS: dict[str, tuple[Any, float | None]] = {
    "relu": (_named("relu"), None),
    "relu6": (_named("relu6"), None),
    "leaky_relu": (lambda a, name, rank: keras.layers.LeakyReLU(a, name=name), 0.01),
    "prelu": (
        lambda a, name, rank: keras.layers.PReLU(
            keras.initializers.Constant(a), shared_axes=list(range(1, rank - 1)), name=name
        ),
        0.25,
    ),
    "elu": (lambda a, name, rank: keras.layers.ELU(a, name=name), 1.0),
    "selu": (_named("selu"), None),
    "celu": (_named("celu"), None),
    "gelu": (_named("gelu"), None),
    "silu": (_named("silu"), None),
    "swish": (_named("silu"), None),
    "swish_beta": (lambda b, name, rank: layers.SwishBeta(b, name=name), 1.0),
    "mish": (_named("mish"), None),
    "hard_swish": (_named("hard_silu"), None),
    "sigmoid": (_named("sigmoid"), None),
    "hard_sigmoid": (_named("hard_sigmoid"), None),
    "tanh": (_named("tanh"), None),
    "softplus": (_named("softplus"), None),
    "maxout": (lambda k, name, rank: layers.Maxout(int(k), name=name), 2),
    "linear": (_named("linear"), None),
}


class Norm(NamedTuple):
    """A normalization that has a name.

    Attributes:
        layer: a function from (style, channels, number, gamma, name) to the layer that follows a
            kernel, where gamma is the initializer of its scale; None if no layer does.
        number: the default of the number that may follow the name; None if it takes no number.
        groups: a function from (number, channels) to the number of groups of channels that are
            normalized together; None if the statistics are taken over the batch.
    """

    layer: Callable[..., Any] | None
    number: float | None = None
    groups: Callable[[float | None, int], int] | None = None


def _batch_norm(synchronized: bool) -> Norm:
    def layer(style, channels, number, gamma, name):
        return layers.BatchNorm(
            style.norm_momentum,
            style.norm_epsilon,
            scale=style.norm_scale,
            gamma_initializer=gamma,
            synchronized=synchronized,
            name=name,
        )

    return Norm(layer)


def _group_norm(groups: Callable[[float | None, int], int], number: float | None = None) -> Norm:
    def layer(style, channels, number, gamma, name):
        return keras.layers.GroupNormalization(
            groups(number, channels),
            epsilon=style.norm_epsilon,
            scale=style.norm_scale,
            gamma_initializer=gamma,
            name=name,
        )

    return Norm(layer, number, groups)


def _most_groups(number: float | None, channels: int) -> int:
    """Return the largest divisor of `channels` that is at most `number`."""
    most = min(int(number or 1), channels)
    return max(d for d in range(1, most + 1) if channels % d == 0)


# Families that had local response normalization in their papers place its layers themselves.
NORMS: dict[str, Norm] = {
    "batch": _batch_norm(synchronized=False),
    "sync_batch": _batch_norm(synchronized=True),
    "layer": _group_norm(lambda number, channels: 1),
    "instance": _group_norm(lambda number, channels: channels),
    "group": _group_norm(_most_groups, 32),
    "none": Norm(None),
    "lrn": Norm(None),
}


def _scaling(scale, mode="fan_in", distribution="untruncated_normal"):
    return lambda number, seed, style: keras.initializers.VarianceScaling(
        scale, mode, distribution, seed=seed
    )


INITS: dict[str, tuple[Any, float | None]] = {
    "xavier": (_scaling(1.0), None),
    "kaiming": (_scaling(2.0), None),
    "msra": (_scaling(2.0), None),
    "he_normal": (_scaling(2.0, distribution="truncated_normal"), None),
    "he_uniform": (_scaling(2.0, distribution="uniform"), None),
    "glorot_normal": (_scaling(1.0, "fan_avg", "truncated_normal"), None),
    "glorot_uniform": (_scaling(1.0, "fan_avg", "uniform"), None),
    "lecun_normal": (_scaling(1.0, distribution="truncated_normal"), None),
    "orthogonal": (lambda gain, seed, style: keras.initializers.Orthogonal(gain, seed=seed), 1.0),
    "normal": (lambda sd, seed, style: keras.initializers.RandomNormal(0.0, sd, seed=seed), 0.01),
    "random_walk": (
        lambda number, seed, style: layers.RandomWalk(style.act in ("linear", "tanh"), seed=seed),
        None,
    ),
    "constant": (lambda value, seed, style: keras.initializers.Constant(value), 0.01),
    "zeros": (lambda number, seed, style: keras.initializers.Zeros(), None),
    "ones": (lambda number, seed, style: keras.initializers.Ones(), None),
    "fixup": (_scaling(2.0), None),
}


@dataclass(frozen=True)
class FixupBranch:
    """Fixup inside a residual branch: kaiming's deviation times `gain` (Zhang et al. 2019)."""

    gain: float


# What the number behind a name may be, where it is not "at least 0".
BOUNDS = {
    "maxout": (1, 64),
    "group": (1, 65536),
    "prelu": (-math.inf, math.inf),
    "swish_beta": (-math.inf, math.inf),
    "constant": (-math.inf, math.inf),
}


def parse(kind: str, given: str, table: dict) -> tuple[str, float | None]:
    """A name and the number behind it: "leaky_relu:0.1" is ("leaky_relu", 0.1).

    Raises:
        ValueError: the name is not in `table`, takes no number, or the number is none.
    """
    name, colon, text = given.partition(":")
    if name not in table:
        raise unknown(kind, given, table, f"`zoo names {kind}`")
    default = table[name][1]
    if not colon:
        return name, default
    if default is None:
        raise ValueError(f"{kind}={given!r}: {name} takes no number")
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{kind}={given!r}: {text!r} is not a number") from None
    low, high = BOUNDS.get(name, (0.0, math.inf))
    if not (math.isfinite(number) and low <= number <= high):
        raise ValueError(f"{kind}={given!r}: {name} takes a number from {low:g} to {high:g}")
    if name in ("maxout", "group") and not number.is_integer():
        raise ValueError(f"{kind}={given!r}: {name} takes a whole number")
    return name, number


def named_norm(given: str) -> tuple[Norm, float | None]:
    """Return the norm that a name such as "group:16" stands for, and its number."""
    name, number = parse("norm", given, NORMS)
    return NORMS[name], number


# Objects in the place of names. Told apart by what they can do: Keras is not imported yet.


def check_object(kind: str, value: Any) -> None:
    """Whether an object can stand for an act, a norm or an init.

    Raises:
        ValueError: it cannot; says what can.
    """
    layer = hasattr(value, "add_weight")
    other = hasattr(value, "get_config") and not layer
    if kind in ("act", "norm"):
        fits = callable(value) and not other
        wanted = (
            "a Keras layer, its class or a function"
            if kind == "act"
            else ("a Keras layer, its class or a function that returns one")
        )
    else:
        fits = callable(value) and not layer
        wanted = "a Keras initializer, its class or a function of shape and dtype"
    if not fits:
        raise ValueError(f"{kind}={value!r} is not a name, {wanted}")


def rebuilt(template: Any, seed: int, name: str | None = None) -> Any:
    """A new object from a Keras object's config, or from its class, with its own seed."""
    given = {} if name is None else {"name": name}
    if isinstance(template, type):
        template = template(**given)
    config = template.get_config() | given
    if "seed" in config:
        config["seed"] = seed
    return type(template).from_config(config)


def act_layer(template: Any, seed: int, name: str) -> Any:
    """The activation layer of an object; a function becomes a layer that calls it."""
    if isinstance(template, type) or hasattr(template, "get_config"):
        return rebuilt(template, seed, name)
    return keras.layers.Activation(template, name=name)


def norm_layer(template: Any, seed: int, name: str) -> Any:
    """The norm of an object; a function makes one each time that it is called."""
    if not (isinstance(template, type) or hasattr(template, "get_config")):
        template = template()
        if not isinstance(template, keras.layers.Layer):
            raise ValueError(f"norm: the function returned {template!r}, which is no Keras layer")
    return rebuilt(template, seed, name)


def initializer(template: Any, seed: int) -> Any:
    """The initializer of an object; a function is one as it is."""
    if isinstance(template, type) or hasattr(template, "get_config"):
        return rebuilt(template, seed)
    return template
