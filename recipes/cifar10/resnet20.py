"""ResNet-20 on CIFAR-10 (He et al. 2015, section 4.2).

As in the paper: random crops of the image padded by 4 pixels, and flips; SGD with momentum 0.9,
batch 128, weight decay 1e-4, and a learning rate of 0.1 that is divided by 10 after 32,000 and
48,000 of 64,000 steps; 45,000 images for training and 5,000 for validation. Difference: images are
normalized by the mean and standard deviation of each channel, while the paper subtracts the mean
image.

Command: recipes train cifar10/resnet20
Cost: about 2.0 petaFLOP: 3 x 0.0406 GMAC x 2 x 45,000 images x 182 epochs.
Expect: 0.9125 in the paper (table 6).
Measured: 0.8604 (8604 of 10000) with --epochs=48 --milestones=8424,12636, which takes an hour on 2
cores of an AMD EPYC (72 s per epoch if nothing else runs), on a JPEG copy of CIFAR-10, seed 0,
commit be21247.
"""

from recipes import Recipe, main
from recipes.augment import Flip, PadCrop

recipe = Recipe(
    model="resnet20",
    data="cifar10",
    augment=(PadCrop(4), Flip()),
    preprocess="standardize",
    validation=0.1,
    batch_size=128,
    epochs=182,
    lr=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    schedule="step",
    schedule_unit="steps",
    milestones=(32_000, 48_000),
    gamma=0.1,
)

space = """
    act=relu,leaky_relu,elu,gelu,swish norm=batch,group,layer init=kaiming,xavier,orthogonal
    options.zero_gamma=false,true
    lr=log:1e-2:1 weight_decay=log:1e-5:1e-2
"""


if __name__ == "__main__":
    main(__file__)
