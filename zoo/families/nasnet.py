"""NASNet-A. Zoph et al. 2017, Learning Transferable Architectures for Scalable Image Recognition.

As in keras.applications: strides padded as TensorFlow does, and no auxiliary head. Dropout,
drop path and the start of kernels are the authors' (nasnet.py in TensorFlow's models/research/
slim), whose drop path grows over the training as well; ours grows with depth alone.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from zoo import blocks
from zoo.lazy import keras, layers
from zoo.style import Style, slide


@dataclass(frozen=True)
class NASNet:
    """Stages of normal cells, a reduction cell before each but the first; see CELLS.

    NASNet-A (N @ P) has N cells a stage and P maps at its end, six times the last width.

    Attributes:
        depths: normal cells of each stage.
        width: maps of each operation in stage 1; each next stage doubles it.
        stem_width: maps of the stem's convolution.
        stem: "imagenet" (3x3 of stride 2 without padding, and two reduction cells) or "cifar"
            (3x3).
        skip_reduction: the first cell of a stage sees, beside the reduction's maps, not what
            went into the reduction but what came before that.
        pool_zeros: the pools of a reduction cell that stride see zeros around the maps, as in
            keras.applications; with "average" the average pools alone, as in timm; not so in
            the authors' code.
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
        if min(self.depths, default=0) < 1 or self.width < 4:
            raise ValueError("width must be at least 4, and each of depths at least 1")


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

# Figure 4 of the paper. A cell is five sums of two operations, each on the cell's input ("x"),
# on the input of the cell before ("previous") or on an earlier sum (its number), and the
# concatenation of some. In a reduction cell what reads the inputs strides.
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
    # Beside the maps, how often they were halved.
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
    """act(x): all is pre-activated, and its norm stands behind the convolution before."""
    return blocks.norm_act(x, style=dataclasses.replace(style, norm="none"), name=name)


def cell(now, previous, kind: str, w: int, share: float, spec: NASNet, style: Style, *, name):
    """A cell of CELLS; `now` and `previous` are maps and how often they were halved."""
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
    """The maps of the cell before, with the size of `now`'s and, but for the first, w channels.

    Halved maps are every second pixel, and every second one shifted by one in both directions.
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
    """Twice act, depthwise k x k, 1x1, norm; the first strides."""
    for j in (1, 2):
        part, channels = f"{name}_{j}", x.shape[-1]
        x = activate(x, style, name=part)
        x = style.conv(
            x, channels, k, stride if j == 1 else 1, channels, bias=False, name=f"{part}_depthwise"
        )
        x = blocks.conv_norm(x, w, 1, style=style, name=part)
    return x
