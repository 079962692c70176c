"""The parts that networks are made of: functions from tensor to tensor.

Feature maps have the shape (batch, height, width, channels). In all functions, `w` is the number of
output channels, `k` the kernel size, and `name` the prefix of the names of the layers.
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


def conv_norm(
    x, w, k, stride=1, groups=1, padding=None, zero=False, dilation=1, *, style: Style, name
):
    """Return norm(conv(x)).

    With Fixup (Zhang et al. 2019), scalar parameters take the place of the norm: a bias before the
    convolution and one after it.

    Args:
        zero: whether this is the last convolution of a residual branch. With `zero_gamma`, the
            scale of its norm then starts at zero; with Fixup, its kernel does, and a scalar
            multiplier follows.
        dilation: distance of the pixels that the kernel reads.
    """
    if not style.fixup:
        bias = style.norm_bias or not style.has_norm
        x = style.conv(x, w, k, stride, groups, padding, bias, dilation, name=f"{name}_conv")
        return style.normalize(x, zero, name=f"{name}_norm")
    kernels = dataclasses.replace(style, init="zeros") if zero else style
    x = layers.Scalar(name=f"{name}_bias_in")(x)
    x = kernels.conv(x, w, k, stride, groups, padding, False, dilation, name=f"{name}_conv")
    if zero:
        x = layers.Scalar(multiply=True, name=f"{name}_scale")(x)
    return layers.Scalar(name=f"{name}_bias")(x)


def norm_act(x, zero=False, *, style: Style, name):
    """Return act(norm(x)), the start of a pre-activation block.

    Args:
        zero: whether this is the last norm of a residual branch.

    Raises:
        ValueError: the activation is maxout, and no layer comes before it to compute its pieces.
    """
    if style.pieces > 1:
        raise ValueError(
            f"act={style.act!r}: needs a linear map right before it, and {name}_act has none; "
            "choose another activation for networks with pre-activation"
        )
    x = style.normalize(x, zero, name=f"{name}_norm")
    return style.activate(x, name=f"{name}_act")


def conv(x, w, k, stride=1, groups=1, zero=False, *, style: Style, name):
    """Return conv(x) without its norm, which is applied elsewhere; `zero` as in conv_norm."""
    if style.fixup:
        return conv_norm(x, w, k, stride, groups, zero=zero, style=style, name=name)
    bias = style.norm_bias or not style.has_norm
    return style.conv(x, w, k, stride, groups, bias=bias, name=f"{name}_conv")


def conv_norm_act(x, w, k, stride=1, groups=1, padding=None, *, style: Style, name):
    """Return act(norm(conv(x))); for maxout, the convolution has `pieces` times w channels."""
    x = conv_norm(x, w * style.pieces, k, stride, groups, padding, style=style, name=name)
    return style.activate(x, name=f"{name}_act")


def dense_norm_act(x, units, *, style: Style, name):
    """Return dropout(act(norm(dense(x)))) for vectors (batch, features).

    A norm that would turn each value into zero (instance norm) is left out; then the dense layer
    has a bias.
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
    """Return act(shortcut(x) + branch(x)). He et al. 2015, equation 1.

    Args:
        branch: function from (x, style) to feature maps of the output's shape. It also takes the
            maximum of maxout, as last_conv_norm does: the maximum of x + f_k is x plus the maximum
            of f_k.
        shortcut: function from x to feature maps of the output's shape.
        convs: number of convolutions in the branch. Fixup scales their kernels by it.
        act: whether an activation follows the sum.
        at: position of the block. It gives the names of the layers and the drop path probability.
    """
    inner = style
    if style.fixup and convs > 1:
        inner = dataclasses.replace(style, init=FixupBranch(at.total ** (-0.5 / (convs - 1))))
    y = branch(x, inner)
    y = style.drop_branch(y, (at.number + 1) / at.total, name=f"{at.name}_drop")
    # The shortcut comes first: Keras walks the graph recursively, along the first input, and the
    # way through the branches is deeper than Python's recursion limit in very deep networks.
    x = keras.layers.Add(name=f"{at.name}_add")([shortcut(x), y])
    return style.activate(x, name=f"{at.name}_act") if act and style.pieces == 1 else x


