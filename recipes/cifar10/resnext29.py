"""ResNeXt-29 (8x64d) on CIFAR-10 (Xie et al. 2016, section 5.3).

As in the paper: SGD with momentum 0.9, batch 128, weight decay 5e-4, and a learning rate of 0.1
that is divided by 10 after epochs 150 and 225 of 300; random crops of the image padded by 4 pixels,
flips, and normalization by the mean and standard deviation of each channel. The paper does not
state the kind of momentum; it is Nesterov's here, as in fb.resnet.torch, on which the authors' code
is based.

Command: recipes train cifar10/resnext29
Cost: about 485 petaFLOP: 3 x 5.3873 GMAC x 2 x 50,000 images x 300 epochs.
Expect: 0.9635 in the paper (table 7), the mean of ten runs.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import Flip, PadCrop

recipe = Recipe(
    model="resnext29_8x64d",
    data="cifar10",
    augment=(PadCrop(4), Flip()),
    preprocess="standardize",
    validation=0.0,
    batch_size=128,
    epochs=300,
    lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    schedule="step",
    milestones=(150, 225),
    gamma=0.1,
)

# A search needs --validation=0.1.
space = """
    act=relu,elu,swish norm=batch,group options.groups=2,4,8
    lr=log:1e-2:0.5 weight_decay=log:1e-5:1e-2
"""


if __name__ == "__main__":
    main(__file__)
