"""MobileNet v2 on ImageNet (Sandler et al. 2018, section 6.1).

As in the paper: RMSProp with momentum 0.9, weight decay 4e-5, learning rate 0.045, and batch 96 per
worker. As in the authors' command (models/research/slim): a learning rate that is multiplied by
0.98 every 2.5 epochs, 5.5 million steps of one worker, label smoothing 0.1, averaged weights, the
crops and color jitter of Inception, and the padding and norms of slim. Neither states epsilon,
which is that of Inception v3. Differences: one worker instead of the paper's 16, which update
independently; and depthwise kernels have weight decay, too.

Command: recipes train imagenet/mobilenet_v2
Cost: about 0.95 exaFLOP: 3 x 0.301 GMAC x 2 x 1.28 million images x 412 epochs.
Expect: 0.720 in the paper (table 4) and the authors' README.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, ColorJitter, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="mobilenet_v2",
    data="imagenet2012",
    options={"padding": "tf", "norm_epsilon": 1e-3, "norm_momentum": 0.997},
    augment=(RandomResizedCrop(224), Flip(), ColorJitter(0.125, 0.5, 0.5, 0.2)),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="scale",
    validation=0.01,
    batch_size=96,
    epochs=412,
    optimizer="rmsprop",
    lr=0.045,
    momentum=0.9,
    rho=0.9,
    epsilon=1.0,
    weight_decay=4e-5,
    decay_norms=False,
    schedule="step",
    step_size=2.5,
    gamma=0.98,
    label_smoothing=0.1,
    average="ema:0.9999",
)

space = """
    act=relu6,relu,hard_swish norm=batch,group label_smoothing=0:0.2
    lr=log:5e-3:0.2 weight_decay=log:1e-6:1e-4
"""


if __name__ == "__main__":
    main(__file__)
