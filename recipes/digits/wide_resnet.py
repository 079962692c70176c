"""A small Wide ResNet on digits: WRN-10-2 (Zagoruyko & Komodakis 2016).

Each stage has one block, twice as wide as in a ResNet, with dropout between its convolutions. As in
the paper: Nesterov momentum and weight decay 5e-4. Differences: a cosine schedule over 15 epochs
instead of three steps, dropout 0.1 instead of 0.3, and shifts instead of crops and flips.

Command: recipes train digits/wide_resnet
Cost: two minutes on 2 CPU cores.
Expect: 0.97 or more.
Measured: 0.9769 ± 0.0043 over seeds 0 to 2, on 2 cores of an AMD EPYC that also did other work,
commit be21247.
"""

from recipes import Recipe, main
from recipes.augment import PadCrop, Resize

recipe = Recipe(
    model="wrn_16_8",
    data="digits",
    dropout=0.1,
    options={"depths": (1, 1, 1), "width": 32},
    augment=(Resize(32), PadCrop(2)),
    eval_ops=(Resize(32),),
    preprocess="standardize",
    batch_size=64,
    epochs=15,
    lr=0.05,
    nesterov=True,
    weight_decay=5e-4,
    schedule="cosine",
    warmup=1,
)

space = """
    act=relu,elu,gelu norm=batch,group dropout=0:0.4 options.width=16,32
    lr=log:1e-2:0.5 weight_decay=log:1e-5:1e-2
"""


if __name__ == "__main__":
    main(__file__)
