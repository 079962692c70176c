"""Inception networks: v3 (Szegedy et al. 2015), v4 and Inception-ResNet-v2 (2016).

Layers with a stride have no padding. inception_v3 follows torchvision, whose average pooling
includes the zeros around the map. The two networks of 2016 follow their authors' code (TensorFlow's
models/research/slim) and timm. In keras.applications, norms have no scale and pooling does not
include the zeros: use norm_scale=False and pool_border=False. Kernels are initialized as in the
authors' code.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from zoo import blocks
from zoo.branches import Conv, assemble
from zoo.lazy import keras
from zoo.options import above_zero, at_least
from zoo.style import Style, slide


@dataclass(frozen=True)
class InceptionV3:
    """Three stages of modules, with a reduction of the size before the second and the third.

    Attributes:
        depths: number of modules in each stage, without the reductions.
        width: factor of the number of channels of all convolutions.
        stem: "imagenet" (five convolutions and two max poolings) or "cifar" (3x3).
        aux: whether the network has one more output, after stage 2.
    """

    depths: tuple[int, int, int] = (3, 4, 2)
    width: float = 1.0
    stem: Literal["imagenet", "cifar"] = "imagenet"
    aux: bool = False

    unused: ClassVar[tuple[str, ...]] = ("zero_gamma", "padding")

    def __post_init__(self):
        check(self)


@dataclass(frozen=True)
class InceptionV4:
    """Three stages of modules, with a reduction of the size before the second and the third.

    Attributes:
        depths: number of modules in each stage, without the reductions.
        width: factor of the number of channels of all convolutions.
        stem: "imagenet" (the paper's figure 3) or "cifar" (3x3).
    """

    depths: tuple[int, int, int] = (4, 7, 3)
    width: float = 1.0
    stem: Literal["imagenet", "cifar"] = "imagenet"

    unused: ClassVar[tuple[str, ...]] = ("zero_gamma", "padding")

    def __post_init__(self):
        check(self)


@dataclass(frozen=True)
class InceptionResNet:
    """Three stages of residual blocks whose branches are modules, multiplied by small factors.

    Attributes:
        depths: number of blocks in each stage, without the reductions.
        width: factor of the number of channels of all convolutions.
        stem: "imagenet" (the stem of v3 and a module) or "cifar" (3x3 and the module).
        scales: factor of the branches in each stage; it is 1 in the last block of the network.
    """

    depths: tuple[int, int, int] = (10, 20, 10)
    width: float = 1.0
    stem: Literal["imagenet", "cifar"] = "imagenet"
    scales: tuple[float, float, float] = (0.17, 0.1, 0.2)

    residual: ClassVar[bool] = True
    # Branches end in a convolution with a bias instead of a norm, so zero_gamma has no effect.
    unused: ClassVar[tuple[str, ...]] = ("zero_gamma", "padding")

    def __post_init__(self):
        check(self)


Spec = InceptionV3 | InceptionV4 | InceptionResNet


def check(spec: Spec):
    at_least(spec, 1, "depths")
    above_zero(spec, "width")


SPECS = {
    "inception_v3": InceptionV3(),
    "inception_v4": InceptionV4(),
    "inception_resnet_v2": InceptionResNet(),
}
TOYS = {
    "toy_inception": InceptionV3((1, 1, 1), 0.125, "cifar"),
    "toy_inception_v4": InceptionV4((1, 1, 1), 0.125, "cifar"),
    "toy_inception_resnet": InceptionResNet((1, 1, 1), 0.125, "cifar"),
}
_STYLE = Style(act="relu", norm="batch", init="he_normal", norm_epsilon=1e-3, dropout=0.2)
STYLES = {"*": _STYLE, "inception_v3": replace(_STYLE, dropout=0.5, pool_border=True)}

# Steps of zoo.branches.assemble. A kernel (n, 1) has n rows.
STEM_V3 = (
    Conv(32, 3, 2),
    Conv(32, 3, valid=True),
    Conv(64, 3),
    "halve",
    Conv(80),
    Conv(192, 3, valid=True),
    "halve",
)
STEM_V4 = (
    Conv(32, 3, 2),
    Conv(32, 3, valid=True),
    Conv(64, 3),
    ["halve", Conv(96, 3, 2)],
    [
        (Conv(64), Conv(96, 3, valid=True)),
        (Conv(64), Conv(64, (1, 7)), Conv(64, (7, 1)), Conv(96, 3, valid=True)),
    ],
    [Conv(192, 3, 2), "halve"],
)
REDUCTIONS_V3 = (
    [Conv(384, 3, 2), (Conv(64), Conv(96, 3), Conv(96, 3, 2)), "halve"],
    [
        (Conv(192), Conv(320, 3, 2)),
        (Conv(192), Conv(192, (1, 7)), Conv(192, (7, 1)), Conv(192, 3, 2)),
        "halve",
    ],
)
MODULES_V4 = (
    [
        Conv(96),
        (Conv(64), Conv(96, 3)),
        (Conv(64), Conv(96, 3), Conv(96, 3)),
        ("average", Conv(96)),
    ],
    [
        Conv(384),
        (Conv(192), Conv(224, (1, 7)), Conv(256, (7, 1))),
        (Conv(192), Conv(192, (7, 1)), Conv(224, (1, 7)), Conv(224, (7, 1)), Conv(256, (1, 7))),
        ("average", Conv(128)),
    ],
    [
        Conv(256),
        (Conv(384), [Conv(256, (1, 3)), Conv(256, (3, 1))]),
        (Conv(384), Conv(448, (3, 1)), Conv(512, (1, 3)), [Conv(256, (1, 3)), Conv(256, (3, 1))]),
        ("average", Conv(256)),
    ],
)
REDUCTIONS_V4 = (
    [Conv(384, 3, 2), (Conv(192), Conv(224, 3), Conv(256, 3, 2)), "halve"],
    [
        (Conv(192), Conv(192, 3, 2)),
        (Conv(256), Conv(256, (1, 7)), Conv(320, (7, 1)), Conv(320, 3, 2)),
        "halve",
    ],
)
BRANCHES_RESNET = (
    [Conv(32), (Conv(32), Conv(32, 3)), (Conv(32), Conv(48, 3), Conv(64, 3))],
    [Conv(192), (Conv(128), Conv(160, (1, 7)), Conv(192, (7, 1)))],
    [Conv(192), (Conv(192), Conv(224, (1, 3)), Conv(256, (3, 1)))],
)
REDUCTIONS_RESNET = (
    [Conv(384, 3, 2), (Conv(256), Conv(256, 3), Conv(384, 3, 2)), "halve"],
    [
        (Conv(256), Conv(384, 3, 2)),
        (Conv(256), Conv(288, 3, 2)),
        (Conv(256), Conv(288, 3), Conv(320, 3, 2)),
        "halve",
    ],
)


def module_35(pooled: int, narrow: int = 64):
    """Return the module for 35x35 maps (of 299 pixels), in v3 and in Inception-ResNet's stem."""
    return [
        Conv(narrow),
        (Conv(48), Conv(64, 5)),
        (Conv(64), Conv(96, 3), Conv(96, 3)),
        ("average", Conv(pooled)),
    ]


def module_v3(stage: int, index: int, depth: int):
    """Return a module of v3; those of a stage differ slightly.

    Args:
        stage: number of the stage, from 0.
        index: number of the module in its stage, from 0.
        depth: number of modules in the stage.
    """
    if stage == 0:
        return module_35(32 if index == 0 else 64)
    if stage == 1:
        w = 192 if index == depth - 1 else 128 if index == 0 else 160
        return [
            Conv(192),
            (Conv(w), Conv(w, (1, 7)), Conv(192, (7, 1))),
            (Conv(w), Conv(w, (7, 1)), Conv(w, (1, 7)), Conv(w, (7, 1)), Conv(192, (1, 7))),
            ("average", Conv(192)),
        ]
    return [
        Conv(320),
        (Conv(384), [Conv(384, (1, 3)), Conv(384, (3, 1))]),
        (Conv(448), Conv(384, 3), [Conv(384, (1, 3)), Conv(384, (3, 1))]),
        ("average", Conv(192)),
    ]


def network(x, style: Style, spec: Spec, num_classes: int):
    def put(x, step, name):
        return assemble(x, step, spec.width, style=style, name=name)

    residual = isinstance(spec, InceptionResNet)
    reductions: Any = REDUCTIONS_RESNET if residual else REDUCTIONS_V4
    if isinstance(spec, InceptionV3):
        reductions = REDUCTIONS_V3
    stem: Any = STEM_V4 if isinstance(spec, InceptionV4) else STEM_V3
    x = put(x, Conv(192, 3) if spec.stem == "cifar" else stem, "stem")
    if residual:
        x = put(x, module_35(64, 96), "stem_mixed")
    heads = []
    for at in blocks.positions(spec.depths):
        if at.stage > 0 and at.index == 0:
            x = put(x, reductions[at.stage - 1], f"stage{at.stage + 1}_reduction")
        if isinstance(spec, InceptionResNet):
            x = block(x, at, spec, style)
        elif isinstance(spec, InceptionV4):
            x = put(x, MODULES_V4[at.stage], at.name)
        else:
            depth = spec.depths[at.stage]
            x = put(x, module_v3(at.stage, at.index, depth), at.name)
            if spec.aux and at.stage == 1 and at.index == depth - 1:
                heads.append(auxiliary_head(x, num_classes, spec, style, name="stage2_aux1"))
    if residual:
        x = put(x, Conv(1536), "head_last")
    x = blocks.pooled_head(x, num_classes, style=style)
    return [x, *heads] if heads else x


def block(x, at: blocks.Position, spec: InceptionResNet, style: Style):
    """Add to x a module with as many channels, scaled. The last block has no activation."""
    w, name = x.shape[-1], at.name

    def branch(x, style):
        x = assemble(x, BRANCHES_RESNET[at.stage], spec.width, style=style, name=name)
        end = f"{name}_end"
        if style.fixup:
            x = blocks.conv_norm(x, w * style.pieces, 1, zero=True, style=style, name=end)
        else:
            x = style.conv(x, w * style.pieces, 1, name=f"{end}_conv")
        if style.pieces > 1:
            x = style.activate(x, name=f"{end}_act")
        scale = 1.0 if at.last else spec.scales[at.stage]
        return x if scale == 1 else keras.layers.Rescaling(scale, name=f"{name}_scale")(x)

    return blocks.residual(x, branch, lambda x: x, 4, act=not at.last, style=style, at=at)


def auxiliary_head(x, num_classes: int, spec: InceptionV3, style: Style, *, name):
    """Return the logits of the auxiliary head: figure 8 of the 2015 paper, with a 5x5 kernel."""
    x = slide(keras.layers.AveragePooling2D(5, 3, name=f"{name}_pool"), x)
    step = (Conv(128), Conv(768, 5, valid=True))
    x = assemble(x, step, spec.width, style=style, name=name)
    x = keras.layers.GlobalAveragePooling2D(name=f"{name}_mean")(x)
    return blocks.classifier(x, num_classes, style=style, name=name)
