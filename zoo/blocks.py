"""Tensor -> tensor: what networks are made of. Maps are (batch, height, width, channels).

`w` is the number of output channels, `k` the kernel, `name` the prefix of the layers' names.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from zoo.lazy import keras, layers
from zoo.style import Style, slide
from zoo.vocabulary import FixupBranch


@dataclass(frozen=True)
class Position:
    """Where a block stands in its network.

    Attributes:
        stage: the index of its stage, from 0.
        index: its index within the stage, from 0.
        number: its index among all blocks of the network, from 0.
        total: the number of blocks in the network.
        stride: the stride of the block.
    """

    stage: int
    index: int
    number: int
    total: int
    stride: int

    @property
    def name(self) -> str:
        """The prefix of its layers' names: "stage2_block3"."""
        return f"stage{self.stage + 1}_block{self.index + 1}"

    @property
    def last(self) -> bool:
        """Whether it is the last block of the network."""
        return self.number == self.total - 1


def positions(depths: Sequence[int], strides: Sequence[int] | None = None) -> Iterator[Position]:
    """Yield the position of every block of a network, in order.

    Args:
        depths: the number of blocks in each stage.
        strides: the stride of each stage's first block; by default 1 for the first stage and 2
            for the others.
    """
    strides = strides or [1] + [2] * (len(depths) - 1)
    number = 0
    for stage, depth in enumerate(depths):
        for index in range(depth):
            stride = strides[stage] if index == 0 else 1
            yield Position(stage, index, number, sum(depths), stride)
            number += 1


def conv_norm(x, w, k, stride=1, groups=1, padding=None, zero=False, *, style: Style, name):
    """norm(conv(x)); `zero` marks the last convolution of a residual branch.

    Without a norm, Fixup's scalars (Zhang et al. 2019): a bias before the convolution and one
    after it, and at the end of a branch zeros and a multiplier.
    """
    if not style.fixup:
        bias = style.norm_bias or not style.has_norm
        x = style.conv(x, w, k, stride, groups, padding, bias, name=f"{name}_conv")
        return style.normalize(x, zero, name=f"{name}_norm")
    kernels = dataclasses.replace(style, init="zeros") if zero else style
    x = layers.Scalar(name=f"{name}_bias_in")(x)
    x = kernels.conv(x, w, k, stride, groups, padding, False, name=f"{name}_conv")
    if zero:
        x = layers.Scalar(multiply=True, name=f"{name}_scale")(x)
    return layers.Scalar(name=f"{name}_bias")(x)


def norm_act(x, zero=False, *, style: Style, name):
    """act(norm(x)): the start of a pre-activation block; `zero` marks a branch's last norm.

    Raises:
        ValueError: maxout, which takes the maximum of linear maps that are not here.
    """
    if style.pieces > 1:
        raise ValueError(f"act={style.act!r} needs a linear map before it: {name}_act has none")
    x = style.normalize(x, zero, name=f"{name}_norm")
    return style.activate(x, name=f"{name}_act")


def conv(x, w, k, stride=1, groups=1, zero=False, *, style: Style, name):
    """conv(x) behind its norm, as pre-activation blocks have it; `zero` as in conv_norm."""
    if style.fixup:
        return conv_norm(x, w, k, stride, groups, zero=zero, style=style, name=name)
    bias = style.norm_bias or not style.has_norm
    return style.conv(x, w, k, stride, groups, bias=bias, name=f"{name}_conv")


def conv_norm_act(x, w, k, stride=1, groups=1, padding=None, *, style: Style, name):
    """act(norm(conv(x))); with maxout, the convolution makes `pieces` maps for each of `w`."""
    x = conv_norm(x, w * style.pieces, k, stride, groups, padding, style=style, name=name)
    return style.activate(x, name=f"{name}_act")


def dense_norm_act(x, units, *, style: Style, name):
    """dropout(act(norm(dense(x)))) of vectors (batch, features).

    A norm that would make a vector zero (instance norm) is left out, and the bias kept.
    """
    units *= style.pieces
    if style.has_norm and not style.norm_is_zero(units, 1):
        x = style.dense(x, units, style.norm_bias, name=f"{name}_dense")
        x = style.normalize(x, name=f"{name}_norm")
    else:
        if style.fixup:
            x = layers.Scalar(name=f"{name}_bias_in")(x)
        x = style.dense(x, units, name=f"{name}_dense")
    x = style.activate(x, name=f"{name}_act")
    return style.drop(x, name=f"{name}_drop")


def residual(
    x,
    branch: Callable[[object, Style], object],
    shortcut: Callable[[object], object],
    convs: int,
    act: bool = True,
    *,
    style: Style,
    at: Position,
):
    """act(shortcut(x) + branch(x)). He et al. 2015, equation 1; without `act`, the sum.

    Args:
        branch: (x, style) -> maps of the output's shape, times `pieces` for maxout: the
            maximum of x + f_k is x plus the maximum of f_k.
        convs: the number of convolutions in the branch, which Fixup scales by.
        at: the block's position: it names the layers, and drop path grows with it.
    """
    inner = style
    if style.fixup and convs > 1:
        inner = dataclasses.replace(style, init=FixupBranch(at.total ** (-0.5 / (convs - 1))))
    y = branch(x, inner)
    y = style.drop_branch(y, (at.number + 1) / at.total, name=f"{at.name}_drop")
    # The shortcut first: Keras walks the graph recursively, first input first.
    x = keras.layers.Add(name=f"{at.name}_add")([shortcut(x), y])
    return style.activate(x, name=f"{at.name}_act") if act and style.pieces == 1 else x


