"""SENet-154 on ImageNet (Hu et al. 2017, Squeeze-and-Excitation Networks).

The settings are those of imagenet/se_resnet50, with the network's dropout of 0.2. It differs from
the paper in the same point. The authors' README does not state which settings are specific to this
network.

Command: recipes train imagenet/senet154
Cost: about 15.9 exaFLOP: 3 x 20.688 GMAC x 2 x 1.28 million images x 100 epochs.
Expect: 0.813 (top-5 0.955) in the authors' README, one crop.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, RandomResizedCrop, ResizeShort, Rotate

recipe = Recipe(
    model="senet154",
    data="imagenet2012",
    dropout=0.2,
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
    act=relu,elu,swish norm=batch,group drop_path=0:0.4
    lr=log:0.05:2 weight_decay=log:1e-5:1e-3
"""


if __name__ == "__main__":
    main(__file__)
