"""Your own photographs, a few dozen a class, by transfer from ImageNet (Donahue et al. 2013).

1. Put them in photos/CLASS/*.jpg, one folder a class; a fifth of each is kept for the test.
2. Look at what training sees: recipes look photos/transfer
3. Train it with the command below; --data=folder:PATH if they are elsewhere.
4. Try it: zoo predict runs/photos/transfer MY.jpg
5. Have you hundreds a class? Train more of the network: --freeze=stage1 --epochs=30

ResNet-18 with torchvision's weights: all but its last stage stays as it is, that one learns at a
tenth of the new classifier's rate (the lectures' rule), crops are no smaller than a third.

Command: recipes train photos/transfer
Cost: about 5.3 gigaFLOP an image and epoch: 2 x (1.814 GMAC forward + 2 x 0.411 in stage 4, back).
Expect: it depends on the photographs; more than by training from the start on so few.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="resnet18",
    data="folder:photos",
    weights="imagenet",
    head="new",
    freeze="stage3",
    augment=(RandomResizedCrop(224, area=(0.35, 1.0)), Flip()),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    validation=0.1,
    bad_images=10,
    batch_size=16,
    epochs=15,
    lr=0.002,
    lr_multipliers={"head": 10.0},
    weight_decay=1e-4,
    schedule="cosine",
    warmup=1,
    label_smoothing=0.1,
    select="best",
)


def space(hp):
    """What a search tries: the rate, and how much of the network learns."""
    return {
        "lr": hp.Float("lr", 1e-4, 0.01, sampling="log"),
        "freeze": hp.Choice("freeze", ["stage2", "stage3", "stage4"]),
    }


if __name__ == "__main__":
    main(__file__)
