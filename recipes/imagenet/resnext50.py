"""ResNeXt-50 (32x4d) on ImageNet. Xie et al. 2016, section 4.

By fb.resnet.torch: parts of 8 to 100 % of the image, colours, AlexNet's noise, flips, mean and
deviation; SGD of momentum 0.9 and rate 0.1, a tenth every 30 of 90 epochs, batch 256, decay 1e-4.
From that code: Nesterov's momentum. Not stated: the epochs, those of the code.

Command: recipes train imagenet/resnext50
Cost: about 2.9 exaFLOP: 3 x 4.23 GMAC x 2 x 1.28 million images x 90 epochs.
Expect: 0.778: the paper, one crop (table 3).
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
    """What a search tries; the three of groups and width have about the same MACs (table 2)."""
    groups = hp.Choice("groups", [4, 8, 32])
    return {
        "lr": hp.Float("lr", 1e-2, 1.0, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-5, 1e-3, sampling="log"),
        "options.groups": groups,
        "options.group_width": {4: 24, 8: 14, 32: 4}[groups],
    }


if __name__ == "__main__":
    main(__file__)