def last_conv_norm(x, w, k, stride=1, *, style: Style, name):
    """Return norm(conv(x)) for the end of a residual branch, reduced to w channels by maxout."""
    x = conv_norm(x, w * style.pieces, k, stride, zero=True, style=style, name=name)
    return x if style.pieces == 1 else style.activate(x, name=f"{name}_act")


def squeeze_excite(x, squeezed: int, gate: str = "sigmoid", *, style: Style, name):
    """Multiply each channel by a gate computed from all channel means. Hu et al. 2017, section 3.

    As in the authors' code, the layers that compute the gates have biases and no norm.

    Args:
        squeezed: number of channels between the means and the gates.
        gate: activation function of the gates.
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
    """Apply an inverted residual block, which is wide inside. Sandler et al. 2018, section 3.3.

    A 1x1 convolution to `expanded` channels (left out if x has as many), a depthwise k x k
    convolution, `attend`, and a 1x1 convolution to `w` channels without an activation; plus x if
    it has the shape of the result.

    Args:
        expanded: number of channels inside the block.
        attend: function from tensor to tensor before the last convolution, such as
            squeeze-and-excitation.
        at: position of the block.
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
    """Round a scaled number of channels to a multiple of 8 that is at least 0.9 times `w`.

    This is the rule in the authors' code of MobileNetV2 and EfficientNet.
    """
    nearest = max(8, int(w + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * w else nearest + 8


def average_pool(x, k: int, stride: int = 1, *, style: Style, name):
    """Average over k x k windows; the result has ceil(size / stride) rows and columns.

    With `style.pool_border`, the averages include the zeros around the feature map, as in PyTorch.
    """
    if not style.pool_border:
        layer = keras.layers.AveragePooling2D(k, stride, padding="same", name=name)
        return slide(layer, x)
    x = keras.layers.ZeroPadding2D(k // 2, name=f"{name}_pad")(x)
    return slide(keras.layers.AveragePooling2D(k, stride, name=name), x)


def hidden_layers(x, hidden: tuple[int, ...], *, style: Style):
    """Apply the hidden dense layers, stage `fc`, to vectors (batch, features).

    Without hidden layers, apply only the dropout before the classifier.

    Args:
        hidden: number of units of each layer.
    """
    if not hidden:
        return style.drop(x, name="fc_drop")
    for i, units in enumerate(hidden, 1):
        x = dense_norm_act(x, units, style=style, name=f"fc_{i}")
    return x


def flatten(x, grid: int = 0):
    """Turn feature maps into vectors (batch, features).

    Args:
        grid: size to which maps of other sizes are pooled before; 0 for no pooling.

    Raises:
        ValueError: the input size varies, so that the number of features is unknown.
    """
    if grid and tuple(x.shape[1:3]) != (grid, grid):
        x = layers.AdaptivePool2D(grid, name="fc_pool")(x)
    if None in x.shape[1:]:
        raise ValueError(
            "input_shape: has None, but the dense layers of this network need a fixed input size; "
            "give height and width"
        )
    return keras.layers.Flatten(name="fc_flatten")(x)


def pooled_head(x, num_classes: int, *, style: Style):
    """Apply global average pooling, dropout and the classifier."""
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    return classifier(style.drop(x, name="head_drop"), num_classes, style=style)


def classifier(x, num_classes: int, *, style: Style, bias=True, name="head"):
    """Return the logits (batch, num_classes) of vectors, or x itself for 0 classes.

    Logits are float32 (float64 under that policy), even in pure half precision: there, a loss
    overflows or loses the difference between two classes.
    """
    if not num_classes:
        return x
    if style.fixup:
        x = layers.Scalar(name=f"{name}_bias_in")(x)
    wide = keras.config.dtype_policy().compute_dtype == "float64"
    dtype = "float64" if wide else "float32"
    return style.dense(x, num_classes, bias, style.head_init, dtype, name=f"{name}_dense")
