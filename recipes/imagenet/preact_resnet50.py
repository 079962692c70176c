"""Pre-activation ResNet-50 on ImageNet (He et al. 2016, Identity Mappings, section 5).

As in the paper, which uses fb.resnet.torch: random crops of 8 to 100 % of the image, color jitter,
AlexNet's color noise, and flips; SGD with momentum 0.9 and a learning rate of 0.1 that is divided
by 10 every 30 epochs. As in that code: Nesterov momentum, weight decay 1e-4 on everything, and 90
epochs. Difference: 50 layers, while the paper trains 200.

Command: recipes train imagenet/preact_resnet50
Cost: about 2.8 exaFLOP: 3 x 4.089 GMAC x 2 x 1.28 million images x 90 epochs.
Expect: no number for 50 layers in the paper; the ResNet-50 of fb.resnet.torch reaches 0.760.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import (
    CenterCrop,
    ColorJitter,
    Flip,
    Lighting,
    RandomResizedCrop,
    ResizeShort,
)

recipe = Recipe(
    model="preact_resnet50",
    data="imagenet2012",
    augment=(RandomResizedCrop(224), ColorJitter(0.4, 0.4, 0.4), Lighting(0.1), Flip()),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="standardize",
    validation=0.01,
    batch_size=256,
    epochs=90,
    lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=1e-4,
    schedule="step",
    step_size=30,
    gamma=0.1,
)

space = """
    act=relu,elu,gelu norm=batch,group init=kaiming,orthogonal drop_path=0:0.3
    lr=log:1e-2:1 weight_decay=log:1e-5:1e-3
"""


if __name__ == "__main__":
    main(__file__)
