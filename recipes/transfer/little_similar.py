"""Transfer, little data like ImageNet: pets. CS231n's table of cases; Parkhi et al. 2012.

ResNet-50 with ImageNet's weights on Oxford-IIIT Pet: 3,680 training images of 37 breeds, of
which ImageNet has many. The lectures of every year say: a linear classifier on the last features.
Beside it runs what much data would call for, all layers fine-tuned at a tenth of the rate.

Command: recipes compare transfer/little_similar
Cost: about 4 GMAC an image forward, three times that where all layers learn; 20 epochs.
Expect: not stated.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="resnet50",
    data="oxford_iiit_pet",
    weights="imagenet",
    head="new",
    freeze="stage4",
    augment=(RandomResizedCrop(224), Flip()),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    batch_size=64,
    epochs=20,
    lr=0.05,
    schedule="cosine",
)

choices = {
    "linear classifier": {},
    "fine-tune all": {"freeze": None, "lr": 0.01, "warmup": 1.0, "weight_decay": 1e-4},
}


def space(hp):
    """What a search tries."""
    return {
        "lr": hp.Float("lr", 1e-3, 0.5, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-6, 1e-3, sampling="log"),
    }


if __name__ == "__main__":
    main(__file__, "compare")
