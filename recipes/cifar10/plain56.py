"""Plain network of 56 layers on CIFAR-10, without shortcuts (He et al. 2015, section 4.2).

The settings are those of cifar10/resnet20. The network is the paper's argument for shortcuts: it
trains worse than cifar10/plain20, while cifar10/resnet56 trains better than cifar10/resnet20.

Command: recipes train cifar10/plain56
Cost: about 6.2 petaFLOP: 3 x 0.1255 GMAC x 2 x 45,000 images x 182 epochs.
Expect: no number in the paper, which only shows the curve (figure 6): below cifar10/plain20.
Measured: not run here.
"""

from recipes import main, replace
from recipes.cifar10.resnet20 import recipe as resnet20

recipe = replace(resnet20, model="plain56")

# What a network without shortcuts needs to train
space = """
    act=relu,leaky_relu,elu,selu norm=batch,group,none init=kaiming,xavier,orthogonal
    lr=log:1e-3:0.5 weight_decay=log:1e-5:1e-2
"""


if __name__ == "__main__":
    main(__file__)
