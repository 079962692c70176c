"""LeNet-5 on digits, at the paper's 32x32 pixels (LeCun et al. 1998).

The training settings are our own.

Command: recipes train digits/lenet5
Cost: under a minute on 2 CPU cores.
Expect: about 0.98.
Measured: 0.9713 ± 0.0032 over seeds 0 to 2, with 6 s of training each on 2 cores of an AMD EPYC,
commit 674c689.
"""

from recipes import Recipe, main
from recipes.augment import Resize

recipe = Recipe(
    model="lenet5",
    data="digits",
    eval_ops=(Resize(32),),
    augment=(Resize(32),),
    preprocess="standardize",
    batch_size=64,
    epochs=20,
    lr=0.05,
    weight_decay=5e-4,
    schedule="cosine",
)

space = """
    act=tanh,relu,elu norm=none,batch init=xavier,kaiming,lecun_normal,orthogonal
    lr=log:1e-3:0.5 weight_decay=log:1e-5:1e-2
"""


if __name__ == "__main__":
    main(__file__)
