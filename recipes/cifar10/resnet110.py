"""ResNet-110 on CIFAR-10 (He et al. 2015, section 4.2).

The settings are those of cifar10/resnet20, with a warmup. Difference from the paper: the learning
rate rises for 400 steps, while the paper keeps it at 0.01 for about as long.

Command: recipes train cifar10/resnet110
Cost: about 12.4 petaFLOP: 3 x 0.2529 GMAC x 2 x 45,000 images x 182 epochs.
Expect: 0.9357 in the paper (table 6), the best of five runs.
Measured: not run here.
"""

from recipes import main, replace
from recipes.cifar10.resnet20 import recipe as resnet20

recipe = replace(resnet20, model="resnet110", warmup=400)


def space(hp):
    """Return the changes of one trial. Without a norm, so deep a network needs Fixup."""
    norm = hp.Choice("norm", ["batch", "group", "none"])
    others = ["kaiming", "xavier", "orthogonal"]
    return {
        "act": hp.Choice("act", ["relu", "leaky_relu", "elu"]),
        "norm": norm,
        "init": "fixup" if norm == "none" else hp.Choice("init", others),
        "lr": hp.Float("lr", 1e-2, 0.5, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-5, 1e-2, sampling="log"),
    }


if __name__ == "__main__":
    main(__file__)
