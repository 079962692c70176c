"""ResNeXt-29 (8x64d) on CIFAR-100 (Xie et al. 2016, section 5.3).

The settings are those of cifar10/resnext29.

Command: recipes train cifar100/resnext29
Cost: about 485 petaFLOP: 3 x 5.3873 GMAC x 2 x 50,000 images x 300 epochs.
Expect: 0.8223 in the paper (table 7), the mean of ten runs.
Measured: not run here.
"""

from recipes import main, replace
from recipes.cifar10.resnext29 import recipe as cifar10
from recipes.cifar10.resnext29 import space as space

recipe = replace(cifar10, data="cifar100")


if __name__ == "__main__":
    main(__file__)
