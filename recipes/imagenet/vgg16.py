"""VGG-16 on ImageNet. Simonyan & Zisserman 2014, section 3.1.

Short side drawn from 256 to 512, crops of 224, flips, AlexNet's colour noise, the channel mean
subtracted; dropout 0.5; the rate falls tenfold three times, where the validation accuracy
stalls. Differs: it falls by the loss, after 5 epochs (not stated); Glorot's start, which the
paper found to do without pre-training; judged on one central crop, the paper on whole images.

Command: recipes train imagenet/vgg16
Cost: about 8.8 exaFLOP: 3 x 15.47 GMAC x 2 x 1.28 million images x 74 epochs.
Expect: 0.716 (0.904 in the first five): torchvision's network, one crop. The paper's is 0.744
on whole images of one scale (table 3).
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, Lighting, ResizeShort, ScaleJitter

recipe = Recipe(
    model="vgg16",
    data="imagenet2012",
    augment=(ScaleJitter((256, 512), 224), Flip(), Lighting(0.1)),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="center_channel",
    validation=0.01,
    batch_size=256,
    epochs=74,
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
