"""DenseNet-BC (100 layers, growth 12) on CIFAR-10. Huang et al. 2016, section 4.2.

SGD of Nesterov's momentum 0.9, rate 0.1, a tenth after 150 and 225 of 300 epochs, batch 64, decay
1e-4, crops of the image padded by 4, flips, mean and deviation; no dropout, because images are
augmented. All 50,000 images train, as in the paper's last runs.

Command: recipes train cifar10/densenet_bc100_k12
Cost: about 26 petaFLOP: 3 x 0.2879 GMAC x 2 x 50,000 images x 300 epochs.
Expect: 0.9549: the paper (table 2).
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import Flip, PadCrop

recipe = Recipe(
    model="densenet_bc100_k12",
    data="cifar10",
    augment=(PadCrop(4), Flip()),
    preprocess="standardize",
    validation=0.0,
    batch_size=64,
    epochs=300,
    lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=1e-4,
    schedule="step",
    milestones=(150, 225),
    gamma=0.1,
)


def space(hp):
    """What a search tries; it needs --validation=0.1."""
    return {
        "lr": hp.Float("lr", 1e-2, 0.5, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-5, 1e-2, sampling="log"),
        "options.growth": hp.Choice("growth", [8, 12, 16]),
    }


if __name__ == "__main__":
    main(__file__)
