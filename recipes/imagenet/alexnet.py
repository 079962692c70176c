"""AlexNet on ImageNet. Krizhevsky et al. 2012, sections 4.1 and 5.

Short side 256, random crops of 227 and flips, noise along the principal components of colour,
the mean image subtracted; N(0, 0.01), biases of 1, dropout 0.5; the rate falls tenfold where the
validation error stalls. Differs: the mean is that of the central crops; how long an error stalls
is not stated: 5 epochs; judged on the central crop, not on ten; 90 epochs is "roughly".

Command: recipes train imagenet/alexnet
Cost: about 0.5 exaFLOP: 3 x 0.724 GMAC x 2 x 1.28 million images x 90 epochs.
Expect: 0.593 (0.818 in the first five): the paper, one network.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, Lighting, ResizeShort, ScaleJitter

recipe = Recipe(
    model="alexnet",
    data="imagenet2012",
    augment=(ScaleJitter((256, 256), 227), Flip(), Lighting(0.1)),
    eval_ops=(ResizeShort(256), CenterCrop(227)),
    preprocess="center_image",
    validation=0.01,
    batch_size=128,
    epochs=90,
    lr=0.01,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="plateau",
    gamma=0.1,
    patience=5,
)


def space(hp):
    """What a search tries."""
    return {
        "lr": hp.Float("lr", 1e-3, 0.05, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-5, 1e-3, sampling="log"),
        "dropout": hp.Float("dropout", 0.2, 0.7),
    }


if __name__ == "__main__":
    main(__file__)
