"""Transfer with little data unlike ImageNet: 20 digits per class (the cases of CS231n).

EfficientNet-Lite0 with weights from ImageNet, on images of 96x96 pixels. `tools/transfer
--cifar10=PATH` writes the folders of images that the four recipes use. This is the hardest case of
the lectures. Those of 2021 recommend linear classifiers on earlier stages, whose features are more
general; those of 2025 recommend another model or more data (see transfer/much_different). Linear
classifiers on three stages are compared with fine-tuning the last stages or all layers at 1, 1/10
and 1/100 of the original learning rate, and with training from scratch for three times as many
epochs.

Command: recipes compare transfer/little_different
Cost: 0.075 GMAC per image in the forward pass, up to three times that in training.
Expect: not stated.
Measured: docs/transfer.md has the accuracies of all variants.
"""

from recipes import Recipe, main
from recipes.augment import Resize

recipe = Recipe(
    model="efficientnet_lite0",
    data="folder:transfer/digits-little",
    validation=0.2,
    drop_path=0.0,
    options={"norm_momentum": 0.9},
    weights="imagenet",
    head="new",
    freeze="features",
    augment=(Resize(96),),
    eval_ops=(Resize(96),),
    batch_size=20,
    epochs=50,
    lr=0.01,
    schedule="cosine",
    stop_at_loss=None,
)

# The learning rate of training from scratch is 0.1.
choices = {
    "linear classifier": {},
    "linear classifier on stage 5": {"head": "stage5", "freeze": "stage5"},
    "linear classifier on stage 3": {"head": "stage3", "freeze": "stage3"},
    "last stages, lr 0.1": {"freeze": "stage5", "epochs": 8, "lr": 0.1},
    "last stages, lr 0.01": {"freeze": "stage5", "epochs": 8, "lr": 0.01},
    "last stages, lr 0.001": {"freeze": "stage5", "epochs": 8, "lr": 0.001},
    "all, lr 0.1": {"freeze": None, "epochs": 8, "lr": 0.1},
    "all, lr 0.01": {"freeze": None, "epochs": 8, "lr": 0.01},
    "all, lr 0.001": {"freeze": None, "epochs": 8, "lr": 0.001},
    "from scratch": {"weights": None, "head": "kept", "freeze": None, "epochs": 24, "lr": 0.1},
}


def space(hp):
    """Return the changes of one trial: the learning rate, and how much of the network trains."""
    freeze = hp.Choice("freeze", ["features", "stage5", "stage3", "stem"])
    return {
        "freeze": freeze,
        "epochs": 50 if freeze == "features" else 8,
        "lr": hp.Float("lr", 1e-4, 0.1, sampling="log"),
    }


if __name__ == "__main__":
    main(__file__, "compare")
