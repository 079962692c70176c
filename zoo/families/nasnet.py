"""NASNet-A. Zoph et al. 2017, Learning Transferable Architectures for Scalable Image Recognition.

As in keras.applications, layers with strides are padded as in TensorFlow, and there is no auxiliary
head. Dropout, drop path and initializers follow the authors' code (nasnet.py in TensorFlow's
models/research/slim). Their drop path probability also grows during training; here, it grows only
with depth.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from zoo import blocks
from zoo.lazy import keras, layers
from zoo.options import at_least, check_stages
from zoo.style import Style, slide


@dataclass(frozen=True)
class NASNet:
    """Stages of normal cells, with a reduction cell before each stage but the first; see CELLS.

    NASNet-A (N @ P) has N cells per stage and P channels at its end, six times the last width.

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

    residual: ClassVar[bool] = True
    unused: ClassVar[tuple[str, ...]] = ("zero_gamma",)

    def __post_init__(self):
        check_stages(self)
        at_least(self, 4, "width")


SPECS = {
    "nasnet_mobile": NASNet(),
    "nasnet_large": NASNet((6, 6, 6), 168, 96, skip_reduction=True),
}
TOYS = {"toy_nasnet": NASNet((1, 1), 6, 4, "cifar")}
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

# Figure 4 of the paper. A cell has five sums of two operations, and concatenates some of them. An
# operation is given after its input: the cell's input ("x"), the input of the previous cell
# ("previous") or an earlier sum (its number). In a reduction cell, the operations on "x" and
# "previous" have stride 2.
CELLS: dict[str, tuple[list, list]] = {
    "normal": (
        [
            ("x", "separable5", "previous", "separable3"),
            ("previous", "separable5", "previous", "separable3"),
            ("x", "average", "previous", "identity"),
            ("previous", "average", "previous", "average"),
            ("x", "separable3", "x", "identity"),
        ],
        ["previous", 1, 2, 3, 4, 5],
    ),
    "reduction": (
        [
            ("x", "separable5", "previous", "separable7"),
            ("x", "max", "previous", "separable7"),
            ("x", "average", "previous", "separable5"),
            (2, "identity", 1, "average"),
            (1, "separable3", "x", "max"),
        ],
        [2, 3, 4, 5],
    ),
}


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
    x = activate(now[0], style, name="head")
    return blocks.pooled_head(x, num_classes, style=style)


def activate(x, style: Style, *, name):
    """Return act(x) before a convolution; the norm follows the convolution."""
    return blocks.norm_act(x, style=dataclasses.replace(style, norm="none"), name=name)


def cell(now, previous, kind: str, w: int, share: float, spec: NASNet, style: Style, *, name):
    """Apply a cell of CELLS.

    Args:
        now, previous: the cell's input and that of the previous cell, each as a pair of feature
            maps and the number of times their size was halved.
        kind: key of CELLS.
        w: channels of each operation.
        share: position of the cell in the network, for drop path: 1 for the last cell.
    """
    sums, ends = CELLS[kind]
    x = activate(now[0], style, name=f"{name}_in")
    maps: dict[Any, Any] = {
        "x": blocks.conv_norm(x, w, 1, style=style, name=f"{name}_in"),
        "previous": fitted(now, previous, kind, w, style, name=f"{name}_previous"),
    }
    for i, (first, one, second, other) in enumerate(sums, 1):
        terms = []
        for side, source, operation in (("left", first, one), ("right", second, other)):
            stride = 2 if kind == "reduction" and isinstance(source, str) else 1
            term = f"{name}_{i}_{side}"
            y = operate(maps[source], operation, stride, w, spec, style, name=term)
            if operation != "identity":
                y = style.drop_branch(y, share, name=f"{term}_drop")
            terms.append(y)
        maps[i] = keras.layers.Add(name=f"{name}_{i}_add")(terms)
    return keras.layers.Concatenate(name=f"{name}_concat")([maps[end] for end in ends])


def fitted(now, previous, kind: str, w: int, style: Style, *, name):
    """Return the previous cell's input with the size of `now` and w channels.

    Larger maps are halved by two 1x1 convolutions with stride 2, the second of which reads the maps
    shifted by one pixel in both directions. For the first cell, if it is a reduction cell, it is
    `now` unchanged.
    """
    if previous is None:
        if kind == "reduction":
            return now[0]
        previous = now
    x, halved = previous
    if halved < now[1]:
        x = activate(x, style, name=name)
        y = keras.layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
        y = keras.layers.Cropping2D(((1, 0), (1, 0)), name=f"{name}_crop")(y)
        x = blocks.conv(x, w // 2, 1, 2, style=style, name=f"{name}_1")
        y = blocks.conv(y, w - w // 2, 1, 2, style=style, name=f"{name}_2")
        x = keras.layers.Concatenate(name=f"{name}_concat")([x, y])
        return style.normalize(x, name=f"{name}_norm")
    if x.shape[-1] != w:
        x = activate(x, style, name=name)
        x = blocks.conv_norm(x, w, 1, style=style, name=name)
    return x


def operate(x, operation: str, stride: int, w: int, spec: NASNet, style: Style, *, name):
    """Apply one operation of CELLS."""
    if operation == "identity":
        return x
    if operation.startswith("separable"):
        return separable(x, w, int(operation[-1]), stride, style, name=name)
    if stride == 1:
        return blocks.average_pool(x, 3, style=style, name=f"{name}_pool")
    padding: Any = "same" if style.padding == "tf" else 1
    if spec.pool_zeros in (True, operation):
        pad = f"{name}_pad"
        tf = padding == "same"
        layer = layers.SamePad(3, 2, name=pad) if tf else keras.layers.ZeroPadding2D(1, name=pad)
        x, padding = layer(x), "valid"
    elif operation == "average":
        return blocks.average_pool(x, 3, stride, style=style, name=f"{name}_pool")
    if operation == "average":
        return slide(keras.layers.AveragePooling2D(3, stride, name=f"{name}_pool"), x)
    return slide(layers.MaxPool2D(3, stride, padding, name=f"{name}_pool"), x)


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
