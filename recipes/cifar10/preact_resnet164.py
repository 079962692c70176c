"""Pre-activation ResNet-164 on CIFAR-10. He et al. 2016, Identity Mappings, appendix.

Rate 0.1, warmed up over 400 steps, a tenth at 32,000 and 48,000 steps, batch 128, decay 1e-4; by
the authors' code, on fb.resnet.torch: 200 epochs of all 50,000 images, Nesterov's momentum, mean
and deviation. Differs: the rate rises over those steps, the paper has it at 0.01.

Command: recipes train cifar10/preact_resnet164
Cost: about 14.7 petaFLOP: 3 x 0.2445 GMAC x 2 x 50,000 images x 200 epochs.
Expect: 0.9454: the paper (table 4).
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


def space(hp):
    """What a search tries; it needs --validation=0.1."""
    return {
        "lr": hp.Float("lr", 1e-2, 0.5, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-5, 1e-2, sampling="log"),
        "drop_path": hp.Float("drop_path", 0.0, 0.5),
    }


if __name__ == "__main__":
    main(__file__)
