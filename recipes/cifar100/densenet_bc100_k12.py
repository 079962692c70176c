"""DenseNet-BC (100 layers, growth rate 12) on CIFAR-100 (Huang et al. 2016, section 4.2).

The settings are those of cifar10/densenet_bc100_k12.

Command: recipes train cifar100/densenet_bc100_k12
Cost: about 26 petaFLOP: 3 x 0.2879 GMAC x 2 x 50,000 images x 300 epochs.
Expect: 0.7773 in the paper (table 2).
Measured: not run here.
"""

from recipes import main, replace
from recipes.cifar10.densenet_bc100_k12 import recipe as cifar10
from recipes.cifar10.densenet_bc100_k12 import space as space

recipe = replace(cifar10, data="cifar100")


if __name__ == "__main__":
    main(__file__)
