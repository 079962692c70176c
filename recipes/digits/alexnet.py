"""AlexNet on digits: the paper's five convolutions and LRN, made for 32x32.

Krizhevsky et al. 2012: the mean image is subtracted, biases of 1, dropout 0.5, decay 5e-4, the
rate falls tenfold when the validation loss stalls. Differs: a quarter of the maps, a 3x3 stem
without stride, two hidden layers of 512, Kaiming's start (N(0, 0.01) is for wide layers) with a
head small enough for pixels that are not scaled, shifts instead of crops and flips.

Command: python -m recipes train digits/alexnet
Cost: two minutes on 2 CPU cores.
Expect: about 0.98.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import PadCrop, Resize

recipe = Recipe(
    model="alexnet",
    data="digits",
    init="kaiming",
    options={
        "stem": "cifar",
        "widths": (24, 64, 96, 96, 64),
        "hidden": (512, 512),
        "grid": 3,
        "head_init": "normal:0.0003",
    },
    augment=(Resize(32), PadCrop(2)),
    eval_ops=(Resize(32),),
    preprocess="center_image",
    batch=64,
    epochs=25,
    lr=0.01,
    weight_decay=5e-4,
    schedule="plateau",
    patience=4,
    warmup=1,
    clip_norm=5.0,
)


def space(hp):
    """What a search tries."""
    return {
        "lr": hp.Float("lr", 1e-3, 0.1, sampling="log"),
        "dropout": hp.Float("dropout", 0.0, 0.7),
    }


if __name__ == "__main__":
    main(__file__)
