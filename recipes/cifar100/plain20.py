"""Plain network of 20 layers on CIFAR-100, without shortcuts (He et al. 2015, section 4.2).

The settings are those of cifar10/plain20.

Command: recipes train cifar100/plain20
Cost: about 2.0 petaFLOP: 3 x 0.0406 GMAC x 2 x 45,000 images x 182 epochs.
Expect: no number in the paper, which only uses CIFAR-10.
Measured: not run here.
"""

from recipes import main, replace
from recipes.cifar10.plain20 import recipe as cifar10
from recipes.cifar10.plain20 import space as space

recipe = replace(cifar10, data="cifar100")


if __name__ == "__main__":
    main(__file__)
