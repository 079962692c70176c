"""ResNet-50 by NVIDIA's recipe: He et al. 2015, strides in the 3x3, in 90 epochs (2019).

From the README of NVIDIA's DeepLearningExamples: SGD of momentum 0.875, rate 0.256 for a batch of
256 and as much more for a larger one, a cosine behind a warm-up of 5, decay 1/32768 and none on
norms, labels smoothed by 0.1. Differs: no decay on the last bias, either. With mixup, as they do
for 250 epochs: --epochs=250 --augment="(RandomResizedCrop(224), Flip(), Mixup(0.2))".

Command: recipes train imagenet/resnet50_nvidia
Cost: about 2.8 exaFLOP: 3 x 4.089 GMAC x 2 x 1.28 million images x 90 epochs.
Expect: 0.769 to 0.771: NVIDIA's; 0.783 to 0.786 with 250 epochs and mixup.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="resnet50",
    data="imagenet2012",
    augment=(RandomResizedCrop(224), Flip()),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="torchvision",
    validation=0.01,
    batch_size=2048,
    epochs=90,
    lr=0.256 * 2048 / 256,
    momentum=0.875,
    weight_decay=1 / 32768,
    decay_norms=False,
    schedule="cosine",
    warmup=5,
    label_smoothing=0.1,
)


def space(hp):
    """What a search tries."""
    return {
        "lr": hp.Float("lr", 0.2, 5.0, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-6, 1e-4, sampling="log"),
        "momentum": hp.Float("momentum", 0.8, 0.95),
    }


if __name__ == "__main__":
    main(__file__)
