"""A fast CIFAR-10 recipe: 8 convolutions, the first one whitened (Page 2019, Jordan 2024).

It aims at the best accuracy in 15 minutes on 2 CPU cores. The network is airbench94 reduced to 32
MMAC: each stage is pooled after its first convolution, before the norm. The kernels of the 3x3 stem
are the 16 largest principal axes of image patches and their negatives, and stay frozen. Unlike the
paper: ReLU, average pooling, and biases. All 50,000 images are used for training, without dropout
or validation. Over 25 epochs, the learning rate rises for 5 epochs and then falls to zero (Smith &
Topin 2018). Nesterov momentum, label smoothing 0.1, crops padded by 2 pixels, and flips; with
stronger augmentation it learned too slowly. bfloat16 takes about half the time of float32 on a CPU
that supports it (avx512_bf16); on others, use --dtype=float32.

Command: recipes train cifar10/fast
Cost: about 0.24 petaFLOP: 3 x 0.0316 GMAC x 2 x 50,000 images x 25 epochs.
Expect: no published accuracy, because the recipe is our own.
Measured: 0.8749 (8749 of 10000; 0.8841 with mirrored views averaged), seed 0, on a JPEG copy of
CIFAR-10, 2 cores of an AMD EPYC, where an epoch takes 33 to 44 s if nothing else runs (1,050 s in
all alongside other work), commit 03fd31a.
"""

from recipes import Recipe, main
from recipes.augment import Flip, PadCrop

recipe = Recipe(
    model="airbench94",
    data="cifar10",
    act="relu",
    data_init="whiten",
    freeze="stem",
    dropout=0.0,
    options={
        "stem_width": 32,
        "stem_kernel": 3,
        "stem_padding": "same",
        "depths": (1, 2, 2, 2),
        "widths": (32, 64, 128, 256),
        "pool": "average",
        "head_bias": True,
        "head_scale": 1.0,
        "norm_bias": True,
        "norm_scale": True,
        "norm_epsilon": 1e-5,
        "norm_momentum": 0.9,
    },
    augment=(PadCrop(2), Flip()),
    preprocess="standardize",
    validation=0.0,
    batch_size=128,
    epochs=25,
    lr=0.2,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    schedule="one_cycle",
    warmup=5,
    label_smoothing=0.1,
    dtype="mixed_bfloat16",
)

# A search needs --validation=0.1.
space = """
    act=relu,gelu,elu,swish norm=batch,group label_smoothing=0:0.2
    lr=log:0.02:1 weight_decay=log:1e-5:1e-2
"""


if __name__ == "__main__":
    main(__file__)
