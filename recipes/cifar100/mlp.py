"""Network with one hidden layer of 50 units on CIFAR-100 (Rumelhart et al. 1986).

The settings are those of cifar10/mlp.

Command: recipes train cifar100/mlp
Cost: about 1.3 teraFLOP: 3 x 0.159 MMAC x 2 x 45,000 images x 30 epochs.
Expect: no published accuracy; the lectures only use CIFAR-10.
Measured: not run here.
"""

from recipes import main, replace
from recipes.cifar10.mlp import recipe as cifar10
from recipes.cifar10.mlp import space as space

recipe = replace(cifar10, data="cifar100")


if __name__ == "__main__":
    main(__file__)
