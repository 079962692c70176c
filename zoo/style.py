"""Style: the one place that turns act, norm and init into layers."""

import dataclasses
import hashlib
import random
from dataclasses import dataclass
from typing import Any, Literal

from zoo.lazy import keras, layers
from zoo.vocabulary import (
    ACTS,
    INITS,
    NORMS,
    FixupBranch,
    act_layer,
    check_object,
    initializer,
    named_norm,
    norm_layer,
    parse,
)


class TooSmallError(ValueError):
    """The maps at `layer` are too small for what comes next; `reason` says why."""

    def __init__(self, layer: str, reason: str):
        self.layer, self.reason = layer, reason
        super().__init__(f"the input is too small: {reason} at {layer}")


def slide(layer, x):
    """layer(x), for a layer whose windows slide over the maps x.

    Raises:
        TooSmallError: no window fits. Keras would find that too, and say it in its own words.
    """
    try:
        layer.compute_output_shape(x.shape)
    except ValueError:
        size = "x".join(map(str, x.shape[1:3]))
        raise TooSmallError(layer.name, f"a window is larger than the map of {size}") from None
    return layer(x)


@dataclass(frozen=True)
class Style:
    """All that is the same everywhere in a network.

    Attributes:
        act: the activation: a name, a Keras layer (a template), or a function.
        norm: the normalization: a name, a Keras layer (a template), or a layer class.
        init: the kernels of all layers but the last: a name, or a Keras initializer.
        head_init: the kernel of the last dense layer.
        bias_init: all biases; None is what the paper did.
        zero_gamma: the last norm of each residual branch starts at zero.
        norm_bias: a convolution keeps its bias before a norm.
        padding: of strided convolutions: "symmetric" as torch's, "tf" as TensorFlow's SAME.
        pool_border: average pools count the zeros around the maps.
        norm_scale: the norms have a scale (gamma) beside their shift.
        norm_epsilon, norm_momentum: of the norms; momentum is the part that is kept.
        dropout: the probability of dropping a unit before the last dense layer (and after
            each hidden one).
        drop_path: the probability of dropping the last residual branch; earlier ones less,
            linearly (Huang et al. 2016).
        seed: with a layer's name it makes the seed of that layer; None draws one.
    """

    act: Any = "relu"
    norm: Any = "none"
    init: Any = "kaiming"
    head_init: Any = "normal:0.01"
    bias_init: Any = None
    zero_gamma: bool = False
    norm_bias: bool = False
    padding: Literal["symmetric", "tf"] = "symmetric"
    pool_border: bool = False
    norm_scale: bool = True
    norm_epsilon: float = 1e-5
    norm_momentum: float = 0.9
    dropout: float = 0.0
    drop_path: float = 0.0
    seed: int | None = None

    def __post_init__(self):
        if type(self.act).__name__ == "Maxout" and hasattr(self.act, "pieces"):
            object.__setattr__(self, "act", f"maxout:{self.act.pieces}")
        tables: dict[str, dict] = {
            "act": ACTS,
            "norm": NORMS,
            "init": INITS,
            "head_init": INITS,
            "bias_init": INITS,
        }
        for kind, table in tables.items():
            value = getattr(self, kind)
            if isinstance(value, str):
                parse(kind, value, table)
            elif not isinstance(value, FixupBranch) and (value is not None or kind != "bias_init"):
                check_object(kind, value)
        for name in ("dropout", "drop_path"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} is not in [0, 1)")
        if not 0 <= self.norm_momentum < 1:
            raise ValueError(f"norm_momentum={self.norm_momentum} is not in [0, 1)")
        if not 0 < self.norm_epsilon < 1:
            raise ValueError(f"norm_epsilon={self.norm_epsilon} is not in (0, 1)")
        if self.zero_gamma and not (self.has_norm and isinstance(self.norm, str)):
            raise ValueError(f"zero_gamma has no meaning with norm={self.norm!r}")
        if self.zero_gamma and not self.norm_scale:
            raise ValueError("zero_gamma has no meaning with norm_scale=False")
        if self.fixup and self.has_norm:
            raise ValueError(f"init='fixup' is for networks without norm: norm={self.norm!r}")

    # What the names imply

    @property
    def has_norm(self) -> bool:
        return not isinstance(self.norm, str) or named_norm(self.norm)[0].layer is not None

    @property
    def fixup(self) -> bool:
        return self.init == "fixup" or isinstance(self.init, FixupBranch)

    @property
    def pieces(self) -> int:
        """How many linear maps an activation takes: k for maxout, else 1."""
        if isinstance(self.act, str) and self.act.startswith("maxout"):
            return int(parse("act", self.act, ACTS)[1] or 1)
        return 1

    def norm_is_zero(self, channels: int, pixels: int | None) -> bool:
        """Whether each value would be normalized by itself, which makes it zero."""
        if not isinstance(self.norm, str) or pixels != 1:
            return False
        norm, number = named_norm(self.norm)
        return norm.groups is not None and norm.groups(number, channels) == channels

    # Tensor to tensor

    def conv(self, x, filters, kernel, stride=1, groups=1, padding=None, bias=True, *, name):
        """A convolution; `padding` is for those that neither convention describes."""
        own = "symmetric" if self.padding == "symmetric" else "same"
        layer = layers.Conv2D(
            filters,
            kernel,
            stride,
            own if padding is None else padding,
            groups=groups,
            use_bias=bias,
            kernel_initializer=self.initializer(self.init, name),
            bias_initializer=self.initializer(self.bias_init or "zeros", f"{name}/bias"),
            name=name,
        )
        return slide(layer, x)

    def dense(self, x, units, bias=True, init=None, dtype=None, *, name):
        return keras.layers.Dense(
            units,
            use_bias=bias,
            kernel_initializer=self.initializer(init or self.init, name),
            bias_initializer=self.initializer(self.bias_init or "zeros", f"{name}/bias"),
            dtype=dtype,
            name=name,
        )(x)

    def normalize(self, x, zero=False, *, name):
        """x normalized; `zero` starts the scale at zero where the style asks for that.

        Raises:
            TooSmallError: the norm of a 1x1 map would be zero everywhere.
        """
        if not self.has_norm:
            return x
        channels, (*sizes, _) = x.shape[-1], x.shape[1:]
        pixels = None if None in sizes else sizes[0] * sizes[1] if sizes else 1
        if self.norm_is_zero(channels, pixels):
            raise TooSmallError(name, f"norm={self.norm!r} of a 1x1 map is zero everywhere")
        if not isinstance(self.norm, str):
            return norm_layer(self.norm, self.layer_seed(name), name)(x)
        gamma = "zeros" if zero and self.zero_gamma else "ones"
        norm, number = named_norm(self.norm)
        return norm.layer(self, channels, number, gamma, name)(x)  # type: ignore[misc]

    def activate(self, x, *, name):
        """act(x); with maxout, the maximum over each `pieces` neighbouring channels."""
        if not isinstance(self.act, str):
            return layers.activate(act_layer(self.act, self.layer_seed(name), name), x)
        act, number = parse("act", self.act, ACTS)
        return layers.activate(ACTS[act][0](number, name, len(x.shape)), x)

    def drop(self, x, *, name):
        """Dropout, or what keeps SELU's statistics (Klambauer et al. 2017)."""
        if not self.dropout:
            return x
        alpha = self.act == "selu" and not self.has_norm
        layer = keras.layers.AlphaDropout if alpha else keras.layers.Dropout
        return layer(self.dropout, seed=self.layer_seed(name), name=name)(x)

    def drop_branch(self, x, share: float, *, name):
        """Zeroes the whole branch of an image with probability drop_path * share."""
        if not self.drop_path * share:
            return x
        return keras.layers.Dropout(
            self.drop_path * share,
            noise_shape=(None, *(1 for _ in x.shape[1:])),
            seed=self.layer_seed(name),
            name=name,
        )(x)

    # Seeds and templates

    def layer_seed(self, name: str) -> int:
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def initializer(self, init, name: str):
        """The initializer of the layer `name`: no two layers start equal."""
        seed = self.layer_seed(name)
        if isinstance(init, str):
            kind, number = parse("init", init, INITS)
            found = INITS[kind][0](number, seed, self)
        elif isinstance(init, FixupBranch):
            gain = 2.0 * init.gain**2
            found = keras.initializers.VarianceScaling(
                gain, "fan_in", "untruncated_normal", seed=seed
            )
        else:
            found = initializer(init, seed)
        half = keras.config.dtype_policy().variable_dtype in ("float16", "bfloat16")
        return layers.DrawnInFloat32(found) if half else found

    def seeded(self) -> "Style":
        """This style with a seed: its own, or one drawn from Python's generator."""
        return (
            self
            if self.seed is not None
            else dataclasses.replace(self, seed=random.getrandbits(31))
        )
