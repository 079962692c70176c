"""ResNet-50 on ImageNet by procedure A1 (Wightman et al. 2021, ResNet strikes back, table 2).

As in the paper: LAMB with learning rate 5e-3 and weight decay 0.01, batch 2,048 over all replicas,
and a cosine schedule over 600 epochs after a warmup of 5; binary cross-entropy with label smoothing
0.1, where both classes of a mixed image have the target 1; Mixup 0.2 or CutMix 1, RandAugment 7 /
0.5, each image three times in a batch, and drop path 0.05; evaluation on crops of 95 %. The
gradient is clipped to 1, and the last norm of each branch starts at 0: these are the defaults of
timm's Lamb and ResNet, with which the authors trained. Differences: bilinear instead of bicubic
resizing, and the 14 operations of the RandAugment paper instead of timm's 15.

Command: recipes train imagenet/resnet50_a1
Cost: about 18.8 exaFLOP: 3 x 4.089 GMAC x 2 x 1.28 million images x 600 epochs.
Expect: 0.804 in the paper, at 224 pixels.
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
        MixupOrCutMix(mixup=0.2, cutmix=1.0),
    ),
    eval_ops=(ResizeShort(235), CenterCrop(224)),
    preprocess="torchvision",
    validation=0.01,
    batch_size=2048,
    epochs=600,
    optimizer="lamb",
    lr=5e-3,
    weight_decay=0.01,
    decay_norms=False,
    schedule="cosine",
    warmup=5,
    loss="bce",
    label_threshold=0.0,
    clip_norm=1.0,
    label_smoothing=0.1,
)

space = """
    act=relu,swish,gelu options.zero_gamma=true,false drop_path=0:0.2
    lr=log:1e-3:1e-2 weight_decay=log:5e-3:0.05
"""


if __name__ == "__main__":
    main(__file__)
