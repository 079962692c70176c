"""EfficientNet-B0 on ImageNet (Tan & Le 2019, section 5.2).

As in the paper: RMSProp with decay and momentum 0.9, batch 4,096 over all replicas, 350 epochs, and
a learning rate of 0.256 after a warmup of 5 epochs, multiplied by 0.97 every 2.4 epochs; weight
decay 1e-5, swish, AutoAugment, stochastic depth with a survival probability of 0.8, and dropout
0.2. As in the authors' code (tensorflow/tpu): padding and norms, epsilon 1e-3, label smoothing 0.1,
and averaged weights (0.9999). Differences: crops are resized bilinearly instead of bicubically;
biases have no weight decay; AutoAugment has its published policy, while the code has another
("v0").

Command: recipes train imagenet/efficientnet_b0
Cost: about 1.0 exaFLOP: 3 x 0.386 GMAC x 2 x 1.28 million images x 350 epochs.
Expect: 0.771 (top-5 0.933) in the paper (table 2), one crop.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import AutoAugment, CenterCrop, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="efficientnet_b0",
    data="imagenet2012",
    act="swish",
    dropout=0.2,
    drop_path=0.2,
    options={"padding": "tf", "norm_epsilon": 1e-3, "norm_momentum": 0.99},
    augment=(RandomResizedCrop(224), Flip(), AutoAugment("imagenet")),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="standardize",
    validation=0.01,
    batch_size=4096,
    epochs=350,
    optimizer="rmsprop",
    lr=0.256,
    momentum=0.9,
    rho=0.9,
    epsilon=1e-3,
    weight_decay=1e-5,
    decay_norms=False,
    schedule="step",
    step_size=2.4,
    gamma=0.97,
    warmup=5,
    label_smoothing=0.1,
    average="ema:0.9999",
)

space = """
    act=swish,relu,hard_swish,gelu norm=batch,group drop_path=0:0.4
    lr=log:0.02:1 weight_decay=log:1e-6:1e-4
"""


if __name__ == "__main__":
    main(__file__)
