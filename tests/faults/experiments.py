"""Small recipes that together use everything that a checkpoint has to restore."""

from recipes import Recipe
from recipes.augment import CutMix, Flip, PadCrop

# An odd number of steps per epoch, and a checkpoint in the middle and at the end of an epoch
COMMON = {
    "data": "made_up:24x24x1:4:90", "batch_size": 16, "epochs": 3, "validation": 0.2,
    "checkpoint_every": 2, "stop_at_loss": None,
}  # fmt: skip

EXPERIMENTS = {
    "averages": Recipe(
        model="toy_lenet", augment=(Flip(), PadCrop(2)), lr=0.02, dropout=0.2, momentum=0.9,
        weight_decay=1e-3, average="ema:0.9", select="best", schedule="cosine", seed=3, **COMMON,
    ),
    "batch_norm": Recipe(
        model="toy_basic", augment=(PadCrop(2), CutMix()), optimizer="adamw", lr=0.01,
        average="swa:2", sampling="balanced", keep_checkpoints=3, seed=4, **COMMON,
    ),
    "plateau": Recipe(
        model="toy_mlp", optimizer="rmsprop", lr=0.01, dropout=0.3, accumulate=2, patience=1,
        schedule="plateau", gamma=0.5, early_stopping=2, select="best", select_by="val_loss",
        seed=5, **COMMON,
    ),
    # Sums of five gradients, which TensorFlow may compute in any order
    "branches": Recipe(
        model="toy_googlenet_bn", augment=(PadCrop(2),), lr=0.02, weight_decay=1e-3, seed=6,
        options={"aux": True, "depths": (1, 3, 1)}, **COMMON,
    ),
}  # fmt: skip
