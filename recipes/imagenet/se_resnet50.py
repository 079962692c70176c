"""SE-ResNet-50 on ImageNet (Hu et al. 2017, Squeeze-and-Excitation Networks).

As in the paper: SGD with momentum 0.9, batch 1,024 over all replicas, weight decay 1e-4, and a
learning rate of 0.6 that is divided by 10 every 30 of 100 epochs. As in the authors' README: random
crops of 8 to 100 % of the image, flips, and rotations by up to 10 degrees. Difference: no pixel
jitter of 20, which the README does not explain.

Command: recipes train imagenet/se_resnet50
Cost: about 3.0 exaFLOP: 3 x 3.86 GMAC x 2 x 1.28 million images x 100 epochs.
Expect: 0.767 (top-5 0.934) in the paper, one crop; 0.776 (top-5 0.936) in the authors' README,
trained longer with batch 256 and learning rate 0.1.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, RandomResizedCrop, ResizeShort, Rotate

recipe = Recipe(
    model="se_resnet50",
    data="imagenet2012",
    augment=(RandomResizedCrop(224), Flip(), Rotate(10)),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="center_channel",
    validation=0.01,
    batch_size=1024,
    epochs=100,
    lr=0.6,
    momentum=0.9,
    weight_decay=1e-4,
    schedule="step",
    step_size=30,
    gamma=0.1,
)

space = """
    act=relu,elu,swish norm=batch,group options.reduction=4,8,16,32
    lr=log:0.05:2 weight_decay=log:1e-5:1e-3
"""


if __name__ == "__main__":
    main(__file__)
