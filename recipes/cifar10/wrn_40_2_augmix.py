"""Wide ResNet-40-2 with AugMix on CIFAR-10 (Hendrycks et al. 2020, AugMix).

As in the paper (section 4.1) and the authors' code: the flip and the crop come before AugMix with 3
copies, chains of 1 to 3 operations and severity 3; SGD with Nesterov momentum, batch 128, weight
decay 5e-4, and a learning rate of 0.1 with a cosine schedule over 100 epochs; pixels are scaled to
-1..1. Difference: there is no consistency loss between the clean image and two augmented ones,
which the paper adds. AugMix aims at robustness to corrupted images, not at a higher accuracy on
clean ones.

Command: recipes train cifar10/wrn_40_2_augmix
Cost: about 9.8 petaFLOP: 3 x 0.3276 GMAC x 2 x 50,000 images x 100 epochs.
Expect: not stated for clean images.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import AugMix, Flip, PadCrop

recipe = Recipe(
    model="wrn_40_4",
    data="cifar10",
    options={"depths": (6, 6, 6), "width": 32},
    augment=(Flip(), PadCrop(4), AugMix(severity=3, width=3, depth=0, alpha=1.0)),
    preprocess="scale",
    validation=0.0,
    batch_size=128,
    epochs=100,
    lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    schedule="cosine",
)


def space(hp):
    """Return the changes of one trial: the strength of AugMix, and how the network is trained."""
    severity, width = hp.Int("severity", 1, 10), hp.Int("width", 1, 5)
    return {
        "augment": (Flip(), PadCrop(4), AugMix(severity, width)),
        "act": hp.Choice("act", ["relu", "elu", "gelu"]),
        "lr": hp.Float("lr", 1e-2, 0.5, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-5, 1e-2, sampling="log"),
        "validation": 0.1,
    }


if __name__ == "__main__":
    main(__file__)
