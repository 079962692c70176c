"""ResNet-50 on ImageNet by torchvision's second recipe of 2021, in 600 epochs (He et al. 2015).

It is trained at 176 pixels and evaluated at 224: TrivialAugment, random erasing, Mixup 0.2 or
CutMix 1, each image four times in a batch, and label smoothing 0.1; SGD with a learning rate of 0.5
for a batch of 1,024, a cosine schedule after a warmup of 5 epochs, and weight decay 2e-5 but none
on norms. Weights are averaged with 0.99997 per step, which corresponds to torchvision's 0.99998,
rescaled there for its 32 steps between updates and for the batch. Differences: the classifier's
bias has no weight decay either, and erased rectangles are one gray instead of the mean of each
channel.

Command: recipes train imagenet/resnet50_torch_v2
Cost: about 11.6 exaFLOP: 3 x 2.52 GMAC (176 pixels) x 2 x 1.28 million images x 600 epochs.
Expect: 0.809 (top-5 0.954), the weights IMAGENET1K_V2 of torchvision.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import (
    CenterCrop,
    Flip,
    MixupOrCutMix,
    RandomErasing,
    RandomResizedCrop,
    RepeatedAugmentation,
    ResizeShort,
    TrivialAugment,
)

recipe = Recipe(
    model="resnet50",
    data="imagenet2012",
    options={"input_shape": (None, None, 3)},
    augment=(
        RepeatedAugmentation(4),
        RandomResizedCrop(176),
        Flip(),
        TrivialAugment(),
        RandomErasing(0.1, area=(0.02, 0.33), aspect=(0.3, 3.3), value=116.0),
        MixupOrCutMix(mixup=0.2, cutmix=1.0),
    ),
    eval_ops=(ResizeShort(232), CenterCrop(224)),
    preprocess="torchvision",
    validation=0.01,
    batch_size=1024,
    epochs=600,
    lr=0.5,
    momentum=0.9,
    weight_decay=2e-5,
    decay_norms=False,
    schedule="cosine",
    warmup=5,
    label_smoothing=0.1,
    average="ema:0.99997",
)

space = """
    act=relu,swish,gelu options.zero_gamma=false,true label_smoothing=0:0.2
    lr=log:0.05:2 weight_decay=log:1e-6:1e-4
"""


if __name__ == "__main__":
    main(__file__)
