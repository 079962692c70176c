"""Wide ResNet-28-10 with cutout on CIFAR-10 (DeVries & Taylor 2017, Improved Regularization).

As in the paper (section 4.2): the settings of Zagoruyko and Komodakis, as in cifar10/wrn_28_10, and
after the crop and the flip a square of 16x16 pixels, whose center is any pixel, is erased. The
paper's search found 16 for CIFAR-10 and 8 for CIFAR-100, whose classes need more detail.
Difference: the square is gray (128) before the normalization, while the paper erases to zero after
it, which is the mean of the training images (125, 123, 114). The study `recipes study cutout`
measures what cutout gains with a small network, few images and short trainings.

Command: recipes train cifar10/wrn_28_10_cutout
Cost: about 315 petaFLOP: 3 x 5.2433 GMAC x 2 x 50,000 images x 200 epochs.
Expect: 0.9692 in the paper; 0.9613 without cutout (table 1).
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import Cutout, Flip, PadCrop

recipe = Recipe(
    model="wrn_28_10",
    data="cifar10",
    dropout=0.3,
    augment=(PadCrop(4), Flip(), Cutout(16)),
    preprocess="standardize",
    validation=0.0,
    batch_size=128,
    epochs=200,
    lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    schedule="step",
    milestones=(60, 120, 160),
    gamma=0.2,
)


def space(hp):
    """Return the changes of one trial: the size of the squares, and how the network is trained."""
    size = hp.Choice("cutout", [0, 8, 12, 16])
    return {
        "augment": (PadCrop(4), Flip(), *([Cutout(size)] if size else [])),
        "act": hp.Choice("act", ["relu", "elu", "gelu"]),
        "dropout": hp.Float("dropout", 0.0, 0.5),
        "lr": hp.Float("lr", 1e-2, 0.5, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-5, 1e-2, sampling="log"),
        "validation": 0.1,
    }


if __name__ == "__main__":
    main(__file__)
