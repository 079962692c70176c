"""ResNet-50 on ImageNet, strides in the first 1x1. He et al. 2015, section 3.4.

Short side drawn from 256 to 480, crops of 224, flips, AlexNet's colour noise, the mean image
subtracted; the rate falls tenfold where the error stalls, 600,000 steps; the decay is on kernels
alone, as fb.resnet.torch's README tells of the paper. Differs: the mean is that of the central
crops; 5 epochs without a lower loss (not stated); judged on one crop, not on ten of five sizes.

Command: recipes train imagenet/resnet50
Cost: about 3.6 exaFLOP: 3 x 3.858 GMAC x 2 x 1.28 million images x 120 epochs.
Expect: 0.753 (0.922 in the first five): the authors' README, one crop.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, Lighting, ResizeShort, ScaleJitter

recipe = Recipe(
    model="resnet50_v1",
    data="imagenet2012",
    augment=(ScaleJitter((256, 480), 224), Flip(), Lighting(0.1)),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="center_image",
    validation=0.01,
    batch_size=256,
    epochs=120,
    lr=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    decay_norms=False,
    schedule="plateau",
    gamma=0.1,
    patience=5,
)


def space(hp):
    """What a search tries."""
    return {
        "lr": hp.Float("lr", 1e-2, 1.0, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-5, 1e-3, sampling="log"),
        "options.zero_gamma": hp.Boolean("zero_gamma"),
    }


if __name__ == "__main__":
    main(__file__)
