"""A small airbench network on digits (Jordan 2024, 94% on CIFAR-10 in 3.29 Seconds).

As in the paper: a stem of whitened patches that stays frozen, pooling after the first convolution
of each stage, GELU, Nesterov momentum, a learning rate that rises and then falls to zero.
Differences: 32 to 128 channels, a 3x3 stem for gray images, batch 64, learning rate 0.05, weight
decay 5e-4, no label smoothing, and shifts without flips.

Command: recipes train digits/airbench
Cost: about a minute on 2 CPU cores.
Expect: 0.97 or more.
Measured: 0.9944 (358 of 360), seed 0, 20 s of training, 2 cores of an AMD EPYC, commit c5e38db.
"""

from recipes import Recipe, main
from recipes.augment import PadCrop, Resize

recipe = Recipe(
    model="airbench94",
    data="digits",
    data_init="whiten",
    freeze="stem",
    options={"stem_width": 18, "stem_kernel": 3, "widths": (32, 64, 128)},
    augment=(Resize(32), PadCrop(2)),
    eval_ops=(Resize(32),),
    preprocess="standardize",
    batch_size=64,
    epochs=15,
    lr=0.05,
    nesterov=True,
    weight_decay=5e-4,
    schedule="one_cycle",
    warmup=3,
)

space = """
    act=gelu,relu,elu,swish norm=batch,group,layer nesterov=true,false
    lr=log:5e-3:0.5 weight_decay=log:1e-5:1e-2
"""


if __name__ == "__main__":
    main(__file__)
