"""ZFNet on ImageNet (Zeiler & Fergus 2013, section 3.1).

As in the paper: a short side of 256 pixels, crops of 224 pixels, flips, and subtraction of the mean
image; initial weights from N(0, 0.01), biases of 0, and dropout 0.5; 70 epochs with a learning rate
that the authors decrease by hand when the validation error stalls. Differences: it is divided by 10
after 3 epochs without a lower loss; crops are at random positions instead of five fixed ones; and
the filters of the first layer are not renormalized. The paper does not state the weight decay,
which is that of AlexNet.

Command: recipes train imagenet/zfnet
Cost: about 0.63 exaFLOP: 3 x 1.168 GMAC x 2 x 1.28 million images x 70 epochs.
Expect: 0.616 (top-5 0.835) in the paper, one network.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, ResizeShort, ScaleJitter

recipe = Recipe(
    model="zfnet",
    data="imagenet2012",
    augment=(ScaleJitter((256, 256), 224), Flip()),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="center_image",
    validation=0.01,
    batch_size=128,
    epochs=70,
    lr=0.01,
    momentum=0.9,
    weight_decay=5e-4,
    schedule="plateau",
    gamma=0.1,
    patience=3,
)

space = """
    act=relu,elu,leaky_relu norm=lrn,batch,none init=normal:0.01,kaiming,xavier dropout=0.2:0.7
    lr=log:1e-3:0.05 weight_decay=log:1e-5:1e-3
"""


if __name__ == "__main__":
    main(__file__)
