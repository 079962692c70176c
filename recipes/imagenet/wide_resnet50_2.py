"""Wide ResNet-50-2 on ImageNet (Zagoruyko & Komodakis 2016, table 8).

As in fb.resnet.torch: random crops of 8 to 100 % of the image, color jitter, AlexNet's color noise,
flips, and normalization by the mean and standard deviation of each channel; SGD with Nesterov
momentum 0.9, batch 256, weight decay 1e-4, and a learning rate of 0.1 that is divided by 10 every
30 of 90 epochs. The paper states no difference from that code on ImageNet.

Command: recipes train imagenet/wide_resnet50_2
Cost: about 7.9 exaFLOP: 3 x 11.398 GMAC x 2 x 1.28 million images x 90 epochs.
Expect: 0.781 (top-5 0.940) in the paper, one crop (table 8).
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
    model="wide_resnet50_2",
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
    step_size=30,
    gamma=0.1,
)

space = """
    act=relu,elu,swish norm=batch,group options.group_width=64,96,128
    lr=log:1e-2:1 weight_decay=log:1e-5:1e-3
"""


if __name__ == "__main__":
    main(__file__)