def last_conv_norm(x, w, k, stride=1, *, style: Style, name):
    """The end of a residual branch: norm(conv(x)), and already here the maximum of maxout."""
    x = conv_norm(x, w * style.pieces, k, stride, zero=True, style=style, name=name)
    return x if style.pieces == 1 else style.activate(x, name=f"{name}_act")


def squeeze_excite(x, squeezed: int, gate: str = "sigmoid", *, style: Style, name):
    """x times a gate a channel, from the means of all maps. Hu et al. 2017, section 3.

    `squeezed` is the number of units between the means and the gates. The layers of the gate
    have biases and no norm, as in the authors' code.
    """
    w = x.shape[-1]
    init = "kaiming" if style.fixup else style.init
    plain = dataclasses.replace(style, norm="none", init=init, zero_gamma=False)
    y = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
    y = conv_norm_act(y, max(squeezed, 1), 1, style=plain, name=f"{name}_squeeze")
    y = plain.conv(y, w, 1, name=f"{name}_excite_conv")
    y = keras.layers.Activation(gate, name=f"{name}_gate")(y)
    return keras.layers.Multiply(name=f"{name}_multiply")([x, y])


def inverted_residual(
    x,
    w,
    k,
    expanded: int,
    attend: Callable[[object], object] = lambda x: x,
    *,
    style: Style,
    at: Position,
):
    """A thin block with a wide inside and no activation at its end. Sandler et al. 2018, 3.3.

    1x1 to `expanded` channels (left out if x has them), depthwise k x k, `attend`, 1x1 to `w`;
    plus x where that has the shape of the result. `at` is the block's position.
    """
    channels, stride, name = x.shape[-1], at.stride, at.name
    whole = stride == 1 and channels == w

    def branch(x, style):
        if expanded != channels:
            x = conv_norm_act(x, expanded, 1, style=style, name=f"{name}_expand")
        x = conv_norm_act(x, expanded, k, stride, expanded, style=style, name=f"{name}_depthwise")
        return conv_norm(attend(x), w, 1, zero=whole, style=style, name=f"{name}_project")

    if not whole:
        return branch(x, style)
    convs = 2 if expanded == channels else 3
    return residual(x, branch, lambda x: x, convs, act=False, style=style, at=at)


def rounded(w: float) -> int:
    """The multiple of 8 next to `w` that is less by a tenth at most: widths of scaled networks.

    The MobileNet authors' rule, in the code of MobileNetV2 and after it of EfficientNet.
    """
    nearest = max(8, int(w + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * w else nearest + 8


def average_pool(x, k: int, stride: int = 1, *, style: Style, name):
    """The means of k x k windows of maps that keep ceil(size / stride) rows.

    `style.pool_border` counts the zeros around the maps, as torch's default does.
    """
    if not style.pool_border:
        layer = keras.layers.AveragePooling2D(k, stride, padding="same", name=name)
        return slide(layer, x)
    x = keras.layers.ZeroPadding2D(k // 2, name=f"{name}_pad")(x)
    return slide(keras.layers.AveragePooling2D(k, stride, name=name), x)


def hidden_layers(x, hidden: tuple[int, ...], *, style: Style):
    """The hidden dense layers, stage `fc`, of vectors (batch, features).

    Without any, the dropout before the classifier.
    """
    if not hidden:
        return style.drop(x, name="fc_drop")
    for i, units in enumerate(hidden, 1):
        x = dense_norm_act(x, units, style=style, name=f"fc_{i}")
    return x


def flatten(x, grid: int = 0):
    """Maps as vectors, after an adaptive average pool to `grid` x `grid` unless they are that."""
    if grid and tuple(x.shape[1:3]) != (grid, grid):
        x = layers.AdaptivePool2D(grid, name="fc_pool")(x)
    if None in x.shape[1:]:
        raise ValueError(
            "a fixed input size is needed, for the dense layers see every pixel: "
            "input_shape has None"
        )
    return keras.layers.Flatten(name="fc_flatten")(x)


def pooled_head(x, num_classes: int, *, style: Style):
    """Global average pooling, dropout and the classifier."""
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    return classifier(style.drop(x, name="head_drop"), num_classes, style=style)


def classifier(x, num_classes: int, *, style: Style, bias=True, name="head"):
    """Logits (batch, num_classes) of vectors; x itself for 0 classes.

    Logits are float32 (float64 under that policy), in pure half precision too: a loss in half
    precision overflows or loses the difference between two classes.
    """
    if not num_classes:
        return x
    if style.fixup:
        x = layers.Scalar(name=f"{name}_bias_in")(x)
    wide = keras.config.dtype_policy().compute_dtype == "float64"
    dtype = "float64" if wide else "float32"
    return style.dense(x, num_classes, bias, style.head_init, dtype, name=f"{name}_dense")
