"""ResNet-20 on CIFAR-10. He et al. 2015, section 4.2.

Crops of the image padded by 4, flips; SGD of momentum 0.9, rate 0.1, a tenth at 32,000 and 48,000
of 64,000 steps of 128; 45,000 images train, 5,000 validate; decay 1e-4. Differs: mean and
deviation of the channels, for the mean image.

Command: recipes train cifar10/resnet20
Cost: about 2.0 petaFLOP: 3 x 0.0406 GMAC x 2 x 45,000 images x 182 epochs.
Expect: 0.9125: the paper (table 6).
Measured: 0.8604 (8604 of 10000) with --epochs=48 --milestones=8424,12636, an hour's work of 2 cores
of an AMD EPYC (an epoch takes 72 s if nothing else runs), on a JPEG copy of CIFAR-10, seed 0,
commit be21247.
"""

from recipes import Recipe, main
from recipes.augment import Flip, PadCrop

recipe = Recipe(
    model="resnet20",
    data="cifar10",
    augment=(PadCrop(4), Flip()),
    preprocess="standardize",
    validation=0.1,
    batch_size=128,
    epochs=182,
    lr=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    schedule="step",
    schedule_unit="steps",
    milestones=(32_000, 48_000),
    gamma=0.1,
)


def space(hp):
    """What a search tries."""
    return {
        "lr": hp.Float("lr", 1e-2, 0.5, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-5, 1e-2, sampling="log"),
    }


if __name__ == "__main__":
    main(__file__)
