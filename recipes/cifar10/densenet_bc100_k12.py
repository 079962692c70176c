"""DenseNet-BC (100 layers, growth rate 12) on CIFAR-10 (Huang et al. 2016, section 4.2).

As in the paper: SGD with Nesterov momentum 0.9, batch 64, weight decay 1e-4, and a learning rate of
0.1 that is divided by 10 after epochs 150 and 225 of 300; random crops of the image padded by 4
pixels, flips, and normalization by the mean and standard deviation of each channel; no dropout,
because images are augmented. All 50,000 images are used for training, as in the paper's final runs.

Command: recipes train cifar10/densenet_bc100_k12
Cost: about 26 petaFLOP: 3 x 0.2879 GMAC x 2 x 50,000 images x 300 epochs.
Expect: 0.9549 in the paper (table 2).
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import Flip, PadCrop

recipe = Recipe(
    model="densenet_bc100_k12",
    data="cifar10",
    augment=(PadCrop(4), Flip()),
    preprocess="standardize",
    validation=0.0,
    batch_size=64,
    epochs=300,
    lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=1e-4,
    schedule="step",
    milestones=(150, 225),
    gamma=0.1,
)

# A search needs --validation=0.1.
space = """
    act=relu,elu,gelu norm=batch,group options.growth=8,12,16
    lr=log:1e-2:0.5 weight_decay=log:1e-5:1e-2
"""


if __name__ == "__main__":
    main(__file__)
