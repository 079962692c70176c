"""Inception v4 on ImageNet (Szegedy et al. 2016, Inception-v4, section 4).

As in the paper: RMSProp with decay 0.9 and epsilon 1, a learning rate of 0.045 that is multiplied
by 0.94 every 2 epochs, averaged weights, and dropout 0.2. The paper does not state batch, epochs
and label smoothing, which are those of imagenet/inception_v3, nor momentum, weight decay, the
constant of the average and color jitter, which are those of the authors' code
(models/research/slim). Difference: one worker instead of the paper's 20, which update
independently.

Command: recipes train imagenet/inception_v4
Cost: about 9.4 exaFLOP: 3 x 12.28 GMAC x 2 x 1.28 million images x 100 epochs.
Expect: 0.800 (top-5 0.950) in the paper, one crop (table 2).
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, ColorJitter, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="inception_v4",
    data="imagenet2012",
    dropout=0.2,
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
    average="ema:0.9999",
)

space = """
    act=relu,elu,swish norm=batch,group label_smoothing=0:0.2 dropout=0:0.5
    lr=log:5e-3:0.2
"""


if __name__ == "__main__":
    main(__file__)
