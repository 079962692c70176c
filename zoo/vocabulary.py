"""The names of activations, norms and initializers, and the layers that they stand for."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from zoo.lazy import keras, layers
from zoo.options import unknown


def _named(function):
    return lambda number, name, rank: keras.layers.Activation(function, name=name)


# name -> (function from (number, name, rank of the input) to a layer, default of the number that
# may follow the name, or None if it takes no number)
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
    # With its number of 1, CELU is ELU. Keras's own celu has a gradient of 2 at 0.
    "celu": (lambda number, name, rank: keras.layers.ELU(name=name), None),
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

    @property
    def over_batch(self) -> bool:
        """Whether its statistics are taken over the batch, with moving averages for inference."""
        return self.layer is not None and self.groups is None


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


# "lrn" has no layer here: families with local response normalization in their papers place the
# layers themselves.
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


# name -> (function from (number, seed, style) to an initializer, default of the number or None)
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
    "dirac": (lambda gain, seed, style: layers.Dirac(gain, seed=seed), 3**-0.5),
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
    """Fixup's initializer inside a residual branch (Zhang et al. 2019).

    Attributes:
        gain: factor of the standard deviation of Kaiming initialization.
    """

    gain: float


# Smallest and largest number that may follow a name; at least 0 for names that are not listed.
BOUNDS = {
    "maxout": (1, 64),
    "group": (1, 65536),
    "prelu": (-math.inf, math.inf),
    "swish_beta": (-math.inf, math.inf),
    "constant": (-math.inf, math.inf),
}


def parse(kind: str, given: str, table: dict) -> tuple[str, float | None]:
    """Split "leaky_relu:0.1" into ("leaky_relu", 0.1); without a number, return its default.

    Args:
        kind: name of the argument, for errors, such as "act".
        given: a name that a colon and a number may follow.
        table: ACTS, NORMS or INITS.

    Raises:
        ValueError: the name is not in `table`, takes no number, or the number is not valid.
    """
    name, colon, text = given.partition(":")
    if name not in table:
        raise unknown(kind, given, table, f"`zoo names {kind}`")
    default = table[name][1]
    if not colon:
        return name, default
    if default is None:
        raise ValueError(f"{kind}={given!r}: {name} takes no number; use {name!r}")
    try:
        number = float(text)
    except ValueError:
        example = f"{name}:{default:g}"
        raise ValueError(
            f"{kind}={given!r}: {text!r} is not a number; use one as in {example!r}"
        ) from None
    low, high = BOUNDS.get(name, (0.0, math.inf))
    if not (math.isfinite(number) and low <= number <= high):
        bounds = f"from {low:g} to {high:g}" if math.isfinite(high) else f"of at least {low:g}"
        valid = "finite number" if math.isinf(low) else f"number {bounds}"
        raise ValueError(f"{kind}={given!r}: {name} takes a {valid}")
    if name in ("maxout", "group") and not number.is_integer():
        raise ValueError(f"{kind}={given!r}: {name} takes a whole number")
    return name, number


def named_norm(given: str) -> tuple[Norm, float | None]:
    """Return the norm that a name such as "group:16" stands for, and its number."""
    name, number = parse("norm", given, NORMS)
    return NORMS[name], number


# Objects instead of names. Their attributes tell them apart, because Keras is not imported yet.


def check_object(kind: str, value: Any) -> None:
    """Check that an object can be used as an activation, a norm or an initializer.

    Raises:
        ValueError: it cannot be used. The message says what can.
    """
    layer = hasattr(value, "add_weight")
    other = hasattr(value, "get_config") and not layer
    if kind in ("act", "norm"):
        fits = callable(value) and not other
        wanted = (
            "a Keras layer, a layer class or a function"
            if kind == "act"
            else "a Keras layer, a layer class or a function that returns a layer"
        )
    else:
        fits = callable(value) and not layer
        wanted = "a Keras initializer, an initializer class or a function of shape and dtype"
    if not fits:
        raise ValueError(f"{kind}={value!r}: must be a name, {wanted}")


def rebuilt(template: Any, seed: int, name: str | None = None) -> Any:
    """Return a copy of a Keras object from its config, or an instance of a class, with a seed."""
    given = {} if name is None else {"name": name}
    if isinstance(template, type):
        template = template(**given)
    config = template.get_config() | given
    if "seed" in config:
        config["seed"] = seed
    return type(template).from_config(config)


def act_layer(template: Any, seed: int, name: str) -> Any:
    """Return a new activation layer for a layer, a layer class or a function."""
    if isinstance(template, type) or hasattr(template, "get_config"):
        return rebuilt(template, seed, name)
    return keras.layers.Activation(template, name=name)


def norm_layer(template: Any, seed: int, name: str) -> Any:
    """Return a new norm for a layer, a layer class or a function that returns a layer."""
    if not (isinstance(template, type) or hasattr(template, "get_config")):
        function, template = template, template()
        if not isinstance(template, keras.layers.Layer):
            raise ValueError(
                f"norm={function!r}: this function returned {template!r}; it must return a Keras "
                "layer"
            )
    return rebuilt(template, seed, name)


def initializer(template: Any, seed: int) -> Any:
    """Return a new initializer for an initializer or its class; return a function as it is."""
    if isinstance(template, type) or hasattr(template, "get_config"):
        return rebuilt(template, seed)
    return template
