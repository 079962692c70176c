"""ResNet-50 on ImageNet by procedure A3 (Wightman et al. 2021, ResNet strikes back, table 2).

The cheapest procedure: 100 epochs at 160 pixels, evaluated at 224; learning rate 8e-3, weight decay
0.02, Mixup 0.1, RandAugment 6 / 0.5, no label smoothing, no repeated images, and no drop path.
Everything else is as in imagenet/resnet50_a1, including the differences from the paper.

Command: recipes train imagenet/resnet50_a3
Cost: about 1.6 exaFLOP: 3 x 2.09 GMAC (160 pixels) x 2 x 1.28 million images x 100 epochs.
Expect: 0.781 in the paper, at 224 pixels.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import (
    CenterCrop,
    Flip,
    MixupOrCutMix,
    RandAugment,
    RandomResizedCrop,
    ResizeShort,
)

recipe = Recipe(
    model="resnet50",
    data="imagenet2012",
    options={"input_shape": (None, None, 3), "zero_gamma": True},
    augment=(
        RandomResizedCrop(160),
        Flip(),
        RandAugment(2, 6.0, deviation=0.5, probability=0.5),
        MixupOrCutMix(mixup=0.1, cutmix=1.0),
    ),
    eval_ops=(ResizeShort(235), CenterCrop(224)),
    preprocess="torchvision",
    validation=0.01,
    batch_size=2048,
    epochs=100,
    optimizer="lamb",
    lr=8e-3,
    weight_decay=0.02,
    decay_norms=False,
    schedule="cosine",
    warmup=5,
    loss="bce",
    label_threshold=0.0,
    clip_norm=1.0,
)

space = """
    act=relu,swish,gelu options.zero_gamma=true,false label_smoothing=0:0.2
    lr=log:1e-3:2e-2 weight_decay=log:5e-3:0.05
"""


if __name__ == "__main__":
    main(__file__)
