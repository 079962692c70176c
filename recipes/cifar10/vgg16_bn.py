"""VGG-16 with batch norm on CIFAR-10 (Simonyan & Zisserman 2014; Ioffe & Szegedy 2015).

The papers do not train on CIFAR. The network has VGG's convolutions, five pooling layers down to
one pixel, one hidden layer of 512 units, and dropout 0.5. Everything else is our own: a cosine
schedule over 200 epochs, with the crops and flips of ResNet.

Command: recipes train cifar10/vgg16_bn
Cost: about 17 petaFLOP: 3 x 0.313 GMAC x 2 x 45,000 images x 200 epochs.
Expect: no number in the papers.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import Flip, PadCrop

recipe = Recipe(
    model="vgg16_bn",
    data="cifar10",
    init="kaiming",
    options={"hidden": (512,), "grid": 1},
    augment=(PadCrop(4), Flip()),
    preprocess="standardize",
    validation=0.1,
    batch_size=128,
    epochs=200,
    lr=0.05,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="cosine",
    warmup=5,
)

# Batch norm should make the initializer matter less.
space = """
    act=relu,elu,selu norm=batch,group,none init=kaiming,xavier,normal:0.01 dropout=0:0.7
    lr=log:5e-3:0.5 weight_decay=log:1e-5:1e-2
"""


if __name__ == "__main__":
    main(__file__)
