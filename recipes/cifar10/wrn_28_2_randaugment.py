"""Wide ResNet-28-2 with RandAugment and mixup on CIFAR-10 (Cubuk et al. 2019; Zhang et al. 2018).

As in the paper of RandAugment (appendix A): after the crop and the flip, 3 operations of magnitude
4, the best one for this network; SGD with batch 128, weight decay 5e-4, and a learning rate of 0.1
with a cosine schedule over 200 epochs. Differences: mixup replaces the cutout that follows there.
Its shares are drawn from Beta(0.2, 0.2), as on ImageNet in the paper of mixup. That paper uses
Beta(1, 1) on CIFAR-10, but without RandAugment; both at full strength are a lot for a network of
1.5 million parameters. Nesterov momentum is that of the other wide networks.

Command: recipes train cifar10/wrn_28_2_randaugment
Cost: about 12.9 petaFLOP: 3 x 0.2144 GMAC x 2 x 50,000 images x 200 epochs.
Expect: 0.958 in the paper of RandAugment, with cutout and without mixup; 0.949 without both.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import Flip, Mixup, PadCrop, RandAugment

recipe = Recipe(
    model="wrn_28_10",
    data="cifar10",
    options={"depths": (4, 4, 4), "width": 32},
    augment=(PadCrop(4), Flip(), RandAugment(count=3, magnitude=4), Mixup(0.2)),
    preprocess="standardize",
    validation=0.0,
    batch_size=128,
    epochs=200,
    lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    schedule="cosine",
)


def space(hp):
    """Return the changes of one trial: the strength of both, and how the network is trained."""
    count, magnitude = hp.Int("count", 1, 3), hp.Int("magnitude", 2, 10)
    alpha = hp.Choice("mixup", [0.0, 0.2, 1.0])
    mixup = [Mixup(alpha)] if alpha else []
    return {
        "augment": (PadCrop(4), Flip(), RandAugment(count, magnitude), *mixup),
        "act": hp.Choice("act", ["relu", "elu", "gelu"]),
        "lr": hp.Float("lr", 1e-2, 0.5, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-5, 1e-2, sampling="log"),
        "validation": 0.1,
    }


if __name__ == "__main__":
    main(__file__)
