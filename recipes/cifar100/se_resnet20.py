"""ResNet-20 with squeeze-and-excitation on CIFAR-100 (Hu et al. 2017; He et al. 2015).

The settings are those of cifar10/se_resnet20.

Command: recipes train cifar100/se_resnet20
Cost: about 2.0 petaFLOP: 3 x 0.0406 GMAC x 2 x 45,000 images x 182 epochs.
Expect: no number for 20 layers in the paper; above cifar100/resnet20.
Measured: not run here.
"""

from recipes import main, replace
from recipes.cifar10.se_resnet20 import recipe as cifar10
from recipes.cifar10.se_resnet20 import space as space

recipe = replace(cifar10, data="cifar100")


if __name__ == "__main__":
    main(__file__)
