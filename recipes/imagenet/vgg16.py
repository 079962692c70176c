"""VGG-16 on ImageNet (Simonyan & Zisserman 2014, section 3.1).

As in the paper: a random short side of 256 to 512 pixels, crops of 224 pixels, flips, AlexNet's
color noise, and subtraction of the mean of each channel; dropout 0.5; and a learning rate that is
divided by 10 three times, when the validation accuracy stalls. Differences: it is divided when the
validation loss stalls for 5 epochs (the paper states no number); the initialization is Glorot's,
with which the paper found pretraining to be unnecessary; and accuracy is measured on one central
crop, while the paper uses whole images.

Command: recipes train imagenet/vgg16
Cost: about 8.8 exaFLOP: 3 x 15.47 GMAC x 2 x 1.28 million images x 74 epochs.
Expect: 0.716 (top-5 0.904) for torchvision's network, one crop. The paper reaches 0.744 on whole
images of one scale (table 3).
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, Lighting, ResizeShort, ScaleJitter

recipe = Recipe(
    model="vgg16",
    data="imagenet2012",
    augment=(ScaleJitter((256, 512), 224), Flip(), Lighting(0.1)),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="center_channel",
    validation=0.01,
    batch_size=256,
    epochs=74,
    lr=0.01,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="plateau",
    gamma=0.1,
    patience=5,
)

# Without a norm, the depth needs a suitable initializer.
space = """
    act=relu,elu,selu norm=none,batch,group init=kaiming,xavier,normal:0.01 dropout=0.2:0.7
    lr=log:1e-3:0.05 weight_decay=log:1e-5:1e-3
"""


if __name__ == "__main__":
    main(__file__)
