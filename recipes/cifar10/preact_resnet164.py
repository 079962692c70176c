"""Pre-activation ResNet-164 on CIFAR-10 (He et al. 2016, Identity Mappings, appendix).

As in the paper: batch 128, weight decay 1e-4, and a learning rate of 0.1 after a warmup of 400
steps, divided by 10 at 32,000 and 48,000 steps. As in the authors' code, which is based on
fb.resnet.torch: 200 epochs of all 50,000 images, Nesterov momentum, and normalization by the mean
and standard deviation of each channel. Difference: the learning rate rises during the warmup, while
the paper keeps it at 0.01.

Command: recipes train cifar10/preact_resnet164
Cost: about 14.7 petaFLOP: 3 x 0.2445 GMAC x 2 x 50,000 images x 200 epochs.
Expect: 0.9454 in the paper (table 4).
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import Flip, PadCrop

recipe = Recipe(
    model="preact_resnet164",
    data="cifar10",
    augment=(PadCrop(4), Flip()),
    preprocess="standardize",
    validation=0.0,
    batch_size=128,
    epochs=200,
    lr=0.1,
    momentum=0.9,
    nesterov=True,
    weight_decay=1e-4,
    schedule="step",
    schedule_unit="steps",
    milestones=(32_000, 48_000),
    gamma=0.1,
    warmup=400,
)

# A search needs --validation=0.1.
space = """
    act=relu,elu,gelu norm=batch,group drop_path=0:0.5
    lr=log:1e-2:0.5 weight_decay=log:1e-5:1e-2
"""


if __name__ == "__main__":
    main(__file__)
