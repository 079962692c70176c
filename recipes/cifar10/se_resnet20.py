"""ResNet-20 with squeeze-and-excitation on CIFAR-10 (Hu et al. 2017; He et al. 2015).

The settings are those of cifar10/resnet20. Differences from the paper: a reduction of 8 instead of
16, because stage 1 has only 16 feature maps; and 20 layers, while the paper trains 110 or more on
CIFAR.

Command: recipes train cifar10/se_resnet20
Cost: about 2.0 petaFLOP: 3 x 0.0406 GMAC x 2 x 45,000 images x 182 epochs.
Expect: no number for 20 layers in the paper; above cifar10/resnet20.
Measured: not run here.
"""

from recipes import main, replace
from recipes.cifar10.resnet20 import recipe as resnet20

recipe = replace(resnet20, **{"options.reduction": 8})

space = """
    act=relu,elu,swish norm=batch,group options.reduction=4,8,16
    lr=log:1e-2:0.5 weight_decay=log:1e-5:1e-2
"""


if __name__ == "__main__":
    main(__file__)
