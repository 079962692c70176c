"""Your own photos, a few dozen per class, with transfer from ImageNet (Donahue et al. 2013).

1. Put the photos into photos/CLASS/*.jpg, one folder per class. A fifth of each class is held out
   as the test set.
2. Look at the augmented training images: recipes look photos/transfer
3. Train with the command below. If the photos are elsewhere, add --data=folder:PATH.
4. Classify a photo: zoo predict runs/photos/transfer MY.jpg
5. With hundreds of photos per class, train more of the network: --freeze=stage1 --epochs=30

ResNet-18 with torchvision's weights. Only its last stage and a new classifier are trained, the
stage with a tenth of the classifier's learning rate (as CS231n recommends). Crops are not smaller
than a third of the image.

Command: recipes train photos/transfer
Cost: about 5.3 gigaFLOP an image and epoch: 2 x (1.814 GMAC forward + 2 x 0.411 in stage 4, back).
Expect: depends on the photos; more than a network reaches that is trained from scratch on so few.
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
    """Return the changes of one trial: the learning rate, and how much of the network trains."""
    return {
        "lr": hp.Float("lr", 1e-4, 0.01, sampling="log"),
        "freeze": hp.Choice("freeze", ["stage2", "stage3", "stage4"]),
    }


if __name__ == "__main__":
    main(__file__)
