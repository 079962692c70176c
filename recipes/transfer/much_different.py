"""Transfer with more data unlike ImageNet: 111 digits per class (the cases of CS231n 2025).

EfficientNet-Lite0 with weights from ImageNet, on images of 96x96 pixels. `tools/transfer
--cifar10=PATH` writes the folders of images that the four recipes use. The lectures of 2021
recommend fine-tuning a larger number of layers; those of 2025 recommend fine-tuning all layers or
training from scratch. All three are compared with a linear classifier; training from scratch takes
twice as many epochs.

Command: recipes compare transfer/much_different
Cost: 0.075 GMAC per image in the forward pass, up to three times that in training.
Expect: not stated.
Measured: docs/transfer.md has the accuracies of all variants.
"""

from recipes import Recipe, main
from recipes.augment import Resize

recipe = Recipe(
    model="efficientnet_lite0",
    data="folder:transfer/digits-much",
    validation=0.2,
    drop_path=0.0,
    options={"norm_momentum": 0.9},
    weights="imagenet",
    head="new",
    freeze="features",
    augment=(Resize(96),),
    eval_ops=(Resize(96),),
    batch_size=32,
    epochs=50,
    lr=0.01,
    schedule="cosine",
    stop_at_loss=None,
)

# The learning rate of training from scratch is 0.1.
choices = {
    "linear classifier": {},
    "last stages, lr 0.01": {"freeze": "stage3", "epochs": 4, "lr": 0.01},
    "all, lr 0.01": {"freeze": None, "epochs": 4, "lr": 0.01},
    "from scratch": {"weights": None, "head": "kept", "freeze": None, "epochs": 8, "lr": 0.1},
}


def space(hp):
    """Return the changes of one trial: the learning rate, and how much of the network trains."""
    freeze = hp.Choice("freeze", ["features", "stage5", "stage3", "stem"])
    return {
        "freeze": freeze,
        "epochs": 50 if freeze == "features" else 4,
        "lr": hp.Float("lr", 1e-4, 0.1, sampling="log"),
    }


if __name__ == "__main__":
    main(__file__, "compare")
