"""ResNet-50 with strides in the first 1x1 convolution on ImageNet (He et al. 2015, section 3.4).

As in the paper: a random short side of 256 to 480 pixels, crops of 224 pixels, flips, AlexNet's
color noise, and subtraction of the mean image; a learning rate that is divided by 10 when the error
stalls; and 600,000 steps. Weight decay applies to kernels only, as in the paper according to the
README of fb.resnet.torch. Differences: the mean image is that of the central crops; accuracy is
measured on one crop instead of ten crops at five sizes. The paper does not state how long the error
must stall: 5 epochs without a lower loss here.

Command: recipes train imagenet/resnet50
Cost: about 3.6 exaFLOP: 3 x 3.858 GMAC x 2 x 1.28 million images x 120 epochs.
Expect: 0.753 (top-5 0.922) in the authors' README, one crop.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, Lighting, ResizeShort, ScaleJitter

recipe = Recipe(
    model="resnet50_v1",
    data="imagenet2012",
    augment=(ScaleJitter((256, 480), 224), Flip(), Lighting(0.1)),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="center_image",
    validation=0.01,
    batch_size=256,
    epochs=120,
    lr=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    decay_norms=False,
    schedule="plateau",
    gamma=0.1,
    patience=5,
)

space = """
    act=relu,leaky_relu,elu norm=batch,group init=kaiming,xavier,orthogonal
    options.zero_gamma=false,true
    lr=log:1e-2:1 weight_decay=log:1e-5:1e-3
"""


if __name__ == "__main__":
    main(__file__)
