"""Transfer with much data unlike ImageNet: tissue (the cases of CS231n; Veeling et al. 2018).

ResNet-50 on PatchCamelyon: 262,144 training images of lymph nodes, of 96x96 pixels, with or without
a tumor. The lectures of 2021 recommend fine-tuning a larger number of layers; those of 2025
recommend fine-tuning all layers or training from scratch. All three are compared.

Command: recipes compare transfer/much_different
Cost: about 0.8 GMAC per image in the forward pass, three times that in training; 5 epochs, three
times.
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
    """Return the changes of one trial of a search."""
    return {
        "lr": hp.Float("lr", 1e-3, 0.2, sampling="log"),
        "weight_decay": hp.Float("weight_decay", 1e-6, 1e-3, sampling="log"),
    }


if __name__ == "__main__":
    main(__file__, "compare")
