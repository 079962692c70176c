"""SE-ResNet-50 on ImageNet. Hu et al. 2017, Squeeze-and-Excitation Networks.

SGD of momentum 0.9, rate 0.6, a tenth every 30 of 100 epochs, batch 1,024 over all replicas,
decay 1e-4; from the authors' README: parts of 8 to 100 % of the image, flips, turns by up to 10
degrees. Differs: without its jitter of pixels by 20, of which it does not say more.

Command: recipes train imagenet/se_resnet50
Cost: about 3.0 exaFLOP: 3 x 3.86 GMAC x 2 x 1.28 million images x 100 epochs.
Expect: 0.767 (0.934 in the first five): the paper, one crop; 0.776 (0.936) the authors' README,
trained longer at batch 256 and rate 0.1.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, RandomResizedCrop, ResizeShort, Rotate

recipe = Recipe(
    model="se_resnet50",
    data="imagenet2012",
    augment=(RandomResizedCrop(224), Flip(), Rotate(10)),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="center_channel",
    validation=0.01,
    batch_size=1024,
    epochs=100,
    lr=0.6,
    momentum=0.9,
    weight_decay=1e-4,
    schedule="step",
    step_size=30,
    gamma=0.1,
)


def space(hp):
    """What a search tries."""
    return {
        "lr": hp.Float("lr", 0.05, 2.0, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-5, 1e-3, sampling="log"),
        "options.reduction": hp.Choice("reduction", [4, 8, 16, 32]),
    }


if __name__ == "__main__":
    main(__file__)
