"""DenseNet-121 on ImageNet (Huang et al. 2016, section 4.2).

As in the paper, which uses fb.resnet.torch: random crops of 8 to 100 % of the image, color jitter,
AlexNet's color noise, flips, and normalization by the mean and standard deviation of each channel;
SGD with Nesterov momentum 0.9, batch 256, weight decay 1e-4, no dropout, and a learning rate of 0.1
that is divided by 10 after epochs 30 and 60 of 90. No difference is known.

Command: recipes train imagenet/densenet121
Cost: about 2.0 exaFLOP: 3 x 2.834 GMAC x 2 x 1.28 million images x 90 epochs.
Expect: 0.750 (top-5 0.923) in the paper, one crop (table 3).
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import (
    CenterCrop,
    ColorJitter,
    Flip,
    Lighting,
    RandomResizedCrop,
    ResizeShort,
)

recipe = Recipe(
    model="densenet121",
    data="imagenet2012",
    augment=(RandomResizedCrop(224), ColorJitter(0.4, 0.4, 0.4), Lighting(0.1), Flip()),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="standardize",
    validation=0.01,
    batch_size=256,
    epochs=90,
    lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=1e-4,
    schedule="step",
    milestones=(30, 60),
    gamma=0.1,
)

space = """
    act=relu,elu,gelu norm=batch,group options.growth=24,32,40
    lr=log:1e-2:1 weight_decay=log:1e-5:1e-3
"""


if __name__ == "__main__":
    main(__file__)
