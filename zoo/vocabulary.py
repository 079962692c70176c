"""The names of activations, norms and initializers, and the layers that they stand for."""

from typing import Any

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

NORMS: dict[str, float | None] = {
    "batch": None,
    "sync_batch": None,
    "layer": None,
    "instance": None,
    "group": 32,
    "none": None,
    "lrn": None,
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
    # The number is the factor that blocks.residual puts on the kernels of a branch.
    "fixup": (
        lambda gain, seed, style: keras.initializers.VarianceScaling(
            2.0 * gain**2, "fan_in", "untruncated_normal", seed=seed
        ),
        1.0,
    ),
}


def parse(kind: str, given: str, table: dict) -> tuple[str, float | None]:
    """A name and the number behind it: "leaky_relu:0.1" is ("leaky_relu", 0.1).

    Raises:
        ValueError: the name is not in `table`, takes no number, or the number is none.
    """
    name, colon, text = given.partition(":")
    if name not in table:
        raise unknown(kind, given, table)
    entry = table[name]
    default = entry[1] if isinstance(entry, tuple) else entry
    if not colon:
        return name, default
    if default is None:
        raise ValueError(f"{kind}={given!r}: {name} takes no number")
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{kind}={given!r}: {text!r} is not a number") from None
    if name in ("maxout", "group") and not (number.is_integer() and number >= 1):
        raise ValueError(f"{kind}={given!r}: {name} takes a whole number from 1")
    return name, number


def from_template(template, name: str | None, seed: int):
    """A new object from a Keras object's config, a class, or a function (for activations)."""
    if isinstance(template, type):
        return template(name=name) if name else template()
    if not hasattr(template, "get_config"):
        return keras.layers.Activation(template, name=name) if name else template
    config = template.get_config()
    if name:
        config["name"] = name
    if "seed" in config:
        config["seed"] = seed
    return type(template).from_config(config)
