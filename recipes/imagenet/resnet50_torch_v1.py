"""ResNet-50 on ImageNet by torchvision's first recipe of 2017, in 90 epochs (He et al. 2015).

Random crops of 8 to 100 % of the image and flips; SGD with momentum 0.9, batch 256, weight decay
1e-4 on everything, and a learning rate of 0.1 that is divided by 10 every 30 epochs. Strides are in
the 3x3 convolution (v1.5). The only known difference is the initialization of the last layer.

Command: recipes train imagenet/resnet50_torch_v1
Cost: about 2.8 exaFLOP: 3 x 4.089 GMAC x 2 x 1.28 million images x 90 epochs.
Expect: 0.761 (top-5 0.929), the weights IMAGENET1K_V1 of torchvision.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="resnet50",
    data="imagenet2012",
    augment=(RandomResizedCrop(224), Flip()),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="torchvision",
    validation=0.01,
    batch_size=256,
    epochs=90,
    lr=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    schedule="step",
    step_size=30,
    gamma=0.1,
)

space = """
    act=relu,swish norm=batch,group init=kaiming,xavier,orthogonal options.zero_gamma=false,true
    label_smoothing=0:0.2
    lr=log:1e-2:1 weight_decay=log:1e-5:1e-3
"""


if __name__ == "__main__":
    main(__file__)
