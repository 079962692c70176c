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
    """The input is so small that a feature map inside the network becomes too small.

    Attributes:
        layer: the name of the layer that cannot process the map.
        reason: why it cannot.
    """

    def __init__(self, layer: str, reason: str):
        self.layer, self.reason = layer, reason
        super().__init__(f"the input is too small: {reason} at {layer}")


def slide(layer, x):
    """Return layer(x) for a convolution or pooling layer.

    Raises:
        TooSmallError: the window does not fit into the feature map.
    """
    try:
        layer.compute_output_shape(x.shape)
    except ValueError:
        size = "x".join(map(str, x.shape[1:3]))
        raise TooSmallError(
            layer.name, f"the window is larger than the {size} feature map"
        ) from None
    return layer(x)


@dataclass(frozen=True)
class Style:
    """The settings that are the same everywhere in a network, and the layers made from them.

    Attributes:
        act: activation: a name, a Keras layer (a template), a layer class or a function.
        norm: normalization: a name, a Keras layer (a template), a layer class or a function that
            returns a layer.
        init: initializer of all kernels except that of the last dense layer: a name, a Keras
            initializer, its class or a function of shape and dtype.
        head_init: initializer of the last dense layer's kernel.
        bias_init: initializer of all biases; None means what the paper used.
        zero_gamma: whether the scale of the last norm in each residual branch starts at zero.
        norm_bias: whether convolutions keep their bias before a norm.
        padding: padding of strided convolutions, "symmetric" as in PyTorch, or "tf" as
            TensorFlow's SAME.
        pool_border: whether average pooling includes the zeros around the feature map.
        norm_scale: whether norms have a scale (gamma) as well as a shift.
        norm_epsilon: constant that norms add to the variance.
        norm_momentum: share of a moving average that batch norms keep at each step.
        dropout: probability of dropping a unit, before the last dense layer and after each hidden
            one.
        drop_path: probability of dropping the last residual branch. It grows linearly with depth
            (Huang et al. 2016).
        seed: seed from which each layer's seed is derived, with its name; None means random.
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
        for name in ("dropout", "drop_path", "norm_momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least 0 and below 1")
        if not 0 < self.norm_epsilon < 1:
            raise ValueError(f"norm_epsilon={self.norm_epsilon}: must be above 0 and below 1")
        if self.zero_gamma and not (self.has_norm and isinstance(self.norm, str)):
            raise ValueError(
                f"zero_gamma=True: needs a norm that is given by name, but norm={self.norm!r}"
            )
        if self.zero_gamma and not self.norm_scale:
            raise ValueError(
                "zero_gamma=True: needs norms with a scale, but norm_scale=False; leave one out"
            )
        if self.fixup and self.has_norm:
            raise ValueError(
                f"init='fixup': replaces normalization, but norm={self.norm!r}; use norm='none'"
            )

    # What the names imply

    @property
    def has_norm(self) -> bool:
        """Whether a norm follows each hidden kernel. Local response normalization is not one."""
        return not isinstance(self.norm, str) or named_norm(self.norm)[0].layer is not None

    @property
    def fixup(self) -> bool:
        """Whether layers have Fixup's scalars instead of a norm."""
        return self.init == "fixup" or isinstance(self.init, FixupBranch)

    @property
    def pieces(self) -> int:
        """The number of linear maps that the activation takes the maximum of: k in maxout, or 1."""
        if isinstance(self.act, str) and self.act.startswith("maxout"):
            return int(parse("act", self.act, ACTS)[1] or 1)
        return 1

    def norm_is_zero(self, channels: int, pixels: int | None) -> bool:
        """Return whether each value would be normalized on its own, which makes it zero.

        Args:
            channels: number of channels that are normalized.
            pixels: height times width of the feature map; None if it varies.
        """
        if not isinstance(self.norm, str) or pixels != 1:
            return False
        norm, number = named_norm(self.norm)
        return norm.groups is not None and norm.groups(number, channels) == channels

    # Tensor to tensor

    def conv(
        self, x, filters, kernel, stride=1, groups=1, padding=None, bias=True, dilation=1, *, name
    ):
        """Convolve x.

        Args:
            dilation: distance of the pixels that the kernel reads.
            padding: padding of zoo.layers.Conv2D, for convolutions that follow neither of the
                conventions of the field `padding`; None follows that field.
        """
        own = "symmetric" if self.padding == "symmetric" else "same"
        layer = layers.Conv2D(
            filters,
            kernel,
            stride,
            own if padding is None else padding,
            groups=groups,
            dilation_rate=dilation,
            use_bias=bias,
            kernel_initializer=self.initializer(self.init, name, groups),
            bias_initializer=self.initializer(self.bias_init or "zeros", f"{name}/bias"),
            name=name,
        )
        return slide(layer, x)

    def dense(self, x, units, bias=True, init=None, dtype=None, *, name):
        """Apply a dense layer to x."""
        return keras.layers.Dense(
            units,
            use_bias=bias,
            kernel_initializer=self.initializer(init or self.init, name),
            bias_initializer=self.initializer(self.bias_init or "zeros", f"{name}/bias"),
            dtype=dtype,
            name=name,
        )(x)

    def normalize(self, x, zero=False, *, name):
        """Normalize x; return x itself if the style has no norm.

        Args:
            zero: whether this is the last norm of a residual branch, whose scale starts at zero if
                the style has `zero_gamma`.

        Raises:
            TooSmallError: x is a 1x1 feature map, for which the norm would always return zero.
        """
        if not self.has_norm:
            return x
        channels, (*sizes, _) = x.shape[-1], x.shape[1:]
        pixels = None if None in sizes else sizes[0] * sizes[1] if sizes else 1
        if self.norm_is_zero(channels, pixels):
            raise TooSmallError(name, f"norm={self.norm!r} of a 1x1 feature map is always 0")
        if not isinstance(self.norm, str):
            return norm_layer(self.norm, self.layer_seed(name), name)(x)
        gamma = "zeros" if zero and self.zero_gamma else "ones"
        norm, number = named_norm(self.norm)
        return norm.layer(self, channels, number, gamma, name)(x)  # type: ignore[misc]

    def activate(self, x, *, name):
        """Return act(x). Maxout takes the maximum of each `pieces` neighboring channels."""
        if not isinstance(self.act, str):
            return layers.activate(act_layer(self.act, self.layer_seed(name), name), x)
        act, number = parse("act", self.act, ACTS)
        return layers.activate(ACTS[act][0](number, name, len(x.shape)), x)

    def drop(self, x, *, name):
        """Apply dropout, which is alpha dropout for SELU without a norm (Klambauer et al. 2017)."""
        if not self.dropout:
            return x
        alpha = self.act == "selu" and not self.has_norm
        layer = keras.layers.AlphaDropout if alpha else keras.layers.Dropout
        return layer(self.dropout, seed=self.layer_seed(name), name=name)(x)

    def drop_branch(self, x, share: float, *, name):
        """Set the whole branch of an image to zero with the probability drop_path * share."""
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
        """Return the seed of the layer with this name."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def initializer(self, init, name: str, groups: int = 1):
        """Return the initializer of the layer `name`, with the seed of that layer.

        Layers get different seeds, so that no two of them start with equal weights. `groups` is the
        number of groups of a convolution, which an identity depends on.
        """
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
        if isinstance(found, layers.Dirac):
            found.groups = groups
        half = keras.config.dtype_policy().variable_dtype in ("float16", "bfloat16")
        return layers.DrawnInFloat32(found) if half else found

    def seeded(self) -> "Style":
        """Return this style with its own seed, or with one from Python's random generator."""
        if self.seed is not None:
            return self
        return dataclasses.replace(self, seed=random.getrandbits(31))
