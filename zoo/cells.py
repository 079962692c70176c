"""Cells of NASNet's search space and their operations. Zoph et al. 2017, section 3.1.

A cell computes numbered states, feature maps of equal size and width. State 0 is the input of the
cell and state 1 that of the previous cell, both after a 1x1 convolution. Each block applies one
operation to each of two earlier states and adds the results, which is the next state.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from zoo import blocks
from zoo.lazy import keras, layers
from zoo.style import Style, slide

# Kind and size of the kernel or window of each operation; the paper lists these 13.
OPERATIONS = {
    "identity": ("identity", 1),
    "conv1": ("conv", 1),
    "conv3": ("conv", 3),
    "conv1x3": ("factorized", 3),  # 1x3, then 3x1
    "conv1x7": ("factorized", 7),
    "dilated3": ("dilated", 3),  # with a distance of two pixels
    "sep3": ("separable", 3),  # depthwise, then 1x1, twice
    "sep5": ("separable", 5),
    "sep7": ("separable", 7),
    "avg3": ("average", 3),
    "max3": ("max", 3),
    "max5": ("max", 5),
    "max7": ("max", 7),
}


@dataclass(frozen=True)
class Cell:
    """The blocks of a cell.

    Attributes:
        operations: names of OPERATIONS, two for each block.
        inputs: the state that each operation is applied to.
        extra: states that the cell concatenates in addition to those that no block reads.
    """

    operations: tuple[str, ...]
    inputs: tuple[int, ...]
    extra: tuple[int, ...]

    @property
    def ends(self) -> list[int]:
        """The states that are concatenated."""
        states = range(len(self.operations) // 2 + 2)
        return [n for n in states if n in self.extra or n not in self.inputs]

    def check(self, kind: str) -> None:
        """Check the cell, whose parts are the options `kind`_ops, `kind`_inputs and `kind`_concat.

        Raises:
            ValueError: an operation is unknown, a state does not exist where it is read, or the
                numbers of operations and inputs do not match.
        """
        count = len(self.operations)
        if count < 2 or count % 2:
            raise ValueError(
                f"{kind}_ops={self.operations!r}: must be an even number of operations, two for "
                "each block"
            )
        for operation in self.operations:
            if operation not in OPERATIONS:
                near = difflib.get_close_matches(operation, OPERATIONS, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise ValueError(
                    f"{kind}_ops={operation!r}: unknown operation; {hint}valid: "
                    + ", ".join(OPERATIONS)
                )
        if len(self.inputs) != count:
            raise ValueError(
                f"{kind}_inputs={self.inputs!r}: has length {len(self.inputs)}, but {kind}_ops has "
                f"{count} operations; give the state that each operation reads"
            )
        for i, state in enumerate(self.inputs):
            if not 0 <= state <= i // 2 + 1:
                raise ValueError(
                    f"{kind}_inputs={self.inputs!r}: block {i // 2 + 1} cannot read state {state}; "
                    f"it can read 0 (the cell's input) to {i // 2 + 1}"
                )
        if wrong := [n for n in self.extra if not 0 <= n <= count // 2 + 1]:
            raise ValueError(
                f"{kind}_concat={self.extra!r}: there is no state {wrong[0]}; this cell has the "
                f"states 0 to {count // 2 + 1}"
            )


def activate(x, style: Style, *, name):
    """Return act(x) before a convolution; the norm follows the convolution."""
    return blocks.norm_act(x, style=replace(style, norm="none"), name=name)


def act_conv_norm(x, w: int, k, stride=1, dilation: int = 1, *, style: Style, name):
    """Return norm(conv(act(x)))."""
    x = activate(x, style, name=name)
    return blocks.conv_norm(x, w, k, stride, dilation=dilation, style=style, name=name)


def operate(x, operation: str, stride: int, w: int, pool_zeros, style: Style, *, name):
    """Apply one of OPERATIONS to x; the result has w channels.

    Args:
        stride: 1 or 2. The identity becomes a 1x1 convolution if it has a stride or changes the
            number of channels, and pooling is followed by one if it changes that number, as in the
            authors' code.
        pool_zeros: whether pooling with a stride includes zeros around the maps (True, False, or
            "average" for average pooling only).
    """
    kind, k = OPERATIONS[operation]
    if kind == "identity":
        same = stride == 1 and x.shape[-1] == w
        return x if same else act_conv_norm(x, w, 1, stride, style=style, name=name)
    if kind == "conv":
        return act_conv_norm(x, w, k, stride, style=style, name=name)
    if kind == "factorized":
        x = act_conv_norm(x, w, (1, k), (1, stride), style=style, name=f"{name}_1")
        return act_conv_norm(x, w, (k, 1), (stride, 1), style=style, name=f"{name}_2")
    if kind == "dilated":
        if stride == 1:
            return act_conv_norm(x, w, k, dilation=2, style=style, name=name)
        # With a stride of 2, the kernel reads only every second pixel.
        x = slide(layers.MaxPool2D(1, 2, name=f"{name}_pixels"), x)
        return act_conv_norm(x, w, k, style=style, name=name)
    if kind == "separable":
        return separable(x, w, k, stride, style, name=name)
    y = pool(x, kind, k, stride, pool_zeros, style, name=name)
    return y if y.shape[-1] == w else blocks.conv_norm(y, w, 1, style=style, name=name)


def separable(x, w: int, k: int, stride: int, style: Style, *, name):
    """Apply act, depthwise k x k, 1x1 and norm, twice; the first has the stride."""
    for j in (1, 2):
        part, channels = f"{name}_{j}", x.shape[-1]
        x = activate(x, style, name=part)
        x = style.conv(
            x, channels, k, stride if j == 1 else 1, channels, bias=False, name=f"{part}_depthwise"
        )
        x = blocks.conv_norm(x, w, 1, style=style, name=part)
    return x


def pool(x, kind: str, k: int, stride: int, pool_zeros, style: Style, *, name):
    """Return the maximum or the average of k x k windows."""
    if stride == 1 and kind == "average":
        return blocks.average_pool(x, k, style=style, name=f"{name}_pool")
    if stride == 1:
        return slide(layers.MaxPool2D(k, 1, "same", name=f"{name}_pool"), x)
    padding: Any = "same" if style.padding == "tf" else k // 2
    if pool_zeros in (True, kind):
        pad, tf = f"{name}_pad", padding == "same"
        layer = (
            layers.SamePad(k, 2, name=pad) if tf else keras.layers.ZeroPadding2D(padding, name=pad)
        )
        x, padding = layer(x), "valid"
    elif kind == "average":
        return blocks.average_pool(x, k, stride, style=style, name=f"{name}_pool")
    if kind == "average":
        return slide(keras.layers.AveragePooling2D(k, stride, name=f"{name}_pool"), x)
    return slide(layers.MaxPool2D(k, stride, padding, name=f"{name}_pool"), x)


def halve(x, w: int, style: Style, *, name):
    """Return x with half its size and w channels.

    Two 1x1 convolutions with stride 2 compute half of the channels each. The second one reads the
    maps shifted by one pixel in both directions, so that no row or column is lost.
    """
    y = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
    y = keras.layers.Cropping2D(((1, 0), (1, 0)), name=f"{name}_crop")(y)
    x = blocks.conv(x, w // 2, 1, 2, style=style, name=f"{name}_1")
    y = blocks.conv(y, w - w // 2, 1, 2, style=style, name=f"{name}_2")
    x = keras.layers.Concatenate(name=f"{name}_concat")([x, y])
    return style.normalize(x, name=f"{name}_norm")


def blocks_of(cell: Cell, states: Sequence, w: int, share: float, reduction: bool, pool_zeros,
              style: Style, *, name):  # fmt: skip
    """Apply the blocks of a cell to its two inputs, and concatenate.

    Args:
        states: the states 0 and 1.
        w: channels of each state.
        share: position of the cell in the network, for drop path: 1 for the last cell.
        reduction: whether operations on the states 0 and 1 have stride 2.
    """
    states = [*states]
    for i in range(0, len(cell.operations), 2):
        terms = []
        for side, at in (("left", i), ("right", i + 1)):
            source, operation = cell.inputs[at], cell.operations[at]
            stride = 2 if reduction and source < 2 else 1
            term = f"{name}_{i // 2 + 1}_{side}"
            y = operate(states[source], operation, stride, w, pool_zeros, style, name=term)
            if operation != "identity":
                y = style.drop_branch(y, share, name=f"{term}_drop")
            terms.append(y)
        states.append(keras.layers.Add(name=f"{name}_{i // 2 + 1}_add")(terms))
    ends = [
        halve(states[n], w, style, name=f"{name}_end{n}") if reduction and n < 2 else states[n]
        for n in cell.ends
    ]
    return ends[0] if len(ends) == 1 else keras.layers.Concatenate(name=f"{name}_concat")(ends)
