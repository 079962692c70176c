"""ResNet-50 on ImageNet by NVIDIA's recipe, in 90 epochs (He et al. 2015; NVIDIA 2019).

As in the README of NVIDIA's DeepLearningExamples: strides in the 3x3 convolution; SGD with momentum
0.875, a learning rate of 0.256 for a batch of 256 and in proportion for larger ones, a cosine
schedule after a warmup of 5 epochs, weight decay 1/32768 but none on norms, and label smoothing
0.1. Difference: the classifier's bias has no weight decay either. To add Mixup, as NVIDIA does for
250 epochs, use: --epochs=250 --augment="(RandomResizedCrop(224), Flip(), Mixup(0.2))".

Command: recipes train imagenet/resnet50_nvidia
Cost: about 2.8 exaFLOP: 3 x 4.089 GMAC x 2 x 1.28 million images x 90 epochs.
Expect: NVIDIA reaches 0.769 to 0.771, and 0.783 to 0.786 with 250 epochs and Mixup.
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

space = """
    act=relu,swish norm=batch,group options.zero_gamma=false,true momentum=0.8:0.95
    lr=log:0.2:5 weight_decay=log:1e-6:1e-4
"""


if __name__ == "__main__":
    main(__file__)
