"""Pre-activation ResNet-164 on CIFAR-100 (He et al. 2016, Identity Mappings, appendix).

The settings are those of cifar10/preact_resnet164.

Command: recipes train cifar100/preact_resnet164
Cost: about 14.7 petaFLOP: 3 x 0.2445 GMAC x 2 x 50,000 images x 200 epochs.
Expect: 0.7567 in the paper (table 4).
Measured: not run here.
"""

from recipes import main, replace
from recipes.cifar10.preact_resnet164 import recipe as cifar10
from recipes.cifar10.preact_resnet164 import space as space

recipe = replace(cifar10, data="cifar100")


if __name__ == "__main__":
    main(__file__)
