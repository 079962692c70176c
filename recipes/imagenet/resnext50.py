"""ResNeXt-50 (32x4d) on ImageNet (Xie et al. 2016, section 4).

As in the paper, which uses fb.resnet.torch: random crops of 8 to 100 % of the image, color jitter,
AlexNet's color noise, flips, and normalization by the mean and standard deviation of each channel;
SGD with momentum 0.9, batch 256, weight decay 1e-4, and a learning rate of 0.1 that is divided by
10 every 30 epochs. As in that code: Nesterov momentum, and 90 epochs, which the paper does not
state.

Command: recipes train imagenet/resnext50
Cost: about 2.9 exaFLOP: 3 x 4.23 GMAC x 2 x 1.28 million images x 90 epochs.
Expect: 0.778 in the paper, one crop (table 3).
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
    model="resnext50_32x4d",
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


def space(hp):
    """Return the changes of one trial; all groups and widths have about the same MACs (table 2)."""
    groups = hp.Choice("groups", [4, 8, 32])
    return {
        "act": hp.Choice("act", ["relu", "elu", "swish"]),
        "norm": hp.Choice("norm", ["batch", "group"]),
        "lr": hp.Float("lr", 1e-2, 1.0, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-5, 1e-3, sampling="log"),
        "options.groups": groups,
        "options.group_width": {4: 24, 8: 14, 32: 4}[groups],
    }


if __name__ == "__main__":
    main(__file__)
