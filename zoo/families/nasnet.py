"""NASNet-A. Zoph et al. 2017, Learning Transferable Architectures for Scalable Image Recognition.

As in keras.applications, layers with strides are padded as in TensorFlow, and there is no auxiliary
head. Dropout, drop path and initializers follow the authors' code (nasnet.py in TensorFlow's
models/research/slim). Their drop path probability also grows during training; here, it grows only
with depth.
"""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

from zoo import blocks, cells
from zoo.options import at_least, check_stages
from zoo.style import Style


@dataclass(frozen=True)
class NASNet:
    """Stages of normal cells, with a reduction cell before each stage but the first.

    NASNet-A (N @ P) has N cells per stage and P channels at its end, six times the last width. Its
    cells, the default, are those of figure 4 of the paper. Other cells of the paper's search space
    are described by three options each; zoo/cells.py defines what they mean.

    Attributes:
        depths: number of normal cells in each stage.
        width: channels of each operation in stage 1; each further stage doubles them.
        stem_width: channels of the stem's convolution.
        stem: "imagenet" (3x3 with stride 2 and without padding, and two reduction cells) or
            "cifar" (3x3).
        skip_reduction: whether the second input of a stage's first cell is not the input of the
            reduction cell, but the one before it.
        pool_zeros: whether pooling with a stride in reduction cells includes zeros around the
            maps: all pooling, as in keras.applications (True); only average pooling, as in timm
            ("average"); or none, as in the authors' code (False).
    """

    depths: tuple[int, ...] = (4, 4, 4)
    width: int = 44
    stem_width: int = 32
    stem: Literal["imagenet", "cifar"] = "imagenet"
    skip_reduction: bool = False
    pool_zeros: bool | Literal["average"] = True
    normal_ops: tuple[str, ...] = (
        *("sep5", "sep3"),
        *("sep5", "sep3"),
        *("avg3", "identity"),
        *("avg3", "avg3"),
        *("sep3", "identity"),
    )
    normal_inputs: tuple[int, ...] = (0, 1, 1, 1, 0, 1, 1, 1, 0, 0)
    normal_concat: tuple[int, ...] = (1,)
    reduction_ops: tuple[str, ...] = (
        *("sep5", "sep7"),
        *("max3", "sep7"),
        *("avg3", "sep5"),
        *("identity", "avg3"),
        *("sep3", "max3"),
    )
    reduction_inputs: tuple[int, ...] = (0, 1, 0, 1, 0, 1, 3, 2, 2, 0)
    reduction_concat: tuple[int, ...] = (3,)

    residual: ClassVar[bool] = True
    unused: ClassVar[tuple[str, ...]] = ("zero_gamma",)

    def __post_init__(self):
        check_stages(self)
        at_least(self, 4, "width")
        for kind in ("normal", "reduction"):
            self.cell(kind).check(kind)

    def cell(self, kind: str) -> cells.Cell:
        """Return the normal or the reduction cell."""
        if kind == "normal":
            return cells.Cell(self.normal_ops, self.normal_inputs, self.normal_concat)
        return cells.Cell(self.reduction_ops, self.reduction_inputs, self.reduction_concat)


SPECS = {
    "nasnet_mobile": NASNet(),
    "nasnet_large": NASNet((6, 6, 6), 168, 96, skip_reduction=True),
}
TOYS = {
    "toy_nasnet": NASNet((1, 1), 6, 4, "cifar"),
    # Kinds of operations that NASNet-A lacks, and cells that do not read one of their inputs
    "toy_cells": NASNet(
        (1, 1),
        6,
        4,
        "cifar",
        normal_ops=("conv1x7", "dilated3", "conv3", "max5"),
        normal_inputs=(0, 0, 2, 0),
        normal_concat=(),
        reduction_ops=("conv1", "identity", "dilated3", "max7"),
        reduction_inputs=(1, 1, 2, 1),
        reduction_concat=(),
    ),
}
_STYLE = Style(
    act="relu",
    norm="batch",
    init="he_normal",
    padding="tf",
    norm_epsilon=1e-3,
    norm_momentum=0.9997,
    dropout=0.5,
)
STYLES = {"*": _STYLE, "nasnet_large": dataclasses.replace(_STYLE, drop_path=0.3)}


def network(x, style: Style, spec: NASNet, num_classes: int):
    imagenet = spec.stem == "imagenet"
    stride, padding = (2, "valid") if imagenet else (1, None)
    x = blocks.conv_norm(x, spec.stem_width, 3, stride, padding=padding, style=style, name="stem")
    plan = []
    if imagenet:
        plan += [("stem_cell1", "reduction", spec.width // 4)]
        plan += [("stem_cell2", "reduction", spec.width // 2)]
    for i, depth in enumerate(spec.depths):
        w = spec.width * 2**i
        if i > 0:
            plan += [(f"stage{i + 1}_reduction", "reduction", w)]
        plan += [(f"stage{i + 1}_block{j}", "normal", w) for j in range(1, depth + 1)]
    # Pairs of feature maps and the number of times their size was halved.
    now, previous = (x, 0), None
    for index, (name, kind, w) in enumerate(plan):
        share = (index + 1) / len(plan)
        y = cell(now, previous, kind, w, share, spec, style, name=name)
        halved = now[1] + (kind == "reduction")
        if not (spec.skip_reduction and name.endswith("_reduction")):
            previous = now
        now = (y, halved)
    x = cells.activate(now[0], style, name="head")
    return blocks.pooled_head(x, num_classes, style=style)


def cell(now, previous, kind: str, w: int, share: float, spec: NASNet, style: Style, *, name):
    """Apply a cell.

    Args:
        now, previous: the cell's input and that of the previous cell, each as a pair of feature
            maps and the number of times their size was halved.
        kind: "normal" or "reduction".
        w: channels of each operation.
        share: position of the cell in the network, for drop path: 1 for the last cell.
    """
    x = cells.act_conv_norm(now[0], w, 1, style=style, name=f"{name}_in")
    states = [x, fitted(now, previous, kind, w, style, name=f"{name}_previous")]
    reduction = kind == "reduction"
    return cells.blocks_of(
        spec.cell(kind), states, w, share, reduction, spec.pool_zeros, style, name=name
    )


def fitted(now, previous, kind: str, w: int, style: Style, *, name):
    """Return the previous cell's input with the size of `now` and w channels.

    For the first cell, if it is a reduction cell, it is `now` unchanged.
    """
    if previous is None:
        if kind == "reduction":
            return now[0]
        previous = now
    x, halved = previous
    if halved < now[1]:
        x = cells.activate(x, style, name=name)
        return cells.halve(x, w, style, name=name)
    if x.shape[-1] != w:
        x = cells.act_conv_norm(x, w, 1, style=style, name=name)
    return x
