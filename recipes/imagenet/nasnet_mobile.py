"""NASNet-A (4 @ 1056) on ImageNet (Zoph et al. 2017, Learning Transferable Architectures).

As in the authors' code (models/research/slim, nasnet.py): 50 synchronous replicas with batch 32, a
learning rate of 0.04 x 50 that is multiplied by 0.97 every 2.4 epochs, gradients clipped to 10,
label smoothing 0.1, 250,000 steps, weight decay 4e-5, no drop path for this network, RMSProp and
averaged weights. The code does not state epsilon, momentum, color jitter and crops, which are those
of Inception v3. Difference: our network has no auxiliary head, which has a weight of 0.4 there.

Command: recipes train imagenet/nasnet_mobile
Cost: about 1.4 exaFLOP: 3 x 0.564 GMAC x 2 x 1.28 million images x 315 epochs.
Expect: 0.740 (top-5 0.916) in the authors' README, one crop.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, ColorJitter, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="nasnet_mobile",
    data="imagenet2012",
    dropout=0.5,
    augment=(RandomResizedCrop(224), Flip(), ColorJitter(0.125, 0.5, 0.5, 0.2)),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="scale",
    validation=0.01,
    batch_size=50 * 32,
    epochs=315,
    optimizer="rmsprop",
    lr=50 * 0.04,
    momentum=0.9,
    rho=0.9,
    epsilon=1.0,
    weight_decay=4e-5,
    decay_norms=False,
    schedule="step",
    step_size=2.4,
    gamma=0.97,
    label_smoothing=0.1,
    clip_norm=10.0,
    average="ema:0.9999",
)

space = """
    act=relu,elu,swish norm=batch,group drop_path=0:0.3 dropout=0:0.6
    lr=log:0.2:5
"""


if __name__ == "__main__":
    main(__file__)
