"""AlexNet on ImageNet (Krizhevsky et al. 2012, sections 4.1 and 5).

As in the paper: a short side of 256 pixels, random crops of 227 pixels, flips, noise along the
principal components of the colors, and subtraction of the mean image; initial weights from N(0,
0.01), biases of 1, dropout 0.5; and a learning rate that is divided by 10 when the validation error
stalls. Differences: the mean image is that of the central crops; accuracy is measured on the
central crop instead of ten. The paper trains for "roughly" 90 epochs and does not state how long
the error must stall (5 epochs here).

Command: recipes train imagenet/alexnet
Cost: about 0.5 exaFLOP: 3 x 0.724 GMAC x 2 x 1.28 million images x 90 epochs.
Expect: 0.593 (top-5 0.818) in the paper, one network.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, Lighting, ResizeShort, ScaleJitter

recipe = Recipe(
    model="alexnet",
    data="imagenet2012",
    augment=(ScaleJitter((256, 256), 227), Flip(), Lighting(0.1)),
    eval_ops=(ResizeShort(256), CenterCrop(227)),
    preprocess="center_image",
    validation=0.01,
    batch_size=128,
    epochs=90,
    lr=0.01,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="plateau",
    gamma=0.1,
    patience=5,
)

# The paper's choices: ReLU instead of tanh, local response normalization, and dropout
space = """
    act=relu,tanh,elu norm=lrn,batch,none init=normal:0.01,kaiming,xavier dropout=0.2:0.7
    lr=log:1e-3:0.05 weight_decay=log:1e-5:1e-3
"""


if __name__ == "__main__":
    main(__file__)
