"""GoogLeNet on ImageNet (Szegedy et al. 2014, sections 5 and 6).

As in the paper: random crops of 8 to 100 % of the image with aspect ratios from 3/4 to 4/3, and
photometric distortions; auxiliary heads of weight 0.3 with dropout 0.7, and dropout 0.4; a learning
rate that is multiplied by 0.96 every 8 epochs, and the mean of the weights over training. The paper
does not state batch, learning rate, weight decay and epochs: 32, 0.01, 2e-4 and 250 are those of
its replication in Caffe (BVLC). Difference: one worker instead of asynchronous ones.

Command: recipes train imagenet/googlenet
Cost: about 3.0 exaFLOP: 3 x 1.583 GMAC x 2 x 1.28 million images x 250 epochs.
Expect: top-5 0.899 in the paper, one network and one crop (table 3).
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, ColorJitter, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="googlenet",
    data="imagenet2012",
    dropout=0.4,
    options={"aux": True, "aux_dropout": 0.7},
    augment=(RandomResizedCrop(224), Flip(), ColorJitter(0.4, 0.4, 0.4)),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    preprocess="center_channel",
    validation=0.01,
    batch_size=32,
    epochs=250,
    lr=0.01,
    momentum=0.9,
    weight_decay=2e-4,
    schedule="step",
    step_size=8,
    gamma=0.96,
    aux_weight=0.3,
    average="polyak",
)

space = """
    act=relu,leaky_relu,elu norm=lrn,batch,none init=xavier,kaiming aux_weight=0:0.6
    dropout=0.2:0.6
    lr=log:1e-3:0.05
"""


if __name__ == "__main__":
    main(__file__)
