"""Inception v3 on ImageNet (Szegedy et al. 2015, section 8).

As in the paper: RMSProp with decay 0.9 and epsilon 1, a learning rate of 0.045 that is multiplied
by 0.94 every 2 epochs, gradients clipped to 2, label smoothing 0.1, averaged weights, and an
auxiliary head. As in the authors' code (models/research/slim and inception), where the paper does
not state them: momentum 0.9, weight decay 4e-5 on kernels only, an average of 0.9999, an auxiliary
weight of 0.4, dropout 0.2, and color jitter. Difference: one worker with batch 32 instead of the
paper's 50, which update independently.

Command: recipes train imagenet/inception_v3
Cost: about 4.4 exaFLOP: 3 x 5.713 GMAC x 2 x 1.28 million images x 100 epochs.
Expect: 0.788 (top-5 0.944) in the paper, one crop (table 3).
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, ColorJitter, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="inception_v3",
    data="imagenet2012",
    dropout=0.2,
    options={"aux": True},
    augment=(RandomResizedCrop(299), Flip(), ColorJitter(0.125, 0.5, 0.5, 0.2)),
    eval_ops=(ResizeShort(342), CenterCrop(299)),
    preprocess="scale",
    validation=0.01,
    batch_size=32,
    epochs=100,
    optimizer="rmsprop",
    lr=0.045,
    momentum=0.9,
    rho=0.9,
    epsilon=1.0,
    weight_decay=4e-5,
    decay_norms=False,
    schedule="step",
    step_size=2,
    gamma=0.94,
    label_smoothing=0.1,
    aux_weight=0.4,
    clip_norm=2.0,
    average="ema:0.9999",
)

space = """
    act=relu,elu,swish norm=batch,group label_smoothing=0:0.2 aux_weight=0:0.6
    lr=log:5e-3:0.2
"""


if __name__ == "__main__":
    main(__file__)
