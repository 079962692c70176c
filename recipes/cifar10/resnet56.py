"""ResNet-56 on CIFAR-10 (He et al. 2015, section 4.2).

The settings are those of cifar10/resnet20. cifar10/plain56 is the same network without shortcuts.

Command: recipes train cifar10/resnet56
Cost: about 6.2 petaFLOP: 3 x 0.1255 GMAC x 2 x 45,000 images x 182 epochs.
Expect: 0.9303 in the paper (table 6).
Measured: not run here.
"""

from recipes import main, replace
from recipes.cifar10.resnet20 import recipe as resnet20

recipe = replace(resnet20, model="resnet56")

space = """
    act=relu,leaky_relu,elu,gelu,swish norm=batch,group init=kaiming,xavier,orthogonal
    options.zero_gamma=false,true
    lr=log:1e-2:1 weight_decay=log:1e-5:1e-2
"""


if __name__ == "__main__":
    main(__file__)
