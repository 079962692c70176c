"""The airbench networks. Jordan 2024, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, section 3.

The paper's recipe sets the stem's kernel with `zoo.whiten` and freezes it, and starts the other
kernels partly as the identity. Both are up to the training here: the recipe cifar10/fast does so,
with init="dirac".
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from zoo import blocks
from zoo.lazy import keras, layers
from zoo.options import above_zero, at_least, check_stages
from zoo.style import Style, slide


@dataclass(frozen=True)
class Airbench:
    """A stem without norm, then stages of 3x3 convolutions that are pooled after the first one.

    Pooling before the norm of a stage's first convolution, not at the end of the stage, saves
    most of the work on large maps. The stem is meant for the kernels that `zoo.whiten` computes.

    Attributes:
        depths: number of convolutions in each stage.
        widths: channels of each stage.
        stem_width: channels of the stem's convolution, which always has a bias.
        stem_kernel: height and width of the stem's kernel.
        stem_padding: padding of the stem, "valid" (none) or "same".
        pool: global pooling after the last stage. "max" is the paper's 3x3 max pooling, which
            covers the whole map of a 32x32 image.
        head_bias: whether the classifier has a bias.
        head_scale: factor of the features before the classifier.
    """

    depths: tuple[int, ...] = (2, 2, 2)
    widths: tuple[int, ...] = (64, 256, 256)
    stem_width: int = 24
    stem_kernel: int = 2
    stem_padding: Literal["valid", "same"] = "valid"
    pool: Literal["max", "average"] = "max"
    head_bias: bool = False
    head_scale: float = 1 / 9

    unused: ClassVar[tuple[str, ...]] = ("padding", "pool_border", "zero_gamma")

    def __post_init__(self):
        check_stages(self, "widths")
        at_least(self, 1, "widths", "stem_width", "stem_kernel")
        above_zero(self, "head_scale")


SPECS = {"airbench94": Airbench()}
TOYS = {"toy_airbench": Airbench((1, 2), (8, 16), stem_width=6)}
STYLES = {
    "*": Style(act="gelu", norm="batch", init="kaiming"),
    # The norms of the author's code: only a shift, and statistics that follow quickly.
    "airbench*": Style(
        act="gelu",
        norm="batch",
        init="kaiming",
        norm_scale=False,
        norm_epsilon=1e-12,
        norm_momentum=0.6,
    ),
}


def network(x, style: Style, spec: Airbench, num_classes: int):
    # A symmetric pad of an odd kernel is SAME; an even kernel needs TensorFlow's.
    same = "symmetric" if spec.stem_kernel % 2 else "same"
    padding = same if spec.stem_padding == "same" else "valid"
    w = spec.stem_width * style.pieces
    x = style.conv(x, w, spec.stem_kernel, padding=padding, name="stem_conv")
    x = style.activate(x, name="stem_act")
    for at in blocks.positions(spec.depths):
        w = spec.widths[at.stage] * style.pieces
        x = blocks.conv(x, w, 3, style=style, name=at.name)
        if at.index == 0:
            x = slide(layers.MaxPool2D(2, name=f"stage{at.stage + 1}_pool"), x)
        x = style.activate(style.normalize(x, name=f"{at.name}_norm"), name=f"{at.name}_act")
    if spec.pool == "max":
        x = keras.layers.GlobalMaxPooling2D(name="fc_pool")(x)
    else:
        x = blocks.flatten(x, 1)
    x = style.drop(x, name="fc_drop")
    if num_classes and spec.head_scale != 1:
        x = keras.layers.Rescaling(spec.head_scale, name="head_scale")(x)
    return blocks.classifier(x, num_classes, style=style, bias=spec.head_bias)
