"""Inception modules, written as nested steps: tuples are sequences, lists are parallel branches."""

from dataclasses import dataclass

from zoo import blocks
from zoo.lazy import keras, layers
from zoo.style import Style, slide


@dataclass(frozen=True)
class Conv:
    """A convolution with norm and activation, one step of a branch.

    Attributes:
        width: the number of output channels, before the network's width factor.
        kernel: the size of the kernel, or (rows, columns).
        stride: the stride; a strided convolution has no padding.
        valid: whether a convolution of stride 1 has no padding either.
    """

    width: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1
    valid: bool = False


def assemble(x, step, factor: float, *, style: Style, name):
    """Apply a step to x and return its feature maps.

    Args:
        step: a Conv; "average" or "max", a 3x3 pool that keeps the size; "halve", a 3x3 max
            pool of stride 2 without padding; a tuple of steps, applied one after another; or a
            list of parallel branches, whose outputs are concatenated.
        factor: the width factor, which multiplies the channels of each convolution.
    """
    if isinstance(step, tuple):
        for j, part in enumerate(step, 1):
            x = assemble(x, part, factor, style=style, name=f"{name}_{j}")
        return x
    if isinstance(step, list):
        ends = [
            assemble(x, part, factor, style=style, name=f"{name}_branch{i}")
            for i, part in enumerate(step, 1)
        ]
        return keras.layers.Concatenate(name=f"{name}_concat")(ends)
    if step == "average":
        return blocks.average_pool(x, 3, style=style, name=f"{name}_pool")
    if isinstance(step, str):
        stride, padding = {"max": (1, "same"), "halve": (2, "valid")}[step]
        return slide(layers.MaxPool2D(3, stride, padding, name=f"{name}_pool"), x)
    w, k, stride = scaled(step.width, factor), step.kernel, step.stride
    around = "valid" if step.valid or stride > 1 else None
    return blocks.conv_norm_act(x, w, k, stride, padding=around, style=style, name=name)


def scaled(w: int, factor: float) -> int:
    """Return a number of channels times the width factor, at least 1."""
    return max(round(w * factor), 1)
