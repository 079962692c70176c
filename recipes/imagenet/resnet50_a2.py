"""ResNet-50 on ImageNet by procedure A2 (Wightman et al. 2021, ResNet strikes back, table 2).

Like imagenet/resnet50_a1, but with 300 epochs, weight decay 0.02, Mixup 0.1, and no label
smoothing. It differs from the paper in the same points.

Command: recipes train imagenet/resnet50_a2
Cost: about 9.4 exaFLOP: 3 x 4.089 GMAC x 2 x 1.28 million images x 300 epochs.
Expect: 0.798 in the paper, at 224 pixels.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import (
    CenterCrop,
    Flip,
    MixupOrCutMix,
    RandAugment,
    RandomResizedCrop,
    RepeatedAugmentation,
    ResizeShort,
)

recipe = Recipe(
    model="resnet50",
    data="imagenet2012",
    drop_path=0.05,
    options={"zero_gamma": True},
    augment=(
        RepeatedAugmentation(3),
        RandomResizedCrop(224),
        Flip(),
        RandAugment(2, 7.0, deviation=0.5, probability=0.5),
        MixupOrCutMix(mixup=0.1, cutmix=1.0),
    ),
    eval_ops=(ResizeShort(235), CenterCrop(224)),
    preprocess="torchvision",
    validation=0.01,
    batch_size=2048,
    epochs=300,
    optimizer="lamb",
    lr=5e-3,
    weight_decay=0.02,
    decay_norms=False,
    schedule="cosine",
    warmup=5,
    loss="bce",
    label_threshold=0.0,
    clip_norm=1.0,
)

space = """
    act=relu,swish,gelu options.zero_gamma=true,false drop_path=0:0.2
    lr=log:1e-3:1e-2 weight_decay=log:5e-3:0.05
"""


if __name__ == "__main__":
    main(__file__)
