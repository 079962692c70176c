"""VGG-16 with batch norm on CIFAR-100 (Simonyan & Zisserman 2014; Ioffe & Szegedy 2015).

The settings are those of cifar10/vgg16_bn.

Command: recipes train cifar100/vgg16_bn
Cost: about 17 petaFLOP: 3 x 0.313 GMAC x 2 x 45,000 images x 200 epochs.
Expect: no number in the papers.
Measured: not run here.
"""

from recipes import main, replace
from recipes.cifar10.vgg16_bn import recipe as cifar10
from recipes.cifar10.vgg16_bn import space as space

recipe = replace(cifar10, data="cifar100")


if __name__ == "__main__":
    main(__file__)
