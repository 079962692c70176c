"""Network with one hidden layer of 50 units on CIFAR-10, as in CS231n (Rumelhart et al. 1986).

ReLU, Kaiming initialization and momentum. Difference from the lectures: the settings are our own.
The lectures find theirs with a coarse and then a finer search, as you can with `recipes tune
cifar10/mlp`.

Command: recipes train cifar10/mlp
Cost: about 1.2 teraFLOP: 3 x 0.154 MMAC x 2 x 45,000 images x 30 epochs.
Expect: about 0.53 in the lectures, on validation images and after their search.
Measured: 0.5334 (5334 of 10000), seed 0, on a JPEG copy of CIFAR-10, 2 cores of an AMD EPYC, commit
84f6ff3.
"""

from recipes import Recipe, main
from recipes.augment import Flip

recipe = Recipe(
    model="mlp",
    data="cifar10",
    act="relu",
    init="kaiming",
    options={"hidden": (50,)},
    augment=(Flip(),),
    preprocess="standardize",
    batch_size=128,
    epochs=30,
    lr=0.01,
    momentum=0.9,
    weight_decay=1e-3,
    schedule="cosine",
)

# How much the initialization matters depends on the activation and on batch norm.
space = """
    act=relu,tanh,sigmoid,elu init=kaiming,xavier,normal:0.01 norm=none,batch
    options.hidden.0=log:25:400
    lr=log:1e-4:0.1 weight_decay=log:1e-5:1e-1
"""


if __name__ == "__main__":
    main(__file__)
