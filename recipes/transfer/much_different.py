"""Transfer, much data unlike ImageNet: tissue. CS231n's table of cases; Veeling et al. 2018.

ResNet-50 on PatchCamelyon, 262,144 training images of 96x96 of lymph nodes, with or without
tumour. The lectures of 2021 fine-tune a larger number of layers; those of 2025 either all of them
or train from scratch. All three run.

Command: recipes compare transfer/much_different
Cost: about 0.8 GMAC an image forward, three times that in all; 5 epochs, three times.
Expect: not stated.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import Flip, PadCrop, Resize

recipe = Recipe(
    model="resnet50",
    data="patch_camelyon",
    validation="validation",
    weights="imagenet",
    head="new",
    augment=(Resize(96), PadCrop(4), Flip()),
    eval_ops=(Resize(96),),
    batch_size=128,
    epochs=5,
    lr=0.02,
    lr_multipliers={"head": 10.0},
    weight_decay=1e-4,
    schedule="cosine",
    warmup=0.5,
)

choices = {
    "fine-tune the later half": {"freeze": "stage2"},
    "fine-tune all": {},
    "from scratch": {"weights": None, "head": "kept", "lr_multipliers": {}, "lr": 0.05},
}


def space(hp):
    """What a search tries."""
    return {
        "lr": hp.Float("lr", 1e-3, 0.2, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-6, 1e-3, sampling="log"),
    }


if __name__ == "__main__":
    main(__file__, "compare")
