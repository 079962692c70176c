"""Wide ResNet-28-10 on CIFAR-100 (Zagoruyko & Komodakis 2016, section 3).

The settings are those of cifar10/wrn_28_10.

Command: recipes train cifar100/wrn_28_10
Cost: about 315 petaFLOP: 3 x 5.2433 GMAC x 2 x 50,000 images x 200 epochs.
Expect: 0.8115 in the paper, with dropout (table 6); 0.8075 without.
Measured: not run here.
"""

from recipes import main, replace
from recipes.cifar10.wrn_28_10 import recipe as cifar10
from recipes.cifar10.wrn_28_10 import space as space

recipe = replace(cifar10, data="cifar100")


if __name__ == "__main__":
    main(__file__)
