"""Transfer with little data unlike ImageNet: diseased bean leaves (the cases of CS231n).

ResNet-50 with weights from ImageNet, on the 1,034 training images of TFDS's beans: leaves of
healthy and diseased plants. This is the hardest case of the lectures. Those of 2021 recommend
linear classifiers on earlier stages, whose features are more general; those of 2025 recommend
another model or more data. Therefore linear classifiers on stages 2, 3 and 4 are compared with
another network, whose last convolution, after the last stage, is trained together with its
classifier.

Command: recipes compare transfer/little_different
Cost: at most 4 GMAC per image in the forward pass; 30 epochs of 1,034 images, four times.
Expect: not stated.
Measured: not run here.
"""

from recipes import Recipe, main
from recipes.augment import CenterCrop, Flip, RandomResizedCrop, ResizeShort

recipe = Recipe(
    model="resnet50",
    data="beans",
    validation="validation",
    weights="imagenet",
    head="stage3",
    freeze="stage3",
    augment=(RandomResizedCrop(224), Flip()),
    eval_ops=(ResizeShort(256), CenterCrop(224)),
    batch_size=32,
    epochs=30,
    lr=0.05,
    schedule="cosine",
)

choices = {
    "linear classifier on stage 2": {"head": "stage2", "freeze": "stage2"},
    "linear classifier on stage 3": {},
    "linear classifier on stage 4": {"head": "stage4", "freeze": "stage4"},
    "another model": {"model": "efficientnet_b0", "head": "new", "freeze": "stage7"},
}


def space(hp):
    """Return the changes of one trial of a search."""
    stage = hp.Choice("stage", ["stage1", "stage2", "stage3", "stage4"])
    return {
        "head": stage,
        "freeze": stage,
        "lr": hp.Float("lr", 1e-3, 0.5, sampling="log"),
    }


if __name__ == "__main__":
    main(__file__, "compare")
