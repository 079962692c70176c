"""ResNet-50 by torchvision's first recipe: He et al. 2015 in 90 epochs (2017).

Parts of 8 to 100 % of the image and flips; SGD of momentum 0.9, rate 0.1, a tenth every 30
epochs, batch 256, decay 1e-4 on everything. Strides in the 3x3 (v1.5). Nothing is known to
differ but the start of the last layer.

Command: recipes train imagenet/resnet50_torch_v1
Cost: about 2.8 exaFLOP: 3 x 4.089 GMAC x 2 x 1.28 million images x 90 epochs.
Expect: 0.761 (0.929 in the first five): torchvision, IMAGENET1K_V1.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="resnet50",
    data="imagenet2012",
    augment=(RandomResizedCrop(224), Flip()),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="torchvision",
    validation=0.01,
    batch_size=256,
    epochs=90,
    lr=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    schedule="step",
    step_size=30,
    gamma=0.1,
)


def space(hp):
    """What a search tries."""
    return {
        "lr": hp.Float("lr", 1e-2, 1.0, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-5, 1e-3, sampling="log"),
        "label_smoothing": hp.Float("label_smoothing", 0.0, 0.2),
    }


if __name__ == "__main__":
    main(__file__)
