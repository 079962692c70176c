"""Linear classifier on CIFAR-100: softmax regression (Bishop 2006, section 4.3.4).

The settings are those of cifar10/linear.

Command: recipes train cifar100/linear
Cost: about 2.5 teraFLOP: 3 x 0.307 MMAC x 2 x 45,000 images x 30 epochs.
Expect: no published accuracy.
Measured: not run here.
"""

from recipes import main, replace
from recipes.cifar10.linear import recipe as cifar10
from recipes.cifar10.linear import space as space

recipe = replace(cifar10, data="cifar100")


if __name__ == "__main__":
    main(__file__)
