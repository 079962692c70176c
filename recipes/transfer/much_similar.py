"""Transfer with much data like ImageNet: dishes (the cases of CS231n; Bossard et al. 2014).

ResNet-50 with weights from ImageNet, on Food-101: 75,750 training images. Here the lectures
disagree: those of 2021 recommend fine-tuning a few layers, those of 2025 all of them. Both are
compared, with a tenth of the learning rate with which the network was pretrained.

Command: recipes compare transfer/much_similar
Cost: about 4 GMAC per image in the forward pass, up to three times that in training; 10 epochs,
twice.
Expect: not stated.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="resnet50",
    data="food101",
    weights="imagenet",
    head="new",
    augment=(RandomResizedCrop(224), Flip()),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    batch_size=64,
    epochs=10,
    lr=0.01,
    lr_multipliers={"head": 10.0},
    weight_decay=1e-4,
    schedule="cosine",
    warmup=0.5,
)

choices = {
    "fine-tune a few layers": {"freeze": "stage3"},
    "fine-tune all": {},
}


def space(hp):
    """Return the changes of one trial of a search."""
    return {
        "lr": hp.Float("lr", 1e-3, 0.1, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-6, 1e-3, sampling="log"),
    }


if __name__ == "__main__":
    main(__file__, "compare")
