"""MobileNet v1 on ImageNet (Howard et al. 2017, MobileNets, section 3.2).

As in the paper: RMSProp as for Inception v3, but with less regularization, that is without label
smoothing, auxiliary heads and small crops. The paper does not state batch, learning rate, epochs
and average, which are those of imagenet/mobilenet_v2, nor the size of the smallest crop, which is a
quarter of the image here. Differences: weight decay of 4e-5 also on depthwise kernels, where the
paper has little or none; and one worker instead of several, which update independently.

Command: recipes train imagenet/mobilenet_v1
Cost: about 1.8 exaFLOP: 3 x 0.569 GMAC x 2 x 1.28 million images x 412 epochs.
Expect: 0.706 in the paper (table 4).
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="mobilenet_v1",
    data="imagenet2012",
    augment=(RandomResizedCrop(224, area=(0.25, 1.0)), Flip()),
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
    average="ema:0.9999",
)

space = """
    act=relu,relu6,swish norm=batch,group options.multiplier=0.5,0.75,1.0
    lr=log:5e-3:0.2 weight_decay=log:1e-6:1e-4
"""


if __name__ == "__main__":
    main(__file__)
