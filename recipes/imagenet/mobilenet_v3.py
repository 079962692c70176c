"""MobileNet v3 (large) on ImageNet (Howard et al. 2019, section 6.1.1).

As in the paper: RMSProp with momentum 0.9, batch 4,096 over all replicas, and a learning rate of
0.1 that is multiplied by 0.99 every 3 epochs; weight decay 1e-5, dropout 0.2, averaged weights, and
the crops of Inception. The paper does not state the epochs, which are the 600 of torchvision's
recipe, whose AutoAugment is also used; a warmup, which takes 5 epochs here; nor rho and epsilon,
which are those of EfficientNet.

Command: recipes train imagenet/mobilenet_v3
Cost: about 1.0 exaFLOP: 3 x 0.217 GMAC x 2 x 1.28 million images x 600 epochs.
Expect: 0.752 in the paper (table 3) and the authors' README.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import AutoAugment, CenterCrop, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="mobilenet_v3_large",
    data="imagenet2012",
    dropout=0.2,
    augment=(RandomResizedCrop(224), Flip(), AutoAugment("imagenet")),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="scale",
    validation=0.01,
    batch_size=4096,
    epochs=600,
    optimizer="rmsprop",
    lr=0.1,
    momentum=0.9,
    rho=0.9,
    epsilon=1e-3,
    weight_decay=1e-5,
    decay_norms=False,
    schedule="step",
    step_size=3,
    gamma=0.99,
    warmup=5,
    average="ema:0.9999",
)

space = """
    act=hard_swish,swish,relu norm=batch,group dropout=0:0.5
    lr=log:1e-2:0.5 weight_decay=log:1e-6:1e-4
"""


if __name__ == "__main__":
    main(__file__)
