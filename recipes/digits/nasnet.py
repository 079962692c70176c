"""A small NASNet-A on digits, with one normal cell in each stage (Zoph et al. 2017).

As in the paper: its two cells, with 12 to 48 feature maps, its stem for CIFAR, clipped gradients,
and drop path. Differences: SGD with a cosine schedule over 15 epochs; norm statistics averaged over
about ten steps instead of the authors' thousands; drop path of 0.1; no auxiliary head; and shifts
instead of crops and flips.

Command: recipes train digits/nasnet
Cost: two minutes on 2 CPU cores.
Expect: 0.97 or more.
Measured: 0.9898 ± 0.0016 over seeds 0 to 2, on 2 cores of an AMD EPYC that also did other work,
commit be21247.
"""

from recipes import Recipe, main
from recipes.augment import PadCrop, Resize

recipe = Recipe(
    model="nasnet_mobile",
    data="digits",
    dropout=0.1,
    drop_path=0.1,
    options={
        "stem": "cifar",
        "depths": (1, 1, 1),
        "width": 12,
        "stem_width": 16,
        "norm_momentum": 0.9,
    },
    augment=(Resize(32), PadCrop(2)),
    eval_ops=(Resize(32),),
    preprocess="standardize",
    batch_size=64,
    epochs=15,
    lr=0.05,
    weight_decay=1e-4,
    schedule="cosine",
    warmup=2,
    clip_norm=5.0,
)

space = """
    act=relu,elu,swish norm=batch,group drop_path=0:0.3
    lr=log:1e-2:0.5 weight_decay=log:1e-5:1e-2
"""


if __name__ == "__main__":
    main(__file__)
