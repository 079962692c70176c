"""Linear classifier on CIFAR-10: softmax regression (Bishop 2006, section 4.3.4).

The first network of the CS231n lectures. It can only learn one template for each class. The
settings are our own.

Command: recipes train cifar10/linear
Cost: about 0.25 teraFLOP: 3 x 0.031 MMAC x 2 x 45,000 images x 30 epochs.
Expect: no published accuracy; far below cifar10/mlp.
Measured: 0.4135 (4135 of 10000), seed 0, on a JPEG copy of CIFAR-10, 2 cores of an AMD EPYC, commit
84f6ff3.
"""

from recipes import Recipe, main
from recipes.augment import Flip

recipe = Recipe(
    model="mlp",
    data="cifar10",
    options={"hidden": ()},
    augment=(Flip(),),
    preprocess="standardize",
    batch_size=128,
    epochs=30,
    lr=1e-3,
    momentum=0.9,
    weight_decay=1e-2,
    schedule="cosine",
)

space = """
    preprocess=scale,center_image,standardize options.head_init=zeros,normal:0.01,xavier
    lr=log:1e-5:0.1 weight_decay=log:1e-5:1
"""


if __name__ == "__main__":
    main(__file__)
