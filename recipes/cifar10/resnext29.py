"""ResNeXt-29 (8x64d) on CIFAR-10. Xie et al. 2016, section 5.3.

SGD of momentum 0.9, rate 0.1, a tenth after 150 and 225 of 300 epochs, batch 128, decay 5e-4,
crops of the image padded by 4, flips, mean and deviation. Not stated: which momentum;
Nesterov's, as in fb.resnet.torch, on which the authors' code is built.

Command: recipes train cifar10/resnext29
Cost: about 485 petaFLOP: 3 x 5.3873 GMAC x 2 x 50,000 images x 300 epochs.
Expect: 0.9635: the paper (table 7), the mean of ten runs.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import Flip, PadCrop

recipe = Recipe(
    model="resnext29_8x64d",
    data="cifar10",
    augment=(PadCrop(4), Flip()),
    preprocess="standardize",
    validation=0.0,
    batch_size=128,
    epochs=300,
    lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    schedule="step",
    milestones=(150, 225),
    gamma=0.1,
)


def space(hp):
    """What a search tries; it needs --validation=0.1."""
    return {
        "lr": hp.Float("lr", 1e-2, 0.5, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-5, 1e-2, sampling="log"),
        "options.groups": hp.Choice("groups", [2, 4, 8]),
    }


if __name__ == "__main__":
    main(__file__)
