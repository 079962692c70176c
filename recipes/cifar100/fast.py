"""A fast CIFAR-100 recipe: airbench94 with Muon on a CPU (Jordan et al. 2024).

The settings are those of cifar10/fast, which is made for 20 minutes on 2 CPU cores.

Command: recipes train cifar100/fast
Cost: about 0.67 petaFLOP: 3 x 0.118 GMAC (0.066 for 24x24 pixels) x 2 x 50,000 images x 25 epochs.
Expect: no published accuracy, because the recipe is our own.
Measured: not run here.
"""

from recipes import main, replace
from recipes.cifar10.fast import recipe as cifar10
from recipes.cifar10.fast import space as space

recipe = replace(cifar10, data="cifar100")


if __name__ == "__main__":
    main(__file__)
